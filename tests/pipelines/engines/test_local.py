"""What is particular to the local engine: its processes, how they die and how they end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from corpus.stage import Resources
from pipelines.engines import EngineSettings
from pipelines.engines.local import LocalEngine
from tests.helpers.engine_works import (
    Deadly,
    DiesOnOpening,
    Fifo,
    Hang,
    Meeting,
    Rows,
    Square,
    environment,
    random_rows,
    sums,
)


@pytest.fixture
def engine() -> Iterator[LocalEngine]:
    engine = LocalEngine(EngineSettings(workers=2))
    yield engine
    engine.close()


def test_one_worker_is_this_process(tmp_path: Path) -> None:
    engine = LocalEngine(EngineSettings(workers=1))
    assert [found.rows for found in engine.map(Square(str(tmp_path)), range(4))] == [0, 1, 4, 9]
    assert [path.name.split("-")[0] for path in tmp_path.iterdir()] == [str(os.getpid())]


@pytest.mark.parametrize("workers", [1, 2])
def test_a_worker_has_several_items_in_flight(workers: int) -> None:
    engine = LocalEngine(EngineSettings(workers=workers))
    job = Meeting(resources=Resources(cpus=2, in_flight=3))  # two cpus of two: one place
    assert sorted(found.rows for found in engine.map(job, range(6))) == [0, 1, 4, 9, 16, 25]
    engine.close()


def test_workers_are_kept_and_open_a_work_once(engine: LocalEngine, tmp_path: Path) -> None:
    for _ in range(2):
        assert len(list(engine.map(Square(str(tmp_path)), range(20)))) == 20
    opened = [path.name.split("-")[0] for path in tmp_path.iterdir()]
    assert len(opened) <= 4 and len(set(opened)) <= 2 and str(os.getpid()) not in opened


def test_an_item_that_kills_its_worker_is_lost_alone(engine: LocalEngine, tmp_path: Path) -> None:
    found = list(engine.map(Deadly(str(tmp_path), deadly=(5,)), range(12)))
    assert {o.shard: o.error for o in found if o.error} == {"5": "its worker died 3 times"}
    assert sorted(int(o.shard) for o in found) == list(range(12))
    assert len(list(tmp_path.iterdir())) <= 2 + 3  # one more for each death


def test_neighbours_in_a_worker_that_dies_are_not_lost(engine: LocalEngine, tmp_path: Path) -> None:
    job = Deadly(str(tmp_path), resources=Resources(in_flight=4), deadly=(2, 3))
    found = list(engine.map(job, range(10)))
    assert sorted(o.shard for o in found if o.error) == ["2", "3"]
    assert sorted(int(o.shard) for o in found) == list(range(10))


def test_a_worker_that_dies_once_changes_nothing(engine: LocalEngine, tmp_path: Path) -> None:
    found = list(engine.map(Deadly(deadly=(3,), marker=str(tmp_path / "died")), range(6)))
    assert sorted(o.rows for o in found) == [0, 1, 4, 9, 16, 25]


def test_closing_the_iterator_stops_what_is_in_flight(engine: LocalEngine, tmp_path: Path) -> None:
    fifo = Fifo(tmp_path)
    outcomes = engine.map(Hang(fifo=fifo.path), range(2))
    assert next(outcomes).shard == "0"
    assert fifo.read() == b"x"
    outcomes.close()  # type: ignore[attr-defined]
    assert fifo.read() == b""
    assert len(list(engine.map(Square(), range(3)))) == 3


def test_close_stops_a_run_that_is_left_unfinished(engine: LocalEngine, tmp_path: Path) -> None:
    fifo = Fifo(tmp_path)
    outcomes = engine.map(Hang(fifo=fifo.path), range(2))
    next(outcomes)
    assert fifo.read() == b"x"
    engine.close()
    assert fifo.read() == b""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_workers_end_with_their_parent(tmp_path: Path, number: signal.Signals) -> None:
    fifo = Fifo(tmp_path)
    script = (
        "from tests.helpers.engine_works import Hang\n"
        "from pipelines.engines import *; from pipelines.engines.local import *\n"
        f"list(LocalEngine(EngineSettings(workers=2)).map(Hang(fifo={fifo.path!r}), [1, 1]))"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", script],
        env=environment(),
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    assert fifo.read() + fifo.read() == b"xx"
    if number == signal.SIGINT:
        os.killpg(parent.pid, number)  # as a terminal does: the workers are sent it too
    else:
        parent.send_signal(number)
    _, errors = parent.communicate(timeout=60)
    assert parent.returncode == -number
    assert errors.count(b"Traceback") == (number == signal.SIGINT)
    assert fifo.read() == b""


def test_a_work_that_kills_every_worker_at_opening_is_an_error(engine: LocalEngine) -> None:
    with pytest.raises(RuntimeError, match="before any item was assigned"):
        list(engine.map(DiesOnOpening(), range(3)))


def test_a_shuffle_leaves_no_files(engine: LocalEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    found = engine.map_reduce(Rows(), [10, 20, 0], sums, 3)
    first = next(found)
    assert list(tmp_path.iterdir())
    total = first.num_rows + sum(table.num_rows for table in found)
    assert total == len(set(random_rows(10)["key"].to_pylist()) | set(random_rows(20)["key"].to_pylist()))
    assert not list(tmp_path.iterdir())
