"""The stages `decontaminate` and `decontaminate_pairs` remove the items and pairs that evaluation sets have.

They read what `leaks` and `pair_leaks` have found and compare it with thresholds, so a changed threshold compares no
image and no text again. A set that shares its data with a source by design is ignored there, and what is ignored is
counted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from fnmatch import fnmatchcase
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from corpus.arrays import one_array
from corpus.schema import Status
from corpus.settings import Settings
from corpus.stage import LEAKS, PAIR_VERDICT, PAIRS, VERDICT, Gives, MapStage, Shard, SourceInfo
from corpus.thresholds import Shows
from filters.decontamination.evaluation import (
    BESIDE,
    CONTAINED,
    COSINE,
    COVERAGE,
    EQUAL,
    EXACT,
    HASH,
    MEDIA_WAYS,
    NEAR_FIELD,
    TEXT_WAYS,
)
from filters.decontamination.leaks import MAX_DISTANCE
from filters.decontamination.pair_leaks import PAIR_LEAKS
from filters.decontamination.thresholds import leak_thresholds
from filters.decontamination.vector_leaks import MIN_LISTED_COSINE

DECONTAMINATE, DECONTAMINATE_PAIRS = "decontaminate", "decontaminate_pairs"
EVALUATION_MEDIA = "evaluation_media"  # reasons
EVALUATION_TEXT, EVALUATION_PAIR, SAME_MEDIA = "evaluation_text", "evaluation_pair", "same_media"
_RANKED = (EXACT, EQUAL, HASH, COSINE, COVERAGE, CONTAINED)  # the surest way first
_OF_MEDIA, _OF_TEXTS = ("max_hash_distance", "min_cosine"), ("min_equal_words", "min_coverage", "min_contained")

DECISION = pa.schema(
    [
        pa.field("evaluation_set", pa.string()),  # of the surest way; null where nothing leaks
        pa.field("evaluation_item", pa.string()),
        pa.field("ways", pa.list_(pa.string())),  # by which sets that are not ignored have it
        pa.field("ignored", pa.list_(pa.string())),  # sets that have it, and that the settings ignore here
    ]
)


class DecontaminateSettings(Settings):
    """Settings of the stages `decontaminate` and `decontaminate_pairs`: what counts as being in an evaluation set."""

    max_hash_distance: int = Field(
        6,
        ge=0,
        le=MAX_DISTANCE,
        description="In how many of their 64 bits the pHashes of an item and of an evaluation item may differ.",
    )
    min_cosine: float | None = Field(
        0.95,
        ge=MIN_LISTED_COSINE,
        le=1,
        description="The cosine of an item's vector and an evaluation item's from which they are the same, where "
        "items have vectors; null: vectors are not compared.",
    )
    min_equal_words: int = Field(
        3, ge=1, description="The fewest words of a text that leaks because an evaluation set has the same."
    )
    min_coverage: float = Field(
        0.5, gt=0, le=1, description="The share of an evaluation text's n-grams from which a text contains it."
    )
    min_contained: float = Field(
        0.8, gt=0, le=1, description="The share of a text's n-grams from which it is an excerpt of an evaluation text."
    )
    same_media: Literal["remove", "keep"] = Field(
        "remove",
        description="What becomes of items that an evaluation set has, and of pairs with such media and other texts; "
        "`keep` removes only pairs of which an evaluation set has a text as well.",
    )


class _Decision(MapStage):
    """The stages' base: the thresholds, and the sets that are ignored."""

    settings_key = DECONTAMINATE
    settings_type = DecontaminateSettings
    over = frozenset(Gives)
    schema = DECISION

    def __init__(self, settings: DecontaminateSettings, ignored: Iterable[str] = ()) -> None:
        super().__init__(settings)
        self._settings = settings
        self._ignored = tuple(sorted(ignored))

    @classmethod
    def create(cls, source: SourceInfo) -> _Decision:
        names = [name for name in (source.name, source.dataset) if name]
        return cls(cls.settings_of(source), ignored_sets(source.evaluation, names))

    def fingerprint_inputs(self) -> dict[str, Any]:
        return {**self._settings.canonical(), "ignored": list(self._ignored)}


class Decontaminate(_Decision):
    """The stage over images: what an evaluation set has is filtered, `evaluation_media`.

    Of sources of pairs and of videos the pairs are removed, by `decontaminate_pairs`.
    """

    name = DECONTAMINATE
    reads = (VERDICT, LEAKS)
    over = frozenset({Gives.IMAGES})
    roles = (VERDICT,)
    summary = "whether an evaluation set has the image: the set, the item there, and how that was found"
    thresholds = leak_thresholds(LEAKS, Shows.ITEM, dict.fromkeys(_OF_MEDIA, EVALUATION_MEDIA))

    @classmethod
    def applies_to(cls, source: SourceInfo) -> bool:
        return super().applies_to(source) and LEAKS in source.tables

    def setup(self) -> Callable[[Shard], pa.Table]:
        return self._decide

    def _decide(self, shard: Shard) -> pa.Table:
        found = decide(shard[LEAKS].column(NEAR_FIELD.name), self._settings, self._ignored)
        leaks = found.column("ways").to_pylist()
        removed = self._settings.same_media == "remove"
        return _with_status(found, [EVALUATION_MEDIA if ways and removed else "" for ways in leaks])


