"""The plan, on toy stages: fetch (nondeterministic) -> measure -> compare (keyed) -> pair."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import pytest

from corpus.pool import PoolRead, PoolScope
from corpus.settings import Settings
from corpus.stage import ROWS
from corpus.storage import Store
from corpus.table_digest import table_digest
from corpus.workspace import Workspace
from pipelines.plan import Selection, differences
from pipelines.planner import make_plan
from tests.helpers.toy_plans import (
    KEPT,
    Describe,
    Fetch,
    Measure,
    Newer,
    Search,
    Toy,
    Toys,
    ToySettings,
    default_stages,
    outputs,
    states,
    toy_table,
    whys,
)


@pytest.fixture
def toys(tmp_path: Path) -> Toys:
    return Toys(Workspace(tmp_path))


# Missing, done, stale


def test_everything_is_missing_then_done(store_url: str) -> None:
    toys = Toys(Workspace(store_url))
    before = toys.finish(toys.plan())
    assert states(before) == {"fetch": "mmm", "measure": "mmm", "compare": "mmm", "pair": "mmm"}
    after = toys.plan()
    assert states(after) == {"fetch": "ddd", "measure": "ddd", "compare": "ddd", "pair": "ddd"}
    assert [outputs(after, step) for step in ("fetch", "pair")] == [outputs(before, step) for step in ("fetch", "pair")]
    assert whys(before, "fetch") == {""}


def test_a_table_that_is_gone_is_missing_again_alone(toys: Toys) -> None:
    done = toys.finish(toys.plan())
    toys.workspace.store.remove(outputs(done, "measure")[1])
    assert states(toys.plan()) == {"fetch": "ddd", "measure": "dmd", "compare": "ddd", "pair": "ddd"}


def test_a_changed_setting_makes_stale_what_depends_on_it_and_says_so(toys: Toys) -> None:
    toys.finish(toys.plan())
    changed = toys.plan(*default_stages(threshold=0.7))
    assert states(changed) == {"fetch": "ddd", "measure": "sss", "compare": "sss", "pair": "uuu"}
    assert whys(changed, "measure") == {"threshold: 0.5 -> 0.7"}
    assert whys(changed, "compare") == {"`measure` changed"}
    assert whys(changed, "pair") == {"after compare"}
    other = (("duplicate", "exact"), *KEPT[1:])
    toys.finish(changed, {("compare", source, shard): other for source, shard in (("a", 0), ("a", 1), ("b", 0))})
    assert states(changed)["pair"] == "sss"
    assert whys(changed, "pair") == {"`compare` changed"}
    assert "s" not in "".join(states(toys.plan()).values()), "going back finds the old tables"


def test_a_changed_version_makes_stale(toys: Toys) -> None:
    toys.finish(toys.plan())
    fetch, _, compare, pair = default_stages()
    changed = toys.plan(fetch, Newer(ToySettings()), compare, pair)
    assert states(changed) == {"fetch": "ddd", "measure": "sss", "compare": "sss", "pair": "uuu"}
    assert whys(changed, "measure") == {"stage version 1 -> 2"}


def test_changed_rows_make_one_shard_stale_and_whatever_reads_all_shards(toys: Toys) -> None:
    toys.finish(toys.plan())
    toys.content = {("a", 1): "rows-other"}
    changed = toys.plan()
    assert states(changed) == {"fetch": "dsd", "measure": "dsd", "compare": "sss", "pair": "uuu"}
    assert whys(changed, "fetch") == {"`rows` changed"}
    assert whys(changed, "pair") == {"after compare"}
    toys.finish(changed, {("compare", "a", 1): (*KEPT[:2], ("duplicate", "exact"))})
    assert states(changed)["pair"] == "dsd", "of what reads all shards the others are as they were"
    assert whys(changed, "pair") == {"`rows` changed; `compare` changed"}


def test_a_shard_more_leaves_the_others_but_not_what_reads_all(toys: Toys) -> None:
    toys.finish(toys.plan())
    toys.shards = {"a": 2, "b": 2}
    assert states(toys.plan()) == {"fetch": "dddm", "measure": "dddm", "compare": "sssm", "pair": "uuum"}


def test_a_table_is_held_against_the_nearest_of_the_old_ones(toys: Toys) -> None:
    for prompts in ({"first": "b", "second": "c"}, {"first": "a"}, {"first": "d", "third": "e"}):
        toys.finish(toys.plan(Fetch(Settings()), Measure(ToySettings(prompts=prompts))))
    newest = ToySettings(prompts={"first": "a"}, threshold=0.9)
    assert whys(toys.plan(Fetch(Settings()), Measure(newest)), "measure") == {"threshold: 0.5 -> 0.9"}


def test_differences_are_told_by_their_path() -> None:
    old = {"version": 1, "settings": {"a": {"b": 1, "c": [1]}, "gone": True}, "inputs": {"rows": "x"}}
    new = {"version": 1, "settings": {"a": {"b": 2, "c": [1]}, "come": "yes"}, "inputs": {"rows": "x", "items": "y"}}
    assert differences(old, new) == ["a.b: 1 -> 2", "come: None -> 'yes'", "gone: True -> None", "`items` changed"]
    assert differences(new, new) == []
    assert differences({}, {"version": 3, "settings": {}, "inputs": {}}) == ["stage version None -> 3"]


# What it costs


@pytest.mark.parametrize("state", ["missing", "done"])
def test_one_listing_for_each_series_and_no_read(toys: Toys, monkeypatch: pytest.MonkeyPatch, state: str) -> None:
    if state == "done":
        toys.finish(toys.plan())
    steps, indexes = toys.steps(*default_stages()), {source: toys.index(source) for source in toys.shards}
    listed: Counter[str] = Counter()
    names = Store.names

    def counted(self: Store, folder: str) -> list[str]:
        listed[folder] += 1
        return names(self, folder)

    monkeypatch.setattr(Store, "names", counted)
    for other in ("read", "open", "exists", "size", "read_ranges"):
        monkeypatch.setattr(Store, other, lambda *args, other=other: pytest.fail(f"{other} {args}"))
    plan = make_plan(toys.workspace, steps, indexes, Selection())
    assert {one.state for _, planned in plan.steps for one in planned} == {state}
    assert listed == {f"tables/{source}/{step.name}": 1 for step in steps for source in toys.shards}


def test_only_some_stale_tables_are_looked_into(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    toys = Toys(Workspace(tmp_path), {"a": 30})
    stages = default_stages()[:2]
    toys.finish(toys.plan(*stages))
    looked: list[str] = []
    read = Workspace.read_fingerprint_parts
    monkeypatch.setattr(
        Workspace, "read_fingerprint_parts", lambda self, path: (looked.append(path), read(self, path))[1]
    )
    plan = toys.plan(*default_stages(threshold=0.1)[:2])
    assert states(plan)["measure"] == "s" * 30
    assert len(looked) == 20
    assert whys(plan, "measure") == {"threshold: 0.5 -> 0.1", ""}


# Where each table reads and writes


def test_tasks_say_where_to_read_and_write(toys: Toys) -> None:
    plan = toys.finish(toys.plan())
    assert [step.is_shuffle for step, _ in plan.steps] == [False, False, True, False]
    (pair,) = plan.table("pair", "b")
    (compare,) = plan.table("compare", "b")
    task = pair.task
    assert task.inputs == ((ROWS, "tables/b/rows/000000.rows-b0.parquet"), ("compare", compare.task.output))
    assert task.output == f"tables/b/pair/000000.{pair.fingerprint}.parquet"
    assert task.media == f"media/b/000000.{pair.fingerprint}"
    content = table_digest(toy_table(KEPT))
    assert compare.task.output == f"tables/b/compare/000000.{compare.fingerprint}-c{content}.parquet"
    assert task.fingerprint_parts["inputs"] == {ROWS: "rows-b0", "compare": content}
    assert (task.source, task.shard, task.previous, task.retry) == ("b", "000000", "", frozenset())


def test_every_shard_has_an_ordinal_of_its_own_whatever_the_order_of_the_settings(tmp_path: Path) -> None:
    def ordinals(**shards: int) -> dict[tuple[str, str], int]:
        plan = Toys(Workspace(tmp_path), shards).plan()
        found = {(p.node.source, p.task.shard, p.task.ordinal) for _, planned in plan.steps for p in planned}
        assert len(found) == sum(shards.values()), "the same in every step"
        return {(source, shard): ordinal for source, shard, ordinal in found}

    found = ordinals(b=3, a=2)
    assert sorted(found.values()) == [0, 1, 2, 3, 4]
    assert found == ordinals(a=2, b=3)
    assert found == {("a", "000000"): 0, ("a", "000001"): 1, **{("b", f"{n:06d}"): 2 + n for n in range(3)}}


def test_what_reads_all_shards_does_not_depend_on_the_order_of_the_sources(tmp_path: Path) -> None:
    def compared(**shards: int) -> set[str]:
        return set(outputs(Toys(Workspace(tmp_path), shards).plan(), "compare"))

    assert compared(a=2, b=1) == compared(b=1, a=2)


def test_all_tables_of_a_keyed_stage_share_one_fingerprint(toys: Toys) -> None:
    plan = toys.plan()
    assert len({one.fingerprint for source in "ab" for one in plan.table("compare", source)}) == 1
    assert len({one.fingerprint for source in "ab" for one in plan.table("measure", source)}) == 3


# Again: retry and force

FAILED_ONES = {
    ("fetch", "a", 0): (("kept", ""), ("failed", "http_404"), ("failed", "timeout")),
    ("fetch", "a", 1): (("kept", ""), ("filtered", "opted_out"), ("kept", "")),
    ("fetch", "b", 0): (("failed", "http_404"), ("kept", ""), ("kept", "")),
}


def test_a_retry_makes_a_generation_of_shards_with_failed_rows(toys: Toys) -> None:
    first = toys.finish(toys.plan(), FAILED_ONES)
    plan = toys.plan(stage="fetch", retry=frozenset({"failed"}))
    assert states(plan) == {"fetch": "fdf", "measure": "sds", "compare": "sss", "pair": "uuu"}
    assert whys(plan, "fetch") == {"2 failed rows are tried again", "1 failed rows are tried again"}
    again = plan.table("fetch", "a")[0]
    assert again.task.previous == outputs(first, "fetch")[0]
    assert again.task.retry == {"failed"}
    assert again.task.output == again.task.previous.replace(".parquet", "-g1.parquet")
    assert again.task.media.endswith("-g1")
    assert again.task.fingerprint_parts["generation"] == 1
    assert whys(plan, "measure") == {"`fetch` changed"}

    toys.finish(plan, {("fetch", "a", 0): (*KEPT[:2], ("failed", "timeout"))})
    assert set("".join(states(toys.plan()).values())) == {"d"}, "the last generation is what counts"
    assert outputs(toys.plan(), "fetch")[0].endswith("-g1.parquet")
    third = toys.plan(stage="fetch", retry=frozenset({"failed"}))
    assert states(third)["fetch"] == "fdd"
    assert outputs(third, "fetch")[0].endswith("-g2.parquet")
    assert third.table("fetch", "a")[0].task.previous.endswith("-g1.parquet")


def test_a_retry_may_name_reasons_and_shards(toys: Toys) -> None:
    toys.finish(toys.plan(), FAILED_ONES)
    assert states(toys.plan(stage="fetch", retry=frozenset({"timeout"})))["fetch"] == "fdd"
    assert states(toys.plan(stage="fetch", retry=frozenset({"timeout", "http_404"})))["fetch"] == "fdf"
    assert states(toys.plan(stage="fetch", retry=frozenset({"opted_out"})))["fetch"] == "ddd", "filtered is not failed"
    only = {"stage": "fetch", "retry": frozenset({"failed"}), "shards": frozenset({1})}
    assert states(toys.plan(**only))["fetch"] == "ddd"


def test_a_retry_leaves_rows_alone_that_an_earlier_stage_failed(toys: Toys) -> None:
    stages = [Fetch(Settings()), Measure(ToySettings()), Describe(Settings())]
    broken = (("failed", "undecodable"), ("kept", ""), ("kept", ""))
    judged = {
        ("measure", "a", 0): broken,
        ("describe", "a", 0): broken,  # the earlier stage's, carried on
        ("measure", "a", 1): broken,
        ("describe", "a", 1): (broken[0], ("failed", "too_long"), ("kept", "")),
    }
    toys.finish(toys.plan(*stages), judged)
    plan = toys.plan(*stages, stage="describe", retry=frozenset({"failed"}))
    assert states(plan)["describe"] == "dfd"
    assert whys(plan, "describe") == {"1 failed rows are tried again"}


def test_a_retry_of_what_is_not_there_is_just_missing(toys: Toys) -> None:
    plan = toys.plan(stage="fetch", retry=frozenset({"failed"}))
    assert states(plan)["fetch"] == "mmm"


def test_force_makes_a_generation_of_what_comes_out_differently_each_time(toys: Toys) -> None:
    toys.finish(toys.plan())
    plan = toys.plan(stage="fetch", force=True, shards=frozenset({1}))
    assert states(plan) == {"fetch": "dfd", "measure": "dsd", "compare": "sss", "pair": "uuu"}
    again = plan.table("fetch", "a")[1]
    assert again.task.output.endswith("-g1.parquet")
    assert (again.task.previous, again.why) == ("", "forced: a new generation")
    toys.finish(plan)
    assert set("".join(states(toys.plan()).values())) == {"d"}


def test_force_may_name_sources_and_shards(toys: Toys) -> None:
    toys.finish(toys.plan())
    cases = {
        (("b",), None): "ddf",
        (("a",), frozenset({1})): "dfd",
        (("a", "b"), frozenset({0})): "fdf",
        (("b",), frozenset({1})): "ddd",  # shard 1 of another source is not meant
    }
    found = {
        (names, shards): states(toys.plan(stage="fetch", force=True, sources=frozenset(names), shards=shards))["fetch"]
        for names, shards in cases
    }
    assert found == cases


def test_force_writes_the_table_of_a_deterministic_stage_again(toys: Toys) -> None:
    before = toys.finish(toys.plan())
    plan = toys.plan(stage="measure", force=True)
    assert states(plan) == {"fetch": "ddd", "measure": "fff", "compare": "ddd", "pair": "ddd"}
    assert outputs(plan, "measure") == outputs(before, "measure")
    assert whys(plan, "measure") == {"forced"}


def test_a_generation_survives_a_change_elsewhere(toys: Toys) -> None:
    toys.finish(toys.plan())
    toys.finish(toys.plan(stage="fetch", force=True))
    plan = toys.plan(*default_stages(threshold=0.7))
    assert states(plan)["fetch"] == "ddd"
    assert all(path.endswith("-g1.parquet") for path in outputs(plan, "fetch"))


class Together(Toy):
    name = "together"
    reads = ("measure",)
    fan_out: ClassVar[bool] = True
    lookahead_shards: ClassVar[bool] = True


def test_a_stage_that_looks_ahead_reads_the_shards_in_which_its_rows_go_on(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    toys = Toys(workspace, shards={"a": 4})
    indexes = {"a": replace(toys.index("a"), continues_in={"000000": 2, "000002": 1})}
    steps = toys.steps(Fetch(Settings()), Measure(ToySettings()), Together(Settings()))
    plan = toys.finish(toys.planned(steps, indexes, Selection()))
    measured = dict(zip(["0", "1", "2", "3"], outputs(plan, "measure"), strict=True))
    read = [[path for _, path in one.task.inputs] for one in plan.table("together", "a")]
    assert read == [[measured[n] for n in row] for row in ("012", "1", "23", "3")]
    assert {name for one in plan.table("together", "a") for name, _ in one.task.inputs} == {"measure"}
    again = Selection(stage="fetch", shards=frozenset({3}), force=True)
    changed = make_plan(workspace, steps, indexes, again)
    # Shard 3 alone is fetched again: with it go the groups of its own shard, and of the one that goes on in it.
    assert [one.state for one in changed.table("together", "a")] == ["done", "done", "stale", "stale"]
    assert whys(changed, "together") == {"`measure` changed", "`measure+1` changed"}


# Pools


def test_a_search_is_stale_when_its_pool_grows_and_says_by_how_much(toys: Toys) -> None:
    stages = (Fetch(Settings()), Measure(ToySettings()), Search(Settings()))
    before = toys.finish(toys.plan(*stages))
    searched = [one for step, planned in before.steps if step.name == "search" for one in planned]
    assert [set(one.pools) for one in searched] == [{"measure", "fetch"}] * 3
    assert searched[0].pools["measure"].paths == tuple(sorted(outputs(before, "measure")))
    assert searched[0].pools["fetch"].paths == tuple(sorted(outputs(before, "fetch")))
    assert states(toys.plan(*stages))["search"] == "ddd"
    toys.shards = {"a": 2, "b": 3}
    grown = toys.plan(*stages)
    assert states(grown) == {"fetch": "dddmm", "measure": "dddmm", "search": "sssmm"}
    assert whys(grown, "search") == {"the pool `measure` grew by 2 tables, to 5", ""}


def test_a_search_is_stale_when_its_pool_shrinks(toys: Toys) -> None:
    stages = (Fetch(Settings()), Measure(ToySettings()), Search(Settings()))
    toys.finish(toys.plan(*stages))
    toys.shards = {"a": 1, "b": 1}
    assert whys(toys.plan(*stages), "search") == {"the pool `measure` lost 1 tables, of 3"}


def test_a_pool_that_is_only_looked_up_in_makes_nothing_stale(toys: Toys) -> None:
    class LookUp(Search):
        pools = (PoolRead("fetch", PoolScope.SOURCES, fingerprinted=False),)

    stages = (Fetch(Settings()), Measure(ToySettings()), LookUp(Settings()))
    toys.finish(toys.plan(*stages))
    toys.shards = {"a": 2, "b": 3}
    assert states(toys.plan(*stages))["search"] == "dddmm"


def test_a_pool_whose_content_changed_makes_stale(toys: Toys) -> None:
    stages = (Fetch(Settings()), Measure(ToySettings()), Search(Settings()))
    toys.finish(toys.plan(*stages))
    toys.content = {("b", 0): "rows-other"}
    changed = toys.plan(*stages)
    assert states(changed)["search"] == "sss"
    assert whys(changed, "search") == {"the pool `measure` changed", "`measure` changed; the pool `measure` changed"}
