"""When to try again: exponential backoff with full jitter, and the server's own wish."""

from __future__ import annotations

import random
import time
from datetime import UTC
from email.utils import parsedate_to_datetime

from pipelines.fetch.settings import FetchSettings


def retry_after_s(header: str | None, now: float | None = None) -> float | None:
    """Seconds that a Retry-After header asks to wait (0 for the past), or None if there is none or it is nonsense.

    `header` is a number of seconds or an HTTP date; `now` (Unix seconds) is the clock the date is held against.
    """
    if header is None:
        return None
    header = header.strip()
    if header.isascii() and header.isdigit():
        return float(header[:12])
    try:
        date = parsedate_to_datetime(header)
        if date.tzinfo is None:
            date = date.replace(tzinfo=UTC)
        return max(0.0, date.timestamp() - (time.time() if now is None else now))
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def wait_s(attempt: int, asked_s: float | None, settings: FetchSettings) -> float | None:
    """Seconds to wait after the failed `attempt` (1, 2, ...), or None to give up.

    Drawn evenly between nothing and the exponential bound, so that many clients that failed together do not come
    back together (M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015); never less than
    the server asked for, and no more tries if it asked for more than `retry_after_max_s`.
    """
    if attempt >= settings.attempts or (asked_s or 0.0) > settings.retry_after_max_s:
        return None
    bound = min(settings.backoff_max_s, settings.backoff_s * 2.0 ** min(attempt - 1, 60))
    return (asked_s or 0.0) + random.uniform(0.0, bound)
