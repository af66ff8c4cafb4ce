"""Merges the labels of several sets: those that mean the same get one merged label, each with the reason.

Sets are merged with each other, and never a set with itself: two labels of one set are two classes, whatever lists
and plural forms say of them. Only what is written differently and is the same word for word ("Dog", "a photo of a
dog") is one class. A label that a set has twice under different ids stays two labels, and so does a name that
means several things; both are recorded as related to what has the same name elsewhere. So is a label whose name
another set lists among the further names of just one label: it is marked with that one ("taxi [a name of cab]").
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import pyarrow as pa
from pydantic import Field, model_validator

from corpus.settings import Settings, SettingsError
from pipelines.labels.vocabulary import (
    LabelNames,
    aliases,
    first_synonym,
    is_other_thing,
    load_names,
    normalize_label,
    normalized_names,
    singular,
)

MERGED_LABELS = pa.schema(
    [
        pa.field("set", pa.string(), nullable=False),
        pa.field("id", pa.string(), nullable=False),  # that the set gives to the label; "": none
        pa.field("label", pa.string(), nullable=False),  # as the set writes it
        pa.field("merged", pa.string(), nullable=False),
        pa.field("why", pa.string(), nullable=False),
    ]
)


class MergeSettings(Settings):
    """Settings of merging the labels of classification sets."""

    vocabulary_file: str = Field(
        "", description="A YAML file of the user's own names, which override the built-in ones; empty for none."
    )
    builtin_vocabulary: bool = Field(True, description="Whether the lists of pipelines/labels/synonyms.yaml are used.")
    merge_plurals: bool = Field(
        True, description="Whether a plural is merged with its singular, where that is a label or a known name."
    )
    use_first_synonym: bool = Field(
        True,
        description='Whether a label of several synonyms has the name of the first: "tench, Tinca tinca" is a tench.',
    )

    @model_validator(mode="after")
    def _can_read_names(self) -> MergeSettings:
        """Refuses a names file that can't be used with the settings, not at the end of a run."""
        if self.vocabulary_file:
            load_names(self.vocabulary_file, built_in=False)
        return self

    @property
    def lists(self) -> LabelNames:
        """All names that these settings stand for, as they are in the files now."""
        return load_names(self.vocabulary_file, self.builtin_vocabulary)


@dataclass(frozen=True)
class SetLabel:
    """A label of a set. Two with the same name and different ids are different classes."""

    name: str
    id: str = ""


class MergedLabels:
    """The merged labels of all sets. `table`: MERGED_LABELS, by set, label and id."""

    def __init__(self, rows: Iterable[tuple[str, SetLabel, str, str]]) -> None:
        ordered = sorted(rows, key=lambda row: (row[0], row[1].name, row[1].id))
        self._merged = {(name, label): merged for name, label, merged, _ in ordered}
        self.table = pa.Table.from_pylist(
            [
                {"set": name, "id": label.id, "label": label.name, "merged": merged, "why": why}
                for name, label, merged, why in ordered
            ],
            MERGED_LABELS,
        )

    def merged(self, set_name: str, label: str, label_id: str = "") -> str:
        """Looks up the merged label of a set's label, "" for a blank one. Raises KeyError for an unknown one."""
        return self._merged[set_name, SetLabel(label, label_id)] if label.strip() else ""

    def report(self) -> list[str]:
        """Writes a report in lines: counts, every label that joins several sets, and every label that was renamed."""
        rows = self.table.to_pylist()
        sets = sorted({row["set"] for row in rows})
        joined: dict[str, list[str]] = defaultdict(list)
        for row in rows:
            joined[row["merged"]].append(f"{row['set']}: {row['label']}")
        several = {name: members for name, members in sorted(joined.items()) if len(members) > 1}
        lines = [f"{len(rows)} labels of {len(sets)} sets are {len(joined)} merged labels"]
        lines += [f"{name} = " + "; ".join(members) for name, members in several.items()]
        return lines + [f"{row['set']}: {row['label']} -> {row['merged']} ({row['why']})" for row in rows if row["why"]]


