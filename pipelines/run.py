"""Running a configuration: gather, then step by step what is not done, then publish."""

from __future__ import annotations

import os
import platform
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
import pyarrow as pa

from corpus.execution import LOST, FinalizeJob, FinalizeTask, MapJob, Outcome, ShardTask, ShuffleMapJob
from corpus.settings import SettingsError
from corpus.stage import ROWS, MapStage, ShuffleStage
from corpus.storage import StorageError, Store
from corpus.workspace import TableKey, Workspace
from pipelines.config import Config
from pipelines.engines import Engine, open_engine
from pipelines.graph import build_graph
from pipelines.inputs import publish_input
from pipelines.plan import Plan, Planned, Selection, Step, make_plan
from pipelines.publish.publish import publish
from pipelines.report.caption_stats import Rates
from pipelines.report.funnel import IMAGES, Funnel, funnels, repeated_images
from pipelines.report.notices import repeated_name_notices, source_notices
from pipelines.report.progress import Bars
from pipelines.report.run_log import RunRecord, last_failures
from pipelines.report.terminal import Terminal
from pipelines.sources.source_shards import SourceIndex, find_index, gather, index_path, source_fingerprint


@dataclass
class RunResult:
    """What a run came to."""

    run_id: str
    failed: list[str] = field(default_factory=list)  # what went wrong, one line each
    funnels: dict[str, Funnel] = field(default_factory=dict)
    corpora: dict[str, str] = field(default_factory=dict)  # mixture -> where it lies


@dataclass(frozen=True)
class SourcesRead:
    """The shards of the sources that were read, those that were not, and what there is to say of either."""

    indexes: dict[str, SourceIndex]
    unread: list[str]
    notices: list[str]  # a line each


def read_sources(workspace: Workspace, config: Config, write: bool, check: bool = False) -> SourcesRead:
    """The shards of every source. Without `write` nothing is read that was not before; `check` looks at its files."""
    found = SourcesRead({}, [], [])
    sources = {name: settings.reader() for name, settings in config.sources.items()}
    # All files are looked at first: what is wrong shows at once, not when hours were spent on another source.
    digests = {name: source_fingerprint(source) for name, source in sources.items()}
    known = {name: find_index(workspace, name, digest) for name, digest in digests.items()}
    for name, source in sources.items():
        if known[name] is None and (check or write):
            source.check()
    for name, digest in digests.items():
        index = known[name]
        if index is None and write:
            index = gather(workspace, name, sources[name], digest)
        if index is None:
            found.unread.append(name)
            found.notices.extend(source_notices(name, getattr(sources[name], "notes", {})))
        else:
            found.indexes[name] = index
            where = workspace.store.full(index_path(name, index.fingerprint))
            found.notices.extend(source_notices(name, index.notes, where))
    return found


def cautions(steps: Sequence[Step]) -> list[str]:
    """What a user should know of the stages that were chosen, each once."""
    stages = [node.stage for step in steps for node in step.nodes]
    return list(dict.fromkeys(caution for stage in stages if (caution := getattr(stage, "caution", ""))))


def check_folders(config: Config, mixtures: Sequence[str] | None = None) -> None:
    """Raise SettingsError for a workspace or corpus on this machine that is no folder, or cannot become one."""
    folders = {"workspace": config.workspace}
    for name in config.mixtures if mixtures is None else mixtures:
        folders[f"mixtures.{name}.corpus"] = config.mixtures[name].corpus
    for key, url in folders.items():
        store = Store(url)
        if not store.is_local:
            continue
        path = Path(store.url)
        nearest = next(place for place in (path, *path.parents) if place.exists() or place.is_symlink())
        if not nearest.is_dir():
            raise SettingsError(f"{key}: {path}: {nearest} is a file, where a folder is wanted")
        if not os.access(nearest, os.W_OK | os.X_OK):
            raise SettingsError(f"{key}: {path}: nothing can be written into {nearest}")


