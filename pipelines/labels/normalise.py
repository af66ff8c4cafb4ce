"""Labels of several sets as one list: those that mean the same get one merged label, and the reasons are kept.

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
from pipelines.labels.names import (
    LabelNames,
    aliases,
    all_names,
    first_name,
    is_other_thing,
    load_names,
    plain,
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
    """How labels of classification sets are merged."""

    names: str = Field("", description="a YAML file of the user's own names, which go before the built-in ones")
    built_in_names: bool = Field(True, description="use the lists of pipelines/labels/synonyms.yaml")
    plurals: bool = Field(True, description="merge a plural with its singular, where that is a label or a known name")
    first_of_list: bool = Field(True, description='"tench, Tinca tinca" is a tench')

    @model_validator(mode="after")
    def _can_read_names(self) -> MergeSettings:
        """A file of names that can't be used is said with the settings, not at the end of a run."""
        if self.names:
            load_names(self.names, built_in=False)
        return self

    @property
    def lists(self) -> LabelNames:
        """All names that these settings stand for, as they are in the files now."""
        return load_names(self.names, self.built_in_names)


@dataclass(frozen=True)
class SetLabel:
    """A label of a set. Two with the same name and different ids are different classes."""

    name: str
    id: str = ""


class MergedLabels:
    """What became of the labels of all sets. `table`: MERGED_LABELS, by set, label and id."""

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
        """The merged label of a set's label, "" for a blank one. Raises KeyError for one that merging has not seen."""
        return self._merged[set_name, SetLabel(label, label_id)] if label.strip() else ""

    def report(self) -> list[str]:
        """Lines for people: counts, every label that joins several sets, and every label whose name is another now."""
        rows = self.table.to_pylist()
        sets = sorted({row["set"] for row in rows})
        joined: dict[str, list[str]] = defaultdict(list)
        for row in rows:
            joined[row["merged"]].append(f"{row['set']}: {row['label']}")
        several = {name: found for name, found in sorted(joined.items()) if len(found) > 1}
        lines = [f"{len(rows)} labels of {len(sets)} sets are {len(joined)} merged labels"]
        lines += [f"{name} = " + "; ".join(found) for name, found in several.items()]
        return lines + [f"{row['set']}: {row['label']} -> {row['merged']} ({row['why']})" for row in rows if row["why"]]


def merge_labels(labels: Mapping[str, Iterable[SetLabel | str]], settings: MergeSettings | None = None) -> MergedLabels:
    """The merged label of each label of each set (set -> its labels), and why it is that.

    Does not depend on the order of sets or labels. Blank labels are none and are left out. Raises SettingsError for a
    names file that can't be used, or that renames a label which its set does not have.
    """
    settings = settings or MergeSettings()
    names = settings.lists
    sets = {
        name: sorted(
            {each for each in map(_set_label, found) if each.name.strip()},
            key=lambda label: (label.name, label.id),
        )
        for name, found in labels.items()
    }
    _check_renaming(names, sets)
    folded = _fold(sets, names, settings)
    vague = {plain(name) for name in names.several_meanings}
    decided = [
        (name, label, *_decide(name, label, twice, names, folded, vague))
        for name, found in sets.items()
        for twice in [Counter(form for form, _ in {(plain(label.name), label.id) for label in found})]
        for label in found
    ]
    return MergedLabels(_with_further_names(decided, names) if settings.first_of_list else decided)


def _set_label(label: SetLabel | str) -> SetLabel:
    return label if isinstance(label, SetLabel) else SetLabel(label)


def _decide(
    set_name: str,
    label: SetLabel,
    twice: Mapping[str, int],
    names: LabelNames,
    folded: Mapping[str, tuple[str, str]],
    vague: set[str],
) -> tuple[str, str]:
    """The merged label, and why. `twice`: how many ids of the set have a plain name."""
    renamed = names.rename.get(set_name, {})
    for key in (f"{label.name}#{label.id}", label.name):
        if key in renamed:
            return renamed[key], "renamed by the names file"
    form = plain(label.name)
    if not form:
        return f"{label.name.strip()} [{set_name}]", "no word in it: of this set only"
    if is_other_thing(form, set_name, names):
        return f"{form} [{set_name}]", "here a thing that other sets do not mean by it: of this set only"
    merged, why = folded[_key(label.name)]
    if twice[form] > 1:
        mark = label.id or "no id"
        return f"{form} [{set_name}: {mark}]", "the set has this name under several ids: kept apart"
    if merged in vague or form in vague:
        return f"{merged} [{set_name}]", "a name of several meanings: of this set only"
    if not any(char.isalpha() for char in merged):
        return f"{merged} [{set_name}]", "a number, not a name: of this set only"
    return merged, why


_Decided = tuple[str, SetLabel, str, str]  # set, label, merged label, why


