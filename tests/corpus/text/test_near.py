"""Near-duplicate search over texts against comparing each with each."""

import numpy as np
import pyarrow as pa
import pytest
from pydantic import ValidationError

from corpus.text.keys import normalize_for_comparison
from corpus.text.minhash import Shingles, shingles
from corpus.text.near import (
    TextNearSettings,
    band_plan,
    jaccard,
    jaccard_at_least,
    near_texts,
    shared_keys,
    unique_pairs,
)


def sentences(rng: np.random.Generator, count: int, words: int = 80) -> list[list[str]]:
    return [[f"w{number}" for number in rng.zipf(1.3, words) % 5000] for _ in range(count)]


def changed(rng: np.random.Generator, words: list[str], places: int) -> list[str]:
    words = list(words)
    for place in rng.choice(len(words), places, replace=False).tolist():
        words[place] = f"new{rng.integers(1 << 30)}"
    return words


def truth(texts: list[str], width: int, least: float) -> dict[tuple[int, int], float]:
    """Pairs by brute force over Python's sets."""
    sets = []
    for text in texts:
        words = text.split()
        sets.append({tuple(words[at : at + width]) for at in range(max(1, len(words) - width + 1))})
    found = {}
    for a in range(len(sets)):
        for b in range(a + 1, len(sets)):
            alike = len(sets[a] & sets[b]) / len(sets[a] | sets[b])
            if alike >= least:
                found[a, b] = alike
    return found


@pytest.mark.parametrize("least", [0.6, 0.8, 0.95])
def test_what_is_found_is_as_alike_as_asked_and_hardly_any_is_missed(least):
    rng = np.random.default_rng(int(100 * least))
    originals = sentences(rng, 150, 160)
    copies = [changed(rng, words, int(rng.integers(0, 8))) for words in originals]
    texts = [" ".join(words) for words in [*originals, *copies]]
    first, second = near_texts(pa.array(texts), TextNearSettings(min_jaccard=least))
    found = list(zip(first.tolist(), second.tolist(), strict=True))
    expected = truth(texts, 3, least)
    assert found == sorted(set(found))
    assert set(found) <= set(expected)
    assert len(found) >= 0.99 * len(expected)
    assert len(expected) > 30


def test_exact_copies_short_texts_and_empty_ones():
    texts = ["Yes", "yes.", "no", "", None, "?", "the same three words", "The same: three words!", "same three words"]
    first, second = near_texts(pa.array(texts), TextNearSettings())
    assert list(zip(first.tolist(), second.tolist(), strict=True)) == [(0, 1), (3, 4), (6, 7)]
    first, second = near_texts(pa.array([], pa.string()), TextNearSettings())
    assert len(first) == len(second) == 0


def test_bands_have_the_recall_that_was_asked_for():
    for least in (0.5, 0.7, 0.8, 0.9, 0.99):
        settings = TextNearSettings(min_jaccard=least, min_recall=0.99)
        bands, rows = band_plan(settings)
        assert bands * rows <= 128
        assert 1 - (1 - least**rows) ** bands >= 0.99
        assert 1 - (1 - least**rows) ** (bands - 1) < 0.99 or bands == 1
    assert band_plan(TextNearSettings(min_jaccard=1)) == (1, 128)
    too_few = TextNearSettings(min_jaccard=0.3, permutations=16, min_recall=0.9999)
    assert band_plan(too_few) == (16, 1)  # the best that they can do


def test_jaccard_is_exact_in_small_sets_and_sampled_in_large_ones():
    rng = np.random.default_rng(3)
    sides = []
    for size, shared in ((5, 2), (300, 200), (4000, 3600), (0, 0)):
        numbers = rng.choice(1 << 32, 2 * size - shared, replace=False).astype(np.uint32)
        sides += [np.sort(numbers[:size]), np.sort(numbers[size - shared :])]
    sets = Shingles(np.concatenate(sides), np.append(0, np.cumsum([len(side) for side in sides])))
    samples = sets.smallest(512)
    found_jaccard = jaccard(samples, np.arange(0, 8, 2), np.arange(1, 8, 2), 512)
    assert found_jaccard[:2].tolist() == [2 / 8, 200 / 400]
    assert abs(found_jaccard[2] - 3600 / 4400) < 0.06
    assert found_jaccard[3] == 0