class DecontaminatePairs(_Decision):
    """The stage over pairs: those are filtered of which an evaluation set has a text (`evaluation_text`), media and a
    text (`evaluation_pair`), or media that come with other texts there (`same_media`).
    """

    name = DECONTAMINATE_PAIRS
    reads = (PAIRS, PAIR_LEAKS)
    over_pairs = True
    optional_reads = (PAIR_VERDICT,)
    roles = (PAIR_VERDICT,)
    summary = "whether an evaluation set has a text or media of it: the set, the item there, and how that was found"
    thresholds = leak_thresholds(
        PAIR_LEAKS,
        Shows.PAIR,
        {**dict.fromkeys(_OF_MEDIA, SAME_MEDIA), **dict.fromkeys(_OF_TEXTS, EVALUATION_TEXT)},
    )

    @classmethod
    def applies_to(cls, source: SourceInfo) -> bool:
        return super().applies_to(source) and PAIR_LEAKS in source.tables

    def setup(self) -> Callable[[Shard], pa.Table]:
        return self._decide

    def _decide(self, shard: Shard) -> pa.Table:
        found = decide(shard[PAIR_LEAKS].column(NEAR_FIELD.name), self._settings, self._ignored)
        return _with_status(found, [self._reason(ways or ()) for ways in found.column("ways").to_pylist()])

    def _reason(self, ways: Iterable[str]) -> str:
        """Returns why a pair is removed that leaks in these ways; "" where it stays."""
        of_media, of_text = ({*ways} & {*group} for group in (MEDIA_WAYS, TEXT_WAYS))
        if of_media and (of_text or BESIDE in ways):
            return EVALUATION_PAIR
        if of_text:
            return EVALUATION_TEXT
        return SAME_MEDIA if of_media and self._settings.same_media == "remove" else ""


def ignored_sets(evaluation: Any, names: Iterable[str]) -> list[str]:
    """Returns the evaluation sets whose settings ignore a source or dataset of one of these names."""
    return [
        name
        for name, settings in evaluation.items()
        if any(fnmatchcase(each, pattern) for each in names for pattern in settings.ignore)
    ]


def decide(near: pa.ChunkedArray, settings: DecontaminateSettings, ignored: Iterable[str]) -> pa.Table:
    """Returns the columns of DECISION for each row of a column NEAR_FIELD."""
    lists = one_array(near)
    counts = pc.fill_null(pc.list_value_length(lists), 0).to_numpy(zero_copy_only=False)
    entries = lists.flatten()
    hits = _hits(entries, settings)
    is_ignored = pc.is_in(entries.field("set"), pa.array(list(ignored), pa.string())).to_numpy(zero_copy_only=False)
    row = np.repeat(np.arange(len(counts)), counts)
    columns: dict[str, list[Any]] = {name: [None] * len(counts) for name in DECISION.names}
    for number, found in _by_row(entries, row, hits & is_ignored):
        columns["ignored"][number] = sorted({each["set"] for each in found if each["way"] != BESIDE}) or None
    for number, found in _by_row(entries, row, hits & ~is_ignored):
        sure = [each for each in found if each["way"] != BESIDE]
        if sure:
            best = min(sure, key=lambda each: (_RANKED.index(each["way"]), each["set"], each["name"]))
            columns["evaluation_set"][number], columns["evaluation_item"][number] = best["set"], best["name"]
            columns["ways"][number] = sorted({each["way"] for each in found})
    return pa.table({name: pa.array(values, DECISION.field(name).type) for name, values in columns.items()})


def _by_row(
    entries: pa.StructArray, row: npt.NDArray[np.int64], chosen: npt.NDArray[np.bool_]
) -> Iterable[tuple[int, list[dict[str, Any]]]]:
    places = np.flatnonzero(chosen)
    found: dict[int, list[dict[str, Any]]] = {}
    for number, entry in zip(row[places].tolist(), entries.take(pa.array(places)).to_pylist(), strict=True):
        found.setdefault(number, []).append(entry)
    return found.items()


def _hits(entries: pa.StructArray, settings: DecontaminateSettings) -> npt.NDArray[np.bool_]:
    """Returns which entries of NEAR_FIELD reach the threshold of their way, bool[k]."""
    way = np.asarray(entries.field("way").to_pylist(), object)
    value = entries.field("value").to_numpy(zero_copy_only=False)
    min_values = {
        EXACT: 1.0,
        COSINE: settings.min_cosine,
        EQUAL: settings.min_equal_words,
        COVERAGE: settings.min_coverage,
        CONTAINED: settings.min_contained,
        BESIDE: 0.0,
    }
    hits = (way == HASH) & (value <= settings.max_hash_distance)
    for name, bound in min_values.items():
        if bound is not None:
            hits |= (way == name) & (value >= np.float32(bound))
    return np.asarray(hits, bool)


def _with_status(found: pa.Table, reasons: list[str]) -> pa.Table:
    reason = pa.array(reasons, pa.string())
    status = pc.if_else(pc.equal(reason, ""), str(Status.KEPT), str(Status.FILTERED))
    return found.append_column("status", status).append_column("reason", reason)
