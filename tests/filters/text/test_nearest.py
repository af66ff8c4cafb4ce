"""The nearest pair of texts, as a comparison of all sets of shingles finds it."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from filters.text.dedup import TextDuplicates, TextDuplicatesSettings
from filters.text.nearest import min_jaccard, nearest_by_shingles

WORDS = ["red", "blue", "old", "new", "bicycle", "kettle", "wall", "river", "morning", "white", "dog", "runs"]


def table(queries: list[str], positives: list[str], images: list[list[str]] | None = None) -> pa.Table:
    kind = pa.struct([("text", pa.string()), ("images", pa.list_(pa.string()))])
    pictures = images or [[] for _ in queries]
    sides = {
        "query": [{"text": text, "images": each} for text, each in zip(queries, pictures, strict=True)],
        "positive": [{"text": text, "images": []} for text in positives],
    }
    return pa.table({name: pa.array(rows, kind) for name, rows in sides.items()})


def word_sets(text: str, width: int) -> set[tuple[str, ...]]:
    words = text.split()
    return {tuple(words[at : at + width]) for at in range(max(1, len(words) - width + 1))}


def test_it_is_the_most_similar_of_all_others() -> None:
    chance = np.random.default_rng(0)
    texts = [" ".join(chance.choice(WORDS, int(chance.integers(3, 9)))) for _ in range(80)]
    texts += [f"{text} again" for text in texts[:40]]
    positives = [*texts[60:], *texts[:60]]
    queries = np.arange(0, 120, 7)
    found, nearest = nearest_by_shingles(table(texts, positives), queries, 2)
    sets = [[word_sets(text, 2) for text in side] for side in (texts, positives)]
    for row, value, other in zip(queries.tolist(), found.tolist(), nearest.tolist(), strict=True):
        expected = [
            min(len(side[row] & side[at]) / len(side[row] | side[at]) for side in sets) if at != row else -1.0
            for at in range(len(texts))
        ]
        assert abs(value - max(expected)) < 1e-9 and abs(expected[other] - value) < 1e-9
    assert len(set(found.tolist())) > 3


def test_other_images_are_other_pairs() -> None:
    rows = table(["a b c"] * 3, ["d e f"] * 3, [["1.jpg"], ["2.jpg"], ["1.jpg"]])
    found, nearest = nearest_by_shingles(rows, np.arange(3), 3)
    assert found.tolist() == [1.0, 0.0, 1.0] and nearest[[0, 2]].tolist() == [2, 0]


def test_one_pair_has_no_other() -> None:
    assert np.isnan(nearest_by_shingles(table(["a"], ["b"]), np.array([0]), 3)[0]).all()


def test_the_threshold_has_the_settings_width() -> None:
    rows = table(["a b c d", "a b c e"], ["x", "x"])
    values = []
    for words in (1, 3):
        [threshold] = TextDuplicates(TextDuplicatesSettings(shingle_words=words)).active_thresholds()
        assert threshold.nearest is not None and threshold.setting == min_jaccard(words).setting
        values.append(threshold.nearest(rows, np.array([0]))[0][0])
    assert np.allclose(values, [3 / 5, 1 / 3])
    assert TextDuplicates(TextDuplicatesSettings(near_duplicates=False)).active_thresholds() == ()
