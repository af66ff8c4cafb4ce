"""Freed blocks are used again: buffers take no new pages from the system."""

from __future__ import annotations

import platform
import resource

import pytest

from corpus.allocation import keep_freed_blocks


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other allocators have their own ways")
def test_freed_blocks_are_used_again() -> None:
    def faults() -> int:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        for _ in range(100):
            bytearray(1 << 20)
        return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

    keep_freed_blocks()
    faults()  # the first block comes from the system
    assert faults() < 1000, "256 pages each"
