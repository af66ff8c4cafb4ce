"""The demo, from nothing: build the world, serve it, run everything, verify the corpus, compare with the truth."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import yaml
from rich.console import Console

from corpus.settings import SettingsError, parse_settings
from corpus.stages import ROWS
from corpus.workspace import Series, Workspace
from pipelines.config import Config
from pipelines.demo.server import serve
from pipelines.demo.truth import compare, trespasses
from pipelines.demo.world import build_world
from pipelines.plan import Selection
from pipelines.publishing.verify import verify
from pipelines.report import show_funnel
from pipelines.run import plan, run

SETTINGS = Path(__file__).parents[2] / "configs" / "demo.yaml"
PORT = 8642


def play(folder: Path, engine: str | None, rows: int, settings: Path | None, console: Console) -> list[str]:
    """Run the demo in `folder`; returns everything that is not as it should be."""
    config = demo_config(folder, engine, settings or SETTINGS)
    console.print(f"A world of {rows:,} rows, in {folder / 'world'}", highlight=False)
    world = build_world(folder / "world", rows)
    with serve(folder / "world", PORT) as serving:
        result = run(config, Selection(), console)
        reached = trespasses(serving.requests())
    show_funnel(console, result.funnels)
    faults = [*result.failed, *reached]
    for name, path in result.corpora.items():
        console.print(f"corpus {name}: {path}", highlight=False, soft_wrap=True)
        found = verify(path)
        faults += found.faults
        console.print(
            f"verified: {found.tars} tars, {found.samples:,} samples, {found.images:,} images, "
            f"{len(found.faults)} faults",
            highlight=False,
        )
    if not result.failed:
        differences = compare(world.truth, ends(config))
        faults += [f"against the planted truth: {line}" for line in differences]
        if not differences:
            console.print("held against the planted truth: every fault was found, nothing else was removed")
    return faults


def demo_config(folder: Path, engine: str | None, settings: Path) -> Config:
    """The demo's settings, with its folder in place of `demo`."""
    data: dict[str, Any] = yaml.safe_load(settings.read_text(encoding="utf-8"))
    if engine is not None:
        data["engine"] = {**data.get("engine", {}), "kind": engine}

    return parse_settings(moved_to(folder, data), Config, where=str(settings))


def moved_to(folder: Path, value: Any) -> Any:
    """Settings with `folder` in place of the folder `demo`."""
    if isinstance(value, dict):
        return {key: moved_to(folder, entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [moved_to(folder, entry) for entry in value]
    if isinstance(value, str) and value.startswith("demo/"):
        return f"{folder}/{value.removeprefix('demo/')}"
    return value


def ends(config: Config) -> pa.Table:
    """`url`, `text`, `status` and `reason` of every row that became an item or was removed on the way."""
    workspace = Workspace(config.workspace)
    planned, unread = plan(config, Selection())
    if unread:
        raise SettingsError(f"{', '.join(unread)}: not read yet")
    tables = []
    for step, found in planned.steps:
        for one in found if step.name == "duplicates" else ():
            source, shard = one.node.source, one.task.shard
            rows = Series("tables", source, ROWS).path(shard, dict(planned.indexes[source].shards)[shard])
            said = workspace.read_table(rows, ["url", "text"])
            judged = workspace.read_table(one.task.output, ["status", "reason"])
            for column in judged.column_names:
                said = said.append_column(column, judged.column(column))
            tables.append(said)
    return pa.concat_tables(tables)
