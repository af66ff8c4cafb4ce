"""Tells requests for a description of a video from other questions, among the human turns of conversations."""

from __future__ import annotations

import re
from collections.abc import Collection

_POLITE = r"(?:(?:please|kindly|can you|could you|would you|will you|i want you to|your task is to)[\s,]+)*"
_VIDEO = r"(?:videos?|clips?|footage|films?|movies?|recordings?|frames|images?|pictures?|scenes?)"
_TEXT = r"(?:descriptions?|captions?|summary|summaries|narratives?|narrations?|accounts?|depictions?|overviews?)"
_MANNER = r"(?:[a-z-]+ly\s+|in\s+(?:[a-z-]+\s+){0,2}details?,?\s+)*"
_WHICH = r"(?:(?:the|this|that|these|a|an|following|given|provided|entire|whole|above|content|contents|of|short)\s+)*"
_REQUESTS = (
    rf"(?:describe|summari[sz]e|narrate|caption|depict)\s+{_MANNER}{_WHICH}{_VIDEO}\b(?!['\u2019]s)",
    rf"(?:describe|narrate)\s+{_MANNER}what\s+(?:happens|is\s+happening|you\s+see|is\s+shown)"
    rf"(?:\s+here|\s+(?:in|throughout)\s+{_WHICH}{_VIDEO})?(?:\s+in\s+(?:[a-z-]+\s+){{0,2}}details?)?\s*(?:[.!]|$)",
    rf"(?:write|generate|provide|give|produce|create|compose|offer|present|craft|make|share)\b[^.?!\n]*?"
    rf"(?:{_VIDEO}\s+{_TEXT}|{_TEXT}\s+(?:of|for|about|on|regarding)\s+{_WHICH}{_VIDEO}\b(?!['\u2019]s))",
)
_REQUEST = re.compile(rf"{_POLITE}(?:{'|'.join(_REQUESTS)})")
_BEGINNING = 600  # characters that are looked at: the request stands first


def asks_for_description(prompt: str, known: Collection[str] = ()) -> bool:
    """Tells whether a prompt asks for a description of the whole video, so that its answer is one.

    `known`: further prompts that do, compared without regard to case and blanks.
    """
    normalized = " ".join(prompt.lower().split())
    return bool(_REQUEST.match(normalized[:_BEGINNING])) or normalized in {
        " ".join(text.lower().split()) for text in known
    }
