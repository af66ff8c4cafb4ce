"""The stage `duplicates` with PDQ hashes, on planted families, through a shuffle in memory."""

from __future__ import annotations

import hashlib

import numpy as np
import pyarrow as pa
import pytest

from corpus.settings import SettingsError, parse_settings
from filters.image.dedup import Duplicates, DuplicatesSettings
from pipelines.config import Config
from tests.helpers.image_rows import ImageRow, random_hash, shard_of, verdicts

RADIUS = 31


def long_hash(name: str) -> bytes:
    return hashlib.sha256(name.encode()).digest()


def flip(value: bytes, *bits: int) -> bytes:
    number = int.from_bytes(value)
    for bit in bits:
        number ^= 1 << bit
    return number.to_bytes(32)


def picture(content: str, pdq: bytes | None, **fields: int) -> ImageRow:
    return ImageRow(content, random_hash(content), pdq=pdq, **fields)


def test_what_differs_in_31_of_256_bits_is_a_duplicate_although_its_phash_is_another() -> None:
    centre = long_hash("centre")
    original = picture("original", centre, pixels=400)
    inside = picture("inside", flip(centre, *range(0, 248, 8)))
    outside = picture("outside", flip(centre, *range(1, 257, 8)))
    assert verdicts([inside, original, outside], pdq_radius=RADIUS) == [
        (original.id, "near_duplicate"),
        (original.id, "kept"),
        (None, "kept"),
    ]
    assert verdicts([inside, original, outside]) == [(None, "kept")] * 3


def test_both_hashes_make_one_family_and_each_member_is_near_its_representative() -> None:
    """a and b are near by pHash, b and c by PDQ. The best stands for what is near it alone."""
    phash, pdq = random_hash("family"), long_hash("family")
    a = ImageRow("a", phash, pdq=long_hash("a"), pixels=10)
    b = ImageRow("b", phash ^ 1, pdq=pdq, pixels=30)
    c = ImageRow("c", random_hash("c"), pdq=flip(pdq, 7), pixels=20)
    assert [found for found, _ in verdicts([a, b, c], pdq_radius=RADIUS)] == [b.id, b.id, b.id]
    small = ImageRow("b", phash ^ 1, pdq=pdq, pixels=5)
    found = verdicts([a, small, c], pdq_radius=RADIUS)
    assert [found[0], found[2]] == [(a.id, "kept"), (c.id, "kept")], "a and c have nothing in common"
    assert found[1] == (c.id, "near_duplicate"), "the best that is near it"


def test_a_hash_of_low_quality_is_not_compared() -> None:
    pdq = long_hash("same")
    pictures = [picture("good", pdq), picture("bad", pdq, pdq_quality=49), picture("fair", pdq, pdq_quality=50)]
    whys = [why for _, why in verdicts(pictures, pdq_radius=RADIUS)]
    assert whys[1] == "kept" and sorted(whys) == ["kept", "kept", "near_duplicate"]
    assert [why for _, why in verdicts(pictures, pdq_radius=RADIUS, min_pdq_quality=49)].count("kept") == 1


def test_without_a_usable_phash_pdq_decides_and_without_both_equal_bytes() -> None:
    pdq = long_hash("flat")
    flat = [ImageRow(name, 0, pdq=flip(pdq, *bits), pixels=size) for name, bits, size in (("x", (), 9), ("y", (3,), 5))]
    other = ImageRow("z", 0, pdq=long_hash("another"))
    bare = [ImageRow("bare"), ImageRow("bare"), ImageRow("barren")]
    found = verdicts([*flat, other, *bare], pdq_radius=RADIUS)
    assert [why for _, why in found] == ["kept", "near_duplicate", "kept", "kept", "exact_duplicate", "kept"]


def planted(rng: np.random.Generator) -> list[ImageRow]:
    pictures: list[ImageRow] = []
    for family in range(40):
        pdq, phash = long_hash(f"family {family}"), random_hash(f"family {family}")
        for member in range(int(rng.integers(1, 6))):
            flipped = rng.choice(256, int(rng.integers(0, 32)), replace=False).tolist()
            near = phash ^ (1 << int(rng.integers(64))) if rng.random() < 0.3 else random_hash(f"{family}.{member}")
            row = ImageRow(f"{family}.{member}", near, pdq=flip(pdq, *flipped), pixels=int(rng.integers(1, 4)))
            pictures += [row] * int(rng.integers(1, 3))
    for link in range(10):
        pictures.append(picture(f"link {link}", flip(long_hash("chain"), *range(20 * link)), pixels=link % 3 + 1))
    return [pictures[place] for place in rng.permutation(len(pictures))]


def one_by_one(pictures: list[ImageRow]) -> list[int]:
    """The place of the picture that stands for each: the best first, each for all that are near it and still there."""
    stands = list(range(len(pictures)))
    kept: list[int] = []

    def near(a: ImageRow, b: ImageRow) -> bool:
        assert a.phash is not None and b.phash is not None and a.pdq is not None and b.pdq is not None
        apart = (int.from_bytes(a.pdq) ^ int.from_bytes(b.pdq)).bit_count()
        return (a.phash ^ b.phash).bit_count() <= 4 or apart <= RADIUS

    for place in sorted(stands, key=lambda n: (-pictures[n].pixels, pictures[n].id, n)):
        stands[place] = next((n for n in kept if near(pictures[n], pictures[place])), place)
        kept += [place] if stands[place] == place else []
    return stands


@pytest.mark.parametrize(("shards", "partitions", "blocks"), [(1, 1, 1), (5, 4, 3), (9, 16, 4)])
def test_representatives_are_those_of_brute_force(shards: int, partitions: int, blocks: int) -> None:
    pictures = planted(np.random.default_rng(0))
    stands = one_by_one(pictures)
    found = verdicts(pictures, shards=shards, partitions=partitions, pdq_radius=RADIUS, pdq_blocks=blocks)
    assert [n for n, (_, why) in enumerate(found) if why == "kept"] == [n for n, by in enumerate(stands) if by == n]
    for place, (representative, why) in enumerate(found):
        assert representative in ((None, pictures[place].id) if why == "kept" else (pictures[stands[place]].id,))
    assert len(set(stands)) < len(pictures) - 60


def test_a_row_is_shuffled_once_for_each_block_and_repeats_only_once() -> None:
    stage = Duplicates(DuplicatesSettings(hamming_radius=0, pdq_radius=RADIUS, pdq_blocks=4))
    pictures = [picture("a", long_hash("a")), picture("b", long_hash("a")), picture("c", None)]
    emitted = stage.map(shard_of(0, pictures, np.arange(3)))
    rows = emitted.column("row_address").to_pylist()
    assert [rows.count(row) for row in range(3)] == [5, 2, 1]  # one of pHash and four, or one, of PDQ
    assert emitted.schema.field("pdq").type == pa.binary(32)
    plain = Duplicates(DuplicatesSettings(hamming_radius=0)).map(shard_of(0, pictures, np.arange(3)))
    assert "pdq" not in plain.column_names and plain.num_rows == 3


def test_a_radius_without_hashes_is_refused() -> None:
    settings = {"workspace": "w", "sources": {"a": {"kind": "laion", "files": ["a.parquet"]}}}
    stages = {"duplicates": {"pdq_radius": 31}, "image_stats": {"pdq": True}}
    parse_settings({**settings, "stages": stages}, Config)
    with pytest.raises(SettingsError, match=r"set `pdq: true` in stages\.image_stats"):
        parse_settings({**settings, "stages": {"duplicates": {"pdq_radius": 31}}}, Config)
