"""A job that is open in this process: its function, and threads where several items may be in flight."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from corpus.execution import Job, close_function

Done = Callable[[Any, BaseException | None], None]  # takes what an item came to: its result, or what was raised


class OpenJob:
    """A job that is open. With one item in flight its function runs on the calling thread, where Ctrl-C reaches it."""

    def __init__(self, job: Job[Any, Any], caught: type[BaseException] = Exception) -> None:
        self.in_flight = job.resources.in_flight
        self._caught = caught if self.in_flight == 1 else BaseException  # threads have nobody to raise it to
        self._function = job.open()
        self._threads = ThreadPoolExecutor(self.in_flight) if self.in_flight > 1 else None

    def start(self, item: Any, done: Done) -> None:
        """Runs an item and calls `done`: before this returns, or in a thread where several items may be in flight.

        Raises what the function raised where that is none of the errors that are caught.
        """
        if self._threads is None:
            self._run(item, done)
        else:
            self._threads.submit(self._run, item, done)

    def close(self) -> None:
        """Releases the resources of the function. Items in flight end by themselves."""
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)
        close_function(self._function)

    def _run(self, item: Any, done: Done) -> None:
        try:
            result = self._function(item)
        except self._caught as error:
            done(None, error)
        else:
            done(result, None)
