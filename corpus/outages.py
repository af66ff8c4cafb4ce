"""Waits until storage that is away for a while is back.

An object store drops a request now and then, asks for fewer of them for some seconds, and may be away for a minute.
Inside `patient_storage` a call of a `Store` that fails so is made again, after pauses that grow, for a limited time.
What no pause mends (a full disk, no permission, no such bucket) is raised at once.
"""

from __future__ import annotations

import errno
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

RETRY_S = 300.0  # the usual time for which a call is made again
_FIRST_PAUSE_S = 0.5
_MAX_PAUSE_S = 15.0
# Errors of the system after which the same call may succeed: of a network, of a file system behind one, of a store that
# is busy.
_TRANSIENT_ERRNOS = frozenset(
    {
        errno.EAGAIN,
        errno.EBUSY,
        errno.ECONNABORTED,
        errno.ECONNREFUSED,
        errno.ECONNRESET,
        errno.EHOSTDOWN,
        errno.EHOSTUNREACH,
        errno.EINTR,
        errno.EIO,
        errno.ENETDOWN,
        errno.ENETRESET,
        errno.ENETUNREACH,
        errno.ENOTCONN,
        errno.EPIPE,
        errno.ESTALE,
        errno.ETIMEDOUT,
        getattr(errno, "EREMOTEIO", errno.EIO),  # Linux alone has it
    }
)
_TRANSIENT_STATUS = frozenset({408, 425, 429})  # of HTTP, besides those from 500 on
_PERMANENT_STATUS = frozenset({501, 505})
# Base classes of what the clients of object stores raise when a server cannot be reached or does not answer.
_CLIENT_ERRORS = {
    "aiohttp": {"ClientConnectionError", "ClientPayloadError"},
    "azure": {"ServiceRequestError", "ServiceResponseError"},
    "botocore": {"ConnectionError", "HTTPClientError", "IncompleteReadError", "ResponseStreamingError"},
    "google": {"TransportError"},
    "httpx": {"TransportError"},
    "requests": {"ChunkedEncodingError", "ConnectionError", "Timeout"},
    "urllib3": {"IncompleteRead", "ProtocolError", "TimeoutError"},
}

_T = TypeVar("_T")


@dataclass
class Waits:
    """The waits for storage in a block of `patient_storage`, those of its threads among them."""

    retries: int = 0
    seconds: float = 0.0

    def metrics(self) -> dict[str, Any]:
        """Returns them for a run's log; nothing where nobody waited."""
        return {"storage_retries": self.retries, "storage_wait_s": round(self.seconds, 1)} if self.retries else {}


@dataclass(eq=False)
class _Scope:
    retry_s: float
    report: Callable[[str], None] | None
    waits: Waits


_lock = threading.Lock()
_scopes: list[_Scope] = []  # of this process: what a shard needs is read by several threads
_away_since: dict[str, float] = {}  # store -> when the first call of its outage failed


@contextmanager
def patient_storage(retry_s: float, report: Callable[[str], None] | None = None) -> Iterator[Waits]:
    """Has this process wait for storage that is away, up to `retry_s` a call; 0 waits for nothing.

    `report` is called with a line when a wait begins, and when the storage is back.
    """
    scope = _Scope(retry_s, report, Waits())
    with _lock:
        _scopes.append(scope)
    try:
        yield scope.waits
    finally:
        with _lock:
            _scopes.remove(scope)


def storage_retry_s() -> float:
    """Returns how long a call is made again in this process now, in seconds; 0 outside of `patient_storage`."""
    with _lock:
        return max((scope.retry_s for scope in _scopes), default=0.0)


def wait_out(call: Callable[[], _T], store: str) -> _T:
    """Returns what a call returns, which is made again while the store is away.

    An error tells so by its attribute `outage`, which is false in what is raised in the end: nobody around this call
    begins to wait anew. A store that was given up is given up at the first failure, until a call succeeds.
    """
    started: float | None = None
    tries = 0
    while True:
        try:
            result = call()
        except Exception as error:
            retry_s = storage_retry_s()
            if not getattr(error, "outage", False) or not retry_s:
                raise
            now = time.monotonic()
            started = now if started is None else started
            remaining = retry_s - (now - min(started, _away_since.setdefault(store, now)))
            if remaining <= 0:
                raise _final_error(error, tries, now - started) from error
            tries += 1
            if tries == 2:  # a single failure is nothing to tell
                _report(f"{error}: trying again for up to {retry_s:.0f} s")
            _pause(min(remaining, _pause_s(tries)))
            continue
        if _away_since:
            _away_since.pop(store, None)
        if tries > 1 and started is not None:
            _report(f"{store} is back after {time.monotonic() - started:.0f} s")
        return result


def _final_error(error: Exception, tries: int, seconds: float) -> Exception:
    final = type(error)(f"{error} (tried {tries + 1} times in {seconds:.0f} s)" if tries else str(error))
    final.outage = False  # type: ignore[attr-defined]
    return final


def _pause_s(tries: int) -> float:
    longest = min(_MAX_PAUSE_S, _FIRST_PAUSE_S * 2 ** min(tries - 1, 10))
    return longest * random.uniform(0.5, 1.0)  # so that many workers don't come back at one moment


def _pause(seconds: float) -> None:
    time.sleep(seconds)
    with _lock:
        for scope in _scopes:
            scope.waits.retries += 1
            scope.waits.seconds += seconds


def _report(line: str) -> None:
    with _lock:
        reports = [scope.report for scope in _scopes if scope.report is not None]
    for report in reports[:1]:
        report(line)


def is_outage(error: BaseException) -> bool:
    """Returns whether an error, or what caused it, says that storage or the network to it is away for now."""
    cause: BaseException | None = error
    while cause is not None:
        if (found := _is_transient(cause)) is not None:
            return found
        cause = cause.__cause__
    return False


def _is_transient(error: BaseException) -> bool | None:
    """Returns whether an error of a file system or a client passes by itself; None where it does not tell."""
    if isinstance(error, (TimeoutError, ConnectionError)):
        return True
    if isinstance(error, (FileNotFoundError, FileExistsError, PermissionError, ImportError)):
        return False
    names = {base.__name__ for base in type(error).__mro__}
    if any("Certificate" in name for name in names):
        return False
    if names & _CLIENT_ERRORS.get(type(error).__module__.partition(".")[0], set()):
        return True
    status = _http_status(error)
    if status is not None:
        return status in _TRANSIENT_STATUS or (status >= 500 and status not in _PERMANENT_STATUS)
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno in _TRANSIENT_ERRNOS
    return None


def _http_status(error: BaseException) -> int | None:
    """Returns the status of the response that an error stands for, where the clients put it."""
    response = getattr(error, "response", None)
    if isinstance(response, dict):  # botocore
        places = [response.get("ResponseMetadata", {}).get("HTTPStatusCode")]
    else:
        places = [getattr(error, name, None) for name in ("status", "status_code", "code")]
        places.append(getattr(response, "status_code", None))
    found = [place for place in places if isinstance(place, int) and 400 <= place <= 599]
    return found[0] if found else None
