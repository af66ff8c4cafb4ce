"""Runs a configuration: reads its sources, runs each stage over the shards that are not done, then publishes."""

from __future__ import annotations

import platform
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from corpus.execution import WORKER_LOST, FinalizeJob, MapJob, Outcome, ShardTask, ShuffleMapJob
from corpus.journal import remove_finished
from corpus.outages import patient_storage
from corpus.stage import ITEMS, ROWS, Gives, MapStage, ShuffleStage
from corpus.storage import StorageError
from corpus.workspace import TableKey, Workspace, owner_name
from filters.image.stats import ImageStats
from pipelines.config import Config
from pipelines.engines import Engine, EngineSettings, open_engine
from pipelines.engines.address import check_address
from pipelines.frozen_pools import freeze_complete
from pipelines.graph import build_graph
from pipelines.lease import workspace_lease
from pipelines.plan import Plan, PlannedTable, Selection, Step
from pipelines.planner import Planner
from pipelines.publish.manifest import batch_lines
from pipelines.publish.mixture import DatasetInput, PublishInput
from pipelines.publish.publish import publish
from pipelines.report.agreement_stats import AgreementStats
from pipelines.report.caption_stats import CaptionStats
from pipelines.report.evaluation import evaluation_lines, evaluation_report
from pipelines.report.funnel import Funnel, funnels
from pipelines.report.mining_stats import MiningStats
from pipelines.report.progress import ProgressBars
from pipelines.report.run_log import RunLog
from pipelines.report.table_counts import TableCounts
from pipelines.report.terminal import Terminal
from pipelines.report.text_stats import TextFilterStats
from pipelines.shuffle_results import shuffle_results
from pipelines.status import check_folders, check_selection, check_stages, read_sources, stage_cautions


@dataclass
class RunResult:
    """The outcome of a run."""

    run_id: str
    failed: list[str] = field(default_factory=list)  # failures, one line each
    funnels: dict[str, Funnel] = field(default_factory=dict)
    corpora: dict[str, str] = field(default_factory=dict)  # mixture -> its folder or URL
    batches: dict[str, list[str]] = field(default_factory=dict)  # mixture -> how hard its batches are, in lines
    evaluation: dict[str, list[str]] = field(default_factory=dict)  # mixture -> what evaluation sets were checked


def run(
    config: Config,
    selection: Selection,
    console: Terminal,
    mixtures: Sequence[str] | None = None,
    wait: bool = False,
) -> RunResult:
    """Runs what is not done, then publishes; a shard that fails is listed in the result, and the others go on.

    Raises HeldError where another run works on the same workspace, or with `wait` waits for its end.
    """
    workspace = Workspace(config.workspace)
    check_folders(config, mixtures)
    run_id = time.strftime("%Y%m%dT%H%M%S", time.gmtime()) + "-" + uuid.uuid4().hex[:4]
    result = RunResult(run_id)
    log = RunLog(workspace.store, run_id)
    with ExitStack() as stack:
        progress = stack.enter_context(ProgressBars(console))
        stack.enter_context(_failures_printed(progress, result))
        steps = build_graph(config)
        check_selection(steps, selection)
        for caution in stage_cautions(steps):
            progress.print_line(caution)
        check_stages(steps)  # before rows are read
        check_address(config.engine)
        stack.enter_context(workspace_lease(workspace.store, run_id, wait, progress.print_line))
        stack.enter_context(patient_storage(config.engine.storage_retry_s, progress.print_line))
        stack.enter_context(log)  # after the lease: a run that was refused has no log
        with progress.bar("rows"):
            read = read_sources(workspace, config, write=True)
        for line in read.notices:
            progress.print_line(line)
        planner = Planner(workspace, steps, read.indexes, selection)
        plan = planner.plan
        for line in plan.notices:
            progress.print_line(line)
        scratch = workspace.store.full(f"runs/scratch-{run_id}")
        engine = open_engine(config.engine, scratch=scratch)
        stack.callback(engine.close)
        counts = TableCounts.load(workspace)
        runner = _Runner(workspace, engine, config.engine, progress, log, result, counts)
        complete = runner.run_steps(planner, selection)
        remove_finished(workspace)
        result.funnels = funnels(runner.counts, plan, runner.ready, config.sources)
        runner.counts.save(run_id)
        if complete and not result.failed:
            for name in mixtures if mixtures is not None else list(config.mixtures):
                inputs = publish_input(config, name, plan, result.funnels, versions())
                with progress.bar(f"publish {name}") as bar:
                    try:
                        published = publish(workspace, inputs, config.mixtures[name], engine, bar.set_progress)
                    except StorageError as error:
                        result.failed.append(f"publish {name}: {type(error).__name__}: {error}")
                        continue
                result.corpora[name] = published.path
                result.batches[name] = list(batch_lines(published.manifest["datasets"]))
                result.evaluation[name] = list(evaluation_lines(inputs.evaluation, inputs.unchecked))
    if log.fault:
        result.failed.append(log.fault)
    return result


