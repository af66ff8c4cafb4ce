"""Toy stages, and plans over a workspace of tables that are written without running any stage.

fetch (nondeterministic) -> measure -> compare (shuffle) -> pair.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import pyarrow as pa

from corpus.pool import PoolRead, PoolScope
from corpus.schema import table_schema
from corpus.settings import Settings
from corpus.stage import ROWS, MapStage, Shard, ShuffleStage
from corpus.table_digest import table_digest
from corpus.workspace import TableKey, Workspace
from pipelines.plan import Node, Plan, Selection, Step
from pipelines.planner import Planner
from pipelines.sources.source_shards import SourceIndex

SCHEMA = pa.schema([("value", pa.int64())])


class ToySettings(Settings):
    threshold: float = 0.5
    prompts: dict[str, str] = {"first": "a"}


class Toy(MapStage):
    schema = SCHEMA

    def setup(self) -> Callable[[Shard], pa.Table]:
        raise NotImplementedError


class Fetch(Toy):
    name = "fetch"
    reads = (ROWS,)
    nondeterministic: ClassVar[bool] = True


class FetchMedia(Fetch):
    writes_media: ClassVar[bool] = True


class Measure(Toy):
    name = "measure"
    reads = ("fetch",)


class Compare(ShuffleStage):
    name = "compare"
    reads = ("measure",)
    schema = SCHEMA

    def map(self, shard: Shard) -> pa.Table:
        raise NotImplementedError

    def reduce(self, rows: pa.Table) -> pa.Table:
        raise NotImplementedError

    def finalize(self, reduced: pa.Table) -> pa.Table:
        raise NotImplementedError


class Pair(Toy):
    name = "pair"
    reads = (ROWS, "compare")


class Describe(Toy):
    """Samples captions: has generations, and reads what an earlier stage may have failed."""

    name = "describe"
    reads = ("measure",)
    nondeterministic: ClassVar[bool] = True


class Search(Toy):
    """Reads all tables of `measure`, and looks up what is in all tables of `fetch`."""

    name = "search"
    reads = ("measure",)
    pools = (PoolRead("measure"), PoolRead("fetch", PoolScope.SOURCES, fingerprinted=False))


class Newer(Measure):
    version: ClassVar[int] = 2


Judged = Sequence[tuple[str, str]]
KEPT = (("kept", ""),) * 3


def toy_table(judged: Judged) -> pa.Table:
    rows = [{"value": n, "status": status, "reason": reason} for n, (status, reason) in enumerate(judged)]
    return pa.Table.from_pylist(rows, table_schema(SCHEMA))


@dataclass
class Toys:
    """A workspace with the rows of two sources, and plans over it."""

    workspace: Workspace
    shards: Mapping[str, int] = field(default_factory=lambda: {"a": 2, "b": 1})
    content: Mapping[tuple[str, int], str] = field(default_factory=dict)  # of changed rows
    planners: list[Planner] = field(default_factory=list)  # of all plans so far

    def index(self, source: str) -> SourceIndex:
        names = [(f"{n:06d}", self.content.get((source, n), f"rows-{source}{n}")) for n in range(self.shards[source])]
        for shard, name in names:
            path = TableKey("tables", source, ROWS).path(shard, name)
            if not self.workspace.store.exists(path):
                self.write(path, KEPT, {})
        return SourceIndex("f", tuple(names), 3 * len(names), {})

    def write(self, path: str, judged: Judged, parts: Mapping[str, Any]) -> None:
        self.workspace.write_table(path, toy_table(judged), parts)

    def steps(self, *stages: MapStage | ShuffleStage) -> list[Step]:
        def node(stage: MapStage | ShuffleStage, source: str) -> Node:
            reads = tuple((name, TableKey("tables", source, name)) for name in stage.reads)
            pools = tuple(
                (read, tuple((owner, TableKey("tables", owner, read.name)) for owner in self.shards))
                for read in stage.pools
            )
            return Node(stage, source, TableKey("tables", source, stage.name), reads, pools=pools)

        return [Step(stage.name, tuple(node(stage, source) for source in self.shards)) for stage in stages]

    def plan(self, *stages: MapStage | ShuffleStage, **selection: Any) -> Plan:
        steps = self.steps(*(stages or default_stages()))
        indexes = {source: self.index(source) for source in self.shards}
        return self.planned(steps, indexes, Selection(**selection))

    def planned(self, steps: Sequence[Step], indexes: Mapping[str, SourceIndex], selection: Selection) -> Plan:
        self.planners.append(Planner(self.workspace, steps, indexes, selection))
        return self.planners[-1].plan

    def finish(self, plan: Plan, judged: Mapping[tuple[str, str, int], Judged] | None = None) -> Plan:
        """Write what the plan says is to do, step by step, as a run does.

        `judged` by (step, source, shard): the rows of a table, kept where it says nothing.
        """
        planner = self.planner_of(plan)
        for table in range(planner.dependencies.tables):
            planner.update()
            one = planner.table(table)
            if one.state != "done":
                step = plan.steps[planner.dependencies.place_in_step(table)[0]][0]
                rows = (judged or {}).get((step.name, one.node.source, int(one.task.shard)), KEPT)
                content = table_digest(toy_table(rows)) if one.task.content_named else ""
                self.write(planner.written(table, content), rows, one.task.fingerprint_parts)
        return plan

    def planner_of(self, plan: Plan) -> Planner:
        (planner,) = [each for each in self.planners if each.plan is plan]
        return planner


def default_stages(threshold: float = 0.5) -> list[MapStage | ShuffleStage]:
    return [Fetch(Settings()), Measure(ToySettings(threshold=threshold)), Compare(Settings()), Pair(Settings())]


def states(plan: Plan) -> dict[str, str]:
    """The states of each step: of a/0, a/1 and b/0, by their first letters."""
    return {step.name: "".join(one.state[0] for one in planned) for step, planned in plan.steps}


def whys(plan: Plan, step: str) -> set[str]:
    return {one.why for found, planned in plan.steps for one in planned if found.name == step and one.state != "done"}


def outputs(plan: Plan, step: str) -> list[str]:
    return [one.task.output for found, planned in plan.steps for one in planned if found.name == step]
