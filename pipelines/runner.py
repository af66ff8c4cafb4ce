"""Runs a configuration: reads its sources, runs each stage over the shards that are not done, then publishes."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial

from corpus.journal import remove_finished
from corpus.outages import patient_storage
from corpus.workspace import Workspace
from pipelines.config import Config
from pipelines.engines import check_installed, open_engine
from pipelines.engines.address import check_address
from pipelines.graph import build_graph
from pipelines.lease import workspace_lease
from pipelines.observers.base import EndedRun, RunObserver, StartedRun
from pipelines.observers.run_observers import open_observers
from pipelines.plan import Selection
from pipelines.planner import Planner
from pipelines.report.funnel import Funnel, funnels
from pipelines.report.progress import ProgressBars
from pipelines.report.run_log import RunLog
from pipelines.report.run_summary import RunSummary
from pipelines.report.table_counts import TableCounts
from pipelines.report.terminal import Terminal, Verbosity
from pipelines.run_graph.free_disk import FreeDisk
from pipelines.run_graph.publishing import Publisher, versions
from pipelines.run_graph.shuffles import ShuffleRunner
from pipelines.run_graph.states import TableStates
from pipelines.run_graph.streaming import StreamingExecutor
from pipelines.run_graph.waves import WaveExecutor
from pipelines.sources.malformed import MalformedRecords, malformed_text
from pipelines.status import check_folders, check_selection, check_stages, read_sources, stage_cautions

MALFORMED_ENDING = ".malformed.txt"  # of the list of malformed records, beside the log of a run


@dataclass
class RunResult:
    """The outcome of a run."""

    run_id: str
    failed: list[str] = field(default_factory=list)  # failures, one line each
    funnels: dict[str, Funnel] = field(default_factory=dict)
    corpora: dict[str, str] = field(default_factory=dict)  # mixture -> its folder or URL
    sizes: dict[str, str] = field(default_factory=dict)  # mixture -> how much it holds, in a line
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
    chosen = list(config.mixtures) if mixtures is None else mixtures
    summary = RunSummary.start(run_id, config, {**selection.described(), "mixtures": list(chosen)}, versions())
    log = RunLog(workspace.store, run_id, summary)
    with ExitStack() as stack:
        progress = stack.enter_context(ProgressBars(console))
        stack.enter_context(_failures_printed(progress, result))
        steps = build_graph(config)
        check_selection(steps, selection)
        for caution in stage_cautions(steps):
            progress.print_line(caution)
        check_stages(steps)  # before rows are read
        check_installed(config.engine)
        check_address(config.engine)
        notify = partial(_notify, progress, log)
        observer = stack.enter_context(open_observers(config.metrics, notify))
        stack.enter_context(workspace_lease(workspace.store, run_id, wait, progress.print_line))
        stack.enter_context(patient_storage(config.engine.storage_retry_s, progress.print_line))
        stack.enter_context(log)  # after the lease: a run that was refused has no log
        stack.enter_context(_observed(observer, StartedRun(run_id, summary.settings, summary.versions), result))
        with progress.bar("sources") as bar:
            read = read_sources(workspace, config, write=True, progress=bar.set_progress)
        _show_malformed(read.malformed, config.workspace, progress, log)
        for line in read.notices:
            progress.print_line(line)
        planner = Planner(workspace, steps, read.indexes, selection)
        plan = planner.plan
        for line in plan.notices:
            progress.print_line(line)
        scratch = workspace.store.full(f"runs/scratch-{run_id}")
        engine = open_engine(config.engine, notify, scratch=scratch)
        stack.callback(engine.close)
        counts = TableCounts.load(workspace)
        states = TableStates(planner, selection)
        publisher = Publisher(config, workspace, plan, counts, engine) if states.is_complete else None
        kind = StreamingExecutor if engine.streams else WaveExecutor
        shuffles = ShuffleRunner(engine, config.engine, workspace.store.url, scratch)
        disk = FreeDisk(workspace.store, config.engine.min_free_disk_bytes)
        executor = kind(
            workspace,
            engine,
            planner,
            states,
            shuffles,
            progress,
            log,
            counts,
            publisher,
            chosen,
            disk,
            result.failed,
            observer=observer,
        )
        executor.execute()
        remove_finished(workspace)
        result.funnels = summary.funnels = funnels(counts, plan, executor.existing(), config.sources)
        counts.save(run_id)
        for name, published in executor.published.items():
            result.corpora[name] = published.corpus
            result.sizes[name] = published.size
            result.batches[name] = published.batches
            result.evaluation[name] = published.evaluation
        if executor.error is not None:
            raise executor.error
    if log.fault:
        result.failed.append(log.fault)
    return result


def _notify(progress: ProgressBars, log: RunLog, line: str) -> None:
    """Prints what an engine reports, and puts it into the run's log."""
    progress.print_line(line)
    log.event("notice", text=line)


def _show_malformed(found: Sequence[MalformedRecords], workspace: str, progress: ProgressBars, log: RunLog) -> None:
    """Prints a line for each source with malformed records, and lists all of them in a file beside the run's log."""
    for each in found:
        progress.print_line(each.summary(), Verbosity.BRIEF)
        for line in each.lines:
            progress.print_line(f"{each.source}: {line}", Verbosity.VERBOSE)
        log.event("malformed", source=each.source, counts=dict(each.counts))
    if found:
        path = log.write_beside(MALFORMED_ENDING, malformed_text(found))
        progress.print_line(f"they are listed in {workspace.rstrip('/')}/{path}", Verbosity.BRIEF)


@contextmanager
def _observed(observer: RunObserver, run: StartedRun, result: RunResult) -> Iterator[None]:
    """Has a run observed from its start to its end, whatever ends it."""
    observer.started(run)
    why = ""
    try:
        yield
    except BaseException as error:
        why = f"{type(error).__name__}: {error}"
        raise
    finally:
        observer.ended(EndedRun(why, tuple(result.failed), result.funnels))


@contextmanager
def _failures_printed(progress: ProgressBars, result: RunResult) -> Iterator[None]:
    """Prints the failures so far when a run ends early, by an error or a signal: its result is not returned then."""
    try:
        yield
    except BaseException:
        for line in result.failed:
            progress.print_line(f"failed: {line}")
        raise
