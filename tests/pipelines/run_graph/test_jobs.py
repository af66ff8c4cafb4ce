"""Nodes whose stages are the same but for their rows share a job; others do not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa

from corpus.pool import PoolRead
from corpus.settings import Settings, parse_settings
from corpus.stage import MapStage, Shard
from corpus.workspace import TableKey, Workspace
from pipelines.plan import Node, Step
from pipelines.run_graph.dependencies import Dependencies
from pipelines.run_graph.jobs import GraphJobs
from recaption.schema import CAPTION
from recaption.settings import CaptionSettings
from recaption.stage import Caption
from tests.helpers.toy_plans import SCHEMA, Compare, Fetch, Measure, Search, Toys, ToySettings


class Frozen(Search):
    name = "frozen"
    pools = (PoolRead("measure", frozen="2026"),)


def node(stage: MapStage, source: str) -> Node:
    return Node(
        stage, source, TableKey("tables", source, stage.name), (("fetch", TableKey("tables", source, "fetch")),)
    )


def test_nodes_that_differ_in_their_rows_alone_share_a_job(tmp_path: Path) -> None:
    class Local(Measure):
        """Defined in a function, so that no other process knows it."""

        name = "local"

        def setup(self) -> Callable[[Shard], pa.Table]:
            return lambda shard: SCHEMA.empty_table()

    toys = Toys(Workspace(tmp_path))
    measured = Step("measure", (node(Measure(ToySettings()), "a"), node(Measure(ToySettings(threshold=0.9)), "b")))
    stages = (Fetch(Settings()), Compare(Settings()), Search(Settings()), Frozen(Settings()), Local(Settings()))
    fetch, *others = toys.steps(*stages)
    graph = Dependencies([fetch, measured, *others], {source: toys.index(source) for source in "ab"})
    jobs = GraphJobs(graph)
    named = [
        [f"{graph.nodes[n].stage.name} {graph.nodes[n].source}" for n in jobs.nodes(job)] for job in range(len(jobs))
    ]
    assert named == [
        ["fetch a", "fetch b"],
        ["measure a"],  # its settings are others
        ["measure b"],
        ["compare a"],
        ["compare b"],
        ["search a", "search b"],
        ["frozen a"],
        ["frozen b"],
        ["local a"],
        ["local b"],
    ]
    assert [jobs.of(number) for number in range(4)] == [0, 0, 1, 2]
    assert jobs.total(0, [5, 7, 1, 1]) == 12
    assert jobs.of_all([0, 1, 3]) == {0, 2}


def test_sources_that_are_captioned_alike_share_a_model(tmp_path: Path) -> None:
    """Though each finds its prompts under its own name in the settings."""
    choices = {"a": {"prompts": {"short": 1.0}}, "b": {"prompts": {"short": 1.0}}, "c": {"prompts": {"detailed": 1.0}}}
    settings = parse_settings({"sources": choices}, CaptionSettings)
    toys = Toys(Workspace(tmp_path), dict.fromkeys(choices, 1))
    captions = Step(CAPTION, tuple(node(Caption(source, settings), source) for source in choices))
    jobs = GraphJobs(Dependencies([captions], {source: toys.index(source) for source in choices}))
    assert [list(jobs.nodes(job)) for job in range(len(jobs))] == [[0, 1], [2]]
