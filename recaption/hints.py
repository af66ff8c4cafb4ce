"""What is known of an image (its page's words) or of frames (what their parts show), made fit to stand in a prompt."""

from __future__ import annotations

import re
import unicodedata

MAX_HINT_CHARS = 300
# What a model's processor reads as the end of a turn or as the place of an image.
SPECIAL = re.compile(r"<\|[^<>]*?\|>|<\s*/?\s*(?:image|img|video|s)\s*>|\[/?INST\]", re.IGNORECASE)


def clean_hint(text: str, most: int = MAX_HINT_CHARS) -> str:
    """A row's text as a prompt may hold it: one line of at most so many characters, cut at a word, and nothing that a
    chat template would take for the end of a turn or for an image."""
    text = text[: 10 * most]
    text = "".join(" " if unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp") else char for char in text)
    while (without := SPECIAL.sub(" ", text)) != text:  # until removing one doesn't leave another
        text = without
    text = " ".join(text.split())
    if len(text) <= most:
        return text
    cut = text[: most + 1].rpartition(" ")[0]
    return cut or text[:most]
