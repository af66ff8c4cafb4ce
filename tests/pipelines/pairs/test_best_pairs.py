"""Of the pairs text -> image with the same picture, the one whose text says most."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pytest

from corpus.schema import item_id
from corpus.stage import ITEMS, ROWS, VERDICT, Shard
from corpus.storage import Store
from pipelines.pairs.best_pairs import MOST_WORDS, BestPairs, caption_words
from pipelines.sources.pair_rows import Side, SourcePair, pairs_table

A, B, C = (item_id(name.encode()) for name in "abc")
# name -> item, status, representative
IMAGES: dict[str, tuple[bytes, str, bytes | None]] = {
    "a.jpg": (A, "kept", A),
    "a-again.jpg": (B, "duplicate", A),
    "c.jpg": (C, "kept", None),
    "blurred.jpg": (B, "filtered", None),
}


def removed(*shards: Sequence[SourcePair]) -> dict[tuple[int, int], tuple[int, int]]:
    """(shard, row) -> that of the pair which is kept in its place."""
    items, statuses, families = zip(*IMAGES.values(), strict=True)
    side_inputs = {
        ITEMS: pa.table(
            {
                "image": list(IMAGES),
                "item_id": pa.array(items, pa.binary(16)),
                "downloaded_sha256": pa.array([item * 2 for item in items], pa.binary(32)),
            }
        ),
        VERDICT: pa.table(
            {"status": statuses, "reason": [""] * 4, "representative": pa.array(families, pa.binary(16))}
        ),
    }
    stage, emitted = BestPairs(), []
    for number, pairs in enumerate(shards):
        tables = {ROWS: pairs_table(pairs), "texts": pairs_table(pairs)}
        shard = Shard("s", f"{number:06d}", number, np.arange(len(pairs)), tables, Store("/"), side_inputs=side_inputs)
        emitted.append(stage.map(shard))
    said = stage.finalize(stage.reduce(pa.concat_tables(emitted))).to_pylist()
    assert all((row["status"], row["reason"]) == ("filtered", "same_image") for row in said)
    return {divmod(row["row_address"], 1 << 32): divmod(row["representative"], 1 << 32) for row in said}


def caption(text: str, image: str) -> SourcePair:
    return SourcePair(Side(text), Side("", (image,)))


def test_the_longer_text_stays_wherever_its_copy_lies() -> None:
    first = [caption("a dog", "a.jpg"), caption("something else", "c.jpg"), caption("dog", "a-again.jpg")]
    second = [caption("a brown dog on a beach", "a-again.jpg")]
    assert removed(first, second) == {(0, 0): (1, 0), (0, 2): (1, 0)}
    assert removed(second, first) == {(1, 0): (0, 0), (1, 2): (0, 0)}


def test_of_equal_ones_the_first_stays() -> None:
    assert removed([caption("one two", "a.jpg")], [caption("two one", "a.jpg")]) == {(1, 0): (0, 0)}
    long, longer = "word " * MOST_WORDS, "word " * (MOST_WORDS + 9)
    assert removed([caption(long, "a.jpg"), caption(longer, "a.jpg")]) == {(0, 1): (0, 0)}


@pytest.mark.parametrize(
    "other",
    [
        SourcePair(Side("redder", ("c.jpg",)), Side("", ("a.jpg",))),  # an image may be in many triplets
        SourcePair(Side("what"), Side("a text beside it", ("a.jpg",))),
        SourcePair(Side("what"), Side("", ("a.jpg", "c.jpg"))),
        SourcePair(Side("", ("a.jpg",)), Side("a dog")),
        SourcePair(Side("a long text of an image that was removed"), Side("", ("blurred.jpg",))),
    ],
)
def test_pairs_of_another_form_are_left_alone(other: SourcePair) -> None:
    assert removed([caption("a dog", "a.jpg"), other, other]) == {}


def test_words_are_counted_in_all_scripts() -> None:
    texts = ["", "two words", " IMG_2034-final.jpg ", "a\u3000b\u00a0c", "一只狗在海滩上", "la playa"]
    assert caption_words(pa.array(texts)).to_pylist() == [0, 2, 1, 3, 7, 2]
    assert removed([caption("狗", "a.jpg"), caption("一只狗在海滩上", "a.jpg")]) == {(0, 0): (0, 1)}
