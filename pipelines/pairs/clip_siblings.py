"""The clips of a video as negatives of each other: named in a pair, or kept together in a group of pairs.

What is said of two clips in the same words (`corpus.text.keys`) would make them false negatives of each other.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from corpus.schema import Origin
from corpus.text.keys import normalize_text
from video.grouping.groups import ClipColumns, ClipGrouping, group_id
from video.grouping.negatives import NegativeSettings, moment_negatives, sibling_negatives

_MORE = 64  # siblings that are looked at over and above four times those that are wanted


@dataclass(frozen=True, eq=False)
class PairTexts:
    """What m pairs say of the clips of a shard, filtered pairs included."""

    row: list[int]  # the clip of each pair
    text: list[str]  # "": none
    like: list[str]  # a text of the same kind is the better negative: whose text it is, or which question it answers


def ranked_siblings(rows: pa.Table, usable: np.ndarray, settings: NegativeSettings, moments: bool) -> list[list[int]]:
    """Of each of n clips (`video.schema.GROUPS_SCHEMA`), the usable (bool[n]) others of its group, best first.

    With `moments`, those of its video that share little of its time. Some more than are wanted, if there are so many.
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
    most = min(max(sizes.values(), default=1) - 1, 4 * settings.num_negatives + _MORE)
    wanted = settings.model_copy(update={"num_negatives": most})
    if moments:
        best = moment_negatives(clips, wanted)
    else:
        each_its_own = ClipGrouping(np.arange(len(at)), np.ones(len(at), bool), group)
        best = sibling_negatives(clips, each_its_own, wanted)
    for row, others in zip(at.tolist(), best, strict=True):
        found[row] = at[others[others >= 0]].tolist()
    return found


def clip_negatives(
    pair_texts: PairTexts, ranked: list[list[int]], items: pa.ListArray, clips: pa.StructArray, most: int
) -> list[list[dict[str, Any]]]:
    """For each pair at most so many siblings' clips, of which nothing is said that is said of its own clip.

    Of each of n clips `items` are the ids of its items and `clips` (CLIP) its times.
    """
    shown, words, times = items.to_pylist(), _words(pair_texts), clips.to_pylist()
    found = []
    for row in pair_texts.row:
        seen = {tuple(shown[row])}
        negatives: list[dict[str, Any]] = []
        for other in _others(row, ranked, words):
            if len(negatives) == most:
                break
            if tuple(shown[other]) not in seen:
                seen.add(tuple(shown[other]))
                negatives.append(_negative("", shown[other], times[other]))
        found.append(negatives)
    return found


def text_negatives(
    pair_texts: PairTexts, ranked: list[list[int]], most: int, answers: bool
) -> list[list[dict[str, Any]]]:
    """For each pair one text of at most so many siblings: one of the same kind, if there is a fitting one.

    Captions of a sibling that says what is said of the pair's own clip are left out, all of them; of `answers`, only
    those that are the pair's own. No text is there twice.
    """
    words = _words(pair_texts)
    of_row: dict[int, list[int]] = defaultdict(list)
    for pair, (row, text) in enumerate(zip(pair_texts.row, pair_texts.text, strict=True)):
        if text:
            of_row[row].append(pair)
    found = []
    for pair, row in enumerate(pair_texts.row):
        seen = {normalize_text(pair_texts.text[pair])}
        negatives: list[dict[str, Any]] = []
        for other in ranked[row] if answers else _others(row, ranked, words):
            if len(negatives) == most:
                break
            fitting = [each for each in of_row[other] if normalize_text(pair_texts.text[each]) not in seen]
            if fitting:
                best = min(fitting, key=lambda each: pair_texts.like[each] != pair_texts.like[pair])
                seen.add(normalize_text(pair_texts.text[best]))
                negatives.append(_negative(pair_texts.text[best], [], None))
        found.append(negatives)
    return found


def group_names(groups: Sequence[str], clips: Sequence[bytes], texts: Sequence[str]) -> list[str]:
    """The group of each of m pairs, in which no clip and no text is twice: both would be false negatives in a batch.

    `groups` are those of the pairs' clips, "" for none. What a group has twice goes into a second group of that video,
    what it has three times into a third, and a pair that would be alone has none.
    """
    parts: dict[str, list[set[bytes | str]]] = defaultdict(list)
    names = []
    for group, clip, text in zip(groups, clips, texts, strict=True):
        if not group:
            names.append("")
            continue
        own: set[bytes | str] = {clip, normalize_text(text)}
        number = next((at for at, seen in enumerate(parts[group]) if not seen & own), len(parts[group]))
        if number == len(parts[group]):
            parts[group].append(set())
        parts[group][number] |= own
        names.append(group_id(group.encode(), number) if number else group)
    counts = Counter(names)
    return [name if counts[name] > 1 else "" for name in names]


def _words(pair_texts: PairTexts) -> dict[int, set[str]]:
    """What is said of each clip."""
    words: dict[int, set[str]] = defaultdict(set)
    for row, text in zip(pair_texts.row, pair_texts.text, strict=True):
        if text:
            words[row].add(normalize_text(text))
    return words


def _others(row: int, ranked: list[list[int]], words: dict[int, set[str]]) -> Iterator[int]:
    return (other for other in ranked[row] if not words[row] & words[other])


def _negative(text: str, items: list[bytes], clip: dict[str, Any] | None) -> dict[str, Any]:
    return {"text": text, "items": items, "clip": clip, "score": 0.0, "origin": str(Origin.CLIP_SIBLING)}
