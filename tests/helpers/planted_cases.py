"""Reading of the tables of planted answers, and what the screening misses of them."""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType
from typing import NamedTuple

from recaption.screening.screen import ScreeningSettings, screen


class Case(NamedTuple):
    """An answer that is no caption; `scene`: the caption that may be left of it."""

    kind: str
    language: str
    text: str
    scene: str


def read_cases(table: ModuleType) -> Iterator[Case]:
    """The cases of a module with SCENES, a table, and KINDS, tables by kind."""
    scenes = dict(line.split(" ", 1) for line in table.SCENES.split("\n") if line)
    for kind, lines in table.KINDS.items():
        for line in lines.split("\n"):
            if line:
                language, _, text = line.partition(" ")
                scene = scenes[language]
                yield Case(kind, language, text.replace("§", scene).replace("⏎", "\n"), scene)


def is_caught(case: Case) -> bool:
    """Whether the screening refuses an answer, or leaves nothing of it but the scene."""
    screened = screen(case.text, settings=ScreeningSettings(language=case.language))
    return bool(screened.reject_reason) or screened.caption == case.scene
