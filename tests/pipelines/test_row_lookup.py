"""What the tables of a run have about an image: its stages, the pairs that use it, its bytes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from corpus.schema import item_id
from corpus.settings import SettingsError
from pipelines.config import Config
from pipelines.row_lookup import find_rows, write_picture
from tests.helpers.calibrating import ROWS, calibration_world, degraded


@pytest.fixture(scope="module")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Config:
    return calibration_world(tmp_path_factory.mktemp("shapes"))


def test_an_image_has_its_stages_its_pair_and_its_bytes(shapes: Config, tmp_path: Path) -> None:
    number = 1  # neither blurred, dark nor small
    item = item_id(degraded(number)).hex()
    found = find_rows(shapes, item)
    [row] = found.rows
    assert row.kind == "item" and row.verdict.startswith("kept by all")
    columns = {each.stage: each.columns for each in row.stages}
    assert columns["images"]["item_id"] == f'"{item}"' and columns["image_stats"]["width"].isdigit()
    [use] = found.uses
    assert (use.dataset, use.side) == ("shapes", "positive")
    [pair] = find_rows(shapes, use.pair_id).rows
    assert pair.kind == "pair" and pair.items["positive"] == [item] and pair.items["query"] == []
    path = write_picture(shapes, item, tmp_path / "picture")
    assert path == tmp_path / "picture.jpg" and path.read_bytes() == degraded(number)
    assert write_picture(shapes, item, tmp_path / "picture.bin").name == "picture.bin"
    with pytest.raises(SettingsError, match=r"no item .* has bytes"):
        write_picture(shapes, use.pair_id, tmp_path / "none")


def test_removed_images_name_the_stage_and_the_reason(shapes: Config) -> None:
    expected = {}
    for path in sorted(Path(shapes.workspace).glob("tables/shapes/quality/*.parquet")):
        items = pq.read_table(next(path.parents[1].glob(f"images/{path.name.partition('.')[0]}.*.parquet")))
        for item, row in zip(items.column("item_id"), pq.read_table(path).to_pylist(), strict=True):
            if item.is_valid and row["status"] == "filtered":
                expected[item.as_py().hex()] = f"filtered by quality: {row['reason']}"
    assert 0 < len(expected) < ROWS
    item, verdict = next(iter(expected.items()))
    assert find_rows(shapes, item).rows[0].verdict == verdict
    stages = {each.stage: each.counts for each in find_rows(shapes, "shapes/1").shard}
    assert sum(stages["pairs"].values()) == 16


def test_vectors_are_shown_by_length_and_norm() -> None:
    from pipelines.row_lookup import column_line

    vector = np.array([3, 4] + [0] * 30, np.float16).tobytes()
    assert column_line(vector, pa.binary(64)) == "vector of 32, norm 5.0000"
    assert column_line([3.0, 4.0], pa.list_(pa.float32())) == "vector of 2, norm 5.0000"
    assert column_line(b"\x01\xff", pa.binary(2)) == '"01ff"' and column_line(None, pa.string()) == "null"
