"""All targets by name: a file for each family of readers."""

from __future__ import annotations

import sys
from pathlib import Path

from ..target import Target

_TESTS = Path(__file__).parents[2]
_HELPERS = (_TESTS, _TESTS / "pipelines", _TESTS / "pipelines" / "sources", _TESTS / "video")
sys.path += [str(path) for path in _HELPERS if str(path) not in sys.path]  # pytest finds what lies there by itself

from . import answers, archives, corpora, images, records, settings, tables, texts, videos, web  # noqa: E402

TARGETS: dict[str, Target] = {
    target.name: target
    for family in (images, archives, tables, records, videos, web, settings, texts, answers, corpora)
    for target in family.TARGETS
}
