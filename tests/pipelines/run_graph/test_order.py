"""What is nearest to the end goes first, and before that what a starving model waits for."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest

from corpus.settings import Settings
from corpus.stage import ROWS, Resources
from corpus.workspace import Workspace
from pipelines.engines.queues import JobQueue, Results
from pipelines.run_graph.dependencies import Dependencies
from pipelines.run_graph.jobs import GraphJobs
from pipelines.run_graph.order import BOOST, TaskOrder
from tests.helpers.fake_queues import FakeQueue
from tests.helpers.toy_plans import Fetch, Measure, Toy, Toys, ToySettings


class Caption(Toy):
    name = "caption"
    reads = ("measure",)
    resources = Resources(gpus=1)


class Count(Toy):
    name = "count"
    reads = (ROWS,)


FETCH, MEASURE, COUNT, CAPTION = range(4)  # of one source, step, node and job have the same number


@pytest.fixture
def order(tmp_path: Path) -> TaskOrder:
    toys = Toys(Workspace(tmp_path), {"a": 2})
    steps = toys.steps(Fetch(Settings()), Measure(ToySettings()), Count(Settings()), Caption(Settings()))
    graph = Dependencies(steps, {"a": toys.index("a")})
    return TaskOrder(graph, GraphJobs(graph))


def queues(**waiting: int) -> dict[int, FakeQueue]:
    numbers = {"fetch": FETCH, "measure": MEASURE, "count": COUNT, "caption": CAPTION}
    found = {numbers[name]: FakeQueue(None, Results(), 0) for name in waiting}
    for name, items in waiting.items():
        found[numbers[name]].items.extend(range(items))
    return found


def updated(order: TaskOrder, found: dict[int, FakeQueue], *open_tables: int) -> dict[int, int]:
    order.update(cast("dict[int, JobQueue]", found), open_tables)
    return {node: queue.priority for node, queue in found.items()}


def test_a_model_goes_first_and_while_it_starves_what_it_waits_for(order: TaskOrder) -> None:
    found = queues(fetch=2, measure=0, count=1)
    assert order.is_scarce(CAPTION) and not order.is_scarce(COUNT)
    assert updated(order, found, 2, 2, 1, 2) == {FETCH: BOOST, MEASURE: BOOST + MEASURE, COUNT: COUNT}
    assert order.starving == [CAPTION]
    found |= queues(caption=1)
    assert updated(order, found, 2, 2, 1, 2) == {n: n for n in range(3)} | {CAPTION: BOOST + CAPTION}
    assert order.starving == []


def test_a_model_starves_only_while_it_has_room_and_something_is_to_come(order: TaskOrder) -> None:
    cases: list[tuple[dict[str, Any], int, list[int]]] = [
        ({"has_room": True}, 2, [CAPTION]),
        ({"has_room": False}, 2, []),
        ({"has_room": True, "running": 2}, 2, []),  # all that it will get
        ({"has_room": True, "running": 1}, 2, [CAPTION]),
        ({"has_room": True}, 0, []),
    ]
    found = {}
    for number, (fields, open_tables, _) in enumerate(cases):
        queue = queues(caption=0)
        for name, value in fields.items():
            setattr(queue[CAPTION], name, value)
        updated(order, queue, 2, 2, 2, open_tables)
        found[number] = order.starving
    assert found == {number: starving for number, (_, _, starving) in enumerate(cases)}
