"""A minute of the campaign that `make fuzz` runs for an hour, always the same inputs; the harness on planted faults."""

from __future__ import annotations

import hashlib
import socket
from asyncio.selector_events import BaseSelectorEventLoop
from pathlib import Path

import pytest

from . import planted
from .coordinator import Slice, run, share_out
from .target import make_input
from .targets import TARGETS

INPUTS = 40_000  # a minute on one core
PLANTED = range(59, 64)  # numbers of inputs, of which each planted reader fails at one or two


def test_no_input_breaks_a_reader() -> None:
    report = run(share_out(TARGETS, INPUTS, first=0), TARGETS)
    assert report.counts.keys() == TARGETS.keys()
    assert report.inputs >= INPUTS - len(TARGETS)
    assert report.findings == []
    assert [name for name, count in report.counts.items() if count.found] == []


def test_a_campaign_finds_each_planted_fault_and_reads_on() -> None:
    slices = [Slice(name, PLANTED.start, len(PLANTED)) for name in planted.TARGETS]
    report = run(slices, planted.TARGETS, module="tests.fuzz.planted")
    faulty = {name: faulty_inputs(name) for name in planted.TARGETS}
    assert all(0 < len(numbers) < len(PLANTED) for numbers in faulty.values())
    counts = {name: (count.inputs, count.refused, count.found) for name, count in report.counts.items()}
    assert counts == {
        name: (
            len(PLANTED),
            len(numbers) if name in ("refuses", "asks_for_too_much") else 0,
            len(numbers) if name != "refuses" else 0,
        )
        for name, numbers in faulty.items()
    }
    assert {(finding["target"], finding["kind"]) for finding in report.findings} == {
        ("raises", "exception"),
        ("crashes", "crash"),
        ("spins", "hang"),
        ("waits", "hang"),
        ("hoards", "memory"),
        ("asks_for_too_much", "memory error"),
    }
    assert all(finding["input"] in faulty[finding["target"]] for finding in report.findings)


@pytest.fixture(autouse=True)
def _network_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader that takes the network from its process gives it back at the end of the test."""
    monkeypatch.setattr(socket, "getaddrinfo", socket.getaddrinfo)
    monkeypatch.setattr(BaseSelectorEventLoop, "sock_connect", BaseSelectorEventLoop.sock_connect)


def faulty_inputs(name: str) -> list[int]:
    reader = planted.TARGETS[name].open(Path())
    return [number for number in PLANTED if planted.is_faulty(make_input(name, reader, number))]


def test_a_number_determines_its_input(tmp_path: Path) -> None:
    def digests(folder: Path) -> dict[str, str]:
        found = {}
        for name, target in TARGETS.items():
            (folder / name).mkdir(parents=True)
            reader = target.open(folder / name)
            inputs = b"".join(make_input(name, reader, number) for number in range(20))
            found[name] = hashlib.sha256(inputs).hexdigest()
        return found

    first = digests(tmp_path / "one")
    assert first == digests(tmp_path / "other")
    assert len(set(first.values())) == len(first)


@pytest.mark.parametrize("name", [name for name in TARGETS if name != "images.large"])  # which cost a second each
def test_a_reader_takes_some_seed_whole(name: str, tmp_path: Path) -> None:
    reader = TARGETS[name].open(tmp_path)
    taken = 0
    for seed in reader.seeds:
        try:
            reader.read(seed)
            taken += 1
        except reader.refusals:
            continue
    assert taken >= len(reader.seeds) / 2
