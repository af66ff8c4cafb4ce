"""Waiting for processes that are not one's own."""

from __future__ import annotations

import os
import select

WAIT_S = 60


def ends(process: int) -> bool:
    """Whether a process ends: wait for it. (Whose parent does not wait for it stays in the list, but it is dead.)"""
    try:
        handle = os.pidfd_open(process)
    except ProcessLookupError:
        return True
    poll = select.poll()
    poll.register(handle, select.POLLIN)
    try:
        return bool(poll.poll(WAIT_S * 1000))
    finally:
        os.close(handle)
