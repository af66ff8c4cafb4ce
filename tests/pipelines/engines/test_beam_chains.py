"""Chains in a pipeline: which tasks are ready, what a job does with them, and which jobs share a pipeline."""

from __future__ import annotations

from pathlib import Path

from corpus.execution import WORKER_LOST, Outcome
from corpus.stage import Resources
from pipelines.engines.beam_chains import ChainJob, Flow, parse_outcome, split_at_gpus
from tests.helpers.chained_stages import line_of_three
from tests.helpers.extras import engine_or_skip

engine_or_skip("beam")  # whose runner a helper of this test records

DONE, FAILED = Outcome("s", "items", "0", rows=1), Outcome("s", "items", "0", error="planted")


def test_a_task_is_ready_when_all_that_it_needs_is_written(tmp_path: Path) -> None:
    flow = Flow(line_of_three(tmp_path).chains()[0])
    assert [flow.ready(job) for job in range(3)] == [[0], [], []]
    assert [flow.having(0, DONE).ready(job) for job in range(3)] == [[0], [1], []]
    assert [flow.having(0, DONE).having(1, DONE).ready(job) for job in range(3)] == [[0], [1], [2]]
    assert [flow.having(0, FAILED).having(1, DONE).ready(2), flow.having(0, FAILED).ready(1)] == [[], []]


def test_a_chain_has_tasks_of_jobs_that_will_be_ready(tmp_path: Path) -> None:
    flow = Flow(line_of_three(tmp_path).chains()[0])
    assert flow.has_tasks([0, 1, 2]) and flow.has_tasks([0]) and not flow.has_tasks([1, 2])
    assert flow.having(0, DONE).has_tasks([1, 2]) and not flow.having(0, DONE).has_tasks([2])
    assert not flow.having(0, FAILED).has_tasks([1, 2])


def test_outcomes_are_lines(tmp_path: Path) -> None:
    flow = Flow(line_of_three(tmp_path).chains()[0]).having(0, DONE).having(1, FAILED)
    assert [parse_outcome(line) for line in flow.to_lines(7).splitlines()] == [(7, 0, DONE), (7, 1, FAILED)]


def test_a_job_runs_its_own_tasks_of_a_chain(tmp_path: Path) -> None:
    line = line_of_three(tmp_path)
    flow = Flow(line.chains()[1])
    first = ChainJob(line.jobs[0], 0).open()(flow)
    assert list(first.outcomes) == [0] and line.numbers("items") == [None, 21, None]
    assert ChainJob(line.jobs[2], 2).open()(first) == first


def test_tasks_whose_worker_is_lost_are_marked(tmp_path: Path) -> None:
    line = line_of_three(tmp_path)
    lost = ChainJob(line.jobs[0], 0).on_worker_lost(Flow(line.chains()[0]), "planted")
    assert lost.outcomes[0].error == "planted" and lost.outcomes[0].metrics[WORKER_LOST]


def test_jobs_with_gpus_are_apart(tmp_path: Path) -> None:
    gpu = Resources(gpus=1, holds_model=True)
    jobs = line_of_three(tmp_path).jobs + line_of_three(tmp_path, middle=gpu).jobs + line_of_three(tmp_path).jobs
    cases = {(0, 1, 2): [[0, 1, 2]], (0, 4, 2): [[0, 1, 2]], (4, 4): [[0], [1]], (0, 4, 1, 4, 5): [[0, 1, 2], [3, 4]]}
    found = {chosen: split_at_gpus([jobs[number] for number in chosen]) for chosen in cases}
    assert found == cases
    assert split_at_gpus([]) == []
