"""What every engine does: the same answers, whoever runs the job."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pytest

from pipelines.engines import Engine, EngineSettings, open_engine
from tests.helpers.engine_works import PlantedError, Rows, Square, fail_to_reduce, random_rows, sums
from tests.helpers.extras import engine_or_skip

ENGINES = {
    "local-1": EngineSettings(workers=1),
    "local-2": EngineSettings(workers=2),
    "ray-2": EngineSettings(kind="ray", workers=2),
    "beam-1": EngineSettings(kind="beam"),
    # Threads, because processes take seconds to start; they have a test of their own.
    "beam-2": EngineSettings(kind="beam", workers=2, options=("--direct_running_mode=multi_threading",)),
}


@pytest.fixture(scope="module", params=ENGINES)
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    settings = ENGINES[request.param]
    engine_or_skip(settings.kind)
    if settings.kind == "ray":
        request.getfixturevalue("ray_address")
    opened = open_engine(settings, scratch=str(tmp_path_factory.mktemp("scratch")))
    yield opened
    opened.close()


def test_map_answers_every_item(engine: Engine) -> None:
    found = list(engine.map(Square(), range(25)))
    assert sorted((o.metrics["item"], o.rows) for o in found) == [(item, item * item) for item in range(25)]


def test_map_of_nothing(engine: Engine) -> None:
    assert list(engine.map(Square(), [])) == []


def test_map_raises_what_the_work_raised(engine: Engine) -> None:
    with pytest.raises((PlantedError, RuntimeError), match="planted at 3"):
        list(engine.map(Square(raises_on=3), range(6)))
    assert len(list(engine.map(Square(), range(3)))) == 3


@pytest.mark.parametrize("partitions", [1, 5])
def test_map_reduce_brings_the_rows_of_a_key_together(engine: Engine, partitions: int) -> None:
    items = [40, 0, 7, 100, 1, 0]
    tables = list(engine.map_reduce(Rows(), items, sums, partitions))
    assert len(tables) <= partitions
    found = pa.concat_tables(tables).sort_by("key")
    assert found.equals(sums(pa.concat_tables([random_rows(rows) for rows in items])).sort_by("key"))


@pytest.mark.parametrize("items", [[], [0, 0]])
def test_map_reduce_of_no_rows(engine: Engine, items: list[int]) -> None:
    assert list(engine.map_reduce(Rows(), items, sums, 4)) == []


def test_map_reduce_skips_empty_partitions(engine: Engine) -> None:
    assert sum(len(table) for table in engine.map_reduce(Rows(), [1], sums, 100)) == 1


def test_map_reduce_raises_what_emit_raised(engine: Engine) -> None:
    with pytest.raises((PlantedError, RuntimeError), match="planted at 3"):
        list(engine.map_reduce(Rows(raises_on=3), [1, 2, 3], sums, 4))


def test_map_reduce_raises_what_reduce_raised(engine: Engine) -> None:
    with pytest.raises((PlantedError, RuntimeError), match="planted in reduce"):
        list(engine.map_reduce(Rows(), [1, 2, 3], fail_to_reduce, 4))
