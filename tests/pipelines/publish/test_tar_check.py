"""A tar as the library webdataset reads it: its samples, its pixels, and its errors in one form."""

from __future__ import annotations

import io

import numpy as np
import pytest
import webdataset

from corpus.image.stock_reader import UndecodableError
from pipelines.publish import tar_check
from pipelines.publish.tar_check import require_webdataset, webdataset_pixels, webdataset_samples
from tests.helpers.raw_tars import END, block
from tests.helpers.readers import rgb_pixels
from tests.helpers.small_worlds import picture


def test_samples_are_the_members_with_a_key() -> None:
    tar = block("a.json", b"{}") + block("a.positive.jpg", b"1") + block("b.json", b"[]") + END
    samples = list(webdataset_samples(io.BytesIO(tar), "x.tar"))
    assert samples == [("a", [("json", b"{}"), ("positive.jpg", b"1")]), ("b", [("json", b"[]")])]


def test_what_the_library_cannot_read_is_one_error() -> None:
    twice = block("a.json", b"{}") + block("a.json", b"[]") + END
    for tar in (b"no tar at all" * 100, block("a.json", b"{}" * 500)[:700], twice):
        with pytest.raises(EOFError, match=r"^\w+Error: "):
            list(webdataset_samples(io.BytesIO(tar), "x.tar"))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_pixels_are_those_of_the_library(kind: str) -> None:
    content = picture(3, kind)
    pixels = webdataset_pixels(content)
    assert pixels.shape == (16, 24, 3) and np.array_equal(pixels, rgb_pixels(content))
    [sample] = webdataset.decode("pil")([{"__key__": "a", "jpg": content}])
    assert np.array_equal(pixels, np.asarray(sample["jpg"]))
    with pytest.raises(UndecodableError):
        webdataset_pixels(content[: len(content) // 2])


def test_without_the_library_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    require_webdataset()
    monkeypatch.setattr(tar_check.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"pip install 'rzen-corpus\[webdataset\]'"):
        require_webdataset()
