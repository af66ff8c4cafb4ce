"""The entry point in the processes of a Ray cluster: it locates this package there, then calls its functions.

Ray gets the functions and classes of this module pickled by value, because importing them by name would take this
package from whichever folder the process searches first. For the same reason jobs, items and functions travel as
bytes: unpickling them imports this package.
"""

from __future__ import annotations

import importlib
import sys
from typing import Any

from rzen_corpus import Origin, use

_MODULE = "pipelines.engines.ray_tasks"


def call(origin: Origin, call: bytes, *objects: Any) -> Any:
    """Runs a `RemoteCall`, which is pickled, with objects of the cluster's."""
    return _module(origin).run_call(call, *objects)


def check(origin: Origin) -> None:
    """Imports this package. Raises ImportError where it isn't there, or is other code than the driver's."""
    _module(origin)


class WorkerActor:
    """The actor of a worker: a process that keeps a job open."""

    def start(self) -> None:
        """Returns as soon as there is room."""

    def open(self, origin: Origin, limit: bytes, job: bytes) -> None:
        """Opens the job."""
        self._function = _module(origin).open_function(job, limit)

    def run(self, label: str, item: bytes) -> Any:
        """Runs an item, which is called `label`; on several threads, where the job may have several in flight."""
        return self._function(label, item)


class Placeholder:
    """An actor that does nothing: while it waits for room, an autoscaler sees what the cluster lacks."""

    def start(self) -> None:
        """Returns as soon as there is room."""


def _module(origin: Origin) -> Any:
    module: Any = sys.modules.get(_MODULE)
    if module is None or module.loaded_origin != origin:  # the first time in this process
        use(origin, list(sys.path))
        module = importlib.import_module(_MODULE)
        module.loaded_origin = origin
    return module
