"""On an engine with queues a task starts as soon as what it reads is there: the order of events tells."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any, ClassVar

import pytest

from corpus.execution import WORKER_LOST, Outcome
from corpus.settings import Settings
from corpus.stage import ROWS, Resources
from corpus.storage import StorageError
from corpus.workspace import Workspace
from pipelines.publish.mixture import PublishError
from pipelines.run_graph.free_disk import FreeDisk
from tests.helpers.disks import Room
from tests.helpers.fake_queues import FakeEngine
from tests.helpers.toy_plans import (
    KEPT,
    Fetch,
    FetchMedia,
    Measure,
    Search,
    Toy,
    Toys,
    ToySettings,
    default_stages,
    states,
)
from tests.helpers.toy_runs import run_toys

CHANGED = (("duplicate", "exact"), *KEPT[1:])


class Choose(Toy):
    name = "choose"
    reads = ("search",)


class Draw(Toy):
    """Needs a model, and nothing but rows."""

    name = "draw"
    reads = ("measure",)
    resources = Resources(gpus=1, holds_model=True)


class Other(Toy):
    name = "other"
    reads = (ROWS,)


@pytest.fixture
def toys(tmp_path: Path) -> Toys:
    return Toys(Workspace(tmp_path))


def test_no_barrier_stands_between_stages_and_sources(toys: Toys) -> None:
    """The shard that is nearest to the end goes on; only the shuffle waits for all."""
    found = run_toys(toys)
    chains = [
        [("fetch", source, shard), ("measure", source, shard)] for source, shard in (("a", 0), ("a", 1), ("b", 0))
    ]
    every = [("a", 0), ("a", 1), ("b", 0)]
    assert found.order() == [
        *(event for chain in chains for event in chain),
        ("shuffle compare", "", 3),
        *(("compare", *at) for at in every),
        *(("pair", *at) for at in every),
    ]
    assert found.failed == []
    assert set("".join(states(toys.plan()).values())) == {"d"}
    assert run_toys(toys).order() == []


def test_lines_tell_what_was_done(toys: Toys) -> None:
    lines = [line.rpartition(", ")[0] for line in run_toys(toys).printed]
    assert lines == [f"{name}: 3 shards, 9 rows (9 kept)" for name in ("fetch", "measure", "compare", "pair")]
    assert run_toys(toys).printed == [f"{n}: done already (3 shards)" for n in ("fetch", "measure", "compare", "pair")]


def test_a_table_that_comes_out_as_before_ends_the_work_of_its_shard(toys: Toys) -> None:
    toys.shards = {"a": 4}
    run_toys(toys)
    toys.shards = {"a": 4, "b": 1}
    engine = FakeEngine(toys.workspace, {("compare", "a", 2): CHANGED})
    found = run_toys(toys, engine=engine)
    assert found.order("fetch", "measure") == [("fetch", "b", 0), ("measure", "b", 0)]
    assert found.order("pair") == [("pair", "a", 2), ("pair", "b", 0)]
    assert set("".join(states(toys.plan()).values())) == {"d"}


def test_what_depends_on_a_search_starts_before_the_search_of_others_ends(toys: Toys) -> None:
    stages = (Fetch(Settings()), Measure(ToySettings()), Search(Settings()), Choose(Settings()))
    toys.shards = {"a": 3}
    run_toys(toys, *stages)
    toys.shards = {"a": 4}
    engine = FakeEngine(toys.workspace, {("search", "a", 1): CHANGED})
    found = run_toys(toys, *stages, engine=engine)
    assert found.order("search", "choose") == [
        ("search", "a", 0),
        ("search", "a", 1),
        ("choose", "a", 1),
        ("search", "a", 2),
        ("search", "a", 3),
        ("choose", "a", 3),
    ]
    assert {frozenset(engine.pools[event].items()) for event in found.order("search")} == {
        frozenset({("measure", 4), ("fetch", 4)})
    }


def test_a_pool_is_searched_when_all_its_tables_exist(toys: Toys) -> None:
    stages = (Fetch(Settings()), Measure(ToySettings()), Search(Settings()))
    order = run_toys(toys, *stages).order()
    assert [event[0] for event in order] == ["fetch", "measure"] * 3 + ["search"] * 3


def test_a_failure_stops_what_depends_on_it_and_nothing_else(toys: Toys) -> None:
    engine = FakeEngine(toys.workspace, failing={("measure", "a", 1): "planted"})
    found = run_toys(toys, *default_stages(), Other(Settings()), engine=engine)
    assert found.failed == [
        "measure a/000001: planted",
        "compare: waits for 1 shards that an earlier stage did not finish",
    ]
    assert len(found.order("measure", "other")) == 6
    assert found.order("compare", "pair") == []
    assert [line for line in found.printed if "blocked" in line] == ["compare: blocked", "pair: blocked"]
    again = run_toys(toys, *default_stages(), Other(Settings()))
    assert again.order("fetch", "measure", "other") == [("measure", "a", 1)]
    assert len(again.order("compare", "pair")) == 6


def test_a_pool_that_lacks_a_table_is_not_searched(toys: Toys) -> None:
    stages = (Fetch(Settings()), Measure(ToySettings()), Search(Settings()), Choose(Settings()))
    engine = FakeEngine(toys.workspace, failing={("measure", "b", 0): "planted"})
    found = run_toys(toys, *stages, engine=engine)
    missing = "waits for 1 tables of the pool `measure` that an earlier stage did not finish"
    assert found.failed == ["measure b/000000: planted", f"search a: {missing}", f"search b: {missing}"]
    assert found.order("search", "choose") == []


def test_what_exists_stays_though_what_it_was_made_of_fails(toys: Toys) -> None:
    run_toys(toys)
    for event in ("fetch", "measure"):
        for path in toys.workspace.store.names(f"tables/a/{event}"):
            toys.workspace.store.remove(f"tables/a/{event}/{path}")
    engine = FakeEngine(toys.workspace, failing={("fetch", "a", 0): "planted"})
    found = run_toys(toys, engine=engine)
    assert found.failed == ["fetch a/000000: planted"]
    assert found.order() == [("fetch", "a", 0), ("fetch", "a", 1), ("measure", "a", 1)]


def test_a_stage_that_cannot_be_opened_is_one_failure_and_others_go_on(toys: Toys) -> None:
    stages = (*default_stages(), Draw(Settings()))
    found = run_toys(toys, *stages, engine=FakeEngine(toys.workspace, broken={"draw": ImportError("no torch")}))
    assert found.failed == ["draw a: ImportError: no torch", "draw b: ImportError: no torch"]
    assert len(found.order("pair")) == 3


def test_a_shard_that_killed_its_workers_runs_again_in_isolation(toys: Toys) -> None:
    def crash(job: Any, task: Any) -> Outcome | None:
        if job.stage.name == "measure" and task.shard == "000001" and not job.isolated:
            return Outcome(task.source, "measure", task.shard, error="died", metrics={WORKER_LOST: True})
        return None

    engine = FakeEngine(toys.workspace, after=crash)
    found = run_toys(toys, engine=engine)
    assert found.failed == []
    assert len(found.order("measure")) == 3
    assert sum(queue.job.isolated for queue in engine.queues) == 1
    assert all(queue.closed for queue in engine.queues)


def test_what_a_starving_model_waits_for_goes_first(toys: Toys) -> None:
    """`other` is nearer to the end than `fetch` and `measure`, but the model waits for those."""
    found = run_toys(toys, Fetch(Settings()), Measure(ToySettings()), Other(Settings()), Draw(Settings()))
    assert [event[0] for event in found.order()] == ["fetch", "measure", "draw"] * 3 + ["other"] * 3


def test_a_queue_is_closed_when_its_last_task_has_come(toys: Toys) -> None:
    """So that a model may give way to another although its tasks wait."""
    engine = FakeEngine(toys.workspace)
    closed: list[tuple[int, bool]] = []

    def look(event: tuple[str, str, int]) -> None:
        if event[0] == "draw":
            closed.append((event[2], next(queue.closed for queue in engine.queues if queue.job.stage.name == "draw")))

    engine.before = look
    toys.shards = {"a": 3}
    run_toys(toys, Fetch(Settings()), Measure(ToySettings()), Draw(Settings()), engine=engine)
    assert closed == [(0, False), (1, False), (2, True)]


def test_a_model_is_opened_once_for_all_sources(toys: Toys) -> None:
    """Its queue stays open until the last source has no task any more."""
    engine = FakeEngine(toys.workspace)
    toys.shards = {"a": 2, "b": 1, "c": 1}
    found = run_toys(toys, Fetch(Settings()), Measure(ToySettings()), Draw(Settings()), engine=engine)
    assert [queue.job.stage.name for queue in engine.queues] == ["fetch", "measure", "draw"]
    assert [event[1:] for event in found.order("draw")] == [("a", 0), ("a", 1), ("b", 0), ("c", 0)]
    assert all(queue.closed for queue in engine.queues)


def test_a_model_that_has_work_gets_no_more_than_its_turn(toys: Toys) -> None:
    engine = FakeEngine(toys.workspace)
    engine.before = lambda event: [setattr(queue, "has_room", False) for queue in engine.queues] and None
    stages = (Fetch(Settings()), Measure(ToySettings()), Other(Settings()), Draw(Settings()))
    order = [event[0] for event in run_toys(toys, *stages, engine=engine).order()]
    assert order == ["fetch", "measure", "draw", "other", "other", "other", *["fetch", "measure", "draw"] * 2]


def test_nothing_that_writes_media_starts_on_a_full_disk_and_the_rest_goes_on(toys: Toys) -> None:
    """The disk is full when the second shard of three has been fetched: its table is still measured."""
    engine = FakeEngine(toys.workspace)
    stages = (FetchMedia(Settings()), Measure(ToySettings()), Other(Settings()))
    usage = lambda path: Room(5_000_000_000 if ("fetch", "a", 1) not in engine.events else 1_000_000_000)  # noqa: E731
    disk = FreeDisk(toys.workspace.store, 2_000_000_000, usage, itertools.count().__next__)
    found = run_toys(toys, *stages, engine=engine, disk=disk)
    assert found.order("fetch", "measure") == [
        ("fetch", "a", 0), ("measure", "a", 0), ("fetch", "a", 1), ("measure", "a", 1)
    ]  # fmt: skip
    assert len(found.order("other")) == 3
    where = f"1.00 GB free on the disk of {toys.workspace.store.url} (engine.min_free_disk_bytes: 2.00 GB)"
    assert f"{where}: no further shard of fetch starts before there is more" in found.printed
    assert found.failed == [f"fetch: 1 shards did not start: {where}: make room there and run again, or ask for less"]
    assert run_toys(toys, *stages).order() == [("fetch", "b", 0), ("measure", "b", 0)]


def test_what_writes_media_goes_on_when_there_is_room_again(toys: Toys) -> None:
    engine = FakeEngine(toys.workspace)
    measured = lambda: ("measure", "a", 0) in engine.events  # noqa: E731
    fetched = lambda: ("fetch", "a", 0) in engine.events  # noqa: E731
    disk = FreeDisk(
        toys.workspace.store,
        100,
        lambda path: Room(50 if fetched() and not measured() else 500),
        itertools.count().__next__,
    )
    found = run_toys(toys, FetchMedia(Settings()), Measure(ToySettings()), engine=engine, disk=disk)
    assert found.failed == [] and len(found.order()) == 6
    assert [line.rpartition(": ")[2] for line in found.printed[:2]] == [
        "no further shard of fetch starts before there is more",
        "these go on",
    ]


def test_a_mixture_is_published_when_its_own_tables_are_there(toys: Toys) -> None:
    stages = (Fetch(Settings()), Measure(ToySettings()))
    engine = FakeEngine(toys.workspace, failing={("measure", "b", 0): "planted"})
    found = run_toys(toys, *stages, engine=engine, mixtures={"both": {"a", "b"}, "first": {"a"}})
    assert [event[0] for event in found.order()] == [*["fetch", "measure"] * 2, "publish first", "fetch", "measure"]
    assert found.failed == ["measure b/000000: planted"]
    assert found.printed[-1] == "publish both: blocked"
    assert {name: each.corpus for name, each in found.executor.published.items()} == {"first": "corpus-first"}


def test_a_mixture_that_cannot_be_published_stops_no_other(toys: Toys) -> None:
    errors = {"one": StorageError("the disk is full"), "two": PublishError("choose another"), "three": ValueError()}
    found = run_toys(toys, mixtures={name: {"a", "b"} for name in (*errors, "four")}, errors=errors)
    assert found.failed == ["publish one: StorageError: the disk is full", "publish two: PublishError: choose another"]
    assert found.executor.error is errors["three"]
    assert set(found.executor.published) == {"four"}


def test_a_run_up_to_a_stage_runs_no_other_and_publishes_nothing(toys: Toys) -> None:
    found = run_toys(toys, stage="measure", shards=frozenset({0}), mixtures={"one": {"a"}})
    assert found.order() == [(name, source, 0) for source in "ab" for name in ("fetch", "measure")]
    assert [line.partition(":")[0] for line in found.printed] == ["fetch", "measure"]
    found = run_toys(toys, stage="compare")
    assert found.order("fetch", "measure") == [("fetch", "a", 1), ("measure", "a", 1)]
    assert found.order("pair") == []


def test_an_interrupt_stops_the_engine_and_the_next_run_goes_on(toys: Toys) -> None:
    def interrupt(event: tuple[str, str, int]) -> None:
        if event == ("measure", "a", 1):
            raise KeyboardInterrupt

    engine = FakeEngine(toys.workspace, before=interrupt)
    with pytest.raises(KeyboardInterrupt):
        run_toys(toys, engine=engine)
    assert engine.is_closed
    assert run_toys(toys).order("fetch", "measure") == [("measure", "a", 1), ("fetch", "b", 0), ("measure", "b", 0)]


class Prepared(Toy):
    name = "prepared"
    reads = ("fetch",)
    made_ready: ClassVar[list[str]] = []

    def prepare(self) -> None:
        if self.made_ready == ["no archive"]:
            raise OSError("no archive")
        self.made_ready.append("prepared")


def test_a_stage_is_prepared_once_before_its_first_shard(toys: Toys) -> None:
    toys.shards = {"a": 3}
    engine = FakeEngine(toys.workspace, before=lambda event: Prepared.made_ready.append(event[0]))
    Prepared.made_ready.clear()
    run_toys(toys, Fetch(Settings()), Prepared(Settings()), engine=engine)
    assert Prepared.made_ready[:3] == ["fetch", "prepared", "prepared"]
    assert Prepared.made_ready.count("prepared") == 1 + 3
    Prepared.made_ready[:] = ["no archive"]
    toys.shards = {"a": 5}
    assert run_toys(toys, Fetch(Settings()), Prepared(Settings())).failed == ["prepared a: OSError: no archive"]
