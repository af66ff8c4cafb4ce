"""What is particular to the beam engine: its runner, its options, its scratch folder."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import fsspec
import pytest

from corpus.stage import Resources
from pipelines.engines import EngineSettings
from tests.helpers.engine_works import Fifo, Meeting, PlantedError, Rows, Square, environment, fail_to_reduce, sums
from tests.helpers.extras import engine_or_skip

engine_or_skip("beam")
from pipelines.engines.beam import BeamEngine  # noqa: E402


def engine(scratch: str | Path, workers: int = 0, runner: str = "FnApiRunner", *options: str) -> BeamEngine:
    return BeamEngine(EngineSettings(kind="beam", workers=workers, runner=runner, options=options), str(scratch))


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


def test_any_runner_can_be_named(tmp_path: Path) -> None:
    named = engine(tmp_path, 0, "apache_beam.runners.portability.fn_api_runner.FnApiRunner")
    assert len(list(named.map(Square(), range(3)))) == 3
    with pytest.raises(ValueError, match="NoSuchRunner"):
        list(engine(tmp_path, 0, "NoSuchRunner").map(Square(), range(3)))


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
