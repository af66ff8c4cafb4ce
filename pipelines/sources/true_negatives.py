"""Which of the negatives that a set gives are negatives."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import zip_longest

import pyarrow as pa

from corpus.text.keys import normalize_for_comparison
from filters.text_clean import TextCleanSettings, clean_text
from pipelines.sources.pair_rows import Side

PlainSide = tuple[str, tuple[str, ...]]  # a side as it is compared

_CLEAN = TextCleanSettings()


def true_negatives(
    negatives: Sequence[Side], positives: Sequence[Side], most: int | None, told: Counter[str]
) -> Iterator[Side]:
    """The first `most` of a row's negatives that are not empty, not one of its positives and not there already.

    Equal are sides of the same images and of texts that differ in nothing but case and blanks around them. Where a row
    has several positives, texts are cleaned before they are compared with these: the stage that cleans all texts sees
    the one positive of a pair only. Adds to `told` how many were kept, and why the others were not.
    """
    not_negative = {plain_side(side) for side in positives}
    cleaned: Sequence[PlainSide] = _cleaned([*positives, *negatives]) if len(not_negative) > 1 and negatives else ()
    not_cleaned = set(cleaned[: len(positives)])
    seen: set[PlainSide] = set()
    for side, clean in zip_longest(negatives, cleaned[len(positives) :]):
        plain = plain_side(side)
        reason = "negatives_kept"
        if not any(plain):
            reason = "negative_empty"
        elif plain in not_negative or clean in not_cleaned:
            reason = "negative_is_positive"
        elif plain in seen:
            reason = "negative_repeated"
        elif most is not None and len(seen) >= most:
            reason = "negatives_over_the_limit"
        told[reason] += 1
        if reason == "negatives_kept":
            seen.add(plain)
            yield side


def plain_side(side: Side) -> PlainSide:
    """A side as it is compared: case and blanks around its text put aside."""
    return side.text.strip().casefold(), side.images


def _cleaned(sides: Sequence[Side]) -> list[PlainSide]:
    texts = pa.array([side.text if _is_clean(side.text) else clean_text(side.text, _CLEAN) for side in sides])
    return list(zip(normalize_for_comparison(texts).to_pylist(), (side.images for side in sides), strict=True))


def _is_clean(text: str) -> bool:
    """Certainly; of others it is not known."""
    return text.isascii() and text.isprintable() and "&" not in text and "<" not in text
