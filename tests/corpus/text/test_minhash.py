"""Shingles against sets made one by one, signatures against the similarity that they stand for, near-duplicate search
against comparing each text with each."""

import numpy as np
import pyarrow as pa
import pytest
from pydantic import ValidationError

from corpus.text.keys import normalize_for_comparison
from corpus.text.minhash import (
    Shingles,
    TextNearSettings,
    band_plan,
    jaccard,
    jaccard_reaches,
    near_pairs_of_bands,
    near_texts,
    shared_keys,
    shingle_hashes,
    shingles,
    signatures,
    unique_pairs,
)
from corpus.text.words import split_words

TEXTS = ["The cat, the CAT sat!", "cat", "", None, "?!", "a b", "猫が好き ok", "one two three one two three", "ไป"]
WORDS = [["the", "cat", "the", "cat", "sat"], ["cat"], [], [], [], ["a", "b"], [*"猫が好き", "ok"]]
WORDS += [["one", "two", "three"] * 2, [*"ไป"]]


def set_of(sets: Shingles, text: int) -> frozenset[int]:
    return frozenset(sets.values[sets.offsets[text] : sets.offsets[text + 1]].tolist())


@pytest.mark.parametrize("width", [1, 2, 3, 6])
def test_equal_runs_of_words_have_equal_hashes_and_others_not(width):
    known: dict[tuple[str, ...], int] = {}
    hashes, counts = shingle_hashes(split_words(pa.array(TEXTS)), width)
    runs = []
    for words in WORDS:
        starts = range(max(len(words) - width + 1, min(1, len(words))))
        runs.append([tuple(words[start : start + width]) for start in starts])
    assert counts.tolist() == [len(each) for each in runs]
    for run, number in zip([run for each in runs for run in each], hashes.tolist(), strict=True):
        assert known.setdefault(run, number) == number
    assert len(set(known.values())) == len(known)


def test_sets_are_sorted_and_distinct_and_texts_without_words_have_one_of_their_own():
    sets = shingles(pa.chunked_array([TEXTS[:3], TEXTS[3:]]), 3)
    assert sets.sizes.tolist() == [3, 1, 1, 1, 1, 1, 3, 3, 1]
    assert set_of(sets, 2) == set_of(sets, 3) != set_of(sets, 4)
    for text in range(len(sets)):
        assert (np.diff(sets.values[sets.offsets[text] : sets.offsets[text + 1]].astype(np.int64)) > 0).all()
    alone = shingles(pa.array([TEXTS[7]]), 3)
    assert set_of(alone, 0) == set_of(sets, 7)
    assert len(shingles(pa.array([], pa.string()), 3)) == 0


def test_the_smallest_of_each_set_and_back_from_lists():
    sets = Shingles(np.array([1, 5, 9, 2, 3, 4, 8], np.uint32), np.array([0, 3, 3, 7]))
    some = sets.smallest(2)
    assert (some.values.tolist(), some.offsets.tolist()) == ([1, 5, 2, 3], [0, 2, 2, 4])
    back = Shingles.of_lists(pa.chunked_array([some.to_lists().slice(0, 1), some.to_lists().slice(1)]))
    assert (back.values.tolist(), back.offsets.tolist()) == (some.values.tolist(), some.offsets.tolist())


@pytest.mark.parametrize("shared", [100, 150, 190])
def test_signatures_agree_as_often_as_the_sets_are_alike(shared):
    rng = np.random.default_rng(shared)
    numbers = np.unique(rng.integers(0, 1 << 32, 200 * 400, dtype=np.uint32))[: 200 * 380]
    pool = rng.permutation(numbers).reshape(200, 380)
    offsets = np.arange(201) * 200
    a, b = pool[:, :200], pool[:, 200 - shared : 400 - shared]
    signed = [signatures(Shingles(np.sort(side, axis=1).ravel(), offsets), 128) for side in (a, b)]
    assert abs((signed[0] == signed[1]).mean() - shared / (400 - shared)) < 0.012


def test_a_signature_does_not_depend_on_the_other_texts_and_unions_are_minima():
    rng = np.random.default_rng(2)
    texts = [" ".join(f"w{word}" for word in rng.integers(0, 50, size)) for size in rng.integers(0, 60, 400)]
    sets = shingles(pa.array(texts), 1)
    signed = signatures(sets, 32, seed=5)
    assert np.array_equal(signatures(shingles(pa.array(texts[7:9]), 1), 32, seed=5), signed[7:9])
    assert not np.array_equal(signatures(sets, 32, seed=6), signed)
    joined = [f"{one} {other}" for one, other in zip(texts, reversed(texts), strict=True) if one and other]
    filled = np.array([bool(one and other) for one, other in zip(texts, reversed(texts), strict=True)])
    expected = np.minimum(signed, signed[::-1])[filled]
    assert np.array_equal(signatures(shingles(pa.array(joined), 1), 32, seed=5), expected)
    assert not (signatures(sets, 32, seed=5, tag=1) == signed).mean() > 0.05
    empty = signatures(Shingles(np.empty(0, np.uint32), np.zeros(3, np.int64)), 16)
    assert (empty == 2**32 - 1).all() and empty.shape == (2, 16)


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
    too_few = TextNearSettings(min_jaccard=0.3, num_permutations=16, min_recall=0.9999)
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
    expected = jaccard_reaches(sets, first, second, settings)
    assert expected.any() and not expected.all()
    monkeypatch.setattr("corpus.text.minhash._NUMBERS_AT_ONCE", 100)
    assert np.array_equal(jaccard_reaches(sets, first, second, settings), expected)


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


def test_members_that_share_a_band_are_near_in_every_column() -> None:
    """Members 0, 4 and 9 have equal queries; of their positives only those of 0 and 9 are near."""
    settings = TextNearSettings(min_jaccard=0.5)
    columns = [
        ["a b c d e f"] * 4,
        ["one two three four", "other words here now", "one two three four", "one two three"],
    ]
    lists = [pa.chunked_array([shingles(pa.array(column), 1).to_lists()]) for column in columns]
    keys, member = np.array([7, 7, 8, 7], np.uint64), np.array([0, 4, 0, 9])
    assert [found.tolist() for found in near_pairs_of_bands(keys, member, lists, settings)] == [[0], [9]]
    assert [found.tolist() for found in near_pairs_of_bands(keys, member, lists[:1], settings)] == [
        [0, 0, 4],
        [4, 9, 9],
    ]
    nobody = [column.take(np.empty(0, np.int64)) for column in lists]
    assert len(near_pairs_of_bands(keys[:0], member[:0], nobody, settings)[0]) == 0
