"""Disks of planted sizes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Room:
    """The room on a disk, as `shutil.disk_usage` returns it."""

    free: int