def plan(config: Config, selection: Selection, check: bool = True) -> tuple[Plan, list[str]]:
    """What a run would do, without doing anything; and the sources whose shards are not known yet.

    With `check`, raises SettingsError for what would stop a run: in the files of sources that are not read yet, in
    archives, in the folders that are written to. What else there is to say of the sources is in the plan's notices.
    """
    workspace = Workspace(config.workspace)
    if check:
        check_folders(config)
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
    made = make_plan(workspace, steps, read.indexes, selection)
    made.notices.extend(read.notices)
    return made, read.unread


def check_stages(steps: Sequence[Step]) -> None:
    """Let all stages look for what they need besides rows: archives, checkpoints. Raises SettingsError."""
    for stage in (node.stage for step in steps for node in step.nodes):
        stage.fingerprint_inputs()


@dataclass(frozen=True)
class State:
    """What lies in a workspace."""

    plan: Plan
    unread: list[str]  # sources whose shards are not known yet
    failed: dict[tuple[str, str, str], str]  # (stage, owner, shard) -> why the last run could not finish it
    funnels: dict[str, Funnel]
    notices: list[str] = field(default_factory=list)  # what no count tells, a line each


def status(config: Config) -> State:
    """What is done, stale, missing and failed, and the funnel so far. Runs nothing."""
    workspace = Workspace(config.workspace)
    planned, unread = plan(config, Selection(), check=False)
    done = {p.task.output for _, found in planned.steps for p in found if p.state == "done"}
    open_still = {
        (step.name, p.task.source, p.task.shard) for step, found in planned.steps for p in found if p.state != "done"
    }
    failed = {key: why for key, why in last_failures(workspace.store).items() if key in open_still}
    repeated = {name: repeated_images(workspace, planned.table(IMAGES, name), done) for name in planned.indexes}
    notices = [line for name, names in repeated.items() for line in repeated_name_notices(name, names)]
    return State(planned, unread, failed, funnels(workspace, planned, done), notices)


def check_selection(steps: Sequence[Step], selection: Selection) -> None:
    """Raise SettingsError for a selection that names nothing or cannot be."""
    names = [step.name for step in steps]
    if selection.stage is not None and selection.stage not in names:
        raise SettingsError(f"--stage {selection.stage}: no such stage; there is {', '.join(names)}")
    if (selection.force or selection.retry) and selection.stage is None:
        raise SettingsError("--force and --retry need --stage: what is to be made again?")
    chosen = [step for step in steps if step.name == selection.stage]
    if selection.retry and any(step.keyed for step in chosen):
        raise SettingsError(f"--retry: stage {selection.stage} reads all shards together, so no row of it fails alone")
    if selection.shards is not None and not chosen:
        raise SettingsError("--shards needs --stage")
    if selection.shards is not None and chosen[0].keyed:
        raise SettingsError(f"--shards: stage {selection.stage} reads all shards together")


def run(config: Config, selection: Selection, console: Terminal, mixtures: Sequence[str] | None = None) -> RunResult:
    """Do what is not done. Failures of single shards are collected; the other shards go on."""
    workspace = Workspace(config.workspace)
    check_folders(config, mixtures)
    run_id = time.strftime("%Y%m%dT%H%M%S", time.gmtime()) + "-" + uuid.uuid4().hex[:4]
    result = RunResult(run_id)
    record = RunRecord(workspace.store, run_id)
    with ExitStack() as stack:
        stack.enter_context(record)
        progress = stack.enter_context(Bars(console))
        stack.enter_context(_failures_shown(progress, result))
        steps = build_graph(config)
        check_selection(steps, selection)
        for caution in cautions(steps):
            progress.note(caution)
        check_stages(steps)  # before rows are read
        with progress.bar("rows"):
            read = read_sources(workspace, config, write=True)
        for line in read.notices:
            progress.note(line)
        todo = make_plan(workspace, steps, read.indexes, selection)
        scratch = workspace.store.full(f"runs/scratch-{run_id}")
        engine = open_engine(config.engine, scratch=scratch)
        stack.callback(engine.close)
        runner = _Runner(workspace, engine, config.engine.partitions, progress, record, result)
        finished = runner.steps(todo, selection)
        result.funnels = funnels(workspace, todo, runner.ready)
        if finished and not result.failed:
            for name in mixtures if mixtures is not None else list(config.mixtures):
                given = publish_input(config, name, todo, result.funnels, versions())
                with progress.bar(f"publish {name}") as step:
                    try:
                        published = publish(workspace, given, config.mixtures[name], engine, step.at)
                    except StorageError as error:
                        result.failed.append(f"publish {name}: {type(error).__name__}: {error}")
                        continue
                result.corpora[name] = published.path
    if record.fault:
        result.failed.append(record.fault)
    return result


