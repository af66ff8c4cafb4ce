"""What the page said of an image, made fit to stand in a prompt."""

from __future__ import annotations

import re
import unicodedata

MAX_HINT_CHARS = 300
_READ_CHARS = 10 * MAX_HINT_CHARS
# What a model's processor reads as the end of a turn or as the place of an image.
SPECIAL = re.compile(r"<\|[^<>]*?\|>|<\s*/?\s*(?:image|img|video|s)\s*>|\[/?INST\]", re.IGNORECASE)


def clean_hint(text: str) -> str:
    """A row's text as a prompt may hold it: one line of at most 300 characters, cut at a word, and nothing that a
    chat template would take for the end of a turn or for an image."""
    text = text[:_READ_CHARS]
    text = "".join(" " if unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp") else char for char in text)
    while (without := SPECIAL.sub(" ", text)) != text:  # until removing one doesn't leave another
        text = without
    text = " ".join(text.split())
    if len(text) <= MAX_HINT_CHARS:
        return text
    cut = text[: MAX_HINT_CHARS + 1].rpartition(" ")[0]
    return cut or text[:MAX_HINT_CHARS]
