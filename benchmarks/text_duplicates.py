"""Measures near-duplicate texts of 40 to 160 words against datasketch. Run `python -m benchmarks.text_duplicates`.

Both go from the texts to the pairs with a Jaccard similarity of 0.8 or more over shingles of three words: MinHash, LSH
with the same bands and rows, then the similarity of the sets, so that precision is 1.0 on both sides, in one process.
The peer uses its fastest options: signatures in bulk of the scheme `affine32`, xxHash for SHA-1, an insertion session.
Recall is of the planted pairs, whose similarity is computed from Python's sets. datasketch with the bands that it
chooses for the threshold is measured once.
"""

from __future__ import annotations

import argparse
import re

import numpy as np
import pyarrow as pa
import xxhash
from datasketch import MinHash, MinHashLSH

from benchmarks.harness import timed, versus
from corpus.text.minhash import TextNearSettings, band_plan, near_texts

SETTINGS = TextNearSettings()
TEXTS = 30_000
COPIES = 5  # one text in that many is a copy of another, edited in places
BOILERPLATE = 100  # one text in that many shares half of its words, in a row, with all others of its kind

Found = set[tuple[int, int]]
Sets = list[frozenset[bytes]]


def random_texts(size: int) -> tuple[list[str], list[tuple[int, int]]]:
    """Returns texts of Zipf-distributed words, and the pairs of copies, with at most one word in sixteen replaced."""
    rng = np.random.default_rng(size)
    letters = np.array(list("abcdefghijklmnopqrstuvwxyz"))
    words = np.array(["".join(rng.choice(letters, length)) for length in rng.integers(2, 11, 50_000)])
    weight = 1 / np.arange(1, len(words) + 1)
    lengths = rng.integers(40, 161, size)
    word_lists = [words[some] for some in np.split(_drawn(rng, weight, int(lengths.sum())), np.cumsum(lengths)[:-1])]
    template = word_lists[0][:40]
    for text in range(0, size, BOILERPLATE):
        word_lists[text][: len(word_lists[text]) // 2] = np.resize(template, len(word_lists[text]) // 2)
    copies = rng.choice(size // 2, size // COPIES, replace=False)
    planted = list(zip(copies.tolist(), range(size - len(copies), size), strict=True))
    for original, copy in planted:
        word_lists[copy] = word_lists[original].copy()
        places = rng.integers(0, len(word_lists[copy]), rng.integers(0, len(word_lists[copy]) // 16 + 1))
        word_lists[copy][places] = words[rng.integers(0, len(words), len(places))]
    return [" ".join(text) for text in word_lists], planted


def _drawn(rng: np.random.Generator, weight: np.ndarray, count: int) -> np.ndarray:
    shares = np.cumsum(weight)
    return np.searchsorted(shares / shares[-1], rng.random(count), side="right")


def ours(texts: pa.Array) -> Found:
    """Returns the near pairs of our search."""
    first, second = near_texts(texts, SETTINGS)
    return set(zip(first.tolist(), second.tolist(), strict=True))


def shingled(texts: list[str]) -> Sets:
    """Returns the set of shingles of each text."""
    width = SETTINGS.shingle_words
    split = [re.findall(r"\w+", text.lower()) for text in texts]
    return [
        frozenset(" ".join(words[at : at + width]).encode() for at in range(max(1, len(words) - width + 1)))
        for words in split
    ]


def jaccard(a: frozenset[bytes], b: frozenset[bytes]) -> float:
    """Returns the Jaccard similarity of two sets."""
    shared = len(a & b)
    return shared / (len(a) + len(b) - shared)


def datasketch_pairs(texts: list[str], plan: tuple[int, int] | None) -> Found:
    """Returns the near pairs of datasketch; without a plan, with 128 permutations and the bands of its choice."""
    sets = shingled(texts)
    numbers = plan[0] * plan[1] if plan else SETTINGS.num_permutations
    signatures = MinHash.bulk(sets, num_perm=numbers, hashfunc=xxhash.xxh32_intdigest, scheme="affine32")
    index = MinHashLSH(SETTINGS.min_jaccard, num_perm=numbers, params=plan)
    with index.insertion_session() as session:
        for text, minhash in enumerate(signatures):
            session.insert(text, minhash, check_duplication=False)
    found = set()
    for text, minhash in enumerate(signatures):
        for other in index.query(minhash):
            if text < other and jaccard(sets[text], sets[other]) >= SETTINGS.min_jaccard:
                found.add((text, other))
    return found


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", type=int, default=TEXTS)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    texts, planted = random_texts(options.texts)
    sets = shingled(texts)
    near = {pair for pair in planted if jaccard(sets[pair[0]], sets[pair[1]]) >= SETTINGS.min_jaccard}
    bands, rows = band_plan(SETTINGS)
    print(
        f"{len(texts):,} texts, {len(near):,} planted pairs of at least {SETTINGS.min_jaccard}; {bands} bands of {rows}"
    )

    def recall(found: Found) -> float:
        return len(found & near) / len(near)

    def same(found: Found, peer_found: Found) -> None:
        for pair in found | peer_found:
            assert jaccard(sets[pair[0]], sets[pair[1]]) >= SETTINGS.min_jaccard, f"{pair} are not alike"
        assert recall(found) >= max(SETTINGS.min_recall, recall(peer_found) - 0.002), (
            recall(found),
            recall(peer_found),
        )

    column = pa.array(texts)
    print(f"recall: ours {recall(ours(column)):.4f}, datasketch {recall(datasketch_pairs(texts, (bands, rows))):.4f}")
    seconds, found = timed(lambda: datasketch_pairs(texts, None))
    print(f"datasketch with bands of its choice: {seconds:.1f} s, recall {recall(found):.4f}")
    versus(
        "text_duplicates",
        "texts/s",
        len(texts),
        lambda: ours(column),
        lambda: datasketch_pairs(texts, (bands, rows)),
        f"datasketch MinHashLSH, {bands} bands of {rows}, {len(texts):,} texts",
        same,
        options.rounds,
    )


if __name__ == "__main__":
    main()
