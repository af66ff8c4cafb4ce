"""The stage `texts` cleans the texts of pairs, filters unusable pairs, and removes unusable negatives.

Texts are cleaned by `corpus.text.clean`; a pair is filtered by the first rule that its query or its positive fails. The
table has the cleaned sides; the source's table keeps the original ones. A side is a struct of `text` and `images`
(names). Tables have the sides `query` and `positive`, and `negatives`, lists of sides.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from corpus.arrays import one_array
from corpus.schema import Status
from corpus.settings import Settings
from corpus.stage import ROWS, Gives, MapStage, Shard
from corpus.text.clean import TextCleanSettings, clean_texts
from corpus.text.keys import side_keys
from corpus.text.personal_data import MaskSettings
from filters.text.rules import TEXT_REASONS, TextFilterSettings, text_reasons
from filters.text.thresholds import SOURCE_TEXT_THRESHOLDS

# The reasons why negatives are removed from their lists, in the order of the checks; each is a column of counts.
NEGATIVE_REASONS = ("negative_unusable", "negative_equals_positive", "duplicate_negative")
_SIDE = pa.struct([pa.field("text", pa.string()), pa.field("images", pa.list_(pa.string()))])
_NEGATIVE = pa.struct([*_SIDE, pa.field("score", pa.float32())])


class TextsSettings(Settings):
    """Settings of the stage `texts`: how texts are cleaned, and which are filtered."""

    clean: TextCleanSettings = Field(TextCleanSettings(), description="How texts are cleaned.")
    mask: MaskSettings = Field(MaskSettings(), description="Which personal data are masked.")
    filter: TextFilterSettings = Field(TextFilterSettings(), description="Which texts are good enough.")


class Texts(MapStage):
    """The stage that cleans and filters pairs (see `filter_pairs`); its metrics count changed pairs and negatives."""

    name = "texts"
    reads = (ROWS,)
    settings_key = "texts"
    settings_type = TextsSettings
    over = frozenset({Gives.PAIRS})
    summary = (
        "the cleaned texts (Unicode, mojibake, HTML, control characters); which pairs are unusable "
        "(`filter.languages: [en]` refuses other languages, 30 are known) and which negatives equal the positive"
    )
    reasons = {**TEXT_REASONS, "query_equals_positive": "its query and its positive are equal"}
    schema = pa.schema(
        [
            pa.field("query", _SIDE),
            pa.field("positive", _SIDE),
            pa.field("negatives", pa.list_(_NEGATIVE)),
            *(pa.field(name, pa.int32()) for name in NEGATIVE_REASONS),  # how many were removed
        ]
    )

    thresholds = SOURCE_TEXT_THRESHOLDS

    def __init__(self, settings: TextsSettings) -> None:
        super().__init__(settings)
        self._settings = settings

    def setup(self) -> Callable[[Shard], pa.Table]:
        return self._texts

    def _texts(self, shard: Shard) -> pa.Table:
        sides = shard[ROWS].select(["query", "positive", "negatives"])
        cleaned, changed = clean_pairs(sides, self._settings.clean, self._settings.mask)
        columns = filter_pairs(cleaned, self._settings.filter)
        counts = {name: pc.sum(columns.column(name), min_count=0).as_py() for name in NEGATIVE_REASONS}
        shard.metrics["texts"] = {"changed": int(np.count_nonzero(changed)), **counts}
        for side in ("query", "positive"):
            columns = columns.append_column(side, cleaned.column(side))
        return columns


def clean_pairs(
    rows: pa.Table, settings: TextCleanSettings, mask: MaskSettings | None = None
) -> tuple[pa.Table, np.ndarray]:
    """Returns the table with all its texts cleaned, then masked, and which rows were changed, bool[n]."""
    mask = mask or MaskSettings()
    changed = np.zeros(len(rows), dtype=bool)
    for name in ("query", "positive"):
        sides, was_changed = _clean_sides(one_array(rows.column(name)), settings, mask)
        rows = rows.set_column(rows.column_names.index(name), rows.schema.field(name), sides)
        changed |= was_changed
    negatives = one_array(rows.column("negatives"))
    sides, was_changed = _clean_sides(pc.list_flatten(negatives), settings, mask)
    changed[_list_rows(negatives)[was_changed]] = True
    lists = _rebuild_lists(sides, np.bincount(_list_rows(negatives), minlength=len(rows)), negatives.type)
    return rows.set_column(rows.column_names.index("negatives"), rows.schema.field("negatives"), lists), changed


def filter_pairs(rows: pa.Table, settings: TextFilterSettings) -> pa.Table:
    """Returns the `status` and `reason` of each pair, its usable `negatives`, and counts of the others by reason.

    The reasons of a pair are those of `text_reasons`, of the query or else of the positive, and query_equals_positive.
    A side with images may have an empty text. A negative that equals the query stays: some datasets with images have it
    on purpose.
    """
    query, positive = (one_array(rows.column(name)) for name in ("query", "positive"))
    positive_keys = side_keys(positive)
    is_query = (side_keys(query) == positive_keys).all(axis=1)
    reason = _first_reason(
        _side_reasons(query, settings),
        _side_reasons(positive, settings),
        pc.if_else(pa.array(is_query), "query_equals_positive", ""),
    )
    columns = {
        "status": pc.if_else(pc.equal(reason, ""), str(Status.KEPT), str(Status.FILTERED)),
        "reason": reason,
    }
    return pa.table(columns | _filter_negatives(one_array(rows.column("negatives")), positive_keys, settings))


def _filter_negatives(lists: pa.Array, positive: np.ndarray, settings: TextFilterSettings) -> dict[str, pa.Array]:
    """Returns the usable `negatives`, and a column of counts for each of NEGATIVE_REASONS."""
    sides, list_row = pc.list_flatten(lists), _list_rows(lists)
    keys = side_keys(sides)
    unusable = np.asarray(pc.not_equal(_side_reasons(sides, settings), ""))
    is_positive = (keys == positive[list_row]).all(axis=1) & ~unusable
    remaining = np.flatnonzero(~unusable & ~is_positive)
    order = remaining[np.lexsort((remaining, keys[remaining, 1], keys[remaining, 0], list_row[remaining]))]
    is_repeated = (list_row[order][1:] == list_row[order][:-1]) & (keys[order][1:] == keys[order][:-1]).all(axis=1)
    repeated = np.zeros(len(sides), dtype=bool)
    repeated[order[1:][is_repeated]] = True
    kept = ~(unusable | is_positive | repeated)
    removed = dict(zip(NEGATIVE_REASONS, (unusable, is_positive, repeated), strict=True))
    counts = {
        name: pa.array(np.bincount(list_row[some], minlength=len(lists)), pa.int32()) for name, some in removed.items()
    }
    remaining = np.bincount(list_row[kept], minlength=len(lists))
    return {"negatives": _rebuild_lists(sides.filter(pa.array(kept)), remaining, lists.type), **counts}


def _side_reasons(sides: pa.Array, settings: TextFilterSettings) -> pa.Array:
    reasons = text_reasons(pc.struct_field(sides, "text"), settings)
    has_images = pc.greater(pc.fill_null(pc.list_value_length(pc.struct_field(sides, "images")), 0), 0)
    return pc.if_else(pc.and_(has_images, pc.equal(reasons, "empty_text")), "", reasons)


def _clean_sides(sides: pa.Array, settings: TextCleanSettings, mask: MaskSettings) -> tuple[pa.Array, np.ndarray]:
    cleaned, changed = clean_texts(pc.struct_field(sides, "text"), settings)
    texts = mask.apply(cleaned)[0]
    if mask.kinds:
        changed |= np.asarray(pc.fill_null(pc.not_equal(texts, cleaned), False))
    columns = [texts if field.name == "text" else pc.struct_field(sides, field.name) for field in sides.type]
    return pa.StructArray.from_arrays(columns, fields=list(sides.type)), changed


def _first_reason(*reasons: pa.Array) -> pa.Array:
    first = reasons[0]
    for other in reasons[1:]:
        first = pc.if_else(pc.equal(first, ""), other, first)
    return first


def _list_rows(lists: pa.Array) -> np.ndarray:
    """Returns the row of each side of the flattened lists, int64."""
    return pc.list_parent_indices(lists).to_numpy().astype(np.int64)


def _rebuild_lists(sides: pa.Array, counts: np.ndarray, kind: pa.DataType) -> pa.Array:
    return pa.ListArray.from_arrays(pa.array(np.append(0, np.cumsum(counts)), pa.int32()), sides, type=kind)
