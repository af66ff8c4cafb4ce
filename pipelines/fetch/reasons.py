"""The reasons with which a download ends: what each means, whether it is worth a retry, and how long to wait for it."""

from __future__ import annotations

import random
from dataclasses import dataclass

from pipelines.fetch.settings import FetchSettings

OK = "ok"


@dataclass(frozen=True, slots=True)
class FetchReason:
    """A reason. `transient`: the URL is tried again in the same run, up to `max_attempts` times. `retryable`: a
    later run with `--retry` tries it again; other reasons are final."""

    meaning: str
    transient: bool = False
    retryable: bool = False


# `http_NNN` is left out: see `reason`.
REASONS = {
    OK: FetchReason("the body was read completely"),
    "opted_out": FetchReason("X-Robots-Tag asks not to index or train on it"),
    "bad_url": FetchReason("the URL, or one it redirects to, cannot be parsed, or names no host that can be"),
    "unsupported_scheme": FetchReason("neither http nor https, at first or after a redirect"),
    "private_address": FetchReason(
        "leads to an address that is neither public nor allowed, at first or after a redirect"
    ),
    "too_large": FetchReason("the body, as sent or as decoded, is larger than max_bytes"),
    "redirect_loop": FetchReason("redirects back to a URL that was requested before", retryable=True),
    "too_many_redirects": FetchReason("more than max_redirects", retryable=True),
    "dns_failed": FetchReason("the host's name does not exist or has no address", retryable=True),
    "dns_timeout": FetchReason("name servers did not answer", transient=True, retryable=True),
    "connect_timeout": FetchReason("no connection or TLS handshake in time", transient=True, retryable=True),
    "connection_failed": FetchReason(
        "the connection was refused or the host is unreachable", transient=True, retryable=True
    ),
    "connection_reset": FetchReason("the connection was lost before the body", transient=True, retryable=True),
    "tls_failed": FetchReason("no valid certificate, or no common TLS version", retryable=True),
    "timeout": FetchReason("silent for read_timeout_s, or not done in total_timeout_s", transient=True, retryable=True),
    "truncated": FetchReason("the connection ended inside the body", transient=True, retryable=True),
    "bad_response": FetchReason("not valid HTTP", retryable=True),
    "bad_encoding": FetchReason("a Content-Encoding, never requested, that cannot be undone", retryable=True),
}

# What the rows of a download may have as a reason, and what each means.
ROW_REASONS = {
    **{name: each.meaning for name, each in REASONS.items() if name != OK},
    "http_NNN": "the status of the response, such as `http_404`",
}

_TRANSIENT_STATUSES = frozenset({408, 429, 500, 502, 503, 504})
_PERMANENT_STATUSES = frozenset({404, 410})


def http_reason(status: int) -> str:
    """Returns the reason of a status other than 200, such as http_404."""
    return f"http_{status}"


def reason(name: str) -> FetchReason:
    """Returns the entry of REASONS, or one for http_NNN: 404, 410 are final; 408, 429, 500, 502-504 are transient."""
    if not name.startswith("http_"):
        return REASONS[name]
    status = int(name.removeprefix("http_"))
    return FetchReason(
        f"the server answered {status}", status in _TRANSIENT_STATUSES, status not in _PERMANENT_STATUSES
    )


def wait_s(attempt: int, requested_s: float | None, settings: FetchSettings) -> float | None:
    """Returns the seconds to wait after the failed `attempt` (1, 2, ...); None where the URL is not tried again.

    Exponential backoff with full jitter: the wait is drawn evenly between 0 and the exponential bound, so that clients
    that failed together do not return together (M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog,
    2015). It is at least the `requested_s` of the server; more than `max_retry_after_s` is not waited for.
    """
    if attempt >= settings.max_attempts or (requested_s or 0.0) > settings.max_retry_after_s:
        return None
    bound = min(settings.max_backoff_s, settings.backoff_s * 2.0 ** min(attempt - 1, 60))
    return (requested_s or 0.0) + random.uniform(0.0, bound)
