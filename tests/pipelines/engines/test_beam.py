"""What is particular to the beam engine: its runner, its options, its scratch folder."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import fsspec
import pytest

from corpus.stage import Resources
from pipelines.engines import EngineSettings
from tests.helpers.engine_works import Fifo, Meeting, PlantedError, Rows, Square, environment, fail_to_reduce, sums
from tests.helpers.extras import engine_or_skip

engine_or_skip("beam")
from pipelines.engines.beam import BeamEngine  # noqa: E402
from tests.helpers.chained_stages import Line, RecordingRunner, line_of_three  # noqa: E402

RECORDING = f"{RecordingRunner.__module__}.{RecordingRunner.__name__}"


def engine(
    scratch: str | Path, workers: int = 0, runner: str = "FnApiRunner", *options: str, **more: Any
) -> BeamEngine:
    settings = EngineSettings(kind="beam", workers=workers, runner=runner, options=options, **more)
    return BeamEngine(settings, str(scratch))


def run_line(line: Line, opened: BeamEngine) -> dict[tuple[str, str], str]:
    """Runs the chains of a line; returns the error of each (stage, shard), asserting that each has one outcome."""
    chains = line.chains()
    found = list(opened.run_chains(line.jobs, chains))
    errors = {}
    for number, place, outcome in found:
        task = chains[number].tasks[place]
        assert (line.stages[task.job].name, task.task.shard) == (outcome.stage, outcome.shard)
        errors[outcome.stage, outcome.shard] = outcome.error
    assert len(errors) == len(found)
    return errors


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> list[set[tuple[str, bytes]]]:
    """The resource hints of each pipeline that RecordingRunner runs."""
    hints: list[set[tuple[str, bytes]]] = []
    monkeypatch.setattr(RecordingRunner, "hints", hints)
    return hints


def test_chains_are_one_pipeline(tmp_path: Path, recorded: list[set[tuple[str, bytes]]]) -> None:
    line = line_of_three(tmp_path / "work")
    errors = run_line(line, engine(tmp_path / "scratch", 0, RECORDING))
    assert len(errors) == 9 and not any(errors.values())
    assert line.numbers("last") == [13, 23, 33]
    assert recorded == [set()]
    assert not list((tmp_path / "scratch").iterdir())


def test_a_chain_ends_where_a_task_fails_and_the_others_go_on(tmp_path: Path) -> None:
    line = line_of_three(tmp_path / "work", fails_at=21)
    errors = run_line(line, engine(tmp_path / "scratch"))
    assert len(errors) == 8 and ("last", "1") not in errors
    assert {at: error for at, error in errors.items() if error} == {("middle", "1"): "ShardError: planted at 21"}
    assert line.numbers("last") == [13, None, 33]


def test_a_stage_that_can_not_be_set_up_fails_what_needs_it_alone(tmp_path: Path) -> None:
    line = line_of_three(tmp_path / "work", fails_at=0)
    errors = run_line(line, engine(tmp_path / "scratch"))
    assert {at for at, error in errors.items() if error} == {("middle", shard) for shard in "012"}
    assert {error for error in errors.values() if error} == {"ImportError: planted: no such package"}
    assert line.numbers("items") == [11, 21, 31] and line.numbers("last") == [None] * 3


def test_of_two_stages_that_take_gpus_each_has_a_pipeline(
    tmp_path: Path, recorded: list[set[tuple[str, bytes]]]
) -> None:
    """The runner hears of the accelerator; a chain that has failed does not go through the second pipeline."""
    gpu = Resources(gpus=1, holds_model=True)
    line = line_of_three(tmp_path / "work", fails_at=11, middle=gpu)
    line.stages[2].resources = gpu
    opened = engine(tmp_path / "scratch", 0, RECORDING, gpu_resources={"accelerator": "type:planted"})
    errors = run_line(line, opened)
    assert len(errors) == 8 and errors["middle", "0"]
    assert line.numbers("last") == [None, 23, 33]
    assert recorded == [{("beam:resources:accelerator:v1", b"type:planted")}] * 2


def test_no_chains_are_no_pipeline(tmp_path: Path) -> None:
    assert list(engine(tmp_path).run_chains(line_of_three(tmp_path).jobs, [])) == []


def test_scratch_may_be_in_memory_and_is_left_empty() -> None:
    opened = engine("memory://engine-beam/runs/scratch")
    assert sorted(o.rows for o in opened.map(Square(), range(5))) == [0, 1, 4, 9, 16]
    assert len(list(opened.map_reduce(Rows(), [3, 4], sums, 1))) == 1
    assert not fsspec.filesystem("memory").find("engine-beam")


def test_scratch_is_left_empty_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(PlantedError, match="planted in reduce"):
        list(engine(tmp_path).map_reduce(Rows(), [3, 4], fail_to_reduce, 2))
    assert not list(tmp_path.iterdir())


def test_a_model_is_opened_once_and_has_several_items_in_flight(tmp_path: Path) -> None:
    job = Meeting(str(tmp_path), resources=Resources(in_flight=3, holds_model=True))
    assert sorted(o.rows for o in engine(tmp_path / "scratch").map(job, range(6))) == [0, 1, 4, 9, 16, 25]


@pytest.mark.parametrize("holds_model", [True, False])
def test_threads_share_a_model_and_nothing_else(tmp_path: Path, holds_model: bool) -> None:
    (tmp_path / "opens").mkdir()
    job = Square(str(tmp_path / "opens"), resources=Resources(holds_model=holds_model))
    opened = engine(tmp_path / "scratch", 2, "FnApiRunner", "--direct_running_mode=multi_threading")
    assert len(list(opened.map(job, range(20)))) == 20
    assert (len(list((tmp_path / "opens").iterdir())) == 1) == holds_model


def test_two_workers_are_two_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", environment()["PYTHONPATH"])
    (tmp_path / "opens").mkdir()
    processes = engine(tmp_path / "scratch", 2)
    assert len(list(processes.map(Square(str(tmp_path / "opens")), range(20)))) == 20
    opened = {path.name.split("-")[0] for path in (tmp_path / "opens").iterdir()}
    assert len(opened) == 2 and str(os.getpid()) not in opened
    with pytest.raises(RuntimeError, match="planted in reduce"):
        list(processes.map_reduce(Rows(), [3, 4], fail_to_reduce, 2))


def test_nothing_is_printed_of_packages_that_are_absent(tmp_path: Path) -> None:
    """Neither here nor by the two processes; what a job logs is printed."""
    script = (
        "from tests.helpers.engine_works import Square; from pipelines.engines import EngineSettings, open_engine\n"
        "if __name__ == '__main__':\n"
        f"    engine = open_engine(EngineSettings(kind='beam', workers=2), scratch={str(tmp_path)!r})\n"
        "    print(sum(outcome.rows for outcome in engine.map(Square(), range(4))))\n"
        "    import logging; logging.warning('planted')"
    )
    command = [sys.executable, "-c", script]
    program = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=120, check=True)
    assert (program.stdout, program.stderr) == ("14\n", "WARNING:root:planted\n")


def test_any_runner_can_be_named(tmp_path: Path) -> None:
    named = engine(tmp_path, 0, "apache_beam.runners.portability.fn_api_runner.FnApiRunner")
    assert len(list(named.map(Square(), range(3)))) == 3
    with pytest.raises(ValueError, match="NoSuchRunner"):
        list(engine(tmp_path, 0, "NoSuchRunner").map(Square(), range(3)))


def test_a_portable_job_service_runs_the_work(tmp_path: Path) -> None:
    """Jobs go to a job service by its protocol, here one in this process, and its workers are here, too."""
    options = ("--job_endpoint=embed", "--environment_type=LOOPBACK")
    portable = engine(tmp_path, 0, "PortableRunner", *options)
    assert sorted(o.rows for o in portable.map(Square(), range(4))) == [0, 1, 4, 9]
    assert sum(table.num_rows for table in portable.map_reduce(Rows(), [3, 4], sums, 2)) > 0


def test_an_interrupt_is_one(tmp_path: Path) -> None:
    fifo = Fifo(tmp_path)
    script = (
        "from tests.helpers.engine_works import Hang; from pipelines.engines import EngineSettings, open_engine\n"
        f"engine = open_engine(EngineSettings(kind='beam'), scratch={str(tmp_path / 'scratch')!r})\n"
        f"try: list(engine.map(Hang(fifo={fifo.path!r}), [1, 1]))\n"
        "except KeyboardInterrupt: print('interrupted')"
    )
    program = subprocess.Popen([sys.executable, "-c", script], env=environment(), stdout=subprocess.PIPE)
    assert fifo.read() == b"x"
    program.send_signal(signal.SIGINT)
    said, _ = program.communicate(timeout=60)
    assert said == b"interrupted\n" and program.returncode == 0
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
