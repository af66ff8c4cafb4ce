"""The program of a worker process of the local engine: it opens jobs and runs items as it is sent them.

What it is sent, and what it sends, are tuples of a kind, a number and bytes: (`open`, job, pickled job), (`item`, item,
pickled (job's number, item)), (`close`, job, b""), (`leave`, 0, b""); and (`alive`, 0, b""), (`opened`, job, b""),
(`not_opened`, job, pickled error), (`finished`, item, pickled result), (`failed`, item, pickled error).
"""

from __future__ import annotations

import pickle
import signal
import threading
import traceback
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from multiprocessing.connection import Connection
from typing import Any

from corpus.child_process import exit_with_parent
from corpus.isolation import picklable_error
from corpus.pending_file import drop_pending
from corpus.printable import escape_messages
from pipelines.engines.open_job import OpenJob

Message = tuple[str, int, bytes]


def run_worker(connection: Connection, parent_pipe: Connection, heartbeat_s: float) -> None:
    """Runs items until it is sent `leave`, or the parent ends. With `heartbeat_s` above 0 it shows signs of life."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is its parent's
    exit_with_parent(parent_pipe, drop_pending)
    escape_messages()
    sender = _Sender(connection)
    sender.send("alive", 0)
    if heartbeat_s:
        threading.Thread(target=sender.beat, args=(heartbeat_s,), name="heartbeat", daemon=True).start()
    jobs: dict[int, OpenJob] = {}
    for kind, number, payload in received_messages(connection):
        if kind == "open":
            _open(jobs, sender, number, payload)
        elif kind == "item":
            _start(jobs, sender, number, payload)
        elif kind == "close" and number in jobs:
            _close(jobs.pop(number))
    for job in jobs.values():
        _close(job)


def received_messages(connection: Connection) -> Iterator[Message]:
    """Yields what a process is sent, until `leave`, or until the other one has ended.

    An end that was closed with messages unread resets the connection.
    """
    with suppress(EOFError, ConnectionError):
        while True:
            message: Message = connection.recv()
            if message[0] == "leave":
                return
            yield message


class _Sender:
    """The sending end, which threads share."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._lock = threading.Lock()

    def send(self, kind: str, number: int, payload: bytes = b"") -> None:
        """Sends a message. Does nothing where nobody receives it: then this process is about to end."""
        message: Message = (kind, number, payload)
        with self._lock, suppress(OSError):
            self._connection.send(message)

    def send_error(self, kind: str, number: int, error: BaseException) -> None:
        """Sends an error, with the lines of its traceback as a note."""
        error.add_note("".join(traceback.format_exception(error)).rstrip())
        self.send(kind, number, pickle.dumps(picklable_error(error)))

    def done(self, number: int, result: Any, error: BaseException | None) -> None:
        """Sends what an item came to."""
        if error is None:
            try:
                self.send("finished", number, pickle.dumps(result))
            except Exception as unpicklable:  # noqa: BLE001 - of a result, pickle may raise anything
                self.send_error("failed", number, unpicklable)
        else:
            self.send_error("failed", number, error)

    def beat(self, interval_s: float) -> None:
        """Shows a sign of life again and again."""
        pause = threading.Event()
        while not pause.wait(interval_s):
            self.send("alive", 0)


def _open(jobs: dict[int, OpenJob], sender: _Sender, number: int, payload: bytes) -> None:
    try:
        jobs[number] = OpenJob(pickle.loads(payload), caught=BaseException)  # noqa: S301 - the parent's own bytes
    except BaseException as error:  # noqa: BLE001 - it is passed on, and the process may open other jobs
        sender.send_error("not_opened", number, error)
    else:
        sender.send("opened", number)


def _start(jobs: dict[int, OpenJob], sender: _Sender, number: int, payload: bytes) -> None:
    try:
        job, item = pickle.loads(payload)  # noqa: S301
    except Exception as error:  # noqa: BLE001 - of an item that can't be loaded
        sender.send_error("failed", number, error)
        return
    if job in jobs:  # else it could not be opened, and the parent knows
        jobs[job].start(item, partial(sender.done, number))


def _close(job: OpenJob) -> None:
    try:
        job.close()
    except Exception:  # noqa: BLE001 - no item is at stake any more
        traceback.print_exc()
