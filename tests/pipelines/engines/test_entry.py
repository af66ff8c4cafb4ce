"""A process of a cluster runs what the driver sends it in the driver's own package, or says what it has instead."""

from __future__ import annotations

import pickle

import pytest

import rzen_corpus
from pipelines.engines import entry
from pipelines.engines.ray_tasks import RemoteCall
from tests.helpers.engine_works import Rows, Square
from tests.helpers.extras import engine_or_skip

engine_or_skip("ray")
from pipelines.engines import ray_tasks  # noqa: E402
from pipelines.engines.ray_cluster import to_pickle  # noqa: E402


@pytest.fixture(autouse=True)
def _a_new_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_tasks, "loaded_origin", None)


def test_a_worker_opens_a_job_and_keeps_it() -> None:
    worker = entry.WorkerActor()
    worker.open(rzen_corpus.origin(), pickle.dumps(None), to_pickle(Square()))
    assert [worker.run(str(item), pickle.dumps(item)).rows for item in range(3)] == [0, 1, 4]
    assert ray_tasks.loaded_origin == rzen_corpus.origin()


def test_a_function_is_called_with_its_pickled_arguments() -> None:
    call = RemoteCall(ray_tasks.emit, "5", (1, 5), None)
    size, table = entry.call(rzen_corpus.origin(), pickle.dumps(call), to_pickle(Rows()))
    assert size > 0 and table.num_rows == 5


def test_other_code_is_refused() -> None:
    folder, version, _ = rzen_corpus.origin()
    with pytest.raises(ImportError, match="install the same version on all machines"):
        entry.check((folder, version, "0" * 64))
    assert ray_tasks.loaded_origin is None
    entry.check(rzen_corpus.origin())
    assert ray_tasks.loaded_origin == rzen_corpus.origin()
