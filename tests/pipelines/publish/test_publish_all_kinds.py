"""One corpus of all kinds through webdataset, wids and Hugging Face `datasets`: every sample as it was published.

Megatron Energon reads the same corpus in tests/models, because it needs torch.
"""

from __future__ import annotations

import importlib.util
import io
import json
from pathlib import Path

import numpy as np
import pytest
import webdataset
from PIL import Image

from pipelines.publish.verify import verify
from tests.helpers.all_kinds import COUNTS, publish_all_kinds, published
from tests.helpers.extras import installed_or_skip
from tests.helpers.readers import offline_datasets, rgb_pixels, stub_torch


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return publish_all_kinds(tmp_path_factory.mktemp("work"), tmp_path_factory.mktemp("published") / "corpus")


def test_it_is_sound(corpus: Path) -> None:
    found = verify(str(corpus))
    assert (found.faults, found.samples) == ([], sum(COUNTS.values()))


@pytest.mark.parametrize("dataset", COUNTS)
def test_webdataset_gives_every_byte(corpus: Path, dataset: str) -> None:
    truth = published(corpus, dataset)
    tars = [str(path) for path in sorted((corpus / dataset).glob("*.tar"))]
    read = list(webdataset.WebDataset(tars, shardshuffle=False))
    assert [sample["__key__"] for sample in read] == list(truth)
    for sample in read:
        fields = {name: value for name, value in sample.items() if not name.startswith("__")}
        assert fields == truth[sample["__key__"]]


@pytest.mark.parametrize("dataset", COUNTS)
def test_wids_gives_every_byte(corpus: Path, dataset: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if importlib.util.find_spec("torch") is None:
        stub_torch(monkeypatch)
    installed_or_skip("wids")  # which webdataset has no more, from 1.0 on
    import wids

    truth = published(corpus, dataset)
    read = wids.ShardListDataset(
        str(corpus / dataset / "index.json"), cache_dir=str(tmp_path), keep=True, transformations=lambda sample: sample
    )
    assert len(read) == COUNTS[dataset]
    seen = set()
    for at in reversed(range(len(read))):  # random access
        sample = read[at]
        seen.add(sample["__key__"])
        fields = {name[1:]: value.read() for name, value in sample.items() if isinstance(value, io.IOBase)}
        assert fields == truth[sample["__key__"]]
    assert seen == truth.keys()


@pytest.mark.parametrize("dataset", COUNTS)
def test_hugging_face_datasets_gives_every_value(
    corpus: Path, dataset: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    datasets = offline_datasets(monkeypatch)
    truth = published(corpus, dataset)
    tars = [str(path) for path in sorted((corpus / dataset).glob("*.tar"))]
    read = datasets.load_dataset("webdataset", data_files=tars, split="train", cache_dir=str(tmp_path))
    assert [sample["__key__"] for sample in read] == list(truth)
    for sample in read:
        fields = {name: value for name, value in sample.items() if not name.startswith("__")}
        assert fields.keys() == truth[sample["__key__"]].keys()
        for name, value in fields.items():
            content = truth[sample["__key__"]][name]
            if isinstance(value, Image.Image):
                assert np.array_equal(np.asarray(value.convert("RGB")), rgb_pixels(content))
            else:
                assert value == json.loads(content)