def merge_labels(labels: Mapping[str, Iterable[SetLabel | str]], settings: MergeSettings | None = None) -> MergedLabels:
    """Merges the labels of sets (set -> its labels), and gives the reason for each.

    The result does not depend on the order of sets or labels. Blank labels are no labels. Raises SettingsError for a
    names file that can't be used, or that renames a label which its set does not have.
    """
    settings = settings or MergeSettings()
    names = settings.lists
    sets = {
        name: sorted(
            {each for each in map(_set_label, members) if each.name.strip()},
            key=lambda label: (label.name, label.id),
        )
        for name, members in labels.items()
    }
    _check_renaming(names, sets)
    chosen = _merge(sets, names, settings)
    ambiguous = {normalize_label(name) for name in names.ambiguous}
    decisions = [
        (name, label, *_decide(name, label, id_counts, names, chosen, ambiguous))
        for name, members in sets.items()
        for id_counts in [Counter(form for form, _ in {(normalize_label(label.name), label.id) for label in members})]
        for label in members
    ]
    return MergedLabels(_mark_synonyms(decisions, names) if settings.use_first_synonym else decisions)


def _set_label(label: SetLabel | str) -> SetLabel:
    return label if isinstance(label, SetLabel) else SetLabel(label)


def _decide(
    set_name: str,
    label: SetLabel,
    id_counts: Mapping[str, int],
    names: LabelNames,
    chosen: Mapping[str, tuple[str, str]],
    ambiguous: set[str],
) -> tuple[str, str]:
    """Decides the merged label of one label, and why. `id_counts`: how many ids of the set share a normalized name."""
    renamed = names.rename.get(set_name, {})
    for key in (f"{label.name}#{label.id}", label.name):
        if key in renamed:
            return renamed[key], "renamed by the names file"
    form = normalize_label(label.name)
    if not form:
        return f"{label.name.strip()} [{set_name}]", "no word in it: of this set only"
    if is_other_thing(form, set_name, names):
        return f"{form} [{set_name}]", "here a thing that other sets do not mean by it: of this set only"
    merged, why = chosen[_key(label.name)]
    if id_counts[form] > 1:
        mark = label.id or "no id"
        return f"{form} [{set_name}: {mark}]", "the set has this name under several ids: kept apart"
    if merged in ambiguous or form in ambiguous:
        return f"{merged} [{set_name}]", "a name of several meanings: of this set only"
    if not any(char.isalpha() for char in merged):
        return f"{merged} [{set_name}]", "a number, not a name: of this set only"
    return merged, why


_Decision = tuple[str, SetLabel, str, str]  # set, label, merged label, why


def _mark_synonyms(decisions: Sequence[_Decision], names: LabelNames) -> list[_Decision]:
    """Marks each label whose name some set lists for just one of its labels, which has become another merged label."""
    alias = aliases(names)
    holders: dict[tuple[str, str], set[str]] = defaultdict(set)  # set and name -> the merged labels that list it
    listed = set()
    for set_name, label, merged, _ in decisions:
        synonyms = normalized_names(label.name)
        listed |= set(synonyms[1:]) if "," in label.name else set()
        for name in synonyms:
            holders[set_name, alias.get(name, name)].add(merged)
    unique_holders: dict[str, set[str]] = defaultdict(set)
    for (_, name), merged_labels in holders.items():
        if len(merged_labels) == 1:
            unique_holders[name] |= merged_labels
    secondary = {alias.get(name, name) for name in listed}

    def mark(merged: str) -> str:
        name = alias.get(merged, singular(merged, secondary))
        name = alias.get(name, name)
        others = sorted(unique_holders[name] - {merged, name}) if name in secondary and "[" not in merged else []
        others = [other for other in others if "[" not in other]
        return f"{merged} [a name of {'; '.join(others)}]" if others else merged

    marked = {merged: mark(merged) for _, _, merged, _ in decisions}
    lists = {row[2] for row in decisions if "," in row[1].name}
    return [
        (set_name, label, merged, why)
        if marked[merged] == merged or merged in lists
        else (set_name, label, marked[merged], why or "another set lists its name for that one")
        for set_name, label, merged, why in decisions
    ]


def _key(label: str) -> str:
    """Returns the key of a class within its set: the normalized label, with the commas that separate names."""
    return (
        ", ".join(filter(None, (normalize_label(part) for part in label.split(","))))
        if "," in label
        else normalize_label(label)
    )


