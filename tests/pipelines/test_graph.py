"""Plugs: a kind of source and a stage are a class each and an entry in a list, and nothing else names them."""

from __future__ import annotations

import ast
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from jsonschema import Draft202012Validator

from corpus.pool import PoolRead, PoolScope
from corpus.settings import Settings, SettingsError, parse_settings
from corpus.stage import ROWS, Gives, MapStage, Shard
from corpus.workspace import Workspace
from pipelines import docs
from pipelines.config import DATASETS, make_config
from pipelines.graph import STAGES, build_graph
from pipelines.plan import Selection
from pipelines.report.terminal import Terminal
from pipelines.runner import run
from pipelines.sources import SOURCES
from pipelines.sources.base import Source, SourceSettings
from pipelines.status import plan_run, workspace_status
from tests.helpers.config_files import settings_files
from tests.helpers.extras import engine_or_skip

HOME = Path(__file__).parents[2]


class NumbersSource(SourceSettings):
    """Numbers from 0."""

    gives = Gives.IMAGES
    summary = "numbers from 0"

    kind: Literal["numbers"]
    rows: int = 5

    def reader(self) -> Source:
        return Numbers(self)


class Numbers:
    def __init__(self, settings: NumbersSource) -> None:
        self.settings, self.counts = settings, {"read": settings.rows}

    def identity(self) -> dict[str, Any]:
        return self.settings.canonical()

    def check(self) -> None: ...

    def shards(self) -> Iterator[pa.Table]:
        yield pa.table({"url": list(map(str, range(self.settings.rows)))})


class OddSettings(Settings):
    least: int = 0


class Odd(MapStage):
    """Filters even numbers, and those below a setting."""

    name, reads, schema = "odd", (ROWS,), pa.schema([pa.field("number", pa.int64())])
    settings_key, settings_type = "odd", OddSettings
    over, summary = frozenset({Gives.IMAGES}), "whether it is odd"

    def setup(self) -> Callable[[Shard], pa.Table]:
        return self.judged

    def judged(self, shard: Shard) -> pa.Table:
        numbers = shard[ROWS].column("url").cast(pa.int64())
        even = pc.equal(pc.bit_wise_and(numbers, 1), 0)
        low = pc.less(numbers, self.settings.least)  # type: ignore[attr-defined]
        status = pc.if_else(pc.or_(even, low), "filtered", "kept")
        reason = pc.if_else(low, "low", pc.if_else(even, "even", ""))
        return pa.table({"number": numbers, "status": status, "reason": reason})


Plugged = make_config((*SOURCES, NumbersSource), (Odd,))


def settings(root: Path, **changes: Any) -> dict[str, Any]:
    return {
        "workspace": str(root),
        "engine": {"kind": "local", "workers": 1},
        "sources": {"n": {"kind": "numbers"}},
        "stages": {"odd": {"least": 2}},
        **changes,
    }


def test_a_source_and_a_stage_that_are_listed_are_planned_run_and_counted(tmp_path: Path) -> None:
    config = parse_settings(settings(tmp_path), Plugged)
    assert plan_run(config, Selection()).unread == ["n"], "its rows are not read yet"
    result = run(config, Selection(), Terminal(quiet=True))
    assert result.failed == []
    planned = plan_run(config, Selection())
    assert not planned.unread
    ((step, (table,)),) = planned.steps
    assert (step.name, table.state) == ("odd", "done")
    assert Workspace(tmp_path).read_table(table.task.output, ["number", "reason"]).to_pylist()[3] == {
        "number": 3,
        "reason": "",
    }
    assert workspace_status(config).funnels == {
        "n": {"rows_in": 5, "kept": 1, "removed": {"filtered": {"even": 2, "low": 2}}},
    }
    again = plan_run(parse_settings(settings(tmp_path, stages={"odd": {"least": 3}}), Plugged), Selection())
    assert [found.why for _, tables in again.steps for found in tables] == ["least: 2 -> 3"]


