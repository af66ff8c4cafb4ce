"""Rows of pairs whose missing negatives are filled, and what each is filled with."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from corpus.item_ids import join_id
from corpus.schema import item_id
from pipelines.publish.candidates import read_candidate_pairs
from pipelines.publish.pair_contents import read_pair_contents
from pipelines.publish.random_negatives import fill_negatives
from pipelines.publish.sample_order import OrderLengths, arrange
from tests.helpers.pair_clusters import clustered
from tests.helpers.small_worlds import World

Row = dict[str, Any]


def numbered_item(number: int) -> bytes:
    return item_id(b"item %d" % number)


def mined_negatives(*numbers: int) -> list[Row]:
    return [{"text": "", "items": [numbered_item(n)], "score": 0.5, "origin": "mined"} for n in numbers]


def filled_negatives(
    folder: Path, rows: list[Row], negatives: int, seed: int = 1, tables: int = 3, related: Sequence[str] = ()
) -> list[tuple[Row, int, Row]]:
    """(pair, slot, donor) as rows."""
    world = World(str(folder))
    pairs = clustered(world.workspace, world.write_pairs("laion", rows, tables))
    candidates = read_candidate_pairs(world.workspace, pairs)
    sample_order = arrange(candidates, None, 0, OrderLengths(768, 1000, 8))
    contents = read_pair_contents(world.workspace, pairs, candidates, sample_order, negatives)
    labels = np.array([[candidates.labels.index(label) for label in related]]) if related else None
    fill = fill_negatives(contents, candidates, sample_order, seed, labels)
    by_id = {row["pair_id"]: row for row in rows}
    ordered = [by_id[join_id(candidates.ids[:, at])] for at in sample_order.chosen]
    return [(ordered[p], s, ordered[d]) for p, s, d in zip(fill.pair, fill.slot, fill.donor, strict=True)]


def positive_item(row: Row) -> bytes:
    return row["positive"]["items"][0]
