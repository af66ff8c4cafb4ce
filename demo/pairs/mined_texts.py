"""Builds the demo's guide to sights: questions and passages, among whose positives hard negatives are mined.

What is near to a question is planted in both kinds. Other passages about the same sight share its words and do not
answer: they must be mined. Passages that answer the question too must be no negative of it: one says the same in other
words, one differs from the answer in a word, and one answers an equal question.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from demo.pairs.builders import write_lines
from demo.pairs.truth import ExpectedSet, FalseNegative, Pair, SetSide

_SIGHTS = (  # the first ones have five subjects, the others two
    ("old limestone lighthouse", "Marrow Point", "Ada Finch"),
    ("long tarred ropewalk", "Elder Quay", "Casimir Dole"),
    ("domed slate observatory", "Vesper Hill", "Ottilie Brandt"),
    ("mossy basalt aqueduct", "Quarry Bend", "Lucius Morrow"),
    ("crooked oaken windmill", "Thistle Down", "Jonas Wray"),
    ("cracked bronze carillon", "Copper Gate", "Beatrix Vane"),
    ("thatched yellow apiary", "Juniper Moor", "Tobias Lund"),
    ("narrow brick granary", "Salter Ford", "Edmund Pike"),
)
_MUCH_VISITED = 4
_SUBJECTS = (  # each of one sight only, so that passages about different sights have few words in common
    *(("height in feet", "ninety one"), ("keeper by name", "Ruben Askew"), ("price at auction", "four thousand")),
    *(("weight without cargo", "eleven hundred"), ("rumoured age", "three centuries"), ("colour at dusk", "violet")),
    *(("daily number of guests", "forty"), ("sound in a storm", "a low hum"), ("yearly share of barley", "one tenth")),
    *(("depth below ground", "twelve fathoms"), ("rent per quarter", "two geese"), ("path uphill", "rather muddy")),
    *(("chief enemy among birds", "the jackdaw"), ("motto over its door", "spero"), ("debt to bishops", "sixty marks")),
    *(("shadow by noon", "shaped like a heron"), ("best season", "early autumn"), ("oldest picture", "a woodcut")),
    *(("smell after rain", "tallow and thyme"), ("loss of tiles", "thirty odd"), ("praise in ballads", "the refrain")),
    *(("distance from shore", "nine leagues"), ("rank among ruins", "seventh"), ("second name", "Long Meg")),
    *(("first owner", "a widow"), ("last repair", "unpaid"), ("legal guardian", "the parish"), ("tolls due", "none")),
)


@dataclass(frozen=True)
class _Subject:
    """What the guide says about a sight in one respect."""

    thing: str
    place: str
    builder: str
    name: str
    value: str

    @property
    def question(self) -> str:
        return f"What is the {self.name} of the {self.thing} at {self.place}?"

    @property
    def other_question(self) -> str:
        return f"At {self.place} {self.builder} built the {self.thing}: tell us its {self.name}."

    @property
    def passage(self) -> str:
        return f"The {self.name} of the {self.thing} that {self.builder} built at {self.place} is {self.value}."

    @property
    def nearly_the_passage(self) -> str:
        return f"{self.passage.removesuffix('.')} nowadays."

    @property
    def reworded_passage(self) -> str:
        """The same words in an order in which no text duplicate is found."""
        value = self.value[0].upper() + self.value[1:]
        return f"{value} is, of the {self.thing} at {self.place} that {self.builder} built, the {self.name}."


def plant_guide(folder: Path) -> ExpectedSet:
    """Builds the guide. Every passage about a sight is a hard negative of all questions about its other subjects."""
    planted = ExpectedSet()
    lines: list[dict[str, Any] | str] = []
    subjects = iter(_SUBJECTS)
    for number, sight in enumerate(_SIGHTS):
        much_visited = number < _MUCH_VISITED
        about = [_Subject(*sight, *next(subjects)) for _ in range(5 if much_visited else 2)]
        rows = list(_much_visited(about) if much_visited else _little_visited(about))
        for of, pair in rows:
            hard = [other.positive for subject, other in rows if subject != of]
            planted.keep(Pair(pair.query, pair.positive, pair.negatives, hard=tuple(hard), false=pair.false))
            existing = [*pair.negatives, *(false.side for false in pair.false if false.existing)]
            negatives = [side.text for side in existing]
            lines.append({"query": pair.query.text, "pos": [pair.positive.text], "neg": negatives})
    write_lines(folder / "guide.jsonl", lines)
    return planted


def _much_visited(about: list[_Subject]) -> Iterator[tuple[_Subject, Pair]]:
    """Yields pairs of a sight with many passages; two of them say the same in other words."""
    first = about[0]
    texts = first.passage, first.reworded_passage
    for question, passage, other in zip((first.question, first.other_question), texts, texts[::-1], strict=True):
        yield first, Pair(SetSide(question), SetSide(passage), false=(FalseNegative(SetSide(other), "above_relative"),))
    for subject in about[1:]:
        yield subject, Pair(SetSide(subject.question), SetSide(subject.passage))


def _little_visited(about: list[_Subject]) -> Iterator[tuple[_Subject, Pair]]:
    """Yields pairs of a sight whose passages do not suffice: nearly the same, of an equal question, and with negatives.

    One of these negatives is wrong: it says what the positive says.
    """
    first, second = about
    wrong = FalseNegative(SetSide(first.reworded_passage), "above_relative", existing=True)
    right = SetSide(f"No tent at {first.place} has a {first.name}.")
    near, passage = SetSide(first.nearly_the_passage), SetSide(first.passage)
    yield first, Pair(SetSide(first.question), passage, (right,), false=(FalseNegative(near, "same_cluster"), wrong))
    yield first, Pair(SetSide(first.other_question), near, false=(FalseNegative(passage, "same_cluster"),))
    texts = second.passage, second.reworded_passage
    for text, other in zip(texts, texts[::-1], strict=True):
        false = FalseNegative(SetSide(other), "positive_of_equal_query")
        yield second, Pair(SetSide(second.question), SetSide(text), false=(false,))
