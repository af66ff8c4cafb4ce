"""Reads the state of a workspace: the shards of its sources, the plan of a run, and what is done or failed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from corpus.read_ahead import read_ahead
from corpus.settings import SettingsError
from corpus.storage import MissingError, Store
from corpus.workspace import Workspace
from pipelines.config import Config
from pipelines.engines import check_installed
from pipelines.graph import build_graph
from pipelines.observers.run_observers import check_observers
from pipelines.plan import Plan, Selection, Step
from pipelines.planner import make_plan
from pipelines.report.funnel import IMAGES, Funnel, duplicate_image_names, funnels
from pipelines.report.run_log import last_failures
from pipelines.report.table_counts import TableCounts
from pipelines.sources.malformed import MalformedRecords, malformed_records
from pipelines.sources.not_read import NOT_READ
from pipelines.sources.source_shards import (
    CREDENTIALS_REMOVED,
    SourceIndex,
    check_source,
    find_index,
    index_path,
    source_fingerprint,
    write_source_shards,
)

_MAX_NOT_READ = 10
_MAX_NAMES = 5


@dataclass(frozen=True)
class SourcesRead:
    """The indexes of the sources that have been read, the names of the others, and what is odd about both."""

    indexes: dict[str, SourceIndex] = field(default_factory=dict)
    unread: list[str] = field(default_factory=list)
    malformed: list[MalformedRecords] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)  # what else there is, a line each


@dataclass(frozen=True)
class WorkspaceStatus:
    """The state of a workspace: its plan, the failures of the last run, and the funnel of each source so far."""

    plan: Plan
    failed: dict[tuple[str, str, str], str]  # (stage, owner, shard) -> why the last run could not finish it
    funnels: dict[str, Funnel]
    notices: list[str] = field(default_factory=list)  # what no count tells, a line each


def read_sources(
    workspace: Workspace,
    config: Config,
    write: bool,
    check: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> SourcesRead:
    """Returns the shards of every source.

    `write`: sources that have not been read are read, and their shards written. `check`: their files are checked. All
    files are checked before any is read, so that an error shows at once, not after hours spent on another source.
    `progress` is called with the number of sources that are read, and of all.
    """
    found = SourcesRead()
    plugs = {**config.sources, **config.evaluation_sources}
    sources = {name: settings.reader() for name, settings in plugs.items()}
    digests = {name: source_fingerprint(source) for name, source in sources.items()}
    indexes = read_ahead(lambda item: find_index(workspace, *item), digests.items())
    known = dict(zip(digests, indexes, strict=True))
    notes: dict[str, Mapping[str, Any]] = {}
    for name, source in sources.items():
        if known[name] is None and write:
            source.check()
        elif known[name] is None and check:
            notes[name] = check_source(workspace, name, source, digests[name])
    for number, (name, digest) in enumerate(digests.items()):
        if progress is not None:
            progress(number, len(digests))
        index = known[name]
        if index is None and write:
            index = write_source_shards(workspace, name, sources[name], digest)
        if index is None:
            found.unread.append(name)
            noted, where = notes.get(name) or getattr(sources[name], "notes", {}), ""
        else:
            found.indexes[name] = index
            noted, where = index.notes, workspace.store.full(index_path(name, index.fingerprint))
        found.malformed.extend(malformed_records(name, noted, where))
        found.notices.extend(source_notices(name, noted, where))
    return found


def plan_run(config: Config, selection: Selection, check: bool = True) -> Plan:
    """Returns the plan of a run without doing anything; sources that have not been read are in its `unread`.

    `check`: raises SettingsError for what would stop a run: in the files of sources that have not been read, in
    archives, in the folders that are written to. Notices about the sources are in the plan.
    """
    workspace = Workspace(config.workspace)
    if check:
        check_folders(config)
        check_observers(config.metrics)
        check_installed(config.engine)
    else:
        workspace.store.check_bucket()
    read = read_sources(workspace, config, write=False, check=check)
    steps = build_graph(config)
    if check:
        check_stages(steps)
    steps = [
        Step(step.name, nodes)
        for step in steps
        if (nodes := tuple(node for node in step.nodes if node.source in read.indexes))
    ]
    check_selection(steps, selection)
    plan = make_plan(workspace, steps, read.indexes, selection)
    plan.unread.extend(read.unread)
    plan.notices.extend(f"{each.summary()}{each.path and f'; listed in {each.path}'}" for each in read.malformed)
    plan.notices.extend(read.notices)
    return plan


def workspace_status(config: Config) -> WorkspaceStatus:
    """Returns what is done, stale, missing and failed, and the funnel so far. Runs nothing."""
    workspace = Workspace(config.workspace)
    plan = plan_run(config, Selection(), check=False)
    done = {p.task.output for _, planned in plan.steps for p in planned if p.state == "done"}
    not_done = {
        (step.name, p.task.source, p.task.shard) for step, planned in plan.steps for p in planned if p.state != "done"
    }
    failed = {key: why for key, why in last_failures(workspace.store).items() if key in not_done}
    counts = TableCounts.load(workspace)
    repeated = {name: duplicate_image_names(counts, plan.table(IMAGES, name), done) for name in plan.indexes}
    notices = [line for name, names in repeated.items() for line in duplicate_name_notices(name, names)]
    return WorkspaceStatus(plan, failed, funnels(counts, plan, done, config.sources), notices)


def stage_cautions(steps: Sequence[Step]) -> list[str]:
    """Returns the cautions of the stages of a run, each once."""
    stages = [node.stage for step in steps for node in step.nodes]
    return list(dict.fromkeys(caution for stage in stages if (caution := getattr(stage, "caution", ""))))


def check_folders(config: Config, mixtures: Sequence[str] | None = None) -> None:
    """Raises SettingsError for a local workspace or corpus that is not a folder, or cannot become one."""
    folders = {"workspace": config.workspace}
    for name in config.mixtures if mixtures is None else mixtures:
        folders[f"mixtures.{name}.corpus"] = config.mixtures[name].corpus
    for key, url in folders.items():
        store = Store(url)
        if not store.is_local:
            try:
                store.check_bucket()
            except MissingError as error:
                raise SettingsError(f"{key}: {error}") from error
            continue
        path = Path(store.url)
        nearest = next(place for place in (path, *path.parents) if place.exists() or place.is_symlink())
        if not nearest.is_dir():
            raise SettingsError(f"{key}: {path}: {nearest} is a file, where a folder is wanted")
        if not os.access(nearest, os.W_OK | os.X_OK):
            raise SettingsError(f"{key}: {path}: nothing can be written into {nearest}")


def check_stages(steps: Sequence[Step]) -> None:
    """Checks that every stage finds what it needs besides rows: archives, checkpoints. Raises SettingsError."""
    for stage in (node.stage for step in steps for node in step.nodes):
        stage.fingerprint_inputs()


def check_selection(steps: Sequence[Step], selection: Selection) -> None:
    """Raises SettingsError for a selection of a stage, of sources or of shards that there are not."""
    names = [step.name for step in steps]
    if selection.stage is not None and selection.stage not in names:
        raise SettingsError(f"--stage {selection.stage}: no such stage; there is {', '.join(names)}")
    if (selection.force or selection.retry) and selection.stage is None:
        raise SettingsError("--force and --retry need --stage: what is to be made again?")
    chosen = [step for step in steps if step.name == selection.stage]
    if selection.retry and any(step.is_shuffle for step in chosen):
        raise SettingsError(f"--retry: stage {selection.stage} reads all shards together, so no row of it fails alone")
    for option, requested in (("--shards", selection.shards), ("--source", selection.sources)):
        if requested is not None and not chosen:
            raise SettingsError(f"{option} needs --stage")
        if requested is not None and chosen[0].is_shuffle:
            raise SettingsError(f"{option}: stage {selection.stage} reads all shards together")
    sources = {node.source for step in chosen for node in step.nodes}
    if unknown := sorted((selection.sources or set()) - sources):
        over = ", ".join(sorted(sources))
        raise SettingsError(f"--source {unknown[0]}: stage {selection.stage} has no such source; it is over {over}")


def source_notices(name: str, notes: Mapping[str, Any], index: str = "") -> Iterator[str]:
    """Yields lines about a source, besides its malformed records: files and values not read, annotations not used.

    `index` is the file that has all of its notes, if there is one.
    """
    not_read = list(notes.get(NOT_READ, {}).get("lines", ()))
    yield from (f"{name}: {line}" for line in not_read[:_MAX_NOT_READ])
    if len(not_read) > _MAX_NOT_READ:
        yield f"{name}: {len(not_read) - _MAX_NOT_READ} more lines{index and f', in {index}'}"
    counts = notes.get("annotations", {})
    if unused := {reason: n for reason, n in counts.items() if n and reason not in ("read", "placed", "not_sampled")}:
        reasons = ", ".join(f"{reason} {n:,}" for reason, n in unused.items())
        yield f"{name}: of {counts['read']:,} annotations {sum(unused.values()):,} are not used: {reasons}"
    if removed := notes.get(CREDENTIALS_REMOVED):
        yield f"{name}: {removed:,} URLs carried user:password@: taken off, and requested without"


def duplicate_name_notices(source: str, names: Sequence[str]) -> Iterator[str]:
    """Yields a line about the images of a source whose names several archives have, if there are any."""
    if names:
        more = f" and {len(names) - _MAX_NAMES:,} more" if len(names) > _MAX_NAMES else ""
        yield (
            f"{source}: {len(names):,} names of images are in several archives, and the first archive's is taken: "
            f"{', '.join(names[:_MAX_NAMES])}{more}"
        )
