"""The Ray cluster that the tests of a module share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.helpers.engine_works import environment
from tests.helpers.extras import engine_or_skip


@pytest.fixture(scope="module")
def ray_address() -> Iterator[str]:
    """A Ray cluster of two cores, and of two GPUs that are not there."""
    engine_or_skip("ray")
    import ray

    from pipelines.engines.ray_cluster import start_local

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", environment()["PYTHONPATH"])
        context = start_local(num_cpus=2, num_gpus=2, log_to_driver=False, object_store_memory=80 * 1024 * 1024)
    yield context.address_info["address"]
    ray.shutdown()