@contextmanager
def _failures_printed(progress: ProgressBars, result: RunResult) -> Iterator[None]:
    """Prints the failures so far when a run ends early, by an error or a signal: its result is not returned then."""
    try:
        yield
    except BaseException:
        for line in result.failed:
            progress.print_line(f"failed: {line}")
        raise


@dataclass
class _Runner:
    """Runs the steps of a plan on an engine."""

    workspace: Workspace
    engine: Engine
    settings: EngineSettings
    progress: ProgressBars
    log: RunLog
    result: RunResult
    counts: TableCounts
    ready: set[str] = field(default_factory=set)  # paths of the tables that exist

    def run_steps(self, planner: Planner, selection: Selection) -> bool:
        """Runs the steps, and tells whether all of them were run, up to publishing.

        A step is planned again when it is its turn: what stages before it wrote may be what was there already.
        """
        plan = planner.plan
        forced = selection.force or bool(selection.retry)
        for source, index in plan.indexes.items():
            table_key = TableKey("tables", source, ROWS)
            self.ready |= {table_key.path(shard, name) for shard, name in index.shards}
        self.ready |= plan.frozen_tables
        for number, (step, _) in enumerate(plan.steps):
            planned = planner.update(number)
            freeze_complete(self.workspace, (pool for name, pool in plan.new_pools if name == step.name), self.ready)
            self.ready |= {p.task.output for p in planned if p.state == "done"}
            todo = [p for p in planned if p.state != "done"]
            if not forced:
                todo = [p for p in todo if selection.selects(p.node.source, p.task.shard)]
            self._run_step(step, planned, todo, partial(planner.written, number))
            if step.name == selection.stage and not forced:
                return False
        return True

    def _run_step(
        self,
        step: Step,
        planned: Sequence[PlannedTable],
        todo: Sequence[PlannedTable],
        written: Callable[[int, str], str],
    ) -> None:
        start = time.perf_counter()
        runnable = self._runnable(step, planned, todo)
        if not runnable:
            self.progress.print_line(
                f"{step.name}: blocked" if todo else f"{step.name}: done already ({len(planned)} shards)"
            )
            return
        rows = 0
        counts: Counter[str] = Counter()  # by status
        captions, mining, texts = CaptionStats(), MiningStats(), TextFilterStats()
        agreement = AgreementStats()
        places = {(p.task.source, p.task.shard): place for place, p in enumerate(planned)}
        with self.progress.bar(step.name, len(runnable)) as bar:
            for outcome in self._outcomes(step, planned, runnable):
                bar.advance()
                self.log.add(outcome)
                if outcome.error:
                    where = f"{owner_name(outcome.owner)}/{outcome.shard}"
                    self.result.failed.append(f"{step.name} {where}: {outcome.error}")
                    continue
                place = places[outcome.owner, outcome.shard]
                path = written(place, outcome.content)
                self.ready.add(path)
                if planned[place].node.filters_rows:
                    self.counts.add(path, outcome.counts)
                rows += outcome.rows
                captions.add(outcome)
                mining.add(outcome)
                texts.add(outcome)
                agreement.add(outcome)
                if captions:
                    bar.set_text(captions.line(time.perf_counter() - start))
                for key, n in outcome.counts.items():
                    counts[key.partition("/")[0]] += n
        summary = ", ".join(f"{n:,} {status}" for status, n in sorted(counts.items(), key=lambda e: -e[1]))
        seconds = time.perf_counter() - start
        self.progress.print_line(f"{step.name}: {len(runnable)} shards, {rows:,} rows ({summary}), {seconds:.1f} s")
        if captions:
            self.progress.print_line(f"{step.name}: {captions.line(seconds)}")
            self.log.event("rates", step=step.name, seconds=round(seconds, 3), replicas=captions.record())
        for line in (*mining.lines(), *texts.lines(), *agreement.lines()):
            self.progress.print_line(f"{step.name}: {line}")

    def _runnable(
        self, step: Step, planned: Sequence[PlannedTable], todo: Sequence[PlannedTable]
    ) -> list[PlannedTable]:
        """Returns the tables of `todo` whose inputs and pools exist; for a shuffle stage, the inputs of all shards."""
        blocked = {(p.task.source, p.task.shard) for p in todo if not self._has_inputs(p)}
        blocked |= self._blocked_by_pools(step, todo)
        for dataset in dict.fromkeys(p.node.dataset for p in todo) if step.is_shuffle else ():
            waiting = sum(not self._has_inputs(p) for p in planned if p.node.dataset == dataset)
            if waiting:
                of = f" of {dataset}" if dataset else ""
                self.result.failed.append(
                    f"{step.name}{of}: waits for {waiting} shards that an earlier stage did not finish"
                )
                blocked |= {(p.task.source, p.task.shard) for p in todo if p.node.dataset == dataset}
        return [p for p in todo if (p.task.source, p.task.shard) not in blocked]

    def _has_inputs(self, planned: PlannedTable) -> bool:
        return all(path in self.ready for _, path in planned.task.inputs)

    def _blocked_by_pools(self, step: Step, todo: Sequence[PlannedTable]) -> set[tuple[str, str]]:
        """Returns the shards of a step that wait for a pool, because a search over a part of it would be wrong."""
        blocked: set[tuple[str, str]] = set()
        missing: dict[int, dict[str, int]] = {}
        for planned in todo:
            pools = planned.pools
            if id(pools) not in missing:
                counts = {name: sum(path not in self.ready for path in pool.paths) for name, pool in pools.items()}
                missing[id(pools)] = {name: count for name, count in counts.items() if count}
                self.result.failed += [
                    f"{step.name} {owner_name(planned.task.source)}: waits for {count} tables of the pool `{name}` "
                    "that an earlier stage did not finish"
                    for name, count in missing[id(pools)].items()
                ]
            if missing[id(pools)]:
                blocked.add((planned.task.source, planned.task.shard))
        return blocked

    def _outcomes(self, step: Step, planned: Sequence[PlannedTable], todo: Sequence[PlannedTable]) -> Iterator[Outcome]:
        url = self.workspace.store.url
        if not step.is_shuffle:
            for node in step.nodes:
                stage = node.stage
                assert isinstance(stage, MapStage)
                tables = [p for p in todo if p.node is node]
                if tables:
                    stage.prepare()
                    job = MapJob(stage, url, pools=tables[0].pools)
                    yield from run_map(self.engine, job, [p.task for p in tables])
            return
        for dataset in dict.fromkeys(p.node.dataset for p in todo):  # "": all sources together
            together = [p for p in planned if p.node.dataset == dataset]
            stage = together[0].node.stage
            assert isinstance(stage, ShuffleStage)
            tasks = [p.task for p in together]
            yield from self._run_shuffle(stage, tasks, [p for p in todo if p.node.dataset == dataset])

    def _run_shuffle(
        self, stage: ShuffleStage, tasks: Sequence[ShardTask], todo: Sequence[PlannedTable]
    ) -> Iterator[Outcome]:
        """Runs a shuffle stage over all shards whose rows meet, and writes the tables that are `todo`."""
        url = self.workspace.store.url
        scratch = self.workspace.store.full(f"runs/scratch-{self.result.run_id}-{stage.name}")
        shuffle = shuffle_results(
            self.engine,
            ShuffleMapJob(stage, url),
            tasks,
            [p.task for p in todo],
            self.settings.shuffle_partitions,
            scratch,
            self.settings.max_driver_rows,
        )
        with ExitStack() as stack:
            try:
                items = stack.enter_context(shuffle)
            except Exception as error:  # noqa: BLE001 - the stage failed, and the run's log must still say why
                why = f"{type(error).__name__}: {error}"
                yield from (Outcome(p.task.source, stage.name, p.task.shard, error=why) for p in todo)
                return
            yield from self.engine.map(FinalizeJob(stage, url), items)


