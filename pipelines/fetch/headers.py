"""The meaning of a response's status and headers: redirects, errors, opt-outs by X-Robots-Tag, and what is too large.

X-Robots-Tag has the form "[agent:] directive, directive, ...", and may be repeated; a named agent holds for the rest of
its header. https://developers.google.com/search/docs/crawling-indexing/robots-meta-tag describes it; noai and
noimageai are DeviantArt's additions, which image sites adopted.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import aiohttp
from aiohttp import hdrs

from corpus.printable import printable
from corpus.retry_after import retry_after_s
from pipelines.fetch.reasons import OK, http_reason
from pipelines.fetch.response import FetchError, Response
from pipelines.fetch.settings import FetchSettings

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_COMPLETE = frozenset({200, 203})  # 206 is a part, 204 and 205 have no body

OPT_OUTS = frozenset({"noai", "noimageai", "noindex", "noimageindex", "none"})

# Directives with a value look like an agent's name; so does the time of day in a date.
_WITH_VALUE = frozenset({"unavailable_after", "max-snippet", "max-image-preview", "max-video-preview"})
_AGENT = re.compile(r"\*|[A-Za-z][\w./-]*")


def classify(response: aiohttp.ClientResponse, settings: FetchSettings) -> Response:
    """Returns the response without its body: "ok" if the body is to be read, "" for a redirect, else the reason.

    Raises FetchError for a change of protocol.
    """
    status, headers = response.status, response.headers
    content_type = printable(headers.get(hdrs.CONTENT_TYPE, ""))
    if status == 101:
        raise FetchError("bad_response", "a change of protocol that was not requested")
    if status not in _COMPLETE and status not in _REDIRECTS:
        wait_s = retry_after_s(headers.get(hdrs.RETRY_AFTER))
        return Response(http_reason(status), http_status=status, content_type=content_type, retry_after_s=wait_s)
    result = Response(OK, http_status=status, content_type=content_type)
    if settings.respect_opt_out and "X-Robots-Tag" in headers:
        directive = opt_out(headers.getall("X-Robots-Tag"), settings.user_agent_token)
        if directive is not None:
            result.reason, result.detail = "opted_out", f"X-Robots-Tag: {directive}"
            return result
    if status in _REDIRECTS:
        result.location = headers.get(hdrs.LOCATION) or None
        result.reason = "" if result.location else http_reason(status)
        return result
    length = headers.get(hdrs.CONTENT_LENGTH, "")
    if length.isdigit() and int(length) > settings.max_bytes:
        result.reason, result.detail = "too_large", f"{length} bytes"
    result.encoding = headers.get(hdrs.CONTENT_ENCODING, "").strip().lower()
    return result


def opt_out(headers: Iterable[str], agent: str) -> str | None:
    """Returns the first directive in the X-Robots-Tag `headers` that refuses `agent` or everyone, or None."""
    agents = ("*", agent.lower())
    for header in headers:
        addressed = "*"
        for part in header.split(","):
            name, colon, rest = (piece.strip() for piece in part.partition(":"))
            if colon and name.lower() not in _WITH_VALUE and _AGENT.fullmatch(name):
                addressed, directive = name.lower(), rest.lower()
            else:
                directive = part.strip().lower()
            if directive in OPT_OUTS and addressed in agents:
                return directive
    return None


def is_kept_alive(response: aiohttp.ClientResponse) -> bool:
    """Returns whether the server keeps the connection after this response (RFC 9112, 9.3)."""
    options = [
        option.strip().lower()
        for name in ("Connection", "Proxy-Connection")
        for line in response.headers.getall(name, ())
        for option in line.split(",")
    ]
    if response.version is not None and response.version < aiohttp.HttpVersion11:
        return "keep-alive" in options
    return "close" not in options
