"""Cleaning and judging given pairs: both sides, and the negatives that come with them.

A side is a struct of `text` and `images` (names). Tables have `query` and `positive`, sides, and `negatives`, lists of
sides.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from corpus.records import Status
from corpus.text.clean import TextCleanSettings, clean_texts
from corpus.text.keys import one_array, side_keys
from filters.text_judge import TextJudgeSettings, judge_texts

# Why negatives are taken out of their lists; each is a column of counts. In the order in which they are looked for.
NEGATIVE_REASONS = ("negative_unusable", "positive_among_negatives", "negative_repeated")


def clean_pairs(rows: pa.Table, settings: TextCleanSettings) -> tuple[pa.Table, np.ndarray]:
    """The table with all its texts cleaned, and which rows were changed, bool[n]."""
    changed = np.zeros(len(rows), dtype=bool)
    for name in ("query", "positive"):
        sides, touched = _clean_sides(one_array(rows.column(name)), settings)
        rows = rows.set_column(rows.column_names.index(name), rows.schema.field(name), sides)
        changed |= touched
    negatives = one_array(rows.column("negatives"))
    sides, touched = _clean_sides(pc.list_flatten(negatives), settings)
    changed[_owners(negatives)[touched]] = True
    lists = _lists(sides, np.bincount(_owners(negatives), minlength=len(rows)), negatives.type)
    return rows.set_column(rows.column_names.index("negatives"), rows.schema.field("negatives"), lists), changed


def judge_pairs(rows: pa.Table, settings: TextJudgeSettings) -> pa.Table:
    """What becomes of each pair: `status`, `reason`, the `negatives` that stay, and how many don't, by reason.

    The reasons of a pair are those of `judge_texts`, of the query or else of the positive, and positive_is_query. A
    side with images may have an empty text. A negative that is the query stays: with images some sets give it on
    purpose.
    """
    query, positive = (one_array(rows.column(name)) for name in ("query", "positive"))
    positive_keys = side_keys(positive)
    itself = (side_keys(query) == positive_keys).all(axis=1)
    reason = _first_reason(
        _judge_sides(query, settings),
        _judge_sides(positive, settings),
        pc.if_else(pa.array(itself), "positive_is_query", ""),
    )
    said = {
        "status": pc.if_else(pc.equal(reason, ""), str(Status.KEPT), str(Status.FILTERED)),
        "reason": reason,
    }
    return pa.table(said | _judge_negatives(one_array(rows.column("negatives")), positive_keys, settings))


def _judge_negatives(lists: pa.Array, positive: np.ndarray, settings: TextJudgeSettings) -> dict[str, pa.Array]:
    """`negatives` that stay, and a column of counts for each of NEGATIVE_REASONS."""
    sides, owner = pc.list_flatten(lists), _owners(lists)
    keys = side_keys(sides)
    unusable = np.asarray(pc.not_equal(_judge_sides(sides, settings), ""))
    is_positive = (keys == positive[owner]).all(axis=1) & ~unusable
    left = np.flatnonzero(~unusable & ~is_positive)
    order = left[np.lexsort((left, keys[left, 1], keys[left, 0], owner[left]))]
    again = (owner[order][1:] == owner[order][:-1]) & (keys[order][1:] == keys[order][:-1]).all(axis=1)
    repeated = np.zeros(len(sides), dtype=bool)
    repeated[order[1:][again]] = True
    kept = ~(unusable | is_positive | repeated)
    removed = dict(zip(NEGATIVE_REASONS, (unusable, is_positive, repeated), strict=True))
    counts = {
        name: pa.array(np.bincount(owner[some], minlength=len(lists)), pa.int32()) for name, some in removed.items()
    }
    left = np.bincount(owner[kept], minlength=len(lists))
    return {"negatives": _lists(sides.filter(pa.array(kept)), left, lists.type), **counts}


def _judge_sides(sides: pa.Array, settings: TextJudgeSettings) -> pa.Array:
    reasons = judge_texts(pc.struct_field(sides, "text"), settings)
    shows = pc.greater(pc.fill_null(pc.list_value_length(pc.struct_field(sides, "images")), 0), 0)
    return pc.if_else(pc.and_(shows, pc.equal(reasons, "empty_text")), "", reasons)


def _clean_sides(sides: pa.Array, settings: TextCleanSettings) -> tuple[pa.Array, np.ndarray]:
    texts, changed = clean_texts(pc.struct_field(sides, "text"), settings)
    columns = [texts if field.name == "text" else pc.struct_field(sides, field.name) for field in sides.type]
    return pa.StructArray.from_arrays(columns, fields=list(sides.type)), changed


def _first_reason(*reasons: pa.Array) -> pa.Array:
    first = reasons[0]
    for other in reasons[1:]:
        first = pc.if_else(pc.equal(first, ""), other, first)
    return first


def _owners(lists: pa.Array) -> np.ndarray:
    """The row of each side of the flattened lists, int64."""
    return pc.list_parent_indices(lists).to_numpy().astype(np.int64)


def _lists(sides: pa.Array, counts: np.ndarray, kind: pa.DataType) -> pa.Array:
    return pa.ListArray.from_arrays(pa.array(np.append(0, np.cumsum(counts)), pa.int32()), sides, type=kind)