def _merge(
    sets: Mapping[str, Iterable[SetLabel]], names: LabelNames, settings: MergeSettings
) -> dict[str, tuple[str, str]]:
    """Chooses the merged label of each key, and why, the same in all sets; never one that joins two labels of a set."""
    keys = {name: {_key(label.name) for label in members} for name, members in sets.items()}
    alias = aliases(names)
    known = {normalize_label(name) for group in names.synonyms for name in group}
    known |= {normalize_label(name) for above, below in names.hyponyms.items() for name in (above, *below)}
    known |= {first_synonym(key) for set_keys in keys.values() for key in set_keys}
    # Of names that differ in their blanks only, the one with most words; rather the singular.
    by_words = sorted(known, key=lambda name: (name.count(" "), -len(name), name))
    spaced_forms = {_squeezed(name, settings): name for name in by_words}
    candidates = {
        key: _candidates(key, alias, known, spaced_forms, settings) for set_keys in keys.values() for key in set_keys
    }
    while True:
        rejected: set[tuple[str, str]] = set()  # what a name or a key is not to become
        for name, set_keys in sorted(keys.items()):
            by_form = defaultdict(list)
            for key in sorted(set_keys):
                by_form[candidates[key][0].form].append(key)
            for form, rivals in by_form.items():
                best = max(candidates[key][0].confidence for key in rivals)
                winners = [key for key in rivals if candidates[key][0].confidence == best]
                losers = rivals if len(winners) > 1 else [key for key in rivals if key not in winners]
                for key in losers:
                    if len(rivals) > 1 and candidates[key][0].confidence < _SAME:
                        rejected.add((first_synonym(key) if candidates[key][0].confidence < _LISTED else key, form))
                        candidates[key][1] = replace(candidates[key][1], why=f"not {form}: {name} has both")
        if not rejected:
            return {key: (ranked[0].form, ranked[0].why) for key, ranked in candidates.items()}
        for key, ranked in candidates.items():
            if len(ranked) > 1 and {(first_synonym(key), ranked[0].form), (key, ranked[0].form)} & rejected:
                del ranked[0]


_MIN_COMPOUND_LETTERS = 6  # of what may be several words in one
_RULE, _LISTED, _SAME = range(3)  # confidence in a merged label: by rules, the first of several names, written so


@dataclass(frozen=True)
class _Candidate:
    """A merged label that a label may get."""

    form: str
    confidence: int
    why: str


def _candidates(
    key: str, alias: Mapping[str, str], known: set[str], spaced_forms: Mapping[str, str], settings: MergeSettings
) -> list[_Candidate]:
    """Lists what a label may become, the preferred form first, the one that no rule was used for last."""
    normalized = normalize_label(key)
    candidates = [_Candidate(normalized, _SAME, "")]
    name = normalized
    if settings.use_first_synonym and first_synonym(key) != normalized:
        name = first_synonym(key)
        candidates = [
            _Candidate(name, _LISTED, "the first of its names"),
            _Candidate(f"{name} [one of several: {normalized}]", _SAME, ""),
        ]
    singular_name = singular(name, known) if settings.merge_plurals else name
    if name in alias:
        merged, why = alias[name], f"listed as {alias[name]}"
    else:
        merged, why = alias.get(singular_name, singular_name), f"the plural of {singular_name}"
    spaced = spaced_forms.get(_squeezed(merged, settings), merged)
    if merged not in alias and len(merged) >= _MIN_COMPOUND_LETTERS and spaced.count(" ") > merged.count(" "):
        merged, why = alias.get(spaced, spaced), f"{spaced} in one word"
    return candidates if merged == name else [_Candidate(merged, _RULE, why), *candidates]


def _squeezed(name: str, settings: MergeSettings) -> str:
    """Returns a name without its blanks, and without a plural s."""
    joined = name.replace(" ", "")
    return joined.removesuffix("s") if settings.merge_plurals else joined


def _check_renaming(names: LabelNames, sets: Mapping[str, Iterable[SetLabel]]) -> None:
    """Raises SettingsError where the names file renames a label that its set does not have."""
    for name, renamed in names.rename.items():
        if name not in sets:
            continue  # a names file may serve several corpora
        present = {key for label in sets[name] for key in (label.name, f"{label.name}#{label.id}")}
        missing = sorted(set(renamed) - present)
        if missing:
            raise SettingsError(
                f"rename: set {name} has no label {missing[0]!r}; write it as the set does, or label#id"
            )
