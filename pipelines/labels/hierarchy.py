"""Finds which labels contain others: a dog and an Italian greyhound. Neither is a negative of the other.

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

from pipelines.labels.vocabulary import LabelNames, aliases, is_other_thing, normalize_label, singular

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
_SYNONYM_OF = re.compile(r" \[a name of (.*)\]$")  # of a label whose name others list
_MARK = re.compile(r" \[(.*)\]$")  # of a label that is kept apart: the set, and the id if there is one


class Relations:
    """Relations of containment among merged labels."""

    def __init__(self, labels: Iterable[str], names: LabelNames) -> None:
        self.labels = tuple(sorted(set(labels) - {""}))
        self._alias = aliases(names)
        self._actions, self._things, self._proper = (
            frozenset(map(normalize_label, words))
            for words in (names.action_verbs, names.gerund_modifiers, names.proper_nouns)
        )
        self._misleading = {normalize_label(name) for name in names.not_hyponyms}
        bare = {label: _MARK.sub("", label) for label in self.labels}
        listed = {normalize_label(name) for above, kinds in names.hyponyms.items() for name in (above, *kinds)}
        self._known_things = {*self._alias, *listed}
        self._known = {*self._alias, *listed, *(normalize_label(name) for name in bare.values())}
        exclusive = {label for label in self.labels if is_other_thing(bare[label], _set(label), names)}
        self._names = {label: label if label in exclusive else self._name(name) for label, name in bare.items()}
        below: dict[str, set[str]] = defaultdict(set)
        for above, kinds in names.hyponyms.items():
            below[self._name(above)] |= {self._name(kind) for kind in kinds}
        for label, name in self._names.items():
            synonym_of = _SYNONYM_OF.search(label)
            for other in synonym_of[1].split("; ") if synonym_of else ():
                below[self._name(other)].add(name)
        all_names = {*below, *(kind for kinds in below.values() for kind in kinds), *self._names.values()}
        for name in all_names:
            for suffix in self._suffixes(name):
                if suffix in all_names:
                    below[suffix].add(name)
        self._why = self._relate({name: frozenset(kinds - {name}) for name, kinds in below.items()})

    def related(self, one: str, other: str) -> bool:
        """Tells whether one of two labels contains the other. Equal labels are not related, they are the same."""
        return (one, other) in self._why or (other, one) in self._why

    def table(self) -> pa.Table:
        """Lists each related pair once, as RELATED_LABELS."""
        rows = [{"label": one, "other": other, "why": why} for (one, other), why in sorted(self._why.items())]
        return pa.Table.from_pylist(rows, RELATED_LABELS)

    def pairs(self, numbered: Sequence[str]) -> npt.NDArray[np.int32]:
        """Returns the related pairs among numbered labels, each once: int32[m, 2], positions in `numbered`."""
        number = {label: at for at, label in enumerate(numbered)}
        pairs = [(number[one], number[other]) for one, other in sorted(self._why) if one in number and other in number]
        return np.array(pairs, np.int32).reshape(-1, 2)

    def _name(self, label: str) -> str:
        form = normalize_label(label)
        form = singular(self._alias.get(form, form), self._known)
        return self._alias.get(form, form)

    def _suffixes(self, name: str) -> list[str]:
        """Returns the names that the last words of a name form, up to those that mislead: a chili hot dog is no dog."""
        words, suffixes = name.split(" "), {name, self._name(name)}
        if name.endswith("]") or words[0] in self._proper or self._is_action(words) or not _DENIALS.isdisjoint(words):
            return []
        for first in range(1, len(words)):
            if words[first - 1] in _PREPOSITIONS or not self._misleading.isdisjoint(suffixes):
                break
            suffix = " ".join(words[first:])
            suffixes |= {suffix, self._name(suffix)}
        return sorted(suffixes - {name})

    def _is_action(self, words: Sequence[str]) -> bool:
        """Tells whether this is what people do: riding a bike, kick ball, catching or throwing baseball."""
        if words[0] in self._actions:
            return len(words) > 1
        if not _VERBAL.fullmatch(words[0]) or " ".join(words) in self._known_things:
            return False
        return words[0] not in self._things or not _ARTICLES.isdisjoint(words)

    def _relate(self, below: dict[str, frozenset[str]]) -> dict[tuple[str, str], str]:
        """Finds the related labels: (the wider label, the other) -> why."""
        of_name: dict[str, list[str]] = defaultdict(list)
        for label, name in self._names.items():
            of_name[name].append(label)
        why: dict[tuple[str, str], str] = {}
        for name, labels in sorted(of_name.items()):
            for one in labels:
                for other in labels:
                    if one < other and (not _mark(one) or not _mark(other) or _set(one) != _set(other)):
                        why[one, other] = f"two that are called {name}"
            for kind, path in _descendants(name, below).items():
                for one in labels:
                    for other in of_name.get(kind, ()):
                        if (other, one) not in why:
                            why[one, other] = path
        return why


def _descendants(name: str, below: dict[str, frozenset[str]]) -> dict[str, str]:
    """Finds all kinds of a name, with the path to each; the lists may run in circles."""
    paths = {name: name}
    queue = [name]
    for each in queue:
        for kind in sorted(below.get(each, ())):
            if kind not in paths:
                paths[kind] = f"{paths[each]} > {kind}"
                queue.append(kind)
    del paths[name]
    return paths


def _mark(label: str) -> str:
    """Returns the set, and the id if there is one, that a label is marked with; "" for an unmarked one."""
    match = None if _SYNONYM_OF.search(label) else _MARK.search(label)
    return match[1] if match else ""


def _set(label: str) -> str:
    """Returns the set that a label is marked with; "" for an unmarked one."""
    return _mark(label).split(": ")[0]
