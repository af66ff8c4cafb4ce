"""When to try again: exponential backoff with full jitter, and never before the server asks for it."""

from __future__ import annotations

import random

from pipelines.fetch.settings import FetchSettings


def wait_s(attempt: int, requested_s: float | None, settings: FetchSettings) -> float | None:
    """Seconds to wait after the failed `attempt` (1, 2, ...), or None to give up.

    Drawn evenly between nothing and the exponential bound, so that many clients that failed together do not come
    back together (M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015); never less than
    the server asked for, and no more tries if it asked for more than `retry_after_max_s`.
    """
    if attempt >= settings.attempts or (requested_s or 0.0) > settings.retry_after_max_s:
        return None
    bound = min(settings.backoff_max_s, settings.backoff_s * 2.0 ** min(attempt - 1, 60))
    return (requested_s or 0.0) + random.uniform(0.0, bound)
