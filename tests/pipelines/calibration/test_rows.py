"""A sample has the rows that a stage is given: all of them, or a seeded share of each source."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa

from corpus.stage import ROWS
from corpus.thresholds import Bound, Threshold
from corpus.workspace import TableKey, Workspace
from pipelines.calibration.cuts import TablePaths, ThresholdCut, find_cuts
from pipelines.calibration.rows import Measured, SampledRows, measure_rows, read_sample
from pipelines.config import Config
from pipelines.plan import Node, Plan, Selection
from pipelines.sources.source_shards import SourceIndex
from pipelines.status import plan_run
from tests.helpers.calibrating import ROWS as COUNT
from tests.helpers.calibrating import column


def sample_of(config: Config, stage: str, rows: int = 1_000, seed: int = 0) -> tuple[list[ThresholdCut], SampledRows]:
    plan = plan_run(config, Selection(), check=False)
    cuts = find_cuts([step for step, _ in plan.steps], stage)
    return cuts, read_sample(Workspace(config.workspace), TablePaths(plan), cuts, rows, seed)


def test_the_numbers_are_those_of_the_tables(shapes: Config) -> None:
    cuts, sample = sample_of(shapes, "quality")
    assert sample.complete and sample.rows == COUNT == sample.source_rows
    for cut in cuts:
        if len(cut.threshold.columns) == 1:
            expected = column(shapes, "image_stats", cut.threshold.columns[0])
            assert np.array_equal(np.sort(measure_rows(sample, cut, 0).numbers), np.sort(expected))


def test_rows_that_an_earlier_stage_removed_are_not_in_it(shapes: Config) -> None:
    _, sample = sample_of(shapes, "duplicates")
    folder = Path(shapes.workspace) / "tables/shapes/quality"
    kept = sum(pa.parquet.read_table(path).column("status").to_pylist().count("kept") for path in folder.glob("*"))
    assert 0 < sample.rows == kept < COUNT


def world(tmp_path: Path, sizes: dict[str, list[int]]) -> tuple[Workspace, TablePaths, ThresholdCut]:
    """Sources of shards of so many rows each, whose numbers say where they are: 1,000 × shard + row."""
    workspace = Workspace(str(tmp_path))
    indexes, nodes = {}, []
    for source, counts in sizes.items():
        key = TableKey("tables", source, ROWS)
        for at, count in enumerate(counts):
            numbers = 1_000.0 * at + np.arange(count)
            table = pa.table({"x": numbers, "status": ["kept"] * count, "reason": [""] * count})
            workspace.write_table(key.path(f"{at:06d}", "f"), table, {})
        shards = tuple((f"{at:06d}", "f") for at in range(len(counts)))
        indexes[source] = SourceIndex("f", shards, sum(counts), {})
        nodes.append(Node(STAGE, source, TableKey("tables", source, "s"), ((ROWS, key),)))  # type: ignore[arg-type]
    threshold = Threshold(setting="limit", bound=Bound.LOWER, table=ROWS, columns=("x",), measures="x")
    return workspace, TablePaths(Plan(indexes)), ThresholdCut(threshold, "s", "stages.s", 1.0, False, tuple(nodes))


class STAGE:
    """All that reading asks of a stage."""

    name, side_inputs, roles, fan_out = "s", (), (), False


def addresses(sample: SampledRows) -> list[tuple[str, str, int]]:
    return [(part.node.source, part.shard, row) for part in sample.parts for row in part.rows.tolist()]


def test_a_share_of_each_source_from_several_shards(tmp_path: Path) -> None:
    workspace, paths, cut = world(tmp_path, {"large": [900] * 60, "small": [300] * 20})
    sample = read_sample(workspace, paths, [cut], 6_000, seed=1)
    rows = {source: sum(len(p.rows) for p in sample.parts if p.node.source == source) for source in ("large", "small")}
    assert rows == {"large": 5_400, "small": 1_000} and not sample.complete and sample.source_rows == 60_000
    assert len({part.shard for part in sample.parts if part.node.source == "large"}) >= 16
    measured = measure_rows(sample, cut, 0)
    assert abs(measured.numbers[measured.part < 16].mean() - 30_000) < 12_000, "shards from all over the source"
    assert len(set(addresses(sample))) == sample.rows


def test_the_same_seed_draws_the_same_rows(tmp_path: Path) -> None:
    workspace, paths, cut = world(tmp_path, {"one": [700] * 30})
    first, second, other = (read_sample(workspace, paths, [cut], 1_500, seed) for seed in (3, 3, 4))
    assert addresses(first) == addresses(second) != addresses(other)
    everything = read_sample(workspace, paths, [cut], 30 * 700, 3)
    assert everything.complete and everything.rows == 30 * 700


def test_a_list_has_a_number_for_each_candidate_that_has_one() -> None:
    part = SampledRows((PART,), 3, True)
    threshold = Threshold(
        setting="s", bound=Bound.UPPER, table="t", columns=("scores",), measures="m", of_candidates=True
    )
    found = measure_rows(part, ThresholdCut(threshold, "s", "stages.s", 1.0, False, (PART.node,)), 0)
    assert isinstance(found, Measured)
    assert list(zip(found.numbers.tolist(), found.row.tolist(), found.place.tolist(), strict=True)) == [
        (0.5, 0, 0),
        (0.75, 0, 2),
        (0.25, 2, 0),
    ]


class PART:
    """A part of a sample with lists."""

    node = "node"
    rows = np.arange(3)
    tables = {"t": pa.table({"scores": [[0.5, None, 0.75], [], [0.25]]})}
