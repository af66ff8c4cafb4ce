"""Stage `labels`: merges the labels of all classification sets; those that mean the same become one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from corpus.arrays import one_array
from corpus.hashing import hash_strings
from corpus.stage import ROWS, Gives, Shard, ShuffleStage, SourceInfo
from pipelines.labels.merge import MergeSettings, merge_labels

_SEPARATOR = "\x00"  # between a set's name and a label


class Labels(ShuffleStage):
    """The stage gives each labelled row its merged label, by `merge_labels`. A set is a source, or a subset of one."""

    name = "labels"
    reads = (ROWS,)
    settings_key = "labels"
    settings_type = MergeSettings
    over = frozenset({Gives.PAIRS})
    summary = "the merged label: labels of different sets with the same meaning are one"
    filters_rows = False
    schema = pa.schema([pa.field("label", pa.string())])

    def __init__(self, settings: MergeSettings) -> None:
        super().__init__(settings)
        self._settings = settings

    @classmethod
    def applies_to(cls, source: SourceInfo) -> bool:
        return super().applies_to(source) and source.plug.has_labels

    def fingerprint_inputs(self) -> dict[str, Any]:
        """Returns the settings with the names themselves, wherever their file lies."""
        settings = self._settings.canonical()
        names = self._settings.lists
        return {**settings, "vocabulary_file": names.canonical()}

    def map(self, shard: Shard) -> pa.Table:
        """Emits a row for each label, with its set."""
        labels = pc.fill_null(shard[ROWS].column("label"), "")
        rows = np.flatnonzero(pc.not_equal(pc.utf8_trim_whitespace(labels), "").to_numpy())
        subsets = pc.fill_null(shard[ROWS].column("subset"), "").take(rows)
        sets = pc.if_else(pc.equal(subsets, ""), shard.source, subsets)
        named = pc.binary_join_element_wise(sets, labels.take(rows), _SEPARATOR)
        named = one_array(named)
        return pa.table({"key": hash_strings(named), "row_address": shard.row_addresses[rows], "named": named})

    def reduce(self, rows: pa.Table) -> pa.Table:
        """Passes all labels on: nothing can be decided before all of them are known."""
        return rows.select(["row_address", "named"])

    def finalize(self, reduced: pa.Table) -> pa.Table:
        """Merges the labels of all sets: some ten thousand different ones, however many rows."""
        named = reduced.column("named").combine_chunks().dictionary_encode()
        pairs = [entry.split(_SEPARATOR, 1) for entry in named.dictionary.to_pylist()]
        sets: dict[str, list[str]] = {}
        for name, label in pairs:
            sets.setdefault(name, []).append(label)
        result = merge_labels(sets, self._settings)
        merged = pa.array([result.merged(name, label) for name, label in pairs], pa.string())
        return (
            pa.table({"row_address": reduced.column("row_address"), "label": merged.take(named.indices)})
            .append_column("status", pa.array(["kept"] * reduced.num_rows, pa.string()))
            .append_column("reason", pa.array([""] * reduced.num_rows, pa.string()))
        )