@contextmanager
def _failures_shown(progress: Bars, result: RunResult) -> Iterator[None]:
    """Show what failed so far when a run ends early, by an error or a signal: its result is not returned then."""
    try:
        yield
    except BaseException:
        for line in result.failed:
            progress.note(f"failed: {line}")
        raise


@dataclass
class _Runner:
    workspace: Workspace
    engine: Engine
    partitions: int
    progress: Bars
    record: RunRecord
    result: RunResult
    ready: set[str] = field(default_factory=set)  # tables that lie there

    def steps(self, plan: Plan, selection: Selection) -> bool:
        """Run the steps; whether all of them were run, up to publishing."""
        again = selection.force or bool(selection.retry)
        for source, index in plan.indexes.items():
            table_key = TableKey("tables", source, ROWS)
            self.ready |= {table_key.path(shard, name) for shard, name in index.shards}
        for step, planned in plan.steps:
            self.ready |= {p.task.output for p in planned if p.state == "done"}
            todo = [p for p in planned if p.state != "done"]
            if selection.shards is not None and not again:
                todo = [p for p in todo if int(p.task.shard) in selection.shards]
            self._step(step, planned, todo)
            if step.name == selection.stage and not again:
                return False
        return True

    def _step(self, step: Step, planned: Sequence[Planned], todo: Sequence[Planned]) -> None:
        start = time.perf_counter()
        blocked = {(p.task.source, p.task.shard) for p in todo if not self._can_run(p)}
        blocked |= self._blocked_pools(step, todo)
        for dataset in dict.fromkeys(p.node.dataset for p in todo) if step.keyed else ():
            waiting = sum(not self._can_run(p) for p in planned if p.node.dataset == dataset)
            if waiting:
                of = f" of {dataset}" if dataset else ""
                self.result.failed.append(
                    f"{step.name}{of}: waits for {waiting} shards that an earlier stage did not finish"
                )
                blocked |= {(p.task.source, p.task.shard) for p in todo if p.node.dataset == dataset}
        todo = [p for p in todo if (p.task.source, p.task.shard) not in blocked]
        if not todo:
            self.progress.note(
                f"{step.name}: done already ({len(planned)} shards)" if not blocked else f"{step.name}: blocked"
            )
            return
        rows = 0
        counts: dict[str, int] = {}
        rates = Rates()
        by_shard = {(p.task.source, p.task.shard): p for p in todo}
        with self.progress.bar(step.name, len(todo)) as bar:
            for outcome in self._outcomes(step, planned, todo):
                bar.advance()
                self.record.add(outcome)
                if outcome.error:
                    self.result.failed.append(f"{step.name} {outcome.owner}/{outcome.shard}: {outcome.error}")
                    continue
                self.ready.add(by_shard[outcome.owner, outcome.shard].task.output)
                rows += outcome.rows
                rates.add(outcome)
                if rates:
                    bar.say(rates.line(time.perf_counter() - start))
                for key, n in outcome.counts.items():
                    counts[key.partition("/")[0]] = counts.get(key.partition("/")[0], 0) + n
        summary = ", ".join(f"{n:,} {status}" for status, n in sorted(counts.items(), key=lambda e: -e[1]))
        seconds = time.perf_counter() - start
        self.progress.note(f"{step.name}: {len(todo)} shards, {rows:,} rows ({summary}), {seconds:.1f} s")
        if rates:
            self.progress.note(f"{step.name}: {rates.line(seconds)}")
            self.record.say("rates", step=step.name, seconds=round(seconds, 3), replicas=rates.record())

    def _can_run(self, planned: Planned) -> bool:
        return all(path in self.ready for _, path in planned.task.inputs)

    def _blocked_pools(self, step: Step, todo: Sequence[Planned]) -> set[tuple[str, str]]:
        """The shards of a step that wait for a pool, because a search over a part of it would be wrong."""
        blocked: set[tuple[str, str]] = set()
        missing: dict[int, dict[str, int]] = {}
        for planned in todo:
            pools = planned.pools
            if id(pools) not in missing:
                counts = {name: sum(path not in self.ready for path in pool.paths) for name, pool in pools.items()}
                missing[id(pools)] = {name: count for name, count in counts.items() if count}
                self.result.failed += [
                    f"{step.name} {planned.task.source}: waits for {count} tables of the pool `{name}` that an earlier "
                    "stage did not finish"
                    for name, count in missing[id(pools)].items()
                ]
            if missing[id(pools)]:
                blocked.add((planned.task.source, planned.task.shard))
        return blocked

    def _outcomes(self, step: Step, planned: Sequence[Planned], todo: Sequence[Planned]) -> Iterator[Outcome]:
        url = self.workspace.store.url
        if not step.keyed:
            for node in step.nodes:
                stage = node.stage
                assert isinstance(stage, MapStage)
                found = [p for p in todo if p.node is node]
                if found:
                    stage.prepare()
                    yield from run_map(self.engine, MapJob(stage, url, pools=found[0].pools), [p.task for p in found])
            return
        for dataset in dict.fromkeys(p.node.dataset for p in todo):  # "": all sources together
            together = [p for p in planned if p.node.dataset == dataset]
            stage = together[0].node.stage
            assert isinstance(stage, ShuffleStage)
            yield from self._shuffled(stage, [p.task for p in together], [p for p in todo if p.node.dataset == dataset])

    def _shuffled(self, stage: ShuffleStage, tasks: Sequence[ShardTask], todo: Sequence[Planned]) -> Iterator[Outcome]:
        """A keyed stage over all shards whose rows meet; the tables that are `todo` are written."""
        url = self.workspace.store.url
        try:
            tables = list(self.engine.map_reduce(ShuffleMapJob(stage, url), tasks, stage.reduce, self.partitions))
            results = stage.finalize(pa.concat_tables(tables)) if tables else None
        except Exception as error:  # noqa: BLE001 - the stage is lost, the run's record must still say why
            why = f"{type(error).__name__}: {error}"
            yield from (Outcome(p.task.source, stage.name, p.task.shard, error=why) for p in todo)
            return
        yield from self.engine.map(FinalizeJob(stage, url), settle_tasks(results, [p.task for p in todo], stage))


