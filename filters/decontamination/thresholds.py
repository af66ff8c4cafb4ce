"""The thresholds of decontamination: how near a row is to an evaluation item, in each way of comparing them."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from corpus.arrays import one_array
from corpus.thresholds import Bound, Shows, Threshold
from filters.decontamination.evaluation import CONTAINED, COSINE, COVERAGE, EQUAL, HASH, NEAR_FIELD

_WAYS = {
    "max_hash_distance": (HASH, Bound.ABOVE, "bits by which the pHashes of an image and of an evaluation item differ"),
    "min_cosine": (COSINE, Bound.BELOW, "cosine of the vectors of an item and of an evaluation item"),
    "min_equal_words": (EQUAL, Bound.BELOW, "words of a text that an evaluation set has as it is"),
    "min_coverage": (COVERAGE, Bound.BELOW, "share of an evaluation text's n-grams that a text has"),
    "min_contained": (CONTAINED, Bound.BELOW, "share of a text's n-grams that an evaluation text has"),
}
_NOTE = "Of the evaluation items that are near at all: a cut further out than the comparison went finds no more."


def leak_thresholds(table: str, shows: Shows, reasons: dict[str, str]) -> tuple[Threshold, ...]:
    """Returns the thresholds of a table with the column NEAR_FIELD: those whose settings have a reason here."""
    return tuple(_threshold(setting, table, shows, reason) for setting, reason in reasons.items())


def _threshold(setting: str, table: str, shows: Shows, reason: str) -> Threshold:
    way, bound, measures = _WAYS[setting]
    return Threshold(
        setting=setting,
        bound=bound,
        table=table,
        columns=(NEAR_FIELD.name,),
        value=lambda rows: values_of_way(rows, way),
        measures=measures,
        reason=reason,
        shows=shows,
        of_candidates=True,
        candidate_ids=f"{NEAR_FIELD.name}.name",
        note=_NOTE,
    )


def values_of_way(rows: pa.Table, way: str) -> pa.ListArray:
    """Returns the values of the column NEAR_FIELD, null where they were found in another way: list<float>[n]."""
    lists = one_array(rows.column(NEAR_FIELD.name))
    counts = pc.fill_null(pc.list_value_length(lists), 0)
    offsets = pa.concat_arrays([pa.array([0], pa.int64()), pc.cumulative_sum(counts.cast(pa.int64()))])
    entries = lists.flatten()
    values = pc.if_else(pc.equal(entries.field("way"), way), entries.field("value"), pa.scalar(None, pa.float32()))
    return pa.ListArray.from_arrays(offsets.cast(pa.int32()), values)
