"""Nodes that die, processes that freeze, actors that are killed: every item has its result, and it is the same."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import Queue
from typing import Any

import pyarrow as pa
import pytest

from corpus.stage import Resources
from pipelines.engines import EngineSettings
from tests.helpers.engine_works import Gate, Gated, Rows, random_rows, sums
from tests.helpers.extras import engine_or_skip
from tests.helpers.ray_clusters import Nodes, cluster_nodes, raylet, stop, workers

engine_or_skip("ray")
from pipelines.engines.ray import RayEngine  # noqa: E402

TASK = Resources()
MODEL = Resources(holds_model=True)
KINDS = {"task": TASK, "model": MODEL}
TITLES = {"task": "ray::run_item", "model": "ray::WorkerActor"}


@pytest.fixture(scope="module")
def nodes() -> Iterator[Nodes]:
    with cluster_nodes() as nodes:
        yield nodes


@dataclass
class Running:
    """A job on a cluster of two nodes with a processor each, whose items wait at a gate."""

    nodes: Nodes
    pair: list[Any]
    gate: Gate
    lines: Queue[str]
    start: Callable[..., Future[list[Any]]]

    def line(self, beginning: str) -> str:
        """The next line for people that begins so."""
        while not (line := self.lines.get(timeout=60)).startswith(beginning):
            pass
        return line


@pytest.fixture
def running(nodes: Nodes, tmp_path: Path) -> Iterator[Running]:
    pair = [nodes.add(cpus=1), nodes.add(cpus=1)]
    lines: Queue[str] = Queue()
    engine = RayEngine(EngineSettings(kind="ray", address=nodes.address, stall_timeout_s=5), lines.put)
    with ThreadPoolExecutor(1) as thread:
        start = lambda method, *arguments: thread.submit(lambda: list(getattr(engine, method)(*arguments)))  # noqa: E731
        yield Running(nodes, pair, Gate(tmp_path), lines, start)
        engine.close()
    for node in pair:
        nodes.kill(node)


def assert_squares(found: Sequence[Any], items: int) -> None:
    assert sorted((o.shard, o.rows, o.error) for o in found) == sorted((str(n), n * n, "") for n in range(items))


@pytest.mark.parametrize("kind", KINDS)
def test_a_node_is_killed(running: Running, kind: str) -> None:
    future = running.start("map", Gated(resources=KINDS[kind], gate=running.gate.path), range(6))
    running.gate.wait(2)
    running.nodes.kill(running.pair.pop())
    running.gate.open()
    assert_squares(future.result(timeout=60), 6)
    assert "has left the cluster: what ran there runs elsewhere" in running.line("machine ")


def test_a_node_is_killed_in_a_shuffle(running: Running) -> None:
    """Rows that lay on it are emitted again."""
    items = [*range(200_000, 200_006), 7]
    job = Rows(gate=running.gate.path, waits=(7,))
    future = running.start("map_reduce", job, items, sums, 3)
    running.gate.wait(1)
    running.nodes.kill(running.pair.pop())
    running.gate.open()
    found = pa.concat_tables(future.result(timeout=60)).sort_by("key")
    assert found.equals(sums(pa.concat_tables([random_rows(rows) for rows in items])).sort_by("key"))


@pytest.mark.parametrize("kind", KINDS)
def test_a_frozen_process_is_ended(running: Running, kind: str) -> None:
    future = running.start("map", Gated(resources=KINDS[kind], gate=running.gate.path), range(6))
    running.gate.wait(2)
    (frozen,) = workers(running.pair[0], TITLES[kind])
    stop(frozen)
    running.gate.open()
    assert_squares(future.result(timeout=60), 6)
    assert "showed no sign of life for" in running.line(f"process {frozen} on ")


def test_an_actor_is_killed(running: Running) -> None:
    future = running.start("map", Gated(resources=MODEL, gate=running.gate.path), range(6))
    running.gate.wait(2)
    os.kill(*workers(running.pair[0], TITLES["model"]), signal.SIGKILL)
    running.gate.open()
    assert_squares(future.result(timeout=60), 6)


@pytest.mark.parametrize("kind", KINDS)
def test_a_nodes_raylet_is_frozen(running: Running, kind: str) -> None:
    """Ray gives the node up; what its processes still finish does no harm. A task that is being placed there waits for
    Ray's next ping of the node, which it sends once in 70 seconds.
    """
    future = running.start("map", Gated(resources=KINDS[kind], gate=running.gate.path), range(6))
    running.gate.wait(2)
    stop(raylet(running.pair[0]))
    assert "has left the cluster: what ran there runs elsewhere" in running.line("machine ")
    running.gate.open()
    assert_squares(future.result(timeout=150), 6)
