"""A corpus as one Parquet file: every sample, its media as bytes, readable as images by Hugging Face's `datasets`."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from pipelines.publish import parquet_export
from pipelines.publish.mixture import PublishError
from pipelines.publish.parquet_export import export_table
from pipelines.publish.publish import publish
from tests.helpers.readers import offline_datasets, rgb_pixels
from tests.helpers.small_worlds import InlineEngine, World, image_pair, mixture


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`groups`: samples with a negative each; `laion`: samples without."""
    world = World(str(tmp_path_factory.mktemp("work")))
    world.dataset("groups", [image_pair("groups", str(n), image) for n, image in enumerate(world.pictures(6))])
    world.captions("laion", 7)
    corpus = tmp_path_factory.mktemp("published") / "corpus"
    publish(world.workspace, world.given(), mixture(corpus, {"groups": {"negatives": 1}, "laion": {}}), InlineEngine())
    return corpus


def samples(corpus: Path) -> list[dict[str, Any]]:
    """What stock tools read from the tars, media in place of their names."""
    found = []
    for path in sorted(corpus.rglob("*.tar")):
        with tarfile.open(path) as tar:
            members = {member.name: tar.extractfile(member).read() for member in tar}  # type: ignore[union-attr]
        for name in [name for name in members if name.endswith(".json")]:
            key, sample = name.partition(".")[0], json.loads(members[name])
            for side in (sample["query"], sample["positive"], *sample["negatives"]):
                side["media"] = [{"bytes": members[f"{key}.{each}"], "path": f"{key}.{each}"} for each in side["media"]]
            found.append(sample)
    return found


def test_each_sample_is_a_row(corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet_export, "_GROUP_BYTES", 2000)
    steps: list[tuple[int, int]] = []
    written = export_table(str(corpus), str(tmp_path / "out.parquet"), lambda done, total: steps.append((done, total)))
    file = pq.ParquetFile(tmp_path / "out.parquet")
    assert file.read().to_pylist() == samples(corpus)
    assert (written.rows, written.path) == (13, str(tmp_path / "out.parquet"))
    assert written.bytes == (tmp_path / "out.parquet").stat().st_size
    assert file.num_row_groups > 2, "memory is bounded by what a row group holds"
    assert steps[-1] == (len(list(corpus.rglob("*.tar"))),) * 2


def test_datasets_shows_the_images(corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = offline_datasets(monkeypatch)
    export_table(str(corpus), str(tmp_path / "out.parquet"))
    loaded = datasets.load_dataset(
        "parquet", data_files=str(tmp_path / "out.parquet"), split="train", cache_dir=str(tmp_path / "cache")
    )
    assert len(loaded) == 13
    for row, sample in zip(loaded, samples(corpus), strict=True):
        [image], [member] = row["positive"]["media"], sample["positive"]["media"]
        buffer = io.BytesIO(member["bytes"])
        assert np.array_equal(np.asarray(image.convert("RGB")), rgb_pixels(buffer.getvalue()))
        assert row["query"]["text"] == sample["query"]["text"] and row["pair_id"] == sample["pair_id"]


def test_what_is_no_corpus_is_refused(corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(PublishError, match="there is no corpus"):
        export_table(str(tmp_path), str(tmp_path / "out.parquet"))
    assert not (tmp_path / "out.parquet").exists()


def test_a_damaged_tar_leaves_no_file(corpus: Path, tmp_path: Path) -> None:
    tar = next(corpus.rglob("*.tar"))
    content = tar.read_bytes()
    try:
        tar.write_bytes(content[: len(content) // 2])
        with pytest.raises((PublishError, EOFError)):
            export_table(str(corpus), str(tmp_path / "out.parquet"))
        assert not (tmp_path / "out.parquet").exists()
    finally:
        tar.write_bytes(content)
