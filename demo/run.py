"""Runs the demo: builds the world, serves it, runs the pipeline, verifies the corpora, compares them with the truth."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import yaml

from corpus.schema import Status
from corpus.settings import SettingsError, load_mapping, parse_settings
from corpus.stage import ROWS
from corpus.storage import Store
from corpus.workspace import TableKey, Workspace
from demo.checks.clip_samples import ExpectedSamples, compare_samples
from demo.checks.clips import compare_clips
from demo.checks.images import compare, forbidden_requests
from demo.checks.mining import compare_counts
from demo.checks.pairs import PublishedDataset, compare_funnels, compare_sets
from demo.films.films import FilmsTruth, build_films, read_films_truth
from demo.images.world import build_world
from demo.pairs.sets import build_sets
from demo.pairs.truth import SetsTruth, read_sets_truth
from demo.screen import SETTINGS, NextCommand, Screen
from demo.server import serve
from pipelines.config import Config
from pipelines.pairs.clips import ClipPairSettings
from pipelines.plan import Plan, Selection
from pipelines.publish.manifest import read_manifest
from pipelines.publish.verify import Verified, verify
from pipelines.report.progress import ProgressBars
from pipelines.report.terminal import print_line
from pipelines.runner import run
from pipelines.sources.laion import LaionSource
from pipelines.status import plan_run
from video.schema import ClipKind

DEMO_SETTINGS = Path(__file__).parents[1] / "configs" / "demo.yaml"
PORT = 8642
FILMS_SOURCE = "films"
REPORT_PAGE = "report.html"  # in the demo's folder


def run_demo(screen: Screen, engine: str | None, rows: int, settings: Path | None, port: int = PORT) -> list[str]:
    """Runs the demo in the screen's folder; returns all faults and all differences from the planted truth, a line each.

    The port of its web server is part of the URLs, so another port gives other samples.
    """
    folder, console, base_url = screen.folder, screen.console, f"http://127.0.0.1:{port}"
    config = demo_config(folder, engine, settings or DEMO_SETTINGS, port)
    with screen.step("world"), ProgressBars(console) as bars:
        with bars.bar("images", rows) as bar:
            world = build_world(folder / "world", rows, base_url=base_url, progress=bar.set_progress)
        films = None
        if FILMS_SOURCE in config.sources:
            with bars.bar("frames of films") as bar:
                films = build_films(folder / "world", base_url, bar.set_progress)
        with bars.bar("sets of pairs") as bar:
            sets = read_sets_truth(build_sets(folder / "world", progress=bar.set_progress))
        films_built = f", {len(read_films_truth(films).films)} films" if films else ""
        screen.line(f"{rows:,} rows of images{films_built} and {len(sets.sets)} sets of pairs, in {world.folder}", True)
    with screen.step("run"), serve(folder / "world", port) as serving:
        screen.line("Malformed records are planted, too; a run counts them by source and reason:", True)
        result = run(config, Selection(), console)
        reached = forbidden_requests(serving.requests())
        screen.show_funnels(result.funnels)
    corpora = verify_corpora(screen, config, result.corpora)
    faults = [*result.failed, *reached, *(fault for _, found in corpora.values() for fault in found.faults)]
    if not result.failed:
        with screen.step("compare"):
            differences = compare(world.truth, row_outcomes(config))
            differences += film_differences(read_films_truth(films), config) if films else []
            differences += set_differences(sets, config, result.funnels)
            faults += [f"against the planted truth: {line}" for line in differences]
            if not differences:
                screen.line("every planted fault, cut and pair was found, and nothing else was removed", True)
    screen.end(corpora, config.workspace, next_commands(screen, config, corpora))
    return faults


def verify_corpora(screen: Screen, config: Config, published: Collection[str]) -> dict[str, tuple[str, Verified]]:
    """Verifies the corpora of the mixtures that were published; returns path and result of each."""
    found = {}
    with screen.step("verify"), ProgressBars(screen.console) as bars:
        for name, path in ((name, each.corpus) for name, each in config.mixtures.items() if name in published):
            with bars.bar(f"tars of {name}") as bar:
                found[name] = path, verify(path, progress=bar.set_progress)
            print_line(screen.console, f"{name}: {found[name][1].summary()}; {len(found[name][1].faults)} faults")
        results = [result for _, result in found.values()]
        samples, tars = sum(one.samples for one in results), sum(one.tars for one in results)
        screen.line(f"{samples:,} samples in {tars:,} tars, {sum(len(one.faults) for one in results)} faults", True)
    return found


def next_commands(screen: Screen, config: Config, corpora: Mapping[str, tuple[str, Verified]]) -> list[NextCommand]:
    """Returns what to try next on the demo's workspace and corpora."""
    settings = screen.folder / SETTINGS
    about, name = example_row(config)
    commands = [
        NextCommand(
            "all sources, stages and mixtures on one page", "report", settings, "--out", screen.folder / REPORT_PAGE
        ),
        NextCommand(about, "show", settings, name),
    ]
    if corpora:
        path, _ = min(corpora.values(), key=lambda each: each[1].bytes)
        commands.append(NextCommand("a corpus, read again to the last byte", "verify", path))
    return commands


def example_row(config: Config) -> tuple[str, str]:
    """Returns a row to look at, and what there is to see: an image that was removed as a duplicate, else a shard."""
    workspace, planned = Workspace(config.workspace), complete_plan(config)
    source = next(name for name, settings in config.sources.items() if isinstance(settings, LaionSource))
    items = {one.task.shard: one.task.output for one in planned.table("download", source)}
    for one in planned.table("duplicates", source):
        if one.state != "done":
            continue
        statuses = workspace.read_table(one.task.output, ["status"]).column("status").to_pylist()
        if str(Status.DUPLICATE) in statuses:
            ids = workspace.read_table(items[one.task.shard], ["item_id"]).column("item_id")
            item_id = ids[statuses.index(str(Status.DUPLICATE))].as_py()
            return "why an image was removed: of what it is a duplicate", item_id.hex()
    return "what each stage did with the first rows of a source", f"{source}/000000"


