"""Hashes of string columns: against a plain scalar form, and as random as a sample needs them."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpus.hashing import NULL_HASH, digest, hash_lists, hash_string, hash_strings, hash_words, mix64

ALL = 2**64 - 1


def one_by_one(text: bytes, seed: int) -> int:
    """The same hash, a word at a time in plain integers."""
    state = mixed(seed + 0x9E3779B97F4A7C15 & ALL) ^ (len(text) * 0x9E3779B97F4A7C15 & ALL)
    for at in range(0, len(text), 8):
        word = int.from_bytes(text[at : at + 8], "little")
        state = (state ^ (word * 0xD6E8FEB86659FD93 & ALL)) * 0xA0761D6478BD642F & ALL
        state ^= state >> 32
    return mixed(state)


def mixed(number: int) -> int:
    number = (number ^ number >> 30) * 0xBF58476D1CE4E5B9 & ALL
    number = (number ^ number >> 27) * 0x94D049BB133111EB & ALL
    return number ^ number >> 31


def urls(count: int) -> pa.Array:
    numbers = pa.array(np.arange(count)).cast(pa.string())
    return pc.binary_join_element_wise("https://cdn.example.com/images/", numbers, ".jpg", "")


@given(st.lists(st.one_of(st.none(), st.binary(max_size=40))), st.integers(0, ALL))
def test_agrees_with_the_scalar_form(strings: list[bytes | None], seed: int) -> None:
    expected = [int(NULL_HASH) if text is None else one_by_one(text, seed) for text in strings]
    assert hash_strings(pa.array(strings, pa.binary()), seed).tolist() == expected


def test_values_stay_the_same_for_ever() -> None:
    found = hash_strings(pa.array(["", "a", "http://example.com/a.jpg", None]), 7).tolist()
    assert found == [8409816773569330625, 14599177788703401150, 14607075280633672143, 18446744073709551615]


@given(st.lists(st.one_of(st.none(), st.text(max_size=30)), min_size=1, max_size=30), st.data())
def test_slices_and_chunks_do_not_matter(strings: list[str | None], data: st.DataObject) -> None:
    whole = pa.array(strings, pa.string())
    cut = data.draw(st.integers(0, len(strings)))
    expected = hash_strings(whole)
    assert np.array_equal(hash_strings(whole.slice(cut)), expected[cut:])
    assert np.array_equal(hash_strings(whole.slice(0, cut)), expected[:cut])
    chunked = pa.chunked_array([whole.slice(0, cut), whole.slice(cut)], pa.string())
    assert np.array_equal(hash_strings(chunked), expected)


@pytest.mark.parametrize(
    "kind",
    [pa.large_string(), pa.string_view(), pa.binary(), pa.large_binary(), pa.dictionary(pa.int32(), pa.string())],
    ids=str,
)
def test_types_do_not_matter(kind: pa.DataType) -> None:
    strings = pa.array(["short", "a string of more than twelve bytes", None, "żółw", ""], pa.string())
    assert np.array_equal(hash_strings(strings.cast(kind)), hash_strings(strings))


def test_many_blocks_and_a_very_long_string() -> None:
    strings = pa.concat_arrays([urls(20_000), pa.array(["x" * 100_000]), urls(10)])
    found = hash_strings(strings, 3)
    assert found[20_000] == one_by_one(b"x" * 100_000, 3)
    assert found[19_999] == one_by_one(b"https://cdn.example.com/images/19999.jpg", 3)
    assert np.array_equal(found[:10], found[-10:])


def test_empty_columns() -> None:
    assert len(hash_strings(pa.array([], pa.string()))) == 0
    assert len(hash_strings(pa.chunked_array([], pa.string()))) == 0
    assert len(set(hash_strings(pa.array(["", ""])).tolist())) == 1


def test_a_column_of_numbers_is_refused() -> None:
    with pytest.raises(TypeError, match="column of int64"):
        hash_strings(pa.array([1, 2]))


def test_a_million_urls_without_collision_evenly_spread() -> None:
    hashes = hash_strings(urls(1_000_000), 1)
    assert len(np.unique(hashes)) == 1_000_000
    for shift in (0, 24, 52):  # low, middle and high bits: chi-squared over 4096 cells, mean 4095, deviation 90.5
        counts = np.bincount((hashes >> np.uint64(shift) & np.uint64(4095)).astype(np.int64), minlength=4096)
        expected = len(hashes) / 4096
        assert 4095 - 6 * 90.5 < ((counts - expected) ** 2 / expected).sum() < 4095 + 6 * 90.5


def test_every_bit_of_the_input_changes_every_bit_of_the_hash() -> None:
    rng = np.random.default_rng(0)
    texts = rng.integers(0, 256, size=(2000, 21), dtype=np.uint8)
    before = hash_strings(pa.array([text.tobytes() for text in texts]))
    for bit in range(0, 21 * 8, 5):
        changed = texts.copy()
        changed[:, bit // 8] ^= 1 << bit % 8
        flips = before ^ hash_strings(pa.array([text.tobytes() for text in changed]))
        share = np.unpackbits(flips.view(np.uint8).reshape(-1, 8), axis=1).mean(axis=0)
        assert np.abs(share - 0.5).max() < 6 * 0.5 / np.sqrt(2000)


def test_seeds_are_independent() -> None:
    strings = urls(100_000)
    ranks = [np.argsort(np.argsort(hash_strings(strings, seed))) for seed in (0, 1, 2)]
    for one, other in ((0, 1), (0, 2), (1, 2)):
        assert abs(np.corrcoef(ranks[one], ranks[other])[0, 1]) < 6 / np.sqrt(100_000)


def test_mixing_loses_nothing() -> None:
    numbers = np.arange(100_000, dtype=np.uint64)
    assert len(np.unique(mix64(numbers))) == len(numbers)


@given(st.text(max_size=40), st.integers(-1, 2**70))
def test_one_string_has_the_hash_of_a_column(text: str, seed: int) -> None:
    expected = hash_strings(pa.array([text]), seed).tolist()
    assert [hash_string(text, seed)] == [hash_string(text.encode(), seed)] == expected


@given(st.lists(st.binary(min_size=24, max_size=24)), st.integers(0, ALL))
def test_words_have_the_hash_of_their_bytes(strings: list[bytes], seed: int) -> None:
    words = np.frombuffer(b"".join(strings), "<u8").reshape(-1, 3).T.astype(np.uint64)
    assert np.array_equal(hash_words(words, seed), hash_strings(pa.array(strings, pa.binary()), seed))
    assert np.array_equal(hash_strings(pa.array(strings, pa.binary(24))), hash_strings(pa.array(strings, pa.binary())))


def test_lists_are_told_apart_by_their_entries_and_their_order() -> None:
    lists = [[], ["a"], ["a", "b"], ["b", "a"], ["a", "a"], ["a", "b", "a"], ["a", "b"]]
    flat = hash_strings(pa.array([entry for entries in lists for entry in entries], pa.string()))
    hashes = hash_lists(flat, np.array([len(entries) for entries in lists]))
    assert hashes[2] == hashes[6]
    assert len(set(hashes.tolist())) == len(lists) - 1
    assert np.array_equal(hash_lists(flat[1:3], np.array([2])), hashes[2:3])


def test_digests_tell_where_a_part_ends() -> None:
    parts = [("ab", "c"), ("a", "bc"), ("abc",), ("abc", ""), ("", "abc"), (), ("",)]
    assert len({digest(*each) for each in parts}) == len(parts)
    assert digest("ä", b"x") == digest("ä".encode(), "x")
    assert len(digest()) == 16
