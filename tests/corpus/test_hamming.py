"""Near-duplicate search against comparing each hash with each."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpus import hamming
from corpus.hamming import MAX_RADIUS_BITS, band_ranges, key_bands, lsh_band_keys, pairs_within_radius
from corpus.union_find import components

RADII = range(MAX_RADIUS_BITS + 1)


def all_pairs(hashes: np.ndarray, radius: int) -> set[tuple[int, int]]:
    """Brute force: positions of different hashes within the radius."""
    distance = np.bitwise_count(hashes[:, None] ^ hashes[None, :])
    a, b = np.nonzero((distance <= radius) & (distance > 0))
    return {(x, y) for x, y in zip(a.tolist(), b.tolist(), strict=True) if x < y}


def found_pairs(hashes: np.ndarray, radius: int, band: int | None = None) -> list[tuple[int, int]]:
    """What the search yields, each pair ordered, with repetitions if there are any."""
    return [
        (min(x, y), max(x, y))
        for a, b in pairs_within_radius(hashes, radius, band)
        for x, y in zip(a.tolist(), b.tolist(), strict=True)
    ]


def at_distance(rng: np.random.Generator, hashes: np.ndarray, bits: int) -> np.ndarray:
    """Each hash with exactly `bits` random bits flipped."""
    chosen = rng.permuted(np.tile(np.arange(64, dtype=np.uint64), (len(hashes), 1)), axis=1)[:, :bits]
    return hashes ^ np.bitwise_xor.reduce(np.uint64(1) << chosen, axis=1, initial=0)


def crowd(rng: np.random.Generator, count: int, bits: int) -> np.ndarray:
    """Different hashes that differ only in `bits` bits, spread over the word: everything shares bands."""
    values = rng.permutation(np.unique(rng.integers(0, 1 << bits, 3 * count, dtype=np.uint64)))[:count]
    places = rng.choice(64, bits, replace=False).astype(np.uint64)
    digits = (values[:, None] >> np.arange(bits, dtype=np.uint64)) & np.uint64(1)
    return np.bitwise_or.reduce(digits << places, axis=1) ^ rng.integers(0, 1 << 63, dtype=np.uint64)


@pytest.mark.parametrize("radius", RADII)
def test_bands_are_disjoint_and_one_more_than_the_radius(radius):
    spans = band_ranges(radius)
    assert len(spans) == radius + 1
    bits = [bit for start, width in spans for bit in range(start, start + width)]
    assert len(bits) == len(set(bits)) and set(bits) <= set(range(64))


@pytest.mark.parametrize("radius", RADII)
def test_hashes_at_the_radius_share_a_key_and_keys_of_different_bands_never_meet(radius):
    rng = np.random.default_rng(radius)
    hashes = rng.integers(0, 1 << 63, 2_000, dtype=np.uint64)
    keys, moved = lsh_band_keys(hashes, radius), lsh_band_keys(at_distance(rng, hashes, radius), radius)
    assert (keys == moved).any(axis=1).all()
    assert (key_bands(keys) == np.arange(radius + 1)).all()


@pytest.mark.parametrize("mask", [0xFFFF_FFFF_FFFF_FFFF, 0xFFF0_FFF0_FFF0_FFF0])
def test_keys_are_spread_evenly_over_partitions(mask):
    """Also where the low bits of each band are all alike."""
    hashes = np.random.default_rng(0).integers(0, 1 << 63, 20_000, dtype=np.uint64) & np.uint64(mask)
    counts = np.bincount((lsh_band_keys(hashes, 3).ravel() % np.uint64(8)).astype(int), minlength=8)
    assert counts.max() < 1.25 * counts.mean()


@pytest.mark.parametrize("radius", RADII)
def test_every_planted_pair_inside_the_radius_is_found_once_and_none_outside(radius):
    rng = np.random.default_rng(radius)
    centres = rng.integers(0, 1 << 63, 3_000, dtype=np.uint64)
    inside, outside = at_distance(rng, centres, radius), at_distance(rng, centres, radius + 1)
    hashes = np.concatenate([centres, inside, outside])
    found = found_pairs(hashes, radius)
    assert len(found) == len(set(found))
    places = np.arange(3_000)
    assert {(x, x + 3_000) for x in places.tolist()} <= set(found)
    assert not {(x, x + 6_000) for x in places.tolist()} & set(found)
    a, b = np.array(found).T
    assert (np.bitwise_count(hashes[a] ^ hashes[b]) <= radius).all()


@pytest.mark.parametrize("radius", [1, 4, 8])
def test_bands_one_by_one_find_what_all_together_find(radius):
    rng = np.random.default_rng(radius)
    hashes = crowd(rng, 1_500, 24)
    by_band = [pair for band in range(radius + 1) for pair in found_pairs(hashes, radius, band)]
    assert sorted(by_band) == sorted(found_pairs(hashes, radius))
    assert sorted(by_band) == sorted(all_pairs(hashes, radius))


@pytest.mark.parametrize("split_rows", [1, hamming._SPLIT_ROWS])
@pytest.mark.parametrize("radius", [0, 2, 3, 5, 8])
def test_crowded_hashes_are_all_compared(monkeypatch, radius, split_rows):
    """A crowd fills few buckets, some splitting well and some not at all: recall must not care."""
    monkeypatch.setattr(hamming, "_SPLIT_ROWS", split_rows)
    rng = np.random.default_rng(radius)
    spread = rng.integers(0, 1 << 63, 400, dtype=np.uint64)
    half_alike = np.uint64(0x123456789 << 20) | rng.choice(1 << 20, 400, replace=False).astype(np.uint64)
    hashes = np.unique(np.concatenate([crowd(rng, 600, 10), half_alike, spread]))
    assert sorted(found_pairs(hashes, radius)) == sorted(all_pairs(hashes, radius))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(0, 2**64 - 1).map(lambda bits: bits & 0x8001_0007_0000_F001), max_size=60),
    st.integers(0, MAX_RADIUS_BITS),
)
def test_components_are_those_of_brute_force(values, radius):
    hashes = np.array(values, dtype=np.uint64)
    n = len(hashes)
    a, b = np.nonzero(np.bitwise_count(hashes[:, None] ^ hashes[None, :]) <= radius)
    found = np.array(found_pairs(hashes, radius), dtype=np.int64).reshape(-1, 2)
    assert components(n, found[:, 0], found[:, 1]).tolist() == components(n, a, b).tolist()


def test_a_pile_of_equal_hashes_is_a_chain_and_pairs_once_with_its_neighbours():
    pile = np.full(5_000, 0xABCDEF, dtype=np.uint64)
    hashes = np.concatenate([pile, np.array([0xABCDEE], dtype=np.uint64)])
    found = found_pairs(hashes, 4)
    assert len(found) == 5_000
    assert sum(y == 5_000 for _, y in found) == 1
    a, b = np.array(found).T
    assert not components(5_001, a, b).any()


def test_equal_hashes_are_chained_in_one_band_only():
    hashes = np.full(100, 7, dtype=np.uint64)
    assert [len(found_pairs(hashes, 4, band)) for band in range(5)] == [99, 0, 0, 0, 0]


def test_pairs_come_in_batches_of_bounded_size():
    """A dense crowd has pairs without number: they must not lie in memory all at once."""
    hashes = crowd(np.random.default_rng(0), 4_000, 12)
    sizes = [len(a) for a, _ in pairs_within_radius(hashes, 6)]
    distance = np.bitwise_count(hashes[:, None] ^ hashes[None, :])
    assert sum(sizes) == np.count_nonzero(np.triu(distance <= 6, k=1))
    assert max(sizes) <= hamming._BATCH_PAIRS + hamming._BLOCK_WORDS < sum(sizes) / 10


@pytest.mark.parametrize("hashes", [[], [5]])
def test_fewer_than_two_hashes_have_no_pairs(hashes):
    assert found_pairs(np.array(hashes, dtype=np.uint64), 4) == []


def test_hashes_may_come_in_any_order():
    rng = np.random.default_rng(3)
    hashes = crowd(rng, 800, 12)
    shuffle = rng.permutation(800)
    back = {(min(p), max(p)) for p in ((int(shuffle[x]), int(shuffle[y])) for x, y in found_pairs(hashes[shuffle], 3))}
    assert back == set(found_pairs(hashes, 3))
