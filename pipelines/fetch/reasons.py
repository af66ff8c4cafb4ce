"""How a download can end: every reason, what it means, and whether trying again can help."""

from __future__ import annotations

from dataclasses import dataclass

OK = "ok"


@dataclass(frozen=True, slots=True)
class Reason:
    """`transient`: tried again within the run, inside the attempts limit. `retryable`: a later run that retries
    failed rows should try it; what is not is an answer, and would be the same again."""

    meaning: str
    transient: bool = False
    retryable: bool = False


# `http_NNN` is left out: see `reason`.
REASONS = {
    OK: Reason("the body was read whole"),
    "opted_out": Reason("X-Robots-Tag asks not to index or train on it"),
    "bad_url": Reason("the URL, or one it redirects to, cannot be parsed, or names no host that can be"),
    "refused_scheme": Reason("neither http nor https, at first or after a redirect"),
    "refused_address": Reason("leads to an address that is neither public nor allowed, at first or after a redirect"),
    "too_large": Reason("the body, as sent or as decoded, is larger than max_bytes"),
    "redirect_loop": Reason("redirects back to a URL that was requested before", retryable=True),
    "too_many_redirects": Reason("more than max_redirects", retryable=True),
    "dns_failed": Reason("the host's name does not exist or has no address", retryable=True),
    "dns_timeout": Reason("name servers did not answer", transient=True, retryable=True),
    "connect_timeout": Reason("no connection or TLS handshake in time", transient=True, retryable=True),
    "connection_failed": Reason(
        "the connection was refused or the host is unreachable", transient=True, retryable=True
    ),
    "connection_reset": Reason("the connection was lost before the body", transient=True, retryable=True),
    "tls_failed": Reason("no valid certificate, or no common TLS version", retryable=True),
    "timeout": Reason("silent for read_timeout_s, or not done in total_timeout_s", transient=True, retryable=True),
    "truncated": Reason("the connection ended inside the body", transient=True, retryable=True),
    "bad_response": Reason("not valid HTTP", retryable=True),
    "bad_encoding": Reason("a Content-Encoding, never requested, that cannot be undone", retryable=True),
}

_TRANSIENT_STATUSES = frozenset({408, 429, 500, 502, 503, 504})
_GONE = frozenset({404, 410})


def http_reason(status: int) -> str:
    """The reason's name for a status other than 200: http_404."""
    return f"http_{status}"


def reason(name: str) -> Reason:
    """The entry of REASONS, or one made for http_NNN: 404 and 410 are final, 408, 429, 500 and 502-504 transient."""
    if not name.startswith("http_"):
        return REASONS[name]
    status = int(name.removeprefix("http_"))
    return Reason(f"the server answered {status}", status in _TRANSIENT_STATUSES, status not in _GONE)
