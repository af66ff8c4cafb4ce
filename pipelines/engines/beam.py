"""The beam engine runs jobs as pipelines on any Beam runner, by default on Beam's own in this process.

A runner takes whole pipelines: a run is one for all stages between two shuffles (`run_chains`), and one for each
shuffle. Results come back to the program that starts it through files only: outcomes and reduced tables are written to
a scratch folder in the workspace, read when the pipeline has ended, and removed. Retries are the runner's: it runs a
failed bundle again, or fails the pipeline; `Job.on_worker_lost` is not called. Items are elements of the pipeline, so
they should be small.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shlex
import sys
from collections.abc import Iterator, Sequence
from threading import Lock
from typing import Any, TypeVar
from uuid import uuid4

import apache_beam as beam
import pyarrow as pa
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.transforms.environments import SubprocessSDKEnvironment

import rzen_corpus
from corpus.execution import Job, MapJob, Outcome
from corpus.storage import Store
from pipelines.engines import EngineSettings, Reduce
from pipelines.engines.beam_chains import ChainJob, Flow, parse_outcome, split_at_gpus
from pipelines.engines.beam_functions import (
    ChainFn,
    EmitFn,
    FlowOutcomesFn,
    JobFn,
    MapFn,
    ReduceFn,
    WriteOutcomesFn,
)
from pipelines.engines.shuffle import from_ipc
from pipelines.run_graph.chains import Chain

_I = TypeVar("_I")


class BeamEngine:
    """Runs each job, or the jobs of several stages, as a pipeline. `scratch` is a folder (or URL) that every worker
    can reach.
    """

    streams = False

    def __init__(self, settings: EngineSettings, scratch: str) -> None:
        self._scratch = scratch
        self._runner: Any = settings.runner
        self._gpu_resources = dict(settings.gpu_resources)
        self._flags = list(settings.options)
        if settings.runner == "FnApiRunner":  # by its class: DirectRunner would look for an external binary first
            self._runner, flags = _local_runner(settings)
            self._flags = [*flags, *settings.options]

    def map(self, job: Job[_I, Outcome], items: Sequence[_I]) -> Iterator[Outcome]:
        """See `Engine.map`. The outcomes are yielded when all items are done."""
        with self._folder() as store:
            self._run(list(enumerate(items)), [self._step("Run", MapFn(job), bytes)], WriteOutcomesFn(store))
            for name in store.names(""):
                yield from map(Outcome.from_json, store.read(name).splitlines())

    def map_reduce(
        self, job: Job[_I, pa.Table], items: Sequence[_I], reduce: Reduce, partitions: int
    ) -> Iterator[pa.Table]:
        """See `Engine.map_reduce`. Rows go through the runner's GroupByKey."""
        with self._folder() as store:
            emit = self._step("Run", EmitFn(job, partitions), bytes)
            self._run(list(enumerate(items)), [emit], ReduceFn(reduce, store))
            for name in store.names(""):
                yield from_ipc([store.read(name)])

    def run_chains(self, jobs: Sequence[MapJob], chains: Sequence[Chain]) -> Iterator[tuple[int, int, Outcome]]:
        """See `ChainEngine.run_chains`."""
        flows = {number: Flow(chain) for number, chain in enumerate(chains)}
        for numbers in split_at_gpus(jobs):
            # What failed, or was done by a pipeline before, does not go through again.
            ready = [(at, flow) for at, flow in flows.items() if flow.has_tasks(numbers)]
            steps: list[Any] = []
            for number in numbers:
                job = jobs[number]
                if steps and job.resources.holds_model:  # its workers may be other ones, and fewer
                    steps.append(f"Spread {number}" >> beam.Reshuffle())
                steps.append(self._step(f"{number} {job.stage.name}", ChainFn(ChainJob(job, number)), Flow))
            steps.append("Outcomes" >> beam.ParDo(FlowOutcomesFn()).with_output_types(tuple[int, bytes]))
            with self._folder() as store:
                self._run(ready, steps, WriteOutcomesFn(store))
                for name in store.names(""):
                    for number, place, outcome in map(parse_outcome, store.read(name).splitlines()):
                        if place not in flows[number].outcomes:
                            flows[number] = flows[number].having(place, outcome)
                            yield number, place, outcome

    def close(self) -> None:
        """Removes the scratch folder; nothing else outlives a pipeline."""
        _remove(Store(self._scratch))

    @contextlib.contextmanager
    def _folder(self) -> Iterator[Store]:
        store = Store(f"{self._scratch}/{uuid4().hex}")
        try:
            yield store
        finally:
            _remove(store)

    def _step(self, name: str, job_fn: JobFn, value: type) -> Any:
        """Returns the transform of a job, with the resources that its workers need where the runner is told of them."""
        par_do = beam.ParDo(job_fn).with_output_types(tuple[int, value])  # type: ignore[valid-type]
        if job_fn.job.resources.gpus and self._gpu_resources:
            par_do = par_do.with_resource_hints(**self._gpu_resources)
        return name >> par_do

    def _run(self, elements: Sequence[tuple[int, Any]], steps: Sequence[Any], write: beam.DoFn) -> None:
        if not elements:
            return
        try:
            with _importable(), beam.Pipeline(runner=self._runner, options=PipelineOptions(self._flags)) as pipeline:
                collection = pipeline | "Items" >> beam.Create(elements) | "Spread" >> beam.Reshuffle()
                for step in steps:
                    collection |= step
                _ = collection | "Gather" >> beam.GroupByKey() | "Write" >> beam.ParDo(write)
        except RuntimeError as error:  # a runner passes an error in a job on as a text
            if "KeyboardInterrupt" in str(error):
                raise KeyboardInterrupt from error
            raise


def _local_runner(settings: EngineSettings) -> tuple[FnApiRunner, list[str]]:
    """Returns Beam's own runner on this machine, and options for it; several workers are processes, unless the options
    that the user gives say otherwise.
    """
    workers = settings.workers or 1
    flags = [f"--direct_num_workers={workers}", "--default_sdk_harness_log_level=WARNING"]
    if workers == 1 or any(option.startswith("--direct_running_mode") for option in settings.options):
        return FnApiRunner(), flags
    logging.getLogger(FnApiRunner.__module__).addFilter(_is_no_mode_warning)
    program = f"{shlex.quote(sys.executable)} -m pipelines.engines.beam_worker"
    return FnApiRunner(default_environment=SubprocessSDKEnvironment.from_command_string(program)), flags


def _is_no_mode_warning(record: logging.LogRecord) -> bool:
    """Keeps out the warning that workers are not processes: it goes by an option, with which the program that they run
    could not be chosen.
    """
    return not record.getMessage().startswith("If direct_num_workers is not equal to 1")


_environment_lock = Lock()
_environment_users: list[dict[str, str | None]] = []  # of each pipeline that runs, the variables before the first


@contextlib.contextmanager
def _importable() -> Iterator[None]:
    """Makes processes that a runner starts on this machine import this package from where this one did.

    Pipelines may run side by side: the last one puts the variables back.
    """
    added = rzen_corpus.environment()
    with _environment_lock:
        before = _environment_users[0] if _environment_users else {name: os.environ.get(name) for name in added}
        _environment_users.append(before)
        if len(_environment_users) == 1:
            os.environ.update(added)
    try:
        yield
    finally:
        with _environment_lock:
            _environment_users.pop()
            for name, value in () if _environment_users else before.items():
                if value is None:
                    del os.environ[name]
                else:
                    os.environ[name] = value


def _remove(store: Store) -> None:
    if store.exists(""):
        store.fs.rm(store.full(""), recursive=True)
