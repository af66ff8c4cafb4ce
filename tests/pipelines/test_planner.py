"""Early cutoff: what reads a shuffle's or a search's table depends on its content, which is known when that has run."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import pyarrow as pa
import pytest

from corpus.pool import PoolRead
from corpus.settings import Settings
from corpus.stage import ROWS, MapStage, ShuffleStage
from corpus.storage import Store
from corpus.workspace import Workspace
from pipelines.plan import Plan, Selection
from tests.helpers.toy_plans import (
    KEPT,
    Compare,
    Fetch,
    Measure,
    Pair,
    Search,
    Toy,
    Toys,
    ToySettings,
    default_stages,
    outputs,
    states,
    whys,
)

CHANGED = (("duplicate", "exact"), *KEPT[1:])


class Caption(Toy):
    name = "caption"
    reads = ("pair",)


class Cluster(Compare):
    name = "cluster"
    reads = ("caption",)


class Choose(Toy):
    """Reads what was searched for its own shard, and that of no other."""

    name = "choose"
    reads = ("search",)


def counts(plan: Plan, step: str) -> dict[tuple[str, str], list[int]]:
    """Numbers of the shards of a step, by source and state."""
    found: dict[tuple[str, str], list[int]] = {}
    for each, planned in plan.steps:
        for one in planned if each.name == step else ():
            found.setdefault((one.node.source, one.state), []).append(int(one.task.shard))
    return found


@pytest.fixture
def toys(tmp_path: Path) -> Toys:
    return Toys(Workspace(tmp_path), {"a": 100})


def test_a_source_more_with_nothing_alike_makes_only_the_shuffle_run_again(toys: Toys) -> None:
    toys.finish(toys.plan())
    toys.shards = {"a": 100, "b": 1}
    plan = toys.plan()
    every = list(range(100))
    assert counts(plan, "compare") == {("a", "stale"): every, ("b", "missing"): [0]}
    assert counts(plan, "pair") == {("a", "unknown"): every, ("b", "missing"): [0]}
    assert whys(plan, "pair") == {"after compare", ""}
    toys.finish(plan)
    assert counts(plan, "measure") == {("a", "done"): every, ("b", "missing"): [0]}
    assert counts(plan, "pair") == {("a", "done"): every, ("b", "missing"): [0]}
    assert set("".join(states(toys.plan()).values())) == {"d"}


def test_a_source_more_with_one_copy_makes_exactly_the_changed_shards_stale(toys: Toys) -> None:
    toys.finish(toys.plan())
    toys.shards = {"a": 100, "b": 1}
    plan = toys.finish(toys.plan(), {("compare", "a", 41): CHANGED})
    assert counts(plan, "pair")["a", "stale"] == [41]
    assert len(counts(plan, "pair")["a", "done"]) == 99
    assert whys(plan, "pair") == {"`compare` changed", ""}
    assert set("".join(states(toys.plan()).values())) == {"d"}


def stages() -> list[MapStage | ShuffleStage]:
    return [*default_stages(), Caption(Settings()), Cluster(Settings())]


def test_what_waits_for_several_shuffles_names_the_first_that_has_to_run(toys: Toys) -> None:
    toys.shards = {"a": 3}
    toys.finish(toys.plan(*stages()))
    toys.content = {("a", 1): "rows-other"}
    plan = toys.plan(*stages())
    assert states(plan) == {
        "fetch": "dsd", "measure": "dsd", "compare": "sss", "pair": "uuu", "caption": "uuu", "cluster": "uuu"
    }  # fmt: skip
    assert whys(plan, "caption") == whys(plan, "cluster") == {"after compare"}
    toys.finish(plan)
    assert states(plan)["pair"] == "dsd" == states(plan)["caption"]
    assert states(plan)["cluster"] == "sss"


def test_a_step_that_did_not_finish_leaves_unknown_what_reads_its_tables(toys: Toys) -> None:
    toys.shards = {"a": 3}
    plan = toys.plan()
    planner = toys.planner_of(plan)
    (compare,) = [number for number, (step, _) in enumerate(plan.steps) if step.name == "compare"]
    second, after = (planner.dependencies.tables_of(node)[1] for node in (compare, compare + 1))  # of one source
    toys.write(planner.written(second, "0" * 16), KEPT, planner.table(second).task.fingerprint_parts)
    assert planner.update() == [after], "and that of no other shard"
    pairs = plan.steps[compare + 1][1]
    assert [each.task.output != "" for each in pairs] == [False, True, False]
    assert [path for each in pairs for name, path in each.task.inputs if name == "compare"] == [
        "", plan.steps[compare][1][1].task.output, ""
    ]  # fmt: skip
    assert states(toys.plan()) == {"fetch": "mmm", "measure": "mmm", "compare": "mdm", "pair": "mmm"}


def test_a_stage_that_gives_the_same_with_other_settings_changes_nothing_after_it(toys: Toys) -> None:
    class Newer(Compare):
        version: ClassVar[int] = 2

    toys.shards = {"a": 4}
    toys.finish(toys.plan())
    fetch, measure, _, pair = default_stages()
    plan = toys.finish(toys.plan(fetch, measure, Newer(Settings()), pair))
    assert states(plan) == {"fetch": "dddd", "measure": "dddd", "compare": "ssss", "pair": "dddd"}


def test_force_makes_a_generation_and_the_latest_counts(toys: Toys) -> None:
    toys.shards = {"a": 2}
    toys.finish(toys.plan())
    forced = toys.plan(stage="compare", force=True)
    assert states(forced) == {"fetch": "dd", "measure": "dd", "compare": "ff", "pair": "uu"}
    toys.finish(forced, {("compare", "a", 1): CHANGED})
    assert states(forced)["pair"] == "ds"
    again = toys.plan()
    assert set("".join(states(again).values())) == {"d"}
    assert all("-g1-c" in path for path in outputs(again, "compare"))
    assert set("".join(states(toys.finish(toys.plan(stage="compare", force=True)))["pair"])) == {"d"}, "as at first"


def test_a_table_whose_name_lacks_a_digest_is_of_an_earlier_version(toys: Toys) -> None:
    toys.shards = {"a": 2}
    plan = toys.finish(toys.plan())
    for path in outputs(plan, "compare"):
        old = f"{path.partition('-c')[0]}.parquet"
        toys.workspace.store.publish(old, toys.workspace.store.read(path))
        toys.workspace.store.remove(path)
    plan = toys.plan()
    assert states(plan) == {"fetch": "dd", "measure": "dd", "compare": "ss", "pair": "uu"}
    assert whys(plan, "compare") == {"written by an earlier version"}
    assert states(toys.finish(plan))["pair"] == "dd"


def test_a_search_that_finds_the_same_in_a_larger_pool_changes_nothing_after_it(toys: Toys) -> None:
    found = [Fetch(Settings()), Measure(ToySettings()), Search(Settings()), Choose(Settings())]
    toys.shards = {"a": 3}
    toys.finish(toys.plan(*found))
    toys.shards = {"a": 4}
    plan = toys.plan(*found)
    assert states(plan) == {"fetch": "dddm", "measure": "dddm", "search": "sssm", "choose": "uuum"}
    assert whys(plan, "choose") == {"after search", ""}
    assert states(toys.finish(plan, {("search", "a", 2): CHANGED}))["choose"] == "ddsm"


def test_a_pool_of_tables_depends_on_their_content(toys: Toys) -> None:
    class Pooled(Search):
        pools = (PoolRead("compare"),)
        reads = (ROWS,)

    toys.shards = {"a": 3}
    found = [Fetch(Settings()), Measure(ToySettings()), Compare(Settings()), Pooled(Settings())]
    done = toys.finish(toys.plan(*found))
    searched = outputs(done, "search")
    assert done.table("search", "a")[0].pools["compare"].paths == tuple(sorted(outputs(done, "compare")))
    other = [Fetch(Settings()), Measure(ToySettings(threshold=0.7)), *found[2:]]
    plan = toys.plan(*other)
    assert states(plan)["search"] == "uuu"
    toys.finish(plan)
    assert states(plan)["search"] == "ddd"
    assert outputs(plan, "search") == searched
    assert plan.table("search", "a")[0].pools["compare"].paths == tuple(sorted(outputs(plan, "compare")))
    toys.finish(toys.plan(*found, stage="compare", force=True), {("compare", "a", 0): CHANGED})
    assert states(toys.plan(*found))["search"] == "ddd", "it has been searched meanwhile"
    assert outputs(toys.plan(*found), "search") != searched


def test_a_plan_of_what_is_done_lists_each_folder_once(toys: Toys, monkeypatch: pytest.MonkeyPatch) -> None:
    toys.shards = {"a": 3}
    toys.finish(toys.plan(*stages()))
    steps, indexes = toys.steps(*stages()), {"a": toys.index("a")}
    listed: list[str] = []
    names = Store.names
    monkeypatch.setattr(Store, "names", lambda self, folder: (listed.append(folder), names(self, folder))[1])
    plan = toys.planned(steps, indexes, Selection())
    assert toys.planner_of(plan).update() == []
    assert set("".join(states(plan).values())) == {"d"}
    assert sorted(listed) == sorted(f"tables/a/{step.name}" for step in steps)


def test_columns_that_address_rows_are_no_part_of_the_content() -> None:
    from filters.text.dedup import TextDuplicates, TextDuplicatesSettings

    stage = TextDuplicates(TextDuplicatesSettings())
    assert {*stage.address_columns} <= {*stage.schema.names}
    assert all(stage.schema.field(name).type == pa.int64() for name in stage.address_columns)
    assert isinstance(Pair(Settings()), Toy) and not Pair(Settings()).has_early_cutoff and stage.has_early_cutoff
