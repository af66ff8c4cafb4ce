"""Which texts of a dataset's pairs are nearly the same: no random negative is nearly a pair's query or positive.

The stage `text_duplicates` finds pairs of which both sides are nearly the same, and keeps one of each family. Two
questions about nearly the same passage both stay: here sides are compared one by one, by the measure of that stage.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from corpus.text.keys import text_keys
from corpus.text.near import TextNearSettings, near_texts
from corpus.workspace import Workspace
from pipelines.publish.mixture import CandidatePairs, SampleOrder
from pipelines.publish.pair_contents import PairContents
from pipelines.publish.pair_tables import PairTable


@dataclass(frozen=True, eq=False)
class NearSides:
    """The texts of m pairs by number, equal ones by one, and which are nearly the same; -1 is no text."""

    query: np.ndarray  # int64[m]
    positive: np.ndarray  # int64[m]
    near: np.ndarray  # int64[k], ascending: a text's number * texts + the other's, in either order
    texts: int

    def known(self, pair: np.ndarray, donor: np.ndarray) -> np.ndarray:
        """Whether the donor's positive is nearly the query or the positive of the pair: bool[n]."""
        if not len(self.near):
            return np.zeros(len(pair), np.bool_)
        shown = self.positive[donor]
        found = np.zeros(len(pair), np.bool_)
        for text_number in (self.query[pair], self.positive[pair]):
            wanted = text_number * self.texts + shown
            at = np.searchsorted(self.near, wanted).clip(max=len(self.near) - 1)
            found |= (self.near[at] == wanted) & (text_number >= 0) & (shown >= 0)
        return found


def find_near_sides(
    workspace: Workspace,
    pairs: Sequence[PairTable],
    candidates: CandidatePairs,
    arranged: SampleOrder,
    sides: PairContents,
    settings: TextNearSettings,
) -> NearSides | None:
    """Compare the texts of the chosen pairs; None where no negative is missing, or positives are no texts alone.

    All texts are in memory, with some 700 bytes for each that is different.
    """
    wanted = sides.negative_keys.shape[1]
    if sides.counts.get("positive") or not (sides.own_negatives < wanted).any():
        return None
    chosen = arranged.chosen
    numbers = {name: np.full(len(chosen), -1, np.int64) for name in ("query", "positive")}
    with_text = ["positive"] if sides.counts.get("query") else ["query", "positive"]
    table_of, row_of = candidates.table[chosen], candidates.row[chosen]
    texts: list[pa.Array] = []
    places: list[tuple[str, np.ndarray]] = []
    for number, each in enumerate(pairs):
        place = np.flatnonzero(table_of == number)
        rows = each.read(workspace, [f"{name}.text" for name in with_text]).take(row_of[place])
        for name in with_text:
            texts.append(rows.column(name).combine_chunks().field("text").cast(pa.large_string()))
            places.append((name, place))
    every = pa.concat_arrays(texts)
    _, first, which = np.unique(text_keys(every)[:, 0], return_index=True, return_inverse=True)
    end = 0
    for (name, place), part in zip(places, texts, strict=True):
        numbers[name][place] = which[end : end + len(part)]
        end += len(part)
    one, other = near_texts(every.take(pa.array(first)), settings)
    near = np.sort(np.concatenate([one * len(first) + other, other * len(first) + one]))
    return NearSides(numbers["query"], numbers["positive"], near, len(first))
