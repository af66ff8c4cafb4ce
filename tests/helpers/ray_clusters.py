"""A Ray cluster of several nodes on this machine, which come and go as tests want it."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.engine_works import environment

STORE_BYTES = 80 * 1024 * 1024  # of each node's object store: about the least that Ray takes
# A node that doesn't answer is given up after some seconds: with Ray's own settings it takes a minute.
QUICK = {
    "health_check_initial_delay_ms": 1_000,
    "health_check_period_ms": 1_000,
    "health_check_timeout_ms": 1_000,
    "health_check_failure_threshold": 3,
}


class Nodes:
    """The nodes of a cluster whose head has no processors: what runs anything is added by a test."""

    def __init__(self, **head: Any) -> None:
        from ray.cluster_utils import Cluster

        options = {"num_cpus": 0, "object_store_memory": STORE_BYTES, "include_dashboard": False, **head}
        self._cluster = Cluster(initialize_head=True, head_node_args={"_system_config": QUICK, **options})

    @property
    def address(self) -> str:
        return self._cluster.address

    @property
    def dashboard(self) -> str:
        return f"http://{self._cluster.webui_url}"

    def add(self, cpus: int, gpus: int = 0) -> Any:
        """A node more."""
        return self._cluster.add_node(num_cpus=cpus, num_gpus=gpus, object_store_memory=STORE_BYTES)

    def kill(self, node: Any) -> None:
        """A node less, from one moment to the next."""
        self._cluster.remove_node(node, allow_graceful=False)

    def shutdown(self) -> None:
        self._cluster.shutdown()


@contextmanager
def cluster_nodes(**head: Any) -> Iterator[Nodes]:
    """A cluster for a block of code; its processes import this project and the tests."""
    import ray

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", environment()["PYTHONPATH"])
        nodes = Nodes(**head)
        try:
            yield nodes
        finally:
            ray.shutdown()
            nodes.shutdown()


def raylet(node: Any) -> int:
    """The process that manages a node."""
    (process,) = [info.process.pid for info in node.all_processes["raylet"]]
    return int(process)


def workers(node: Any, title: str) -> list[int]:
    """The processes of a node whose title begins so: Ray writes what they run into it."""
    found = []
    for children in Path(f"/proc/{raylet(node)}/task").glob("*/children"):
        for child in children.read_text().split():
            with_title = Path(f"/proc/{child}/cmdline")
            if with_title.exists() and with_title.read_bytes().decode(errors="replace").startswith(title):
                found.append(int(child))
    return found


def stop(process: int) -> None:
    """A process that is frozen, but not dead."""
    os.kill(process, signal.SIGSTOP)
