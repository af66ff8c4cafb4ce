"""A process of a cluster runs what the driver sends it in the driver's own package, or says what it has instead."""

from __future__ import annotations

import pickle

import pytest

import rzen_corpus
from corpus.stage import Resources
from pipelines.engines import entry
from tests.helpers.engine_works import Rows, Square
from tests.helpers.extras import engine_or_skip

engine_or_skip("ray")
from pipelines.engines import ray as ray_engine  # noqa: E402


@pytest.fixture(autouse=True)
def _a_new_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_engine, "loaded_origin", None)


def test_a_worker_opens_a_work_and_keeps_it() -> None:
    worker = entry.WorkerActor()
    assert worker.open(rzen_corpus.origin(), ray_engine.to_pickle(Square())) == {}
    outcomes = {}
    for position in range(3):
        outcomes |= worker.start(position, pickle.dumps(position))
    while len(outcomes) < 3:
        outcomes |= worker.finish()
    assert {position: outcome.rows for position, outcome in outcomes.items()} == {0: 0, 1: 1, 2: 4}
    assert ray_engine.loaded_origin == rzen_corpus.origin()


def test_a_function_is_called_with_its_pickled_arguments() -> None:
    resources = Resources(cpus=2, gpus=0.5)
    options = entry.call(rzen_corpus.origin(), "resource_options", pickle.dumps((resources,)))
    assert options == {"num_cpus": 2, "num_gpus": 0.5}
    size, table = entry.call(rzen_corpus.origin(), "emit", pickle.dumps(("key", 5)), ray_engine.to_pickle(Rows()))
    assert size > 0 and table.num_rows == 5


def test_other_code_is_refused() -> None:
    folder, version, _ = rzen_corpus.origin()
    with pytest.raises(ImportError, match="install the same version on all machines"):
        entry.call((folder, version, "0" * 64), "resource_options", pickle.dumps((Resources(),)))
    assert ray_engine.loaded_origin is None
