"""Runs the demo: builds the world, serves it, runs the pipeline, verifies the corpora, compares them with the truth."""

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
from demo.server import serve
from pipelines.config import Config
from pipelines.pairs.clips import ClipPairSettings
from pipelines.plan import Plan, Selection
from pipelines.publish.manifest import read_manifest
from pipelines.publish.verify import verify
from pipelines.report.console import show_funnel
from pipelines.report.terminal import Terminal, print_line
from pipelines.runner import run
from pipelines.sources.laion import LaionSource
from pipelines.status import plan_run
from video.schema import ClipKind

DEMO_SETTINGS = Path(__file__).parents[1] / "configs" / "demo.yaml"
PORT = 8642
FILMS_SOURCE = "films"


def run_demo(
    folder: Path, engine: str | None, rows: int, settings: Path | None, console: Terminal, port: int = PORT
) -> list[str]:
    """Runs the demo in `folder`; returns all faults and all differences from the planted truth, a line each.

    The port of its web server is part of the URLs, so another port gives other samples.
    """
    config = demo_config(folder, engine, settings or DEMO_SETTINGS, port)
    base_url = f"http://127.0.0.1:{port}"
    print_line(console, f"A world of {rows:,} rows, in {folder / 'world'}")
    world = build_world(folder / "world", rows, base_url=base_url)
    films = build_films(folder / "world", base_url) if FILMS_SOURCE in config.sources else None
    sets = read_sets_truth(build_sets(folder / "world"))
    with serve(folder / "world", port) as serving:
        result = run(config, Selection(), console)
        reached = forbidden_requests(serving.requests())
    show_funnel(console, result.funnels)
    faults = [*result.failed, *reached]
    for name, path in result.corpora.items():
        print_line(console, f"corpus {name}: {path}")
        found = verify(path)
        faults += found.faults
        print_line(console, f"verified: {found.summary()}; {len(found.faults)} faults")
    if not result.failed:
        differences = compare(world.truth, row_outcomes(config))
        differences += film_differences(read_films_truth(films), config) if films else []
        differences += set_differences(sets, config, result.funnels)
        faults += [f"against the planted truth: {line}" for line in differences]
        if not differences:
            print_line(
                console,
                "compared with the planted truth: every fault, cut and pair was found, nothing else was removed",
            )
    return faults


def demo_config(folder: Path, engine: str | None, settings: Path, port: int = PORT) -> Config:
    """Reads the demo's settings, with its folder in place of `demo-run`, and its port in place of the default one."""
    data = load_mapping(settings)
    if engine is not None:
        data["engine"] = {**data.get("engine", {}), "kind": engine}
    return parse_settings(with_folder_and_port(folder, data, port), Config, where=str(settings))


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