def _with_further_names(decided: Sequence[_Decided], names: LabelNames) -> list[_Decided]:
    """Marks each label whose name some set lists for just one of its labels, which has become another merged label."""
    alias = aliases(names)
    holders: dict[tuple[str, str], set[str]] = defaultdict(set)  # set and name -> the merged labels that list it
    listed = set()
    for set_name, label, merged, _ in decided:
        several = all_names(label.name)
        listed |= set(several[1:]) if "," in label.name else set()
        for name in several:
            holders[set_name, alias.get(name, name)].add(merged)
    of: dict[str, set[str]] = defaultdict(set)
    for (_, name), merged_labels in holders.items():
        if len(merged_labels) == 1:
            of[name] |= merged_labels
    further = {alias.get(name, name) for name in listed}

    def marked(merged: str) -> str:
        name = alias.get(merged, singular(merged, further))
        name = alias.get(name, name)
        others = sorted(of[name] - {merged, name}) if name in further and "[" not in merged else []
        others = [other for other in others if "[" not in other]
        return f"{merged} [a name of {'; '.join(others)}]" if others else merged

    found = {merged: marked(merged) for _, _, merged, _ in decided}
    lists = {row[2] for row in decided if "," in row[1].name}
    return [
        (set_name, label, merged, why)
        if found[merged] == merged or merged in lists
        else (set_name, label, found[merged], why or "another set lists its name for that one")
        for set_name, label, merged, why in decided
    ]


def _key(label: str) -> str:
    """What makes a class of a set: the plain form, with the commas that separate names."""
    return ", ".join(filter(None, (plain(part) for part in label.split(",")))) if "," in label else plain(label)


def _fold(
    sets: Mapping[str, Iterable[SetLabel]], names: LabelNames, settings: MergeSettings
) -> dict[str, tuple[str, str]]:
    """For each key the merged label and why, the same in all sets; what would join two labels of a set is undone."""
    keys = {name: {_key(label.name) for label in found} for name, found in sets.items()}
    alias = aliases(names)
    known = {plain(name) for group in names.same for name in group}
    known |= {plain(name) for above, below in names.kinds.items() for name in (above, *below)}
    known |= {first_name(key) for found in keys.values() for key in found}
    # Of names that differ in their blanks only, the one with most words; rather the singular.
    by_words = sorted(known, key=lambda name: (name.count(" "), -len(name), name))
    parted = {_squeezed(name, settings): name for name in by_words}
    ways = {key: _ways(key, alias, known, parted, settings) for found in keys.values() for key in found}
    while True:
        undone: set[tuple[str, str]] = set()  # what a name or a key is not to become
        for name, found in sorted(keys.items()):
            together = defaultdict(list)
            for key in sorted(found):
                together[ways[key][0].form].append(key)
            for form, several in together.items():
                best = min(ways[key][0].doubt for key in several)
                stays = [key for key in several if ways[key][0].doubt == best]
                fall = several if len(stays) > 1 else [key for key in several if key not in stays]
                for key in fall:
                    if len(several) > 1 and ways[key][0].doubt:
                        undone.add((first_name(key) if ways[key][0].doubt > _LISTED else key, form))
                        ways[key][1] = replace(ways[key][1], why=f"not {form}: {name} has both")
        if not undone:
            return {key: (way[0].form, way[0].why) for key, way in ways.items()}
        for key, way in ways.items():
            if len(way) > 1 and {(first_name(key), way[0].form), (key, way[0].form)} & undone:
                del way[0]


_LEAST_LETTERS = 6  # of what may be several words in one
_SAME, _LISTED, _FOLDED = range(3)  # how doubtful a merged label is: written so, the first of several names, by rules


@dataclass(frozen=True)
class _Way:
    form: str
    doubt: int
    why: str


def _ways(
    key: str, alias: Mapping[str, str], known: set[str], parted: Mapping[str, str], settings: MergeSettings
) -> list[_Way]:
    """What a label may become, first what is wanted most, last what no rule was used for."""
    own = plain(key)
    ways = [_Way(own, _SAME, "")]
    name = own
    if settings.first_of_list and first_name(key) != own:
        name = first_name(key)
        ways = [
            _Way(name, _LISTED, "the first of its names"),
            _Way(f"{name} [one of several: {own}]", _SAME, ""),
        ]
    one = singular(name, known) if settings.plurals else name
    if name in alias:
        wide, why = alias[name], f"listed as {alias[name]}"
    else:
        wide, why = alias.get(one, one), f"the plural of {one}"
    spaced = parted.get(_squeezed(wide, settings), wide)
    if wide not in alias and len(wide) >= _LEAST_LETTERS and spaced.count(" ") > wide.count(" "):
        wide, why = alias.get(spaced, spaced), f"{spaced} in one word"
    return ways if wide == name else [_Way(wide, _FOLDED, why), *ways]


def _squeezed(name: str, settings: MergeSettings) -> str:
    """A name without its blanks, and without a plural s."""
    joined = name.replace(" ", "")
    return joined.removesuffix("s") if settings.plurals else joined


def _check_renaming(names: LabelNames, sets: Mapping[str, Iterable[SetLabel]]) -> None:
    for name, renamed in names.rename.items():
        if name not in sets:
            continue  # a names file may serve several corpora
        found = {key for label in sets[name] for key in (label.name, f"{label.name}#{label.id}")}
        missing = sorted(set(renamed) - found)
        if missing:
            raise SettingsError(
                f"rename: set {name} has no label {missing[0]!r}; write it as the set does, or label#id"
            )
