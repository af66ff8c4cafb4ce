"""The different sides of a shard's pairs: queries, positives and the negatives that pairs came with."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from corpus.arrays import one_array
from corpus.item_ids import join_id
from corpus.schema import ITEM_ID
from corpus.text.keys import side_ids

PAIR_ROLES = ("query", "positive")
NamedBy = Literal["item", "side", "source_url"]


class VectorSide(NamedTuple):
    """The input of a vector."""

    items: tuple[bytes, ...]  # ids
    text: str
    instruction: str
    is_clip: bool  # its items are frames of a clip
    is_mirrored: bool = False  # its vector is the mean of those of its images and of their mirror images


@dataclass(frozen=True)
class SideRules:
    """The parts of a side that an encoder reads: sides that differ in nothing else have one vector."""

    instructions: bool
    clips: bool  # whether frames of a clip are read in another way than several images
    overrides: Mapping[str, str] = field(default_factory=dict)  # role -> instruction in place of the pairs' own


@dataclass(frozen=True)
class Sides:
    """The different sides of a shard, and which of them each row has in each role."""

    different: list[VectorSide]
    ids: np.ndarray  # uint64[2, different]
    places: dict[str, np.ndarray]  # role -> int64[rows], into `different`
    negatives: np.ndarray  # int64, into `different`, row after row
    counts: np.ndarray  # int64[rows], negatives of each row


def different_sides(pairs: pa.Table, rules: SideRules) -> Sides:
    """Finds the different sides of a shard's pairs."""
    known: dict[VectorSide, int] = {}
    roles = {role: one_array(pairs.column(role)) for role in PAIR_ROLES}
    instructions = {role: _instructions(sides, rules, role) for role, sides in roles.items()}
    places = {role: _places(sides, instructions[role], rules, known) for role, sides in roles.items()}
    lists = one_array(pairs.column("negatives"))
    counts = pc.fill_null(pc.list_value_length(lists), 0).to_numpy(zero_copy_only=False).astype(np.int64)
    # A negative is a candidate for the positive's place, so it takes the positive's instruction.
    repeated = [instructions["positive"][row] for row in np.repeat(np.arange(len(counts)), counts).tolist()]
    negatives = _places(lists.flatten(), repeated, rules, known)
    different = list(known)
    texts, items = pa.array([side.text for side in different], pa.string()), [list(side.items) for side in different]
    ids = side_ids(pa.StructArray.from_arrays([texts, pa.array(items, pa.list_(ITEM_ID))], ["text", "items"]))
    return Sides(different, ids, places, negatives, counts)


def names_of_sides(sides: Sides, pairs: pa.Table, named_by: NamedBy) -> list[tuple[str, ...]]:
    """Returns the names of each different side by which a vector of it may be known; () for none.

    `item`: of a side of one item and no text. `source_url`: of a side with items whose pair has no items on its other
    side, the URLs of all its pairs: where both sides have some, a URL does not tell of which it is.
    """
    if named_by == "side":
        return [(join_id(each).hex(),) for each in sides.ids.T]
    if named_by == "item":
        return [(side.items[0].hex(),) if len(side.items) == 1 and not side.text else () for side in sides.different]
    urls: defaultdict[int, dict[str, None]] = defaultdict(dict)
    places = [sides.places[role].tolist() for role in PAIR_ROLES]
    for url, *pair in zip(pairs.column("source_url").to_pylist(), *places, strict=True):
        pictured = [place for place in pair if sides.different[place].items]
        if url and len(pictured) == 1:
            urls[pictured[0]][url] = None
    return [tuple(urls[place]) if place in urls else () for place in range(len(sides.different))]


def _instructions(sides: pa.StructArray, rules: SideRules, role: str) -> Sequence[str]:
    """Returns the instruction under which each side is read; "" where none is read."""
    if not rules.instructions:
        return [""] * len(sides)
    override = rules.overrides.get(role)
    return sides.field("instruction").to_pylist() if override is None else [override] * len(sides)


def _places(
    sides: pa.StructArray, instructions: Sequence[str], rules: SideRules, known: dict[VectorSide, int]
) -> np.ndarray:
    items, texts = sides.field("items").to_pylist(), sides.field("text").to_pylist()
    clips = sides.field("clip").is_valid().to_pylist() if rules.clips else [False] * len(texts)
    found = (
        known.setdefault(VectorSide(tuple(ids or ()), text or "", instruction or "", clip), len(known))
        for ids, text, instruction, clip in zip(items, texts, instructions, clips, strict=True)
    )
    return np.fromiter(found, np.int64, len(texts))
