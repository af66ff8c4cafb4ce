"""The demo, from nothing: build the world, serve it, run everything, verify the corpus, compare with the truth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from corpus.schema import Status
from corpus.settings import SettingsError, load_mapping, parse_settings
from corpus.stage import ROWS
from corpus.workspace import TableKey, Workspace
from demo.checks.clip_samples import Made, compare_samples
from demo.checks.clips import compare_clips
from demo.checks.images import compare, trespasses
from demo.checks.pairs import Published, compare_funnels, compare_sets
from demo.films.films import Truth, build_films, read_truth
from demo.images.world import build_world
from demo.pairs.sets import build_sets
from demo.pairs.truth import SetsTruth, read_sets_truth
from demo.server import serve
from pipelines.config import Config
from pipelines.pairs.clips import ClipPairSettings
from pipelines.plan import Plan, Selection
from pipelines.publish.verify import verify
from pipelines.report.console import show_funnel
from pipelines.report.terminal import Terminal, print_line
from pipelines.runner import run
from pipelines.sources.laion import LaionSource
from pipelines.status import plan_run
from video.schema import ClipKind

SETTINGS = Path(__file__).parents[1] / "configs" / "demo.yaml"
PORT = 8642
FILMS = "films"  # the source that has them


def run_demo(
    folder: Path, engine: str | None, rows: int, settings: Path | None, console: Terminal, port: int = PORT
) -> list[str]:
    """Run the demo in `folder`; returns everything that is not as it should be.

    The port of its web server is part of the URLs: another one gives other samples.
    """
    config = demo_config(folder, engine, settings or SETTINGS, port)
    base_url = f"http://127.0.0.1:{port}"
    print_line(console, f"A world of {rows:,} rows, in {folder / 'world'}")
    world = build_world(folder / "world", rows, base_url=base_url)
    films = build_films(folder / "world", base_url) if FILMS in config.sources else None
    sets = read_sets_truth(build_sets(folder / "world"))
    with serve(folder / "world", port) as serving:
        result = run(config, Selection(), console)
        reached = trespasses(serving.requests())
    show_funnel(console, result.funnels)
    faults = [*result.failed, *reached]
    for name, path in result.corpora.items():
        print_line(console, f"corpus {name}: {path}")
        found = verify(path)
        faults += found.faults
        print_line(console, f"verified: {found.summary()}; {len(found.faults)} faults")
    if not result.failed:
        differences = compare(world.truth, ends(config))
        differences += film_differences(read_truth(films), config) if films else []
        differences += set_differences(sets, config, result.funnels)
        faults += [f"against the planted truth: {line}" for line in differences]
        if not differences:
            print_line(
                console,
                "held against the planted truth: every fault, cut and given pair was found, nothing else was removed",
            )
    return faults


def demo_config(folder: Path, engine: str | None, settings: Path, port: int = PORT) -> Config:
    """The demo's settings, with its folder in place of `demo-run` and its port in place of the usual one."""
    data = load_mapping(settings)
    if engine is not None:
        data["engine"] = {**data.get("engine", {}), "kind": engine}
    return parse_settings(moved_to(folder, data, port), Config, where=str(settings))


def moved_to(folder: Path, value: Any, port: int = PORT) -> Any:
    """Settings with `folder` in place of the folder `demo-run`, and a port in place of the usual one."""
    if isinstance(value, dict):
        return {key: moved_to(folder, entry, port) for key, entry in value.items()}
    if isinstance(value, list):
        return [moved_to(folder, entry, port) for entry in value]
    if not isinstance(value, str):
        return value
    if value.startswith("demo-run/"):
        return f"{folder}/{value.removeprefix('demo-run/')}"
    return value.replace(f"127.0.0.1:{PORT}", f"127.0.0.1:{port}")


def ends(config: Config, step: str = "duplicates", only: str = "") -> pa.Table:
    """`url`, `text`, `status` and `reason` after a step, of every row of one source, or of all that are metadata."""
    workspace, planned = Workspace(config.workspace), whole_plan(config)
    tables = []
    for source, index in planned.indexes.items():
        wanted = source == only if only else isinstance(config.sources[source], LaionSource)
        for one in planned.table(step, source) if wanted else ():
            rows = TableKey("tables", source, ROWS).path(one.task.shard, dict(index.shards)[one.task.shard])
            outcomes = workspace.read_table(rows, ["url", "text"])
            judged = workspace.read_table(one.task.output, ["status", "reason"])
            for column in judged.column_names:
                outcomes = outcomes.append_column(column, judged.column(column))
            tables.append(outcomes)
    return pa.concat_tables(tables)


def whole_plan(config: Config) -> Plan:
    """The plan of every table. Raises SettingsError where a source was not read."""
    plan = plan_run(config, Selection())
    if plan.unread:
        raise SettingsError(f"{', '.join(plan.unread)}: not read yet")
    return plan


def film_differences(truth: Truth, config: Config) -> list[str]:
    """What the clips of the films, and all that is published of them, are not as planted."""
    workspace, planned = Workspace(config.workspace), whole_plan(config)

    def rows(step: str) -> pa.Table:
        found = [workspace.read_table(one.task.output) for one in planned.table(step, FILMS)]
        return pa.concat_tables(found) if found else clips.slice(0, 0)

    clips = rows("groups")
    made = {
        "clips": clips,
        "moments": clips.filter(pc.equal(clips.column("kind"), str(ClipKind.ANNOTATED))),
        "questions": clips.filter(pc.greater(pc.list_value_length(clips.column("questions")), 0)),
        "windows": rows("windows"),
    }
    fetched = ends(config, "download", FILMS)
    lost = fetched.filter(pc.not_equal(fetched.column("status"), str(Status.KEPT))).drop_columns(["text"])
    differences = compare_clips(truth, pa.concat_tables([clips, lost], promote_options="default"))
    for mixture in config.mixtures.values():
        chosen = {name: config.datasets[name] for name in mixture.datasets}
        of_films = {
            name: Made(made[one.of], grouped=one.siblings in ("order", "both"))
            for name, one in chosen.items()
            if isinstance(one, ClipPairSettings)
        }
        differences += compare_samples(truth, of_films, mixture.corpus)
    return differences


def set_differences(truth: SetsTruth, config: Config, funnels: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """What the sets of given pairs, and all that is published of them, are not as planted."""
    truth = replace(truth, sets={name: planted for name, planted in truth.sets.items() if name in config.sources})
    differences = compare_funnels(truth, funnels)
    for mixture in config.mixtures.values():
        published = {
            name: Published(config.datasets[name].sources, chosen.negatives)
            for name, chosen in mixture.datasets.items()
            if config.datasets[name].source in truth.sets
        }
        differences += compare_sets(truth, published, mixture.corpus, mixture.batch_size)
    return differences
