"""A disk is full below what must be free, and has room again a little above; a bucket has no such limit."""

from __future__ import annotations

from pathlib import Path

from corpus.storage import Store
from pipelines.run_graph.free_disk import FreeDisk
from tests.helpers.disks import Room


def test_a_disk_is_measured_once_a_second_and_does_not_flicker(tmp_path: Path) -> None:
    now, free, paths = [0.0], [1500], []

    def usage(path: str) -> Room:
        paths.append(path)
        return Room(free[0])

    disk = FreeDisk(Store(tmp_path), 1000, usage, lambda: now[0])
    steps = [  # seconds, free bytes, whether it must be known now; has it changed, is it low
        ((0, 1500, False), (False, False)),
        ((0.5, 900, False), (False, False)),  # nobody measures
        ((0.5, 900, True), (True, True)),
        ((2, 1050, False), (False, True)),  # enough, but only just
        ((4, 1100, False), (True, False)),
        ((6, 1000, False), (False, False)),
    ]
    found = []
    for (now[0], free[0], at_once), _ in steps:
        found.append((disk.measure(at_once), disk.is_low))
    assert found == [expected for _, expected in steps]
    assert paths == [str(tmp_path)] * 5


def test_buckets_and_disks_that_cannot_be_asked_have_room(tmp_path: Path) -> None:
    def fails(path: str) -> Room:
        raise OSError("planted")

    for disk in (
        FreeDisk(Store("memory://workspace"), 1000, lambda path: Room(0)),
        FreeDisk(Store(tmp_path), 0, lambda path: Room(0)),
        FreeDisk(Store(tmp_path), 1000, fails),
    ):
        assert not disk.measure(now=True) and not disk.is_low
