"""Near pairs of 256-bit hashes against a comparison of each with each."""

from __future__ import annotations

import numpy as np
import pytest

from corpus.hamming256 import (
    MAX_LONG_RADIUS_BITS,
    Hashes256,
    as_words,
    block_pair_keys,
    differing_bits,
    hash_blocks,
    near_pairs,
    near_pairs_between,
)
from corpus.union_find import components


def random_hashes(rng: np.random.Generator, count: int) -> Hashes256:
    return rng.integers(0, 2**64, (count, 4), dtype=np.uint64)


def flipped(rng: np.random.Generator, word: Hashes256, bits: int) -> Hashes256:
    places = rng.choice(256, bits, replace=False)
    flips = np.zeros(256, np.uint8)
    flips[places] = 1
    return word ^ as_words(np.packbits(flips))[0]


def planted(seed: int, families: int = 40) -> Hashes256:
    """Centres, each with members at every distance from 0 to 40, spread or crowded in neighbouring bits."""
    rng = np.random.default_rng(seed)
    parts = []
    for centre in random_hashes(rng, families):
        parts.append(centre)
        parts += [flipped(rng, centre, int(bits)) for bits in rng.integers(0, 41, 8)]
        crowded = np.zeros(256, np.uint8)
        crowded[: int(rng.integers(1, 41))] = 1
        parts.append(centre ^ as_words(np.packbits(crowded))[0])
    hashes = np.stack([*parts, *random_hashes(rng, 400)])
    return hashes[rng.permutation(len(hashes))]


def all_pairs(a: Hashes256, b: Hashes256, radius: int) -> set[tuple[int, int]]:
    near = np.bitwise_count(a[:, None] ^ b[None]).sum(axis=2) <= radius
    return set(zip(*(side.tolist() for side in np.nonzero(near)), strict=True))


def joined(pairs: object) -> set[tuple[int, int]]:
    return {pair for a, b in pairs for pair in zip(a.tolist(), b.tolist(), strict=True)}  # type: ignore[attr-defined]


@pytest.mark.parametrize("radius", [0, 1, 5, 15, 16, 20, 30, 31])
def test_pairs_are_those_of_brute_force(radius: int) -> None:
    hashes = np.unique(planted(radius), axis=0)
    found = {(min(pair), max(pair)) for pair in joined(near_pairs(hashes, radius))}
    assert found == {(a, b) for a, b in all_pairs(hashes, hashes, radius) if a < b}
    middle = len(hashes) // 3
    between = joined(near_pairs_between(hashes[:middle], hashes[middle:], radius))
    assert between == all_pairs(hashes[:middle], hashes[middle:], radius)
    assert len(found) > 20 * radius / 31 or radius == 0
    assert between or radius < 5


def test_every_distribution_of_31_bits_over_the_bands_is_found() -> None:
    """One bit in fifteen bands and sixteen in the last, two in each but one, all in two of them."""
    rng = np.random.default_rng(5)
    for counts in ([1] * 15 + [16], [2] * 15 + [1], [16, 15] + [0] * 14, [1] + [2] * 15, [3] * 10 + [0] * 5 + [1]):
        for _ in range(20):
            bits = np.zeros((16, 16), np.uint8)
            for band, count in zip(rng.permutation(16), counts, strict=True):
                bits[band, rng.choice(16, count, replace=False)] = 1
            one = random_hashes(rng, 1)
            other = one ^ as_words(np.packbits(bits))
            assert {frozenset(pair) for pair in joined(near_pairs(np.concatenate([one, other]), 31))} == {
                frozenset((0, 1))
            }, counts
            assert joined(near_pairs(np.concatenate([one, other]), 30)) == set()


def test_equal_hashes_are_a_chain_and_only_one_is_paired_with_others() -> None:
    rng = np.random.default_rng(6)
    one = random_hashes(rng, 1)
    other = flipped(rng, one[0], 10)[None]
    hashes = np.concatenate([one, one, other, one, other])
    found = joined(near_pairs(hashes, 31))
    labels = components(5, *np.array(sorted(found)).T)
    assert labels.tolist() == [0] * 5
    assert {frozenset(pair) for pair in found} == {frozenset(pair) for pair in ((0, 1), (1, 3), (2, 4), (0, 2))}
    assert joined(near_pairs_between(hashes[:2], hashes[2:], 31)) == {(0, 0), (0, 1)}


def test_blocks_bring_each_two_hashes_together_once() -> None:
    hashes = planted(7)
    blocks = hash_blocks(hashes, 5)
    assert (hash_blocks(hashes[::-1], 5) == blocks[::-1]).all() and np.bincount(blocks).min() > len(hashes) / 10
    keys = block_pair_keys(5)
    assert (keys == keys.T).all() and len(np.unique(keys)) == 15
    assert len(np.unique(block_pair_keys(64) >> np.uint64(4))) == 64 * 65 // 2


def test_differing_bits_are_counted() -> None:
    rng = np.random.default_rng(8)
    one = random_hashes(rng, 1)
    for bits in (0, 1, 128, 256):
        assert differing_bits(one, flipped(rng, one[0], bits)[None]).tolist() == [bits]


def test_a_radius_beyond_what_is_exact_is_refused() -> None:
    with pytest.raises(ValueError, match="31 at most"):
        list(near_pairs(random_hashes(np.random.default_rng(0), 2), MAX_LONG_RADIUS_BITS + 1))


def test_none_and_one_have_no_pairs() -> None:
    rng = np.random.default_rng(9)
    for count in (0, 1):
        assert joined(near_pairs(random_hashes(rng, count), 31)) == set()
        assert joined(near_pairs_between(random_hashes(rng, count), random_hashes(rng, 0), 31)) == set()
