"""What each table waits for: tables of its shard, of the shards after it, all shards of a shuffle, a whole pool."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import pytest

from corpus.pool import PoolRead
from corpus.settings import Settings
from corpus.stage import ROWS
from corpus.workspace import Workspace
from pipelines.run_graph.dependencies import Dependencies, Waiting
from tests.helpers.toy_plans import Compare, Fetch, Measure, Pair, Search, Toy, Toys, ToySettings, default_stages


class Ahead(Toy):
    name = "ahead"
    reads = (ROWS, "fetch")
    lookahead_shards: ClassVar[bool] = True


class Frozen(Search):
    name = "frozen"
    pools = (PoolRead("measure", frozen="first"), PoolRead("fetch", fingerprinted=False))


@pytest.fixture
def toys(tmp_path: Path) -> Toys:
    return Toys(Workspace(tmp_path), {"a": 3, "b": 1})


def graph_of(toys: Toys, *stages: Toy | Compare, is_frozen: bool = False) -> Dependencies:
    indexes = {source: toys.index(source) for source in toys.shards}
    return Dependencies(toys.steps(*(stages or default_stages())), indexes, lambda node, read: is_frozen)


def names(graph: Dependencies, tables: list[int]) -> list[str]:
    """Tables as people read them: stage source/shard."""
    nodes = [graph.node_of(table) for table in tables]
    found = [(graph.nodes[node], table - graph.first[node]) for node, table in zip(nodes, tables, strict=True)]
    return [f"{node.stage.name} {node.source}/{place}" for node, place in found]


def test_tables_are_numbered_step_by_step(toys: Toys) -> None:
    graph = graph_of(toys)
    assert names(graph, [0, 3, 4, 15]) == ["fetch a/0", "fetch b/0", "measure a/0", "pair b/0"]
    assert graph.tables == 16
    places = [graph.place_in_step(table) for table in range(graph.tables)]
    assert places == [(step, place) for step in range(4) for place in range(4)]
    assert graph.shard(2, 0) == "000002"


def test_a_shuffle_waits_for_all_shards_and_what_reads_it_for_its_own(toys: Toys) -> None:
    graph = graph_of(toys)
    waiting = Waiting(graph)
    assert [table for table in range(graph.tables) if waiting.is_free(table)] == [0, 1, 2, 3]
    assert names(graph, waiting.resolve(0).tables) == ["measure a/0"]
    released = [waiting.resolve(table) for table in (4, 5, 6, 7)]  # measure
    assert [each.tables for each in released] == [[], [], [], []]
    assert [[graph.nodes[node].source for node in each.nodes] for each in released] == [[], [], [], ["a", "b"]]
    assert all(waiting.is_free(table) for table in range(8, 12))
    assert names(graph, waiting.resolve(9).tables) == ["pair a/1"]


def test_a_stage_that_looks_ahead_waits_for_the_next_shards(toys: Toys) -> None:
    indexes = {"a": replace(toys.index("a"), continues_in={"000000": 2}), "b": toys.index("b")}
    graph = Dependencies(toys.steps(Fetch(Settings()), Ahead(Settings())), indexes)
    assert [names(graph, list(graph.inputs(table))) for table in (4, 5)] == [
        ["fetch a/0", "fetch a/1", "fetch a/2"], ["fetch a/1"]
    ]  # fmt: skip
    waiting = Waiting(graph)
    released = [names(graph, waiting.resolve(table).tables) for table in (1, 2, 0)]
    assert released == [["ahead a/1"], ["ahead a/2"], ["ahead a/0"]]


def test_a_pool_is_waited_for_as_a_whole_and_by_names_only_where_they_count(toys: Toys) -> None:
    graph = graph_of(toys, Fetch(Settings()), Measure(ToySettings()), Search(Settings()))
    assert sorted((gate.pool, gate.in_names) for gate in graph.gates) == [("fetch", False), ("measure", True)]
    files, by_name = Waiting(graph), Waiting(graph, names=True)
    for waiting, tables in ((files, range(8)), (by_name, range(4, 8))):
        released = [waiting.resolve(table).nodes for table in tables]
        assert released[-1] == [4, 5] and not any(released[:-1])
        assert all(waiting.is_free(table) for table in range(8, 12))


def test_a_frozen_pool_is_not_waited_for(toys: Toys) -> None:
    stages = (Fetch(Settings()), Measure(ToySettings()), Frozen(Settings()))
    assert [gate.pool for gate in graph_of(toys, *stages).gates] == ["measure", "fetch"]
    assert [gate.pool for gate in graph_of(toys, *stages, is_frozen=True).gates] == ["fetch"]


def test_ancestors_are_found_through_shuffles_and_pools(toys: Toys) -> None:
    graph = graph_of(toys, Fetch(Settings()), Measure(ToySettings()), Compare(Settings()), Pair(Settings()))
    pair_of_b = next(
        number for number, node in enumerate(graph.nodes) if (node.stage.name, node.source) == ("pair", "b")
    )
    found = {(graph.nodes[node].stage.name, graph.nodes[node].source) for node in graph.ancestors([pair_of_b])}
    assert found == {
        ("pair", "b"), ("compare", "b"), ("measure", "a"), ("measure", "b"), ("fetch", "a"), ("fetch", "b")
    }  # fmt: skip
