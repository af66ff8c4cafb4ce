"""What is particular to the local engine: its processes, how they die and how they end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from corpus.stage import Resources
from pipelines.engines import EngineSettings
from pipelines.engines.local import LocalEngine
from pipelines.engines.queues import Finished, Results
from pipelines.engines.workers import MAX_HELD
from tests.helpers.engine_works import (
    Deadly,
    DiesOnOpening,
    Fifo,
    ForksAndDies,
    Freezes,
    Hang,
    LeavesAFile,
    Meeting,
    PlantedError,
    Rows,
    Square,
    Unopenable,
    Unpicklable,
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


def finished(engine: LocalEngine, results: Results, count: int) -> list[Finished]:
    """The next so many items that end."""
    found = [engine.wait(results, 60) for _ in range(count)]
    assert None not in found, "an item did not end within a minute"
    return [each for each in found if each is not None]


def test_queues_share_workers_that_keep_what_they_opened_last(engine: LocalEngine, tmp_path: Path) -> None:
    (tmp_path / "opens").mkdir()
    (tmp_path / "closes").mkdir()
    results = Results()
    jobs = [LeavesAFile(name=str(at), closes=str(tmp_path / "closes")) for at in range(MAX_HELD + 2)]
    queues = [engine.open_queue(job, results) for job in jobs]
    for _ in range(2):
        for item, queue in enumerate(queues):
            queue.submit(item)
            [each] = finished(engine, results, 1)
            assert each.queue is queue and each.result.rows == item * item
    evicted = {path.name.split("-")[0] for path in (tmp_path / "closes").iterdir()}
    assert {"0", "1"} <= evicted
    engine.close()


def test_a_queue_that_is_done_is_closed_where_it_was_open(engine: LocalEngine, tmp_path: Path) -> None:
    model = LeavesAFile(name="model", closes=str(tmp_path), resources=Resources(holds_model=True))
    for job in (LeavesAFile(name="plain", closes=str(tmp_path)), model):
        assert sorted(found.rows for found in engine.map(job, range(4))) == [0, 1, 4, 9]
    list(engine.map(Square(), range(8)))
    fifo = Fifo(tmp_path)  # whoever is left would have it open
    os.close(os.open(fifo.path, os.O_WRONLY))
    assert fifo.read() == b""
    engine.close()
    assert {path.name.split("-")[0] for path in tmp_path.iterdir()} == {"plain", "model", "fifo"}


def test_a_frozen_worker_is_stopped_and_its_item_runs_elsewhere(tmp_path: Path) -> None:
    lines: list[str] = []
    engine = LocalEngine(EngineSettings(workers=2, stall_timeout_s=1), lines.append)
    job = Freezes(frozen=(3,), marker=str(tmp_path / "frozen"))
    assert sorted(found.rows for found in engine.map(job, range(6))) == [0, 1, 4, 9, 16, 25]
    pid = (tmp_path / "frozen").read_text()
    assert [line for line in lines if f"process {pid} showed no sign of life" in line and "3 runs elsewhere" in line]
    engine.close()
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid), 0)


def test_the_end_of_a_worker_is_seen_though_another_process_has_its_pipes(engine: LocalEngine, tmp_path: Path) -> None:
    marker = str(tmp_path / "fifo")
    os.mkfifo(marker)
    found = list(engine.map(ForksAndDies(marker=marker), range(4)))
    os.close(os.open(marker, os.O_WRONLY))  # the forked process is there still, and ends by this
    assert sorted(each.rows for each in found) == [0, 1, 4, 9]


def test_a_program_ends_though_nobody_closed_its_engine(tmp_path: Path) -> None:
    script = (
        "from tests.helpers.engine_works import Square\n"
        "from pipelines.engines import EngineSettings; from pipelines.engines.local import LocalEngine\n"
        "from pipelines.engines.queues import Results\n"
        "engine, results = LocalEngine(EngineSettings(workers=2)), Results()\n"
        "print(sum(o.rows for o in engine.map(Square(), range(4))))\n"
        "engine.open_queue(Square(), results).submit(3); print(engine.wait(results).result.rows)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment(), capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.returncode, done.stdout.split(), done.stderr) == (0, ["14", "9"], "")


def test_slow_work_is_a_sign_of_life(tmp_path: Path) -> None:
    lines: list[str] = []
    engine = LocalEngine(EngineSettings(workers=2, stall_timeout_s=1), lines.append)
    fifo = Fifo(tmp_path)
    results = Results()
    queue = engine.open_queue(Hang(fifo=fifo.path), results)
    queue.submit(1)
    assert fifo.read() == b"x"
    assert engine.wait(results, 3) is None  # three times the timeout
    assert queue.running == 1 and lines == []
    engine.close()
    assert fifo.read() == b""


def test_what_waits_on_a_network_runs_beside_all_others(engine: LocalEngine, tmp_path: Path) -> None:
    fifo = Fifo(tmp_path)
    downloads = Hang(fifo=fifo.path, resources=Resources(waits_on_network=True))
    queue = engine.open_queue(downloads, Results(), priority=2_000_000)
    for _ in range(2):
        queue.submit(1)
    assert fifo.read() + fifo.read() == b"xx"
    assert len(list(engine.map(Square(), range(8)))) == 8
    assert queue.running == 2
    queue.cancel()
    assert fifo.read() == b""


def test_several_threads_map_at_once(engine: LocalEngine) -> None:
    found: dict[int, list[int]] = {}

    def run(number: int) -> None:
        items = range(number, number + 6)
        found[number] = sorted(outcome.rows for outcome in engine.map(Square(), items))
        tables = list(engine.map_reduce(Rows(), [10, 20], sums, 2))
        found[number].append(sum(sum(table["value_count"].to_pylist()) for table in tables))

    threads = [threading.Thread(target=run, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert found == {n: [*(item * item for item in range(n, n + 6)), 30] for n in range(3)}


@pytest.mark.parametrize("workers", [1, 2])
def test_a_job_that_can_not_be_opened_ends_its_items_and_no_others(workers: int) -> None:
    engine = LocalEngine(EngineSettings(workers=workers))
    results = Results()
    broken, other = engine.open_queue(Unopenable(), results, 1), engine.open_queue(Square(), results)
    for queue in (broken, other):
        queue.submit(2)
        queue.submit(3)
    ended = finished(engine, results, 4)
    assert sorted((each.item, each.result.rows) for each in ended if each.queue is other) == [(2, 4), (3, 9)]
    assert [str(each.error) for each in ended if each.queue is broken] == ["no weights"] * 2
    broken.submit(4)
    assert isinstance(finished(engine, results, 1)[0].error, PlantedError)
    engine.close()


def test_what_pickle_can_not_take_is_an_error_of_the_item(engine: LocalEngine) -> None:
    results = Results()
    queue = engine.open_queue(Unpicklable(), results)
    for item in (0, 1, threading.Lock()):
        queue.submit(item)
    errors = [str(each.error) for each in finished(engine, results, 3)]
    assert sum("pickle" in error for error in errors) == 2
    assert [error for error in errors if error.startswith("UnpicklableError: <unlocked")]
    lambdas = engine.open_queue(Unpickled(), results)
    lambdas.submit(1)
    assert "pickle" in str(finished(engine, results, 1)[0].error).lower()
    assert len(list(engine.map(Square(), range(3)))) == 3


class Unpickled(Square):
    """A job that pickle can't take."""

    def __reduce__(self) -> str:
        raise TypeError("cannot pickle it")
