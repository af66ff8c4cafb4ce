"""One run at a time on a workspace: who holds it is said, the dead hold nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from corpus.storage import Store
from pipelines import lease
from pipelines.lease import EXPIRES_S, LEASE, HeldError, Lease, workspace_lease

HOLDER = """
import sys
from corpus.storage import Store
from pipelines.lease import workspace_lease
with workspace_lease(Store(sys.argv[1]), "first", False, print):
    print("holds", flush=True)
    sys.stdin.readline()
"""


def holder(url: str) -> subprocess.Popen[str]:
    """A process that holds the lease until it gets a line."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "holds\n"
    return process


def test_the_second_run_says_who_holds_the_workspace(store_url: str) -> None:
    store = Store(store_url)
    with workspace_lease(store, "first", False, print):
        why = rf"is held by run first of .* \(process {os.getpid()}\), since 20"
        with pytest.raises(HeldError, match=why), workspace_lease(store, "second", False, print):
            raise AssertionError("two hold it")
        assert store.exists(LEASE)
    assert not store.exists(LEASE)
    with workspace_lease(store, "second", False, print):
        pass


def test_a_killed_run_holds_nothing(tmp_path: Path) -> None:
    first = holder(str(tmp_path))
    store = Store(tmp_path)
    with pytest.raises(HeldError, match="run first"), workspace_lease(store, "second", False, print):
        pass
    first.kill()
    first.communicate()
    assert store.exists(LEASE), "nobody has cleaned up"
    with workspace_lease(store, "second", False, print):
        assert b"second" in store.read(LEASE)


def test_waiting_ends_with_the_run_that_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, lines = holder(str(tmp_path)), list[str]()

    def let_go(_: float) -> None:
        first.communicate("\n")

    monkeypatch.setattr(lease.time, "sleep", let_go)
    with workspace_lease(Store(tmp_path), "second", True, lines.append):
        pass
    assert [line.partition(" of ")[0] for line in lines] == ["waiting for run first"]


def test_which_leases_are_dead() -> None:
    now = 1_000_000.0
    mine = replace(Lease.of_this_process("r"), renewed=now)
    elsewhere = replace(mine, machine="another boot", process_start="1")
    cases = {
        "of this process": (mine, False),
        "of a process that ended, whose number another has": (replace(mine, process_start="1"), True),
        "of a process that ended": (replace(mine, process=2**22 + 1, process_start="1"), True),
        "of another machine": (elsewhere, False),
        "of another machine, just not yet too old": (replace(elsewhere, renewed=now - EXPIRES_S), False),
        "of another machine, too old": (replace(elsewhere, renewed=now - EXPIRES_S - 1), True),
        "of another machine, whose clock is ahead": (replace(elsewhere, renewed=now + 1000), False),
        "of an unknown machine": (replace(mine, machine="", process_start=""), False),
    }
    assert {name: each.is_dead(now) for name, (each, _) in cases.items()} == {
        name: dead for name, (_, dead) in cases.items()
    }


def test_a_lease_is_renewed_and_one_that_was_taken_over_is_left(
    memory_store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "RENEW_S", 0.001)
    store, lines = Store(memory_store), list[str]()
    with workspace_lease(store, "first", False, lines.append):
        began = Lease.parse(store.read(LEASE))
        assert began is not None
        found = (Lease.parse(store.read(LEASE)) for _ in range(1_000_000))
        renewed = next(each for each in found if each is not None and each.renewed > began.renewed)
        assert renewed.since == began.since
        taken = replace(began, run="second").encode()
        for _ in range(1_000_000):
            store.publish(LEASE, taken)
            if lines:
                break
    assert [line.partition(" of ")[0] for line in lines] == [f"{memory_store}: run second"]
    assert store.read(LEASE) == taken, "what another run holds is not removed"


def test_what_is_no_lease_holds_nothing(memory_store: str) -> None:
    store = Store(memory_store)
    for data in (b"", b"[]", b'{"run": "x"}', b"\xff"):
        store.publish(LEASE, data)
        with workspace_lease(store, "first", False, print):
            assert b'"first"' in store.read(LEASE), data
