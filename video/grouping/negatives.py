"""Chooses negatives for the clips and moments of a video, and for pairs, among the other clips of the video.

They become explicit negatives of a pair, or share a group of pairs that stays together in the order. Two clips with
equal texts in their pairs (`corpus.text.keys`) are never negatives of each other: they would be false ones.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pydantic import Field

from corpus.arrays import Ints
from corpus.hashing import mix64
from corpus.sampling import random_numbers
from corpus.schema import Origin
from corpus.settings import Settings
from corpus.text.keys import normalize_text
from video.grouping.groups import ClipColumns, ClipGrouping, group_id, time_order

_CELLS = 1 << 21  # of a table of clips by siblings that is computed at once
_EXTRA_SIBLINGS = 64  # ranked beyond four times the number of negatives
_EXCLUDED = np.uint64(2**64 - 1)

_Table = Callable[[Ints, Ints], NDArray]  # of rows [q, 1] and other rows [q, m] to [q, m]


class NegativeSettings(Settings):
    """Settings of the negatives that are named for clips of a video."""

    num_negatives: int = Field(
        4, ge=0, le=256, description="At most so many siblings are the explicit negatives of a clip."
    )
    sampling_strategy: Literal["nearest", "random"] = Field(
        "nearest", description="Which siblings are taken first: the nearest in time, or random ones by the seed."
    )
    seed: int = Field(0, ge=0, description="The seed of the random strategy.")
    min_gap_s: float = Field(
        0.0, ge=0, description="A sibling that is nearer in time is no negative; 0 rules out overlapping ones only."
    )
    max_iou: float = Field(
        0.3, gt=0, le=1, description="A moment is a negative of another below this temporal intersection over union."
    )


def sibling_negatives(clips: ClipColumns, groups: ClipGrouping, settings: NegativeSettings) -> Ints:
    """Returns rows of at most `num_negatives` members of each clip's group, best first: int64[n, num_negatives], -1 for
    none.

    Left out are the clip itself, clips with the same representative, clips that overlap with it, and those nearer in
    time than `min_gap_s`. The strategy: nearest in time, of equally near ones the earlier first; or in an order by the
    seed and the two ids.
    """
    codes = groups.group.dictionary_encode()
    none = np.array([name == "" for name in codes.dictionary.to_pylist()], bool)
    sets = codes.indices.to_numpy().astype(np.int64)
    if len(sets):
        sets[none[sets]] = -1
    start_ms, end_ms = clips.start_ms, clips.end_ms
    gap_ms = round(settings.min_gap_s * 1000)

    def allowed(row: Ints, other: Ints) -> NDArray:
        apart_ms = np.maximum(start_ms[row], start_ms[other]) - np.minimum(end_ms[row], end_ms[other])
        return (groups.representative[row] != groups.representative[other]) & (apart_ms >= gap_ms)

    candidates = time_order(clips, sets)
    return _best_candidates(
        sets, candidates[sets[candidates] >= 0], allowed, _ranks(clips, settings), settings.num_negatives
    )


def moment_negatives(moments: ClipColumns, settings: NegativeSettings, groups: ClipGrouping | None = None) -> Ints:
    """Returns rows of at most `num_negatives` other moments of each moment's video, best first, -1 for none.

    The result is int64[n, num_negatives]. A negative's temporal intersection over union with the moment is below
    `max_iou`. It has another item and, with `groups` (of the same rows), another representative. An item of several
    rows is named once. The strategy is that of `sibling_negatives`.
    """
    video, _ = moments.videos()
    items = moments.items()
    start_ms, end_ms = moments.start_ms, moments.end_ms
    length_ms = end_ms - start_ms

    def allowed(row: Ints, other: Ints) -> NDArray:
        shared_ms = np.minimum(end_ms[row], end_ms[other]) - np.maximum(start_ms[row], start_ms[other])
        shared_ms = np.maximum(shared_ms, 0)
        is_allowed = shared_ms < settings.max_iou * (length_ms[row] + length_ms[other] - shared_ms)
        if groups is not None:
            is_allowed &= groups.representative[row] != groups.representative[other]
        return is_allowed & (items[row] != items[other])

    order = time_order(moments, video)
    _, firsts = np.unique(np.stack([video, items])[:, order], axis=1, return_index=True)
    return _best_candidates(video, order[np.sort(firsts)], allowed, _ranks(moments, settings), settings.num_negatives)


def _ranks(clips: ClipColumns, settings: NegativeSettings) -> _Table:
    """Returns the ranks by the strategy: the lower, the better."""
    if settings.sampling_strategy == "random":
        hashes = random_numbers(clips.item_id, settings.seed)
        return lambda row, other: mix64(mix64(hashes[row]) ^ hashes[other]) >> np.uint64(1)
    start_ms, end_ms = clips.start_ms, clips.end_ms

    def apart_ms(row: Ints, other: Ints) -> NDArray:
        gap_ms = np.maximum(start_ms[row], start_ms[other]) - np.minimum(end_ms[row], end_ms[other])
        return np.maximum(gap_ms, 0).astype(np.uint64)

    return apart_ms


def _best_candidates(sets: Ints, candidates: Ints, allowed: _Table, ranks: _Table, max_negatives: int) -> Ints:
    """Returns for each row the allowed candidates of its set with the lowest ranks; of equal ranks, those that come
    first.

    `sets` is the number of each row's set, -1 for none. `candidates` are rows, those of a set side by side. Sets with
    equally many candidates are processed at once.
    """
    chosen = np.full((len(sets), max_negatives), -1, np.int64)
    counts = np.bincount(sets[candidates], minlength=sets.max(initial=-1) + 1)
    first_of_set = np.cumsum(counts) - counts
    size_of = np.where(sets >= 0, counts[sets], 0) if len(counts) else np.zeros(len(sets), np.int64)
    for size in np.unique(size_of[size_of > 0]):
        rows = np.flatnonzero(size_of == size)
        step = max(1, _CELLS // int(size))
        for first in range(0, len(rows), step):
            row = rows[first : first + step]
            others = candidates[first_of_set[sets[row]][:, None] + np.arange(size)]
            rank = np.where(allowed(row[:, None], others), ranks(row[:, None], others), _EXCLUDED)
            best = np.argsort(rank, axis=1, kind="stable")[:, :max_negatives]
            names = np.where(np.take_along_axis(rank, best, 1) < _EXCLUDED, np.take_along_axis(others, best, 1), -1)
            chosen[row, : names.shape[1]] = names
    return chosen


@dataclass(frozen=True, eq=False)
class PairTexts:
    """The texts of m pairs of the clips of a shard, filtered pairs included."""

    row: list[int]  # the clip of each pair
    text: list[str]  # "": none
    kind: list[str]  # origin of the text, or the question that it answers: of the same kind it is the better negative


def rank_siblings(rows: pa.Table, usable: np.ndarray, settings: NegativeSettings, moments: bool) -> list[list[int]]:
    """Ranks for each of n clips (`video.schema.GROUPS_SCHEMA`) the usable (bool[n]) others of its group, best first.

    With `moments`, those of its video that share little of its time. More than `num_negatives`, where there are more.
    """
    at = np.flatnonzero(usable)
    found: list[list[int]] = [[] for _ in range(rows.num_rows)]
    if not len(at):
        return found
    some = rows.select(["video", "item_id", "start_s", "end_s", "group"]).take(at).combine_chunks()
    video, item, start_s, end_s, group = (column.combine_chunks() for column in some.columns)
    clips = ClipColumns(video, start_s.to_numpy(False), end_s.to_numpy(False), item)
    group = pc.fill_null(group, "")
    sizes = Counter((video if moments else group.filter(pc.not_equal(group, ""))).to_pylist())
    max_siblings = min(max(sizes.values(), default=1) - 1, 4 * settings.num_negatives + _EXTRA_SIBLINGS)
    settings = settings.model_copy(update={"num_negatives": max_siblings})
    if moments:
        best = moment_negatives(clips, settings)
    else:
        no_duplicates = ClipGrouping(np.arange(len(at)), np.ones(len(at), bool), group)
        best = sibling_negatives(clips, no_duplicates, settings)
    for row, others in zip(at.tolist(), best, strict=True):
        found[row] = at[others[others >= 0]].tolist()
    return found


def clip_negatives(
    pair_texts: PairTexts, ranked: list[list[int]], items: pa.ListArray, clips: pa.StructArray, max_negatives: int
) -> list[list[dict[str, Any]]]:
    """Returns for each pair at most `max_negatives` clips of siblings that no pair describes as its own clip.

    `items` and `clips` (CLIP) are, of each of n clips, the ids of its items and its times.
    """
    item_ids, texts, times = items.to_pylist(), _texts_of_clips(pair_texts), clips.to_pylist()
    found = []
    for row in pair_texts.row:
        used = {tuple(item_ids[row])}
        negatives: list[dict[str, Any]] = []
        for other in _different_siblings(row, ranked, texts):
            if len(negatives) == max_negatives:
                break
            if tuple(item_ids[other]) not in used:
                used.add(tuple(item_ids[other]))
                negatives.append(_negative("", item_ids[other], times[other]))
        found.append(negatives)
    return found


def text_negatives(
    pair_texts: PairTexts, ranked: list[list[int]], max_negatives: int, answers: bool
) -> list[list[dict[str, Any]]]:
    """Returns for each pair a text of each of at most `max_negatives` siblings, of the pair's kind if there is one.

    No text comes twice. All captions of a sibling are left out if one of them equals one of the pair's own clip; of
    `answers`, only those that equal the pair's own.
    """
    texts = _texts_of_clips(pair_texts)
    pairs_of_row: dict[int, list[int]] = defaultdict(list)
    for pair, (row, text) in enumerate(zip(pair_texts.row, pair_texts.text, strict=True)):
        if text:
            pairs_of_row[row].append(pair)
    found = []
    for pair, row in enumerate(pair_texts.row):
        used = {normalize_text(pair_texts.text[pair])}
        negatives: list[dict[str, Any]] = []
        for other in ranked[row] if answers else _different_siblings(row, ranked, texts):
            if len(negatives) == max_negatives:
                break
            unused = [each for each in pairs_of_row[other] if normalize_text(pair_texts.text[each]) not in used]
            if unused:
                best = min(unused, key=lambda each: pair_texts.kind[each] != pair_texts.kind[pair])
                used.add(normalize_text(pair_texts.text[best]))
                negatives.append(_negative(pair_texts.text[best], [], None))
        found.append(negatives)
    return found


def assign_pair_groups(groups: Sequence[str], clips: Sequence[bytes], texts: Sequence[str]) -> list[str]:
    """Assigns groups to m pairs, in which no clip and no text comes twice: both would be false negatives in a batch.

    `groups` are those of the pairs' clips, "" for none. What a group has twice goes into a second group of that video,
    what it has three times into a third; a pair that would be alone has none.
    """
    parts: dict[str, list[set[bytes | str]]] = defaultdict(list)
    names = []
    for group, clip, text in zip(groups, clips, texts, strict=True):
        if not group:
            names.append("")
            continue
        contents: set[bytes | str] = {clip, normalize_text(text)}
        number = next((at for at, part in enumerate(parts[group]) if not part & contents), len(parts[group]))
        if number == len(parts[group]):
            parts[group].append(set())
        parts[group][number] |= contents
        names.append(group_id(group.encode(), number) if number else group)
    counts = Counter(names)
    return [name if counts[name] > 1 else "" for name in names]


def _texts_of_clips(pair_texts: PairTexts) -> dict[int, set[str]]:
    """Returns the normalized texts of each clip."""
    texts: dict[int, set[str]] = defaultdict(set)
    for row, text in zip(pair_texts.row, pair_texts.text, strict=True):
        if text:
            texts[row].add(normalize_text(text))
    return texts


def _different_siblings(row: int, ranked: list[list[int]], texts: dict[int, set[str]]) -> Iterator[int]:
    return (other for other in ranked[row] if not texts[row] & texts[other])


def _negative(text: str, items: list[bytes], clip: dict[str, Any] | None) -> dict[str, Any]:
    return {"text": text, "items": items, "clip": clip, "score": 0.0, "origin": str(Origin.CLIP_SIBLING)}
