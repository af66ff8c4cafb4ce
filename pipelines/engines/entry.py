"""What a process of a Ray cluster runs first: it finds this package there, and only then calls what is in it.

Ray is sent this module's functions and classes as they are (pickled by value), because to import them by name would
take this package from wherever the process looks first. For the same reason it is given works, items and functions as
bytes: to unpickle them imports this package.
"""

from __future__ import annotations

import importlib
import pickle
import sys
from typing import Any

from rzen_corpus import Origin, use

_REMOTE = "pipelines.engines.remote"


def call(origin: Origin, name: str, arguments: bytes, *objects: Any) -> Any:
    """Call a function of `pipelines.engines.remote` with arguments that are pickled, and objects of the cluster's."""
    return getattr(_remote(origin), name)(*pickle.loads(arguments), *objects)  # noqa: S301 - the driver's own bytes


class Holder:
    """The actor: a process that keeps a work open. Calls come one at a time."""

    def open(self, origin: Origin, work: bytes) -> Any:
        """Have the work opened."""
        self._held = _remote(origin).opened(work)
        return {}

    def start(self, position: int, item: bytes) -> Any:
        """See `OpenedWork.start`."""
        return self._held.start(position, pickle.loads(item))  # noqa: S301

    def finish(self) -> Any:
        """See `OpenedWork.finish`."""
        return self._held.finish()


def _remote(origin: Origin) -> Any:
    remote: Any = sys.modules.get(_REMOTE)
    if remote is None or remote.entered != origin:  # the first time in this process
        use(origin, list(sys.path))
        remote = importlib.import_module(_REMOTE)
        remote.entered = origin
    return remote
