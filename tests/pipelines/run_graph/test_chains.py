"""Chains of tasks: what is connected, in which order, and what is put off."""

from __future__ import annotations

from corpus.execution import ShardTask
from pipelines.run_graph.chains import Chain, ChainTask, build_chains


def task(output: str, *inputs: tuple[str, str]) -> ShardTask:
    return ShardTask("web", "000000", 0, inputs, output, "", {})


def outputs(chains: list[Chain]) -> list[list[str]]:
    return [[each.task.output for each in chain.tasks] for chain in chains]


def test_of_nothing() -> None:
    assert build_chains([]) == []


def test_a_shard_goes_through_all_jobs() -> None:
    """Two shards; of one the first table exists already. Roles name a table twice."""
    done = task("stats-1", ("rows", "rows-1"), ("items", "items-1"))
    tasks = [
        (0, task("items-0", ("rows", "rows-0"))),
        (1, task("stats-0", ("rows", "rows-0"), ("items", "items-0"))),
        (1, done),
        (2, task("quality-0", ("image_stats", "stats-0"), ("items", "items-0"), ("media", "items-0"))),
        (2, task("quality-1", ("image_stats", "stats-1"), ("items", "items-1"))),
    ]
    chains = build_chains(tasks)
    assert outputs(chains) == [["items-0", "stats-0", "quality-0"], ["stats-1", "quality-1"]]
    assert [[(each.job, each.needs) for each in chain.tasks] for chain in chains] == [
        [(0, ()), (1, (0,)), (2, (0, 1))],
        [(1, ()), (2, (0,))],
    ]
    assert chains[1].tasks[0] == ChainTask(1, done)


def test_branches_that_share_a_table_are_one_chain() -> None:
    tasks = [(0, task("a")), (1, task("b", ("a", "a"))), (2, task("c", ("a", "a"))), (3, task("d", ("x", "x")))]
    assert outputs(build_chains(tasks)) == [["a", "b", "c"], ["d"]]


def test_a_task_that_joins_two_chains_is_in_the_one_chain_of_both() -> None:
    tasks = [(0, task("a")), (0, task("b")), (1, task("c", ("a", "a"), ("b", "b")))]
    assert outputs(build_chains(tasks)) == [["a", "b", "c"]]


def test_what_looks_ahead_into_a_table_of_these_tasks_is_put_off() -> None:
    """So is what reads its table; of a shard that ends where it ends, and of one whose tables exist, nothing is."""
    tasks = [
        (0, task("clips-0", ("rows", "rows-0"))),
        (0, task("clips-1", ("rows", "rows-1"))),
        (1, task("groups-0", ("clips", "clips-0"), ("clips", "clips-1"))),
        (1, task("groups-1", ("clips", "clips-1"))),
        (1, task("groups-8", ("clips", "clips-8"), ("clips", "clips-9"))),
        (2, task("windows-0", ("groups", "groups-0"))),
        (2, task("windows-1", ("groups", "groups-1"))),
    ]
    assert outputs(build_chains(tasks)) == [["clips-0"], ["clips-1", "groups-1", "windows-1"], ["groups-8"]]
