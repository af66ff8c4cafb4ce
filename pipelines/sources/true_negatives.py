"""Selects the true negatives among those that a set has."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import zip_longest

import pyarrow as pa

from corpus.text.clean import TextCleanSettings, clean_text
from corpus.text.keys import normalize_for_comparison
from pipelines.sources.pair_rows import Side

NormalizedSide = tuple[str, tuple[str, ...]]  # a side as it is compared

_CLEAN = TextCleanSettings()


def true_negatives(
    negatives: Sequence[Side], positives: Sequence[Side], limit: int | None, counts: Counter[str]
) -> Iterator[Side]:
    """Selects the first `limit` of a row's negatives that are not empty, not one of its positives and not repeated.

    Equal are sides of the same images and of texts that differ in nothing but case and blanks around them. Where a row
    has several positives, texts are cleaned before they are compared with these: the stage that cleans all texts sees
    the one positive of a pair only. Adds to `counts` how many were kept, and why the others were not.
    """
    not_negative = {normalize_side(side) for side in positives}
    cleaned: Sequence[NormalizedSide] = (
        _clean_sides([*positives, *negatives]) if len(not_negative) > 1 and negatives else ()
    )
    not_cleaned = set(cleaned[: len(positives)])
    seen: set[NormalizedSide] = set()
    for side, clean in zip_longest(negatives, cleaned[len(positives) :]):
        normalized = normalize_side(side)
        reason = "negatives_kept"
        if not any(normalized):
            reason = "negative_empty"
        elif normalized in not_negative or clean in not_cleaned:
            reason = "negative_is_positive"
        elif normalized in seen:
            reason = "negative_repeated"
        elif limit is not None and len(seen) >= limit:
            reason = "negatives_over_the_limit"
        counts[reason] += 1
        if reason == "negatives_kept":
            seen.add(normalized)
            yield side


def normalize_side(side: Side) -> NormalizedSide:
    """Normalizes a side for comparison: without case, and without blanks around its text."""
    return side.text.strip().casefold(), side.images


def _clean_sides(sides: Sequence[Side]) -> list[NormalizedSide]:
    texts = pa.array([side.text if _is_clean(side.text) else clean_text(side.text, _CLEAN) for side in sides])
    return list(zip(normalize_for_comparison(texts).to_pylist(), (side.images for side in sides), strict=True))


def _is_clean(text: str) -> bool:
    """Tells of some texts that cleaning would not change them; of others it is not known."""
    return text.isascii() and text.isprintable() and "&" not in text and "<" not in text