def run_map(engine: Engine, work: MapJob, tasks: Sequence[ShardTask]) -> Iterator[Outcome]:
    """The stage over shards; one that killed its workers is run again away from them, halved down to the row."""
    lost = set()
    for outcome in engine.map(work, tasks):
        if outcome.metrics.get(LOST):
            lost.add((outcome.owner, outcome.shard))
        else:
            yield outcome
    if lost:
        again = [task for task in tasks if (task.source, task.shard) in lost]
        yield from engine.map(replace(work, careful=True), again)


def settle_tasks(results: pa.Table | None, tasks: Sequence[ShardTask], stage: ShuffleStage) -> list[FinalizeTask]:
    """What a keyed stage concluded, dealt out to the shards whose rows it speaks of."""
    if results is None:
        columns = [*stage.schema, pa.field("status", pa.string()), pa.field("reason", pa.string())]
        results = pa.schema([pa.field("row_address", pa.int64()), *columns]).empty_table()
    results = results.sort_by("row_address").combine_chunks()
    ordinals = results.column("row_address").to_numpy() >> np.int64(32)
    starts = np.searchsorted(ordinals, [task.ordinal for task in tasks], side="left")
    stops = np.searchsorted(ordinals, [task.ordinal for task in tasks], side="right")
    # Taken, not sliced: a pickled slice takes all buffers of its table along.
    return [
        FinalizeTask(task, results.take(pa.array(np.arange(start, stop))))
        for task, start, stop in zip(tasks, starts.tolist(), stops.tolist(), strict=True)
    ]


def versions() -> dict[str, str]:
    """What made a corpus: versions of this program and of what its bytes depend on."""
    found = {"python": platform.python_version()}
    for package in ("rzen-corpus", "pyarrow", "numpy", "opencv-python-headless", "pillow"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found
