"""The entry point in the processes of a Ray cluster: it locates this package there, then calls its functions.

Ray gets the functions and classes of this module pickled by value, because importing them by name would take this
package from whichever folder the process searches first. For the same reason jobs, items and functions travel as
bytes: unpickling them imports this package.
"""

from __future__ import annotations

import importlib
import pickle
import sys
from typing import Any

from rzen_corpus import Origin, use

_MODULE = "pipelines.engines.ray"


def call(origin: Origin, name: str, arguments: bytes, *objects: Any) -> Any:
    """Calls a function of `pipelines.engines.ray` with arguments that are pickled, and objects of the cluster's."""
    return getattr(_module(origin), name)(*pickle.loads(arguments), *objects)  # noqa: S301 - the driver's own bytes


class WorkerActor:
    """The actor of a worker: a process that keeps a job open. Its calls run one at a time."""

    def open(self, origin: Origin, job: bytes) -> Any:
        """Opens the job."""
        self._session = _module(origin).open_session(job)
        return {}

    def start(self, position: int, item: bytes) -> Any:
        """See `WorkerSession.start`."""
        return self._session.start(position, pickle.loads(item))  # noqa: S301

    def finish(self) -> Any:
        """See `WorkerSession.finish`."""
        return self._session.finish()


def _module(origin: Origin) -> Any:
    module: Any = sys.modules.get(_MODULE)
    if module is None or module.loaded_origin != origin:  # the first time in this process
        use(origin, list(sys.path))
        module = importlib.import_module(_MODULE)
        module.loaded_origin = origin
    return module