def demo_config(folder: Path, engine: str | None, settings: Path, port: int = PORT) -> Config:
    """Reads the demo's settings, with its folder in place of `demo-run`, and its port in place of the default one.

    They are written into the folder, so that any command can be used on what the demo makes.
    """
    return write_config(folder, engine, load_mapping(settings), settings, port)


def write_config(folder: Path, engine: str | None, data: dict[str, Any], settings: Path, port: int) -> Config:
    """Checks what a file of settings has, as `demo_config` does, and writes it into the folder."""
    if engine is not None:
        data["engine"] = {**data.get("engine", {}), "kind": engine}
    data = with_folder_and_port(folder, data, port)
    config = parse_settings(data, Config, where=str(settings))
    folder.mkdir(parents=True, exist_ok=True)
    text = f"# {settings.name} as this demo ran it.\n\n{yaml.safe_dump(data, sort_keys=False, allow_unicode=True)}"
    (folder / SETTINGS).write_text(text, encoding="utf-8")
    return config


def with_folder_and_port(folder: Path, value: Any, port: int = PORT) -> Any:
    """Replaces the folder `demo-run` by `folder`, and the default port by `port`, in settings."""
    if isinstance(value, dict):
        return {key: with_folder_and_port(folder, entry, port) for key, entry in value.items()}
    if isinstance(value, list):
        return [with_folder_and_port(folder, entry, port) for entry in value]
    if not isinstance(value, str):
        return value
    if value.startswith("demo-run/"):
        return f"{folder}/{value.removeprefix('demo-run/')}"
    return value.replace(f"127.0.0.1:{PORT}", f"127.0.0.1:{port}")


def row_outcomes(config: Config, step: str = "duplicates", only: str = "") -> pa.Table:
    """Reads `url`, `text`, `status` and `reason` after a step, for all rows of one source, or of all LAION sources."""
    workspace, planned = Workspace(config.workspace), complete_plan(config)
    tables = []
    for source, index in planned.indexes.items():
        is_selected = source == only if only else isinstance(config.sources[source], LaionSource)
        for one in planned.table(step, source) if is_selected else ():
            rows = TableKey("tables", source, ROWS).path(one.task.shard, dict(index.shards)[one.task.shard])
            outcomes = workspace.read_table(rows, ["url", "text"])
            verdict = workspace.read_table(one.task.output, ["status", "reason"])
            for column in verdict.column_names:
                outcomes = outcomes.append_column(column, verdict.column(column))
            tables.append(outcomes)
    return pa.concat_tables(tables)


def complete_plan(config: Config) -> Plan:
    """Returns the plan of every table. Raises SettingsError where a source was not read."""
    plan = plan_run(config, Selection())
    if plan.unread:
        raise SettingsError(f"{', '.join(plan.unread)}: not read yet")
    return plan


def film_differences(truth: FilmsTruth, config: Config) -> list[str]:
    """Lists the differences of the clips of the films, and of what is published of them, from the planted truth."""
    workspace, planned = Workspace(config.workspace), complete_plan(config)

    def rows(step: str) -> pa.Table:
        found = [workspace.read_table(one.task.output) for one in planned.table(step, FILMS_SOURCE)]
        return pa.concat_tables(found) if found else clips.slice(0, 0)

    clips = rows("groups")
    tables_of = {
        "clips": clips,
        "moments": clips.filter(pc.equal(clips.column("kind"), str(ClipKind.ANNOTATED))),
        "questions": clips.filter(pc.greater(pc.list_value_length(clips.column("questions")), 0)),
        "windows": rows("windows"),
    }
    fetched = row_outcomes(config, "download", FILMS_SOURCE)
    failed_rows = fetched.filter(pc.not_equal(fetched.column("status"), str(Status.KEPT))).drop_columns(["text"])
    differences = compare_clips(truth, pa.concat_tables([clips, failed_rows], promote_options="default"))
    for mixture in config.mixtures.values():
        chosen = {name: config.datasets[name] for name in mixture.datasets}
        manifest = read_manifest(Store(mixture.corpus)) or {"datasets": {}}
        cut = {name: entry.get("group_runs", {}).get("cut", 0) for name, entry in manifest["datasets"].items()}
        of_films = {
            name: ExpectedSamples(tables_of[one.unit], one.sibling_negatives in ("in_batch", "both"), cut.get(name, 0))
            for name, one in chosen.items()
            if isinstance(one, ClipPairSettings)
        }
        differences += compare_samples(truth, of_films, mixture.corpus)
    return differences


def set_differences(truth: SetsTruth, config: Config, funnels: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Lists the differences of the sets of pairs, and of what is published of them, from the planted truth."""
    truth = replace(truth, sets={name: planted for name, planted in truth.sets.items() if name in config.sources})
    mining = config.stages.negatives
    differences = compare_funnels(truth, funnels)
    for name in mining.datasets:
        planted = truth.sets[config.datasets[name].source].mining_counts(mining.of(name).num_negatives)
        differences += compare_counts(name, planted, config.workspace)
    for mixture in config.mixtures.values():
        published = {
            name: PublishedDataset(
                config.datasets[name].sources,
                chosen.negatives,
                name in mining.datasets and mining.of(name).search_by == "positive",
            )
            for name, chosen in mixture.datasets.items()
            if config.datasets[name].source in truth.sets
        }
        differences += compare_sets(truth, published, mixture.corpus, mixture.batch_size)
    return differences