class Rank(MapStage):
    """How many odd numbers of all sources are smaller."""

    name, reads, schema = "rank", ("odd",), pa.schema([pa.field("rank", pa.int64())])
    pools = (PoolRead("odd", PoolScope.SOURCES),)
    over, summary, filters_rows = frozenset({Gives.IMAGES}), "its rank among all", False

    def setup(self) -> Callable[[Shard], pa.Table]:
        return self.ranked

    def ranked(self, shard: Shard) -> pa.Table:
        tables = list(shard.pools["odd"].tables(["number", "status"]))
        known = [row["number"] for table in tables for row in table.to_pylist() if row["status"] == "kept"]
        return pa.table(
            {"rank": [sum(other < n for other in known) for n in shard["odd"].column("number").to_pylist()]}
        )


@pytest.mark.parametrize("engine", ["local", "ray", "beam"])
def test_a_stage_searches_a_pool_of_all_sources_on_every_engine(tmp_path: Path, engine: str) -> None:
    engine_or_skip(engine)
    changes = {"sources": {"n": {"kind": "numbers", "rows": 6}, "m": {"kind": "numbers", "rows": 9}}}
    given = settings(tmp_path, **changes, engine={"kind": engine})
    config = parse_settings(given, make_config((*SOURCES, NumbersSource), (Odd, Rank)))
    assert run(config, Selection(), Terminal(quiet=True)).failed == []
    planned = plan_run(config, Selection())
    ranks = {one.node.source: one.task.output for one in planned.steps[1][1]}
    found = {
        name: Workspace(tmp_path).read_table(path, ["rank"]).column("rank").to_pylist() for name, path in ranks.items()
    }
    assert found == {"n": [None, None, None, 0, None, 2], "m": [None, None, None, 0, None, 2, None, 4, None]}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sources": {"n": {"kind": "numbers", "rwos": 1}}}, "sources.n.rwos: unknown key; did you mean 'rows'?"),
        ({"stages": {"odd": {"leats": 1}}}, "stages.odd.leats: unknown key; did you mean 'least'?"),
        ({"stages": {"od": {}}}, "stages.od: unknown key; did you mean 'odd'?"),
    ],
)
def test_their_unknown_keys_are_refused_with_the_nearest(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError) as raised:
        parse_settings(settings(tmp_path, **changes), Plugged)
    assert message in str(raised.value)


def test_they_are_in_the_json_schema_and_in_the_tables_of_the_docs(tmp_path: Path) -> None:
    checker = Draft202012Validator(json.loads(json.dumps(Plugged.model_json_schema())))
    assert checker.is_valid(settings(tmp_path))
    assert not checker.is_valid(settings(tmp_path, sources={"n": {"kind": "numbers", "rwos": 1}}))
    assert not checker.is_valid(settings(tmp_path, stages={"odd": {"leats": 1}}))
    tables = docs.tables((*SOURCES, NumbersSource), (*STAGES, Odd))
    assert tables["sources"][-1] == "| `numbers` | images | numbers from 0 |"
    assert "| `odd` | rows | whether it is odd | `stages.odd` |" in tables["stages over images"]


def test_nobody_asks_for_a_kind_by_its_class_but_the_file_of_that_class() -> None:
    kinds = {kind.__name__: kind.__module__ for kind in (*SOURCES, *DATASETS, *STAGES)}
    assert len(kinds) == len(SOURCES) + len(DATASETS) + len(STAGES)
    wrong = []
    for path in sorted((HOME / "pipelines").rglob("*.py")):
        module = ".".join(path.relative_to(HOME).with_suffix("").parts)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("isinstance", "issubclass"):
                names = {each.id for each in ast.walk(node.args[1]) if isinstance(each, ast.Name)}
                wrong += [f"{module}:{node.lineno}: {name}" for name in names & set(kinds) if kinds[name] != module]
    assert wrong == []


def test_what_a_stage_reads_is_written_before_it_by_the_stages_of_every_configuration() -> None:
    for name, config in settings_files():
        written: set[tuple[str, str]] = set()
        for step in build_graph(config):
            assert step.nodes
            for node in step.nodes:
                needed = {(key.folder) for _, key in node.reads if key.stage != ROWS}
                assert needed <= {folder for folder, _ in written}, f"{name}: {step.name} over {node.source}"
            written |= {(node.table_key.folder, step.name) for node in step.nodes}