def run_map(engine: Engine, job: MapJob, tasks: Sequence[ShardTask]) -> Iterator[Outcome]:
    """Runs a map stage over shards. A shard that killed its workers runs again in isolation, bisected to the row."""
    missing = set()
    for outcome in engine.map(job, tasks):
        if outcome.metrics.get(WORKER_LOST):
            missing.add((outcome.owner, outcome.shard))
        else:
            yield outcome
    if missing:
        again = [task for task in tasks if (task.source, task.shard) in missing]
        yield from engine.map(replace(job, isolated=True), again)


def publish_input(
    config: Config, mixture: str, plan: Plan, funnels: Mapping[str, Any], versions: Mapping[str, str]
) -> PublishInput:
    """Returns the datasets of a mixture, the item tables that their pairs refer to, and the funnel of each source."""
    items: dict[str, set[str]] = {}
    inspected: dict[str, str] = {}
    for step, planned in plan.steps:
        for table in planned:
            node, task = table.node, table.task
            if node.source not in config.sources:
                continue
            read = [path for name, path in task.inputs if name == ITEMS]
            items.setdefault(node.source, set()).update(read)
            if step.name == ImageStats.name:
                inspected.update(dict.fromkeys(read, task.output))
    datasets = []
    for name in sorted(config.mixtures[mixture].datasets):
        settings = config.datasets[name]
        pairs = [[table.task.output for table in tables] for tables in plan.dataset_tables(name)]
        datasets.append(
            DatasetInput(
                name=name,
                task=settings.task,
                stage=settings.stage,
                modality=config.sources[settings.source].modality,
                licence="; ".join(dict.fromkeys(config.sources[source].licence for source in settings.sources)),
                sources=settings.sources,
                pairs=tuple(sorted(first for first, *_ in pairs)),
                later={first: tuple(later) for first, *later in pairs if later},
                search_by=getattr(config.stages.negatives.datasets.get(name), "search_by", "query"),
            )
        )
    sources = {source for dataset in datasets for source in dataset.sources}
    # The representative of a duplicate image of an existing pair may be an item of any source.
    needed = set(items) if sources & set(config.giving(Gives.PAIRS)) else sources
    return PublishInput(
        name=mixture,
        datasets=tuple(datasets),
        items=tuple(sorted(path for source in needed for path in items.get(source, ()))),
        funnel={source: funnels[source] for source in sorted(sources)},
        versions=dict(versions),
        inspected=inspected,
        names=config.stages.labels.lists,
        evaluation=evaluation_report(
            Workspace(config.workspace), plan, sources, config.mixtures[mixture].datasets, config.evaluation_sets
        ),
        unchecked=tuple(config.absent_evaluation_sets),
    )


def versions() -> dict[str, str]:
    """Returns the versions of this program and of the libraries that a corpus's bytes depend on."""
    found = {"python": platform.python_version()}
    for package in ("rzen-corpus", "pyarrow", "numpy", "opencv-python-headless", "pillow"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found
