"""X-Robots-Tag: does a response say that it is not for us?

Form: "[agent:] directive, directive, ...", the header any number of times; a named agent holds for what follows it
in the same header. https://developers.google.com/search/docs/crawling-indexing/robots-meta-tag describes it;
noai and noimageai are DeviantArt's additions, which image sites took up.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

OPT_OUTS = frozenset({"noai", "noimageai", "noindex", "noimageindex", "none"})

# Directives with a value look like an agent's name: neither these nor the clock of a date name anyone.
_WITH_VALUE = frozenset({"unavailable_after", "max-snippet", "max-image-preview", "max-video-preview"})
_AGENT = re.compile(r"\*|[A-Za-z][\w./-]*")


def opt_out(headers: Iterable[str], agent: str) -> str | None:
    """The first directive in the X-Robots-Tag `headers` that refuses `agent` or everyone, or None."""
    ours = ("*", agent.lower())
    for header in headers:
        addressed = "*"
        for part in header.split(","):
            name, colon, rest = (piece.strip() for piece in part.partition(":"))
            if colon and name.lower() not in _WITH_VALUE and _AGENT.fullmatch(name):
                addressed, directive = name.lower(), rest.lower()
            else:
                directive = part.strip().lower()
            if directive in OPT_OUTS and addressed in ours:
                return directive
    return None
