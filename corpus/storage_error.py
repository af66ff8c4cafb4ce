"""Errors of storage: what a store did not give or take, with the path, and whether it may later."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Callable, Iterator
from typing import TypeVar

from corpus.outages import is_outage, wait_out

DISK_FULL = (errno.ENOSPC, errno.EDQUOT)

_NO_BUCKET = "bucket does not exist"  # in what S3 answers

_T = TypeVar("_T")


class StorageError(OSError):
    """Storage did not give or take bytes. Says nothing about the rows: the shard is run again, not bisected."""

    outage = False  # the same call may succeed when the store is back, see `corpus.outages`

    @classmethod
    def caused_by(cls, error: BaseException, message: str) -> StorageError:
        """Returns an error that says what another one means for storage."""
        found = cls(message)
        found.outage = error.outage if isinstance(error, StorageError) else is_outage(error)
        return found


class MissingError(StorageError, FileNotFoundError):
    """There is no such file, folder or bucket."""


@contextlib.contextmanager
def storage_errors(path: str) -> Iterator[None]:
    """Turns whatever storage raises inside the block into a StorageError that names the path.

    An ImportError (the extra for this kind of store is not installed) is left as it is.
    """
    try:
        yield
    except (StorageError, ImportError):
        raise
    except FileNotFoundError as error:
        raise MissingError(f"{path}: {error_reason(error)}") from error
    except Exception as error:  # clients raise more than OSError when a server is away or refuses
        raise StorageError.caused_by(error, f"{path}: {error_reason(error)}") from error


def error_reason(error: Exception) -> str:
    """Returns an error in words; of the system's, without its number and the path that stands before it already."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: free some" if error.errno in DISK_FULL else error.strerror
    reason = str(error) or type(error).__name__
    return f"{reason}: make the bucket, or correct its name" if _NO_BUCKET in reason else reason


def try_storage(call: Callable[[], _T], path: str, store: str) -> _T:
    """Returns what a call returns, which is made again while the store is away. Raises StorageError."""

    def named() -> _T:
        with storage_errors(path):
            return call()

    return wait_out(named, store)
