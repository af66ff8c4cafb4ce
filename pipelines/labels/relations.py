"""Which labels contain others: a dog and an Italian greyhound. Neither is a negative of the other.

A label contains another that is a kind of it, by the lists of the names file, over any number of steps, or by its
last words: an Italian greyhound is a greyhound. Not so the last words of what people do (playing guitar), of what is
denied (no smoking), of what is behind a preposition (hen of the woods), or of a proper name (a Ford Beetle). Kinds of
one thing are not related to each other. A label is related to that which lists its name. Labels that have
one name and were kept apart are related too, save those of one set that have ids of their own: what a model is to
tell from them is one and the same text.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipelines.labels.names import LabelNames, aliases, is_other_thing, plain, singular

RELATED_LABELS = pa.schema(
    [
        pa.field("label", pa.string(), nullable=False),  # the wider one
        pa.field("other", pa.string(), nullable=False),
        pa.field("why", pa.string(), nullable=False),
    ]
)

_PREPOSITIONS = frozenset(
    {
        "at",
        "behind",
        "by",
        "for",
        "from",
        "in",
        "into",
        "like",
        "near",
        "of",
        "off",
        "on",
        "onto",
        "over",
        "to",
        "under",
    }
)
_ARTICLES = frozenset({"a", "an", "the"})
_VERBAL = re.compile(r"\w*[aeiouy]\w*ing")  # a verb in -ing; no string, king or thing
_DENIALS = frozenset({"no", "non", "not", "never", "without"})
_FURTHER = re.compile(r" \[a name of (.*)\]$")  # of a label whose name others list
_MARK = re.compile(r" \[(.*)\]$")  # of a label that is kept apart: the set, and the id if there is one


class Relations:
    """What contains what, among merged labels."""

    def __init__(self, labels: Iterable[str], names: LabelNames) -> None:
        self.labels = tuple(sorted(set(labels) - {""}))
        self._alias = aliases(names)
        self._actions, self._things, self._proper = (
            frozenset(map(plain, words)) for words in (names.actions, names.things_in_ing, names.proper)
        )
        self._misleading = {plain(name) for name in names.not_a_kind}
        bare = {label: _MARK.sub("", label) for label in self.labels}
        listed = {plain(name) for above, kinds in names.kinds.items() for name in (above, *kinds)}
        self._known_things = {*self._alias, *listed}
        self._known = {*self._alias, *listed, *(plain(name) for name in bare.values())}
        apart = {label for label in self.labels if is_other_thing(bare[label], _set(label), names)}
        self._names = {label: label if label in apart else self._name(name) for label, name in bare.items()}
        below: dict[str, set[str]] = defaultdict(set)
        for above, kinds in names.kinds.items():
            below[self._name(above)] |= {self._name(kind) for kind in kinds}
        for label, name in self._names.items():
            further = _FURTHER.search(label)
            for other in further[1].split("; ") if further else ():
                below[self._name(other)].add(name)
        every = {*below, *(kind for kinds in below.values() for kind in kinds), *self._names.values()}
        for name in every:
            for end in self._ends(name):
                if end in every:
                    below[end].add(name)
        self._why = self._find({name: frozenset(kinds - {name}) for name, kinds in below.items()})

    def related(self, one: str, other: str) -> bool:
        """Whether one of two labels contains the other. Equal labels are not related, they are the same."""
        return (one, other) in self._why or (other, one) in self._why

    def table(self) -> pa.Table:
        """RELATED_LABELS: each pair once."""
        rows = [{"label": one, "other": other, "why": why} for (one, other), why in sorted(self._why.items())]
        return pa.Table.from_pylist(rows, RELATED_LABELS)

    def pairs(self, numbered: Sequence[str]) -> npt.NDArray[np.int32]:
        """int32[m, 2]: the related pairs among labels that are numbered by their places, each once."""
        number = {label: at for at, label in enumerate(numbered)}
        found = [(number[one], number[other]) for one, other in sorted(self._why) if one in number and other in number]
        return np.array(found, np.int32).reshape(-1, 2)

    def _name(self, label: str) -> str:
        form = plain(label)
        form = singular(self._alias.get(form, form), self._known)
        return self._alias.get(form, form)

    def _ends(self, name: str) -> list[str]:
        """The names that the last words of a name are, up to those that mislead: a chili hot dog is no dog."""
        words, ends = name.split(" "), {name, self._name(name)}
        if name.endswith("]") or words[0] in self._proper or self._is_action(words) or not _DENIALS.isdisjoint(words):
            return []
        for first in range(1, len(words)):
            if words[first - 1] in _PREPOSITIONS or not self._misleading.isdisjoint(ends):
                break
            end = " ".join(words[first:])
            ends |= {end, self._name(end)}
        return sorted(ends - {name})

    def _is_action(self, words: Sequence[str]) -> bool:
        """Whether this is what people do: riding a bike, kick ball, catching or throwing baseball."""
        if words[0] in self._actions:
            return len(words) > 1
        if not _VERBAL.fullmatch(words[0]) or " ".join(words) in self._known_things:
            return False
        return words[0] not in self._things or not _ARTICLES.isdisjoint(words)

    def _find(self, below: dict[str, frozenset[str]]) -> dict[tuple[str, str], str]:
        """(the wider label, the other) -> why."""
        of_name: dict[str, list[str]] = defaultdict(list)
        for label, name in self._names.items():
            of_name[name].append(label)
        why: dict[tuple[str, str], str] = {}
        for name, labels in sorted(of_name.items()):
            for one in labels:
                for other in labels:
                    if one < other and (not _mark(one) or not _mark(other) or _set(one) != _set(other)):
                        why[one, other] = f"two that are called {name}"
            for kind, way in _all_below(name, below).items():
                for one in labels:
                    for other in of_name.get(kind, ()):
                        if (other, one) not in why:
                            why[one, other] = way
        return why


def _all_below(name: str, below: dict[str, frozenset[str]]) -> dict[str, str]:
    """All kinds of a name, with the way that leads to each; the lists may run in circles."""
    ways = {name: name}
    waiting = [name]
    for each in waiting:
        for kind in sorted(below.get(each, ())):
            if kind not in ways:
                ways[kind] = f"{ways[each]} > {kind}"
                waiting.append(kind)
    del ways[name]
    return ways


def _mark(label: str) -> str:
    found = None if _FURTHER.search(label) else _MARK.search(label)
    return found[1] if found else ""


def _set(label: str) -> str:
    return _mark(label).split(": ")[0]
