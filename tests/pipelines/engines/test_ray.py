"""What is particular to the ray engine: actors, GPUs, dead workers, clusters that exist already."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from corpus.stage import Resources
from pipelines.engines import EngineSettings
from tests.helpers.engine_works import Deadly, DiesOnOpening, Fifo, Hang, Meeting, Pair, Rows, Square, environment, sums
from tests.helpers.extras import engine_or_skip

engine_or_skip("ray")
from pipelines.engines.ray import RayEngine  # noqa: E402

TASK = Resources()
MODEL = Resources(holds_model=True, in_flight=2)


@pytest.fixture
def engine(ray_address: str) -> RayEngine:
    return RayEngine(EngineSettings(kind="ray", workers=2))


@pytest.mark.parametrize("resources", [TASK, MODEL])
def test_a_work_is_opened_once_in_each_process(engine: RayEngine, tmp_path: Path, resources: Resources) -> None:
    found = list(engine.map(Square(str(tmp_path), resources), range(20)))
    assert sorted(o.rows for o in found) == [item * item for item in range(20)]
    open_session = [path.name.split("-")[0] for path in tmp_path.iterdir()]
    assert 1 <= len(open_session) == len(set(open_session)) <= 3


@pytest.mark.parametrize("resources", [TASK, MODEL])
def test_no_task_is_a_new_function_to_the_cluster(
    engine: RayEngine, monkeypatch: pytest.MonkeyPatch, resources: Resources
) -> None:
    """Every process would have to fetch it, and none that was leased for another could run it."""
    made: list[object] = []
    monkeypatch.setattr("ray.remote", made.append)
    assert sorted(o.rows for o in engine.map(Square(resources=resources), range(3))) == [0, 1, 4]
    assert sum(sum(table["value_count"].to_pylist()) for table in engine.map_reduce(Rows(), [7, 9], sums, 2)) == 16
    assert made == []


def test_an_actor_has_several_items_in_flight(engine: RayEngine) -> None:
    job = Meeting(resources=Resources(cpus=2, in_flight=3, holds_model=True))
    assert sorted(o.rows for o in engine.map(job, range(6))) == [0, 1, 4, 9, 16, 25]


def test_each_actor_has_a_gpu_of_its_own(ray_address: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    engine = RayEngine(EngineSettings(kind="ray"))  # as many workers as the cluster has room for
    job = Pair(fifo=str(tmp_path / "fifo"), resources=Resources(cpus=0.5, gpus=1, holds_model=True))
    assert {o.metrics["gpus"] for o in engine.map(job, range(2))} == {"0", "1"}


@pytest.mark.parametrize("resources", [TASK, MODEL])
def test_a_worker_that_dies_once_changes_nothing(engine: RayEngine, tmp_path: Path, resources: Resources) -> None:
    job = Deadly(resources=resources, deadly=(3,), marker=str(tmp_path / "died"))
    assert sorted(o.rows for o in engine.map(job, range(6))) == [0, 1, 4, 9, 16, 25]
    assert (tmp_path / "died").exists()


@pytest.mark.parametrize("resources", [TASK, MODEL])
def test_an_item_that_kills_its_worker_is_lost_alone(engine: RayEngine, resources: Resources) -> None:
    found = list(engine.map(Deadly(resources=resources, deadly=(2,)), range(6)))
    assert {o.shard: o.error for o in found if o.error} == {"2": "its worker died 3 times"}
    assert sorted(int(o.shard) for o in found) == list(range(6))


def test_a_work_that_kills_every_actor_at_opening_is_an_error(engine: RayEngine) -> None:
    with pytest.raises(RuntimeError, match="before any item was assigned"):
        list(engine.map(DiesOnOpening(resources=MODEL), range(3)))


def test_a_dead_worker_changes_nothing_in_a_shuffle(engine: RayEngine, tmp_path: Path) -> None:
    job = Rows(dies_on=7, marker=str(tmp_path / "died"))
    [found] = engine.map_reduce(job, [7, 9], sums, 1)
    assert sum(found["value_count"].to_pylist()) == 16
    with pytest.raises(RuntimeError, match="item 7: its worker died 3 times"):
        list(engine.map_reduce(Rows(dies_on=7), [7, 9], sums, 1))


def test_a_shuffle_larger_than_the_object_store(engine: RayEngine) -> None:
    items = [1_000_000, 1_000_001, 1_000_002, 1_000_003]
    tables = list(engine.map_reduce(Rows(), items, sums, 3))
    assert sum(sum(table["value_count"].to_pylist()) for table in tables) == sum(items)


def test_closing_the_iterator_stops_the_actors(engine: RayEngine, tmp_path: Path) -> None:
    fifo = Fifo(tmp_path)
    outcomes = engine.map(Hang(fifo=fifo.path, resources=MODEL), range(2))
    assert next(outcomes).shard == "0"
    assert fifo.read() == b"x"
    outcomes.close()  # type: ignore[attr-defined]
    assert fifo.read() == b""


@pytest.mark.parametrize("existing", [True, False])
def test_a_cluster_is_joined_or_started(ray_address: str, existing: bool) -> None:
    address = ray_address if existing else None
    script = (
        "from tests.helpers.engine_works import Square\n"
        "from pipelines.engines import EngineSettings, open_engine; import ray\n"
        f"engine = open_engine(EngineSettings(kind='ray', address={address!r}))\n"
        "print(sum(o.rows for o in engine.map(Square(), range(4))), int(ray.cluster_resources().get('GPU', 0)))\n"
        "engine.close(); print(ray.is_initialized())"
    )
    done = subprocess.run([sys.executable, "-c", script], env=environment(), capture_output=True, text=True, check=True)
    assert done.stdout.split()[0] == "14"
    assert (done.stdout.split()[1] == "2") == existing
    assert done.stdout.split()[2] == "False"
