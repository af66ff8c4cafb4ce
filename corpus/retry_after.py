"""Reads the time that a server asks clients to wait: the Retry-After header."""

from __future__ import annotations

import re
import time
from datetime import UTC
from email.utils import parsedate_to_datetime

_NUMBER = re.compile(r"[0-9]+(?:\.[0-9]*)?|\.[0-9]+")
_MAX_DIGITS = 12  # of a number that stays finite, and longer than anybody waits


def retry_after_s(header: str | None, now: float | None = None) -> float | None:
    """Returns seconds that a Retry-After header asks to wait (0 for the past), or None if there is none or it is
    nonsense.

    `header` is an HTTP date or a number of seconds (RFC 9110, 10.2.3), which some servers send with a fraction; `now`
    (Unix seconds) is the clock that the date is compared with.
    """
    if header is None:
        return None
    header = header.strip()
    if _NUMBER.fullmatch(header):
        return float(header[:_MAX_DIGITS])
    try:
        date = parsedate_to_datetime(header)
        if date.tzinfo is None:
            date = date.replace(tzinfo=UTC)
        return max(0.0, date.timestamp() - (time.time() if now is None else now))
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
