"""A program that never ends, and whose life and that of its child a FIFO shows."""

from __future__ import annotations

from pathlib import Path

from tests.helpers.engine_works import Fifo

# Starts another process, then writes a byte to a FIFO that stays open as long as one of the two lives.
ENDLESS = """
import os, signal, subprocess, sys
fifo = os.open(sys.argv[1], os.O_WRONLY)
subprocess.Popen(["sleep", "600"], pass_fds=[fifo])
os.write(fifo, b"x")
signal.pause()
"""


def endless(folder: Path, fifo: Fifo) -> list[str]:
    (folder / "endless.py").write_text(ENDLESS)
    return [str(folder / "endless.py"), fifo.path]