def test_many_pairs_are_compared_in_parts_as_in_one_go(monkeypatch):
    rng = np.random.default_rng(4)
    sets = shingles(pa.array([" ".join(words) for words in sentences(rng, 60, 12)]), 1)
    first, second = np.triu_indices(60, 1)
    settings = TextNearSettings(min_jaccard=0.3)
    expected = jaccard_at_least(sets, first, second, settings)
    assert expected.any() and not expected.all()
    monkeypatch.setattr("corpus.text.near._NUMBERS_AT_ONCE", 100)
    assert np.array_equal(jaccard_at_least(sets, first, second, settings), expected)


def test_a_large_bucket_is_compared_with_neighbours_only():
    keys = np.array([7, 7, 7, 7, 7, 1, 1, 3], np.uint64)
    similarity_order = np.array([5, 1, 4, 2, 3, 0, 0, 0], np.uint64)
    pairs = unique_pairs([shared_keys(keys, np.arange(8), similarity_order, 1)], 8)
    assert set(zip(*(side.tolist() for side in pairs), strict=True)) == {(1, 3), (3, 4), (2, 4), (0, 2), (5, 6)}
    pairs = unique_pairs([shared_keys(keys, np.arange(8), similarity_order, 4)], 8)
    assert len(pairs[0]) == 11


def test_settings_that_make_no_sense_are_refused():
    for wrong in ({"min_jaccard": 1.2}, {"min_jaccard": 0.0}, {"shingle_words": 0}, {"min_recall": 1}, {"bands": 5}):
        with pytest.raises(ValidationError):
            TextNearSettings(**wrong)


APART = [
    ("Which book explains C++ best to a beginner?", "Which book explains C# best to a beginner?"),
    ("Is y > 8 when y is 9?", "Is y < 8 when y is 9?"),
    ("Is 9 + 4 more than 6?", "Is 9 − 4 more than 6?"),
    ("Is 9 - 4 more than 6?", "Is 9 / 4 more than 6?"),
    ("Was it -8 degrees at dawn on the lake?", "Was it 8 degrees at dawn on the lake?"),
    ("Guests gave it ★★★★★ last year", "Guests gave it ★☆☆☆☆ last year"),
    ("She answered 👍 at once", "She answered 👎 at once"),
    ("Prices rose by 5 % in May", "Prices rose by 5 € in May"),
    ("It takes 1.5 cups of rice", "It takes 1/5 cups of rice"),
    ("It starts at 3:20 today", "It starts at 3.20 today"),
]
SAME = [
    ("The river, wide and slow, runs south.", "the river — wide and slow — runs south"),
    ("“Well-known” words: here and there!", '"well known" words here and there'),
    ("Is y > 8 when y is 9?", "is y>8 when y is 9"),
    ("She answered ❤️ at once", "She answered ❤ at once"),
]


def test_signs_keep_texts_apart_and_punctuation_does_not():
    def is_near(pair: tuple[str, str]) -> bool:
        return len(near_texts(pa.array(pair), TextNearSettings())[0]) == 1

    assert [pair for pair in APART if is_near(pair)] == []
    assert [pair for pair in SAME if not is_near(pair)] == []


def test_what_is_exactly_the_same_is_nearly_the_same():
    """The rule for near texts puts aside all that the exact rule (`corpus.text.keys.normalize_for_comparison`) does."""
    texts = ["Is  y > 8?", "‘C++’ or C#", "Rated ★★★!", "−8 °C", "Yes.", "...", "«5 %»"]
    others = ["is y > 8", "'c++' OR c#", "rated ★★★", "−8 °c", "yes", "...", '"5 %"']
    column = pa.array([*texts, *others])
    assert (
        normalize_for_comparison(column).to_pylist()[: len(texts)]
        == normalize_for_comparison(column).to_pylist()[len(texts) :]
    )
    first, second = near_texts(column, TextNearSettings())
    assert {(place, place + len(texts)) for place in range(len(texts))} <= set(zip(first, second, strict=True))
