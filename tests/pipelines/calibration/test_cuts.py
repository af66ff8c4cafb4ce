"""Cuts are found by the declarations of stages, each with its value, its key and the tables that have its numbers."""

from __future__ import annotations

from pipelines.calibration.cuts import TablePaths, find_cuts
from pipelines.config import Config
from pipelines.graph import build_graph
from pipelines.plan import Selection
from pipelines.status import plan_run
from tests.helpers.calibrating import ROWS


def test_cuts_have_the_values_of_the_settings(shapes: Config) -> None:
    cuts = {cut.key: cut for cut in find_cuts(build_graph(shapes))}
    sharpness, side = cuts["stages.quality.min_sharpness"], cuts["stages.quality.min_side_px"]
    assert sharpness.value == shapes.stages.quality.min_sharpness and not sharpness.is_integer
    assert side.value == shapes.stages.quality.min_side_px and side.is_integer
    assert cuts["stages.texts.filter.min_chars"].value == shapes.stages.texts.filter.min_chars
    assert cuts["stages.texts.filter.max_words"].value is None, "it is off"
    assert [cut.stage for cut in find_cuts(build_graph(shapes), "quality")] == ["quality"] * 7


def test_a_dataset_has_cuts_of_its_own(shapes: Config) -> None:
    rules = {"datasets": {"shapes": {"min_score": 0.4, "search_by": "positive"}}}
    data = shapes.model_dump(mode="json")
    data["stages"]["negatives"] = rules
    cuts = {cut.key: cut for cut in find_cuts(build_graph(Config.model_validate(data)))}
    cut = cuts["stages.negatives.datasets.shapes.min_score"]
    assert cut.value == 0.4 and "positive" in cut.threshold.measures
    assert cuts["stages.negatives.datasets.shapes.max_score"].value is None


def test_a_table_is_found_behind_those_that_the_stage_reads(shapes: Config) -> None:
    plan = plan_run(shapes, Selection(), check=False)
    paths = TablePaths(plan)
    [node] = find_cuts([step for step, _ in plan.steps], "quality")[0].nodes
    shards = paths.shards(node)
    assert len(shards) == -(-ROWS // 16) and paths.source_rows(node) == ROWS
    for name, folder in (("image_stats", "image_stats"), ("items", "images"), ("quality", "quality")):
        path = paths.path(node, shards[0], name)
        assert path and f"/{folder}/" in path
    assert paths.path(node, shards[0], "captions") is None and paths.path(node, "000099", "items") is None
    assert paths.inputs(node, shards[0]) == [paths.path(node, shards[0], "image_stats")]
    assert len(paths.pair_tables(["shapes"])) == len(shards) == len(paths.all("items"))
