"""What exists, what may run, and what can't be made, as tables are planned, written, and fail."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from corpus.settings import Settings
from corpus.table_digest import table_digest
from corpus.workspace import Workspace
from pipelines.plan import Selection
from pipelines.planner import Planner
from pipelines.run_graph.states import TableStates, TableStatus
from tests.helpers.toy_plans import KEPT, Fetch, Measure, Search, Toys, ToySettings, default_stages, toy_table


@pytest.fixture
def toys(tmp_path: Path) -> Toys:
    return Toys(Workspace(tmp_path), {"a": 2})


def started(toys: Toys, *stages: Any, **selection: Any) -> tuple[Planner, TableStates]:
    planner = toys.planner_of(toys.plan(*stages, **selection))
    states = TableStates(planner, Selection(**selection))
    states.start()
    return planner, states


def make(toys: Toys, planner: Planner, states: TableStates, table: int) -> None:
    task = planner.table(table).task
    content = table_digest(toy_table(KEPT)) if task.content_named else ""
    toys.write(planner.written(table, content), KEPT, task.fingerprint_parts)
    states.settle(table)
    for planned in planner.update():
        states.consider(planned)


def letters(states: TableStates) -> str:
    return "".join(states.status(table).name[0] for table in range(states.dependencies.tables))


def test_tables_become_ready_one_by_one_and_a_shuffle_at_once(toys: Toys) -> None:
    planner, states = started(toys)
    assert letters(states) == "RROOOOOO"
    make(toys, planner, states, 1)
    assert letters(states) == "RSORO" + "OOO"
    for table in (3, 0, 2):
        make(toys, planner, states, table)
    assert states.ready_groups == {0: [4, 5]}
    assert list(states.ended_steps) == [0, 1] == list(states.settled_nodes)
    make(toys, planner, states, 5)
    assert letters(states) == "SSSSRSOR", "what follows a shuffle waits for its own shard alone"
    for table in (4, 6, 7):
        make(toys, planner, states, table)
    assert letters(states) == "S" * 8
    _, again = started(toys)
    assert letters(again) == "S" * 8 and again.todo_in_step == [0] * 4
    assert list(again.ended_steps) == [0, 1, 2, 3]


def test_what_fails_blocks_what_depends_on_it(toys: Toys) -> None:
    planner, states = started(toys)
    make(toys, planner, states, 0)
    states.fail(1)
    assert letters(states) == "SFRBBBBB"
    assert states.todo_in_step == [2, 1, 2, 2] and states.open_in_step == [0, 1, 0, 0]
    assert [states.is_blocked(node) for node in range(4)] == [False, True, True, True]
    assert states.missing_inputs(0) == 2
    make(toys, planner, states, 2)
    assert states.missing_inputs(0) == 1


def test_what_may_exist_is_not_blocked_before_that_is_known(toys: Toys) -> None:
    """`pair` is made of rows and `compare`; where that says the same as before, it is done."""
    planner, states = started(toys)
    for table in range(8):
        make(toys, planner, states, table)
    toys.shards = {"a": 2, "b": 1}
    planner, states = started(toys)
    assert letters(states) == "SSRSSO" + "OOO" + "OOO"
    states.fail(2)  # the source that is new
    assert letters(states) == "SSFSSB" + "BBB" + "BBB"


def test_what_is_not_requested_is_not_made(toys: Toys) -> None:
    planner, states = started(toys, stage="measure", shards=frozenset({1}))
    assert letters(states) == "BRBOBBBB" and not states.is_complete
    make(toys, planner, states, 1)
    assert list(states.ready) == [1, 3]
    make(toys, planner, states, 3)
    states.block_rest()
    assert states.todo_in_step == [1, 1, 0, 0], "of those that are requested"


def test_a_pool_lacks_what_failed(toys: Toys) -> None:
    planner, states = started(toys, Fetch(Settings()), Measure(ToySettings()), Search(Settings()))
    for table in (0, 1, 2):
        make(toys, planner, states, table)
    states.fail(3)
    assert states.missing_of_pools(2) == {"measure": 1}
    assert states.status(4) == TableStatus.BLOCKED


def test_what_follows_in_the_same_wave_is_planned_and_waits_for_no_gate(toys: Toys) -> None:
    _, states = started(toys, *default_stages(), Search(Settings()))
    assert [table for table in range(states.dependencies.tables) if states.may_follow(table)] == [2, 3]
