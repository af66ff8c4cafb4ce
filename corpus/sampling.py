"""Seeded random choices by hash: of rows, of an order, of one among several.

Each key (an id, a URL, a text) has a random number, its hash under the seed, and every choice is made by these numbers.
So it depends on the keys and the seed alone: on no other row, no order, no number of workers; and what is drawn stays
drawn when rows are added (permanent random numbers: E. Ohlsson, Coordination of Samples Using Permanent Random Numbers,
1995). Choices that must not have to do with each other take seeds of their own: `derive_seed`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from corpus.hashing import Hashes, digest, hash_string, hash_strings, mix64
from corpus.item_ids import hash_ids

Keys: TypeAlias = (
    pa.Array | pa.ChunkedArray | npt.NDArray[np.uint64]
)  # strings or binaries; ids as `split_ids` gives them


def derive_seed(seed: int, *purpose: str | bytes | int) -> int:
    """Returns a seed of 64 bits for one purpose: for a dataset, a row, an attempt."""
    return hash_string(digest(*(str(part) if isinstance(part, int) else part for part in purpose)), seed)


def random_numbers(keys: Keys, seed: int) -> Hashes:
    """Returns a random number for each key, uint64[n]. Equal keys have equal numbers; nulls have the highest one."""
    return hash_ids(keys, seed) if isinstance(keys, np.ndarray) else hash_strings(keys, seed)


def uniform(numbers: Hashes) -> npt.NDArray[np.float64]:
    """Maps random numbers to fractions, above 0 and below 1."""
    return ((numbers >> np.uint64(12)).astype(np.float64) + 0.5) * 2.0**-52


def bernoulli(keys: Keys, probability: float, seed: int) -> npt.NDArray[np.bool_]:
    """Draws each key with a probability, bool[n]. What is drawn with a lower one is drawn with a higher one, too."""
    return uniform(random_numbers(keys, seed)) < probability


def random_order(keys: Keys, seed: int) -> npt.NDArray[np.int64]:
    """Returns the positions of the keys in random order, int64[n]; equal keys stay in the order in which they come.

    The first k are a sample of k keys, and the beginning of the sample of 2 k.
    """
    return np.argsort(random_numbers(keys, seed), kind="stable")


def choose_option(options: Sequence[str | bytes], seed: int) -> int:
    """Chooses one of several options: returns its position, the first of equal ones. ValueError where there is none.

    Rendezvous hashing (D. G. Thaler and C. V. Ravishankar, 1998): the choice doesn't depend on the options' order, and
    when one is added, the choice stays or becomes the new one.
    """
    return min(range(len(options)), key=lambda position: hash_string(options[position], seed))


def choose_weighted(
    keys: Keys, options: Sequence[str], weights: npt.NDArray[np.float64], seed: int
) -> npt.NDArray[np.intp]:
    """Chooses an option for each key, with a probability that is proportional to its weight: positions, intp[n].

    `weights`, float64[n, m] or [m], are 0 or above, with one above 0 for each key. Weighted rendezvous hashing (C.
    Schindelhauer and G. Schomaker, 2005): when an option is added, a key keeps its option or moves to the new one.
    """
    numbers = random_numbers(keys, seed)[:, None] ^ hash_strings(pa.array(options, pa.string()))
    with np.errstate(divide="ignore"):
        waits = -np.log(uniform(mix64(numbers))) / weights
    return np.argmin(waits, axis=1)
