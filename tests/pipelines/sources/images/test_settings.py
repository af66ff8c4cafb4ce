"""Where a set's images lie: one resolver for each kind of place, asked in a fixed order."""

from __future__ import annotations

from pathlib import Path

import pytest

from corpus.settings import SettingsError, parse_settings
from pipelines.sources.images.archives import Archives
from pipelines.sources.images.parquet import ParquetImages
from pipelines.sources.images.pdf import PdfImages
from pipelines.sources.images.settings import SetImages
from tests.helpers.small_archives import put, zip_of
from tests.helpers.small_worlds import picture


def test_nowhere_is_an_error() -> None:
    with pytest.raises(SettingsError, match="where are the images"):
        parse_settings({}, SetImages)


def test_resolvers_come_in_a_fixed_order_and_archives_find_their_images(tmp_path: Path) -> None:
    put(f"{tmp_path}/a.zip", zip_of({"x/1.jpg": picture(1)}))
    settings = {
        "archives": {"paths": [f"{tmp_path}/a.zip"]},
        "pdfs": {"paths": [f"{tmp_path}/*.pdf"]},
        "parquet": {"paths": [f"{tmp_path}/*.parquet"], "column": "image"},
    }
    found = list(parse_settings(settings, SetImages).resolvers(str(tmp_path), "web"))
    assert [type(resolver) for resolver in found] == [ParquetImages, PdfImages, Archives]
