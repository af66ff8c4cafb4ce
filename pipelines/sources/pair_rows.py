"""The rows of a source of existing pairs: their schema, the texts and names of images of each side, true negatives.

The images themselves are found by their names (`pipelines.sources.images`) and become items of their own; a pair's row
only names them.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import zip_longest

import pyarrow as pa

from corpus.text.clean import TextCleanSettings, clean_text
from corpus.text.keys import normalize_text

SIDE_TYPE = pa.struct(
    [
        pa.field("text", pa.string(), nullable=False),
        pa.field("images", pa.list_(pa.string()), nullable=False),  # names, as the set's own files give them
    ]
)

# `score` is that of query x negative; 0: the set has none
NEGATIVE_TYPE = pa.struct([*SIDE_TYPE, pa.field("score", pa.float32(), nullable=False)])

PAIR_ROWS = pa.schema(
    [
        pa.field("query", SIDE_TYPE),
        pa.field("positive", SIDE_TYPE),
        pa.field("negatives", pa.list_(NEGATIVE_TYPE)),  # given with the set, best first
        pa.field("instruction", pa.string()),  # that the set itself gives with the query; "": none
        pa.field("positive_instruction", pa.string()),  # the same with the positive
        pa.field("positive_score", pa.float32()),  # query x positive, as the set has it; 0: it has none
        pa.field("in_batch_negatives", pa.bool_()),  # false: the set's pairs are no negatives of each other
        pa.field("label", pa.string()),  # of a classification set, as the set writes it; "": none
        pa.field("subset", pa.string()),  # of the source, where it holds several sets; "": it is one
        pa.field("key", pa.string()),  # the set's own id of the pair; "": it has none
        pa.field("file", pa.string()),  # where it was read
        pa.field("line", pa.int64()),  # of that file, counted from 1; in Parquet the row
        pa.field("url", pa.string()),  # of the source, if the set gives one; "": none
        pa.field("licence", pa.string()),
    ]
)


_CLEAN = TextCleanSettings()


@dataclass(frozen=True)
class Side:
    """One side of a pair, or a negative: a text, images, or both."""

    text: str = ""
    images: tuple[str, ...] = ()
    score: float = field(default=0.0, compare=False)  # of the query with it, as the set has it; 0: it has none


@dataclass(frozen=True)
class SourcePair:
    """One pair as its set has it."""

    query: Side
    positive: Side
    negatives: tuple[Side, ...] = ()
    instruction: str = ""
    label: str = ""
    key: str = ""
    file: str = ""
    line: int = 0
    url: str = ""
    licence: str = field(default="", compare=False)
    subset: str = ""
    positive_instruction: str = ""
    positive_score: float = 0.0
    in_batch_negatives: bool = True


NormalizedSide = tuple[str, tuple[str, ...]]  # a side as it is compared


def pairs_table(pairs: Sequence[SourcePair]) -> pa.Table:
    """Makes PAIR_ROWS of some pairs, in their order."""
    columns: dict[str, pa.Array] = {
        name: _sides([getattr(pair, name) for pair in pairs]) for name in ("query", "positive")
    }
    sides = [side for pair in pairs for side in pair.negatives]
    scores = pa.array([side.score for side in sides], pa.float32())
    negatives = pa.StructArray.from_arrays([*_sides(sides).flatten(), scores], fields=list(NEGATIVE_TYPE))
    columns["negatives"] = _lists(negatives, [len(pair.negatives) for pair in pairs], pa.list_(NEGATIVE_TYPE))
    for name in PAIR_ROWS.names:
        if name not in columns:
            columns[name] = pa.array([getattr(pair, name) for pair in pairs], PAIR_ROWS.field(name).type)
    return pa.table(columns, schema=PAIR_ROWS)


def _sides(sides: Sequence[Side]) -> pa.StructArray:
    names = pa.array([name for side in sides for name in side.images], pa.string())
    images = _lists(names, [len(side.images) for side in sides], pa.list_(pa.string()))
    return pa.StructArray.from_arrays(
        [pa.array([side.text for side in sides], pa.string()), images], fields=list(SIDE_TYPE)
    )


def _lists(values: pa.Array, counts: Sequence[int], kind: pa.DataType) -> pa.Array:
    return pa.ListArray.from_arrays(pa.array(itertools.accumulate(counts, initial=0), pa.int32()), values, type=kind)


def true_negatives(
    negatives: Sequence[Side], positives: Sequence[Side], limit: int | None, counts: Counter[str]
) -> Iterator[Side]:
    """Selects the first `limit` of a row's negatives that are not empty, not one of its positives and not repeated.

    Equal are sides of the same images and of texts that count as the same (`corpus.text.keys`). Where a row has several
    positives, texts are cleaned before they are compared with these: the stage that cleans all texts sees the one
    positive of a pair only. Adds to `counts` how many were kept, and why the others were not.
    """
    not_negative = {normalize_side(side) for side in positives}
    cleaned: Sequence[NormalizedSide] = ()
    if len(not_negative) > 1 and negatives:
        cleaned = [normalize_side(_clean(side)) for side in (*positives, *negatives)]
    not_cleaned = set(cleaned[: len(positives)])
    known: set[NormalizedSide] = set()
    for side, clean in zip_longest(negatives, cleaned[len(positives) :]):
        normalized = normalize_side(side)
        reason = "negatives_kept"
        if not any(normalized):
            reason = "empty_negative"
        elif normalized in not_negative or clean in not_cleaned:
            reason = "negative_equals_positive"
        elif normalized in known:
            reason = "duplicate_negative"
        elif limit is not None and len(known) >= limit:
            reason = "negatives_over_limit"
        counts[reason] += 1
        if reason == "negatives_kept":
            known.add(normalized)
            yield side


def normalize_side(side: Side) -> NormalizedSide:
    """Normalizes a side for comparison."""
    return normalize_text(side.text), side.images


def _clean(side: Side) -> Side:
    """Cleans the text of a side."""
    text = side.text
    if text.isascii() and text.isprintable() and "&" not in text and "<" not in text:
        return side  # cleaning changes nothing but blanks, which don't count
    return replace(side, text=clean_text(text, _CLEAN))
