"""Ends a worker whose call into a library never returns: no exception can be raised in it, and no signal is handled.

The worker dies then as if the library had crashed, and what is done about that is done: its shard is run again in
processes of their own (`corpus.isolation`), down to the row that takes for ever.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from corpus.printable import printable
from corpus.storage import drop_pending

_EXIT_CODE = 70  # EX_SOFTWARE of sysexits.h


@contextmanager
def ended_after(seconds: float, what: str) -> Iterator[None]:
    """Inside, the process ends after so many seconds, with a line on stderr that says of `what`.

    Only a process that another Python process started for its work: what runs in a program's own process, or was
    started by a cluster, is left alone.
    """
    if multiprocessing.parent_process() is None or seconds > threading.TIMEOUT_MAX:
        yield
        return
    timer = threading.Timer(seconds, _end, (f"{what}: nothing came back within {seconds:.0f} s, the worker ends\n",))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _end(line: str) -> None:
    sys.stderr.write(f"{printable(line.rstrip(), 1_000)}\n")
    sys.stderr.flush()
    drop_pending()
    os._exit(_EXIT_CODE)
