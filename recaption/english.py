"""The English wordings of `phrases/english.yaml` become compiled patterns."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

_FILE = Path(__file__).parent / "phrases" / "english.yaml"
_NAME = re.compile(r"<([a-z_]+)>")


@lru_cache(maxsize=1)
def _read() -> dict[str, Any]:
    return yaml.safe_load(_FILE.read_text(encoding="utf-8"))


def _expand(pattern: str) -> str:
    """The pattern with its names replaced by what they stand for, and its blanks by any number of them."""
    while found := _NAME.search(pattern):
        pattern = pattern.replace(found[0], _read()["words"][found[1]])
    return pattern.replace(" ", r"\s+")


@lru_cache
def english_patterns(section: str) -> re.Pattern[str]:
    """A section of the file as one pattern, to be searched for in a sentence with straight apostrophes."""
    lists = _read()[section]
    beginnings = "|".join(lists.get("beginnings", ()))
    openings = "|".join(lists.get("openings", ()))
    parts = [rf"^\W*(?:{beginnings})"] if beginnings else []
    parts += [f"<opening>(?:{openings})"] if openings else []
    return re.compile("|".join(map(_expand, [*parts, *lists.get("anywhere", ())])), re.IGNORECASE)
