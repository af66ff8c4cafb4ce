"""The stage `duplicates` on planted families, through a shuffle in memory."""

import hashlib
from dataclasses import replace

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
import skimage.data
from pydantic import ValidationError

from filters.image.dedup import Duplicates, DuplicatesSettings
from filters.image.stats import inspect_image
from tests.helpers.image_rows import ImageRow, random_hash, shard_of, verdicts

BITS = 0x0123_4567_89AB_CDEF  # a hash like any other


def flip(value: int, *bits: int) -> int:
    for bit in bits:
        value ^= 1 << bit
    return value


def test_the_largest_of_a_family_is_kept_and_the_others_say_which_and_why():
    original = ImageRow("original", random_hash("a"), pixels=400)
    copy = ImageRow("original", random_hash("a"), pixels=400)
    smaller = ImageRow("smaller", flip(random_hash("a"), 3, 40), pixels=100)
    other = ImageRow("other", random_hash("b"))
    assert verdicts([smaller, original, other, copy]) == [
        (original.id, "near_duplicate"),
        (original.id, "kept"),
        (None, "kept"),
        (original.id, "exact_duplicate"),
    ]


def test_exact_copies_of_a_removed_picture_are_near_duplicates_of_the_one_that_stays():
    small, large = ImageRow("small", BITS, pixels=1), ImageRow("large", flip(BITS, 0), pixels=2)
    assert [why for _, why in verdicts([small, small, large])] == ["near_duplicate", "near_duplicate", "kept"]


@pytest.mark.parametrize("radius", range(9))
def test_the_radius_is_inclusive(radius):
    centre = random_hash("centre")
    inside = flip(centre, *range(0, 7 * radius, 7))
    outside = flip(centre, *range(1, 7 * (radius + 1), 7))
    found = verdicts([ImageRow("centre", centre, pixels=200), ImageRow("inside", inside)], radius)
    assert [why for _, why in found] == ["kept", "near_duplicate"]
    found = verdicts([ImageRow("centre", centre, pixels=200), ImageRow("outside", outside)], radius)
    assert [why for _, why in found] == ["kept", "kept"]


def test_a_chain_does_not_carry_likeness_on():
    """Each link is 4 bits from the next: what is removed is within the radius of what stands for it."""
    bits = random_hash("chain")
    links = [ImageRow(f"link {n}", flip(bits, *range(4 * n)), pixels=100 - n) for n in range(6)]
    assert [stands for stands, _ in verdicts(links)] == [links[n - n % 2].id for n in range(6)]
    middle = [replace(link, pixels=1000 if n == 2 else link.pixels) for n, link in enumerate(links)]
    stands = [links[n].id for n in (0, 2, 2, 2, 4, 4)]
    assert [representative for representative, _ in verdicts(middle)] == stands
    copies = [link for link in middle for _ in range(3)]  # equal items go with their picture, in every shard
    found = verdicts(copies, shards=5, partitions=4)
    assert [representative for representative, _ in found] == [each for each in stands for _ in range(3)]
    assert [why for _, why in found].count("kept") == 3


def test_pixels_loss_bytes_sharpness_and_the_smallest_id_choose_the_representative_in_this_order():
    by_id = sorted([ImageRow("a", BITS), ImageRow("b", BITS), ImageRow("c", BITS)], key=lambda p: p.id)
    assert verdicts(by_id[::-1])[0][0] == by_id[0].id
    better = [
        ImageRow("sharper", BITS, sharpness=2.0, compression_loss=5.0, pixels=90, bytes=900),
        ImageRow("more bytes", BITS, bytes=1001, compression_loss=5.0, pixels=90),
        ImageRow("less loss", BITS, compression_loss=4.0, pixels=90, bytes=10),
        ImageRow("larger", BITS, compression_loss=80.0, sharpness=0.5, bytes=10, pixels=91),
    ]
    pictures = [replace(p, compression_loss=5.0, pixels=90, bytes=900) for p in by_id]
    for best in better:
        pictures.append(best)
        assert verdicts(pictures)[0][0] == best.id, best.content


def test_of_equal_items_the_first_row_stays():
    assert [why for _, why in verdicts([ImageRow("same", BITS)] * 4)] == ["kept"] + ["exact_duplicate"] * 3


def test_flat_pictures_are_duplicates_only_of_equal_bytes():
    """What their hashes say is noise; here it happens to be the same."""
    pale, grey = ImageRow("pale", BITS, contrast=0.5), ImageRow("grey", BITS, contrast=2.0)
    busy = ImageRow("busy", BITS)
    assert verdicts([pale, grey, busy, pale]) == [
        (pale.id, "kept"),
        (None, "kept"),
        (None, "kept"),
        (pale.id, "exact_duplicate"),
    ]


def encoded(pixels: np.ndarray, ext: str = ".png", *options: int) -> ImageRow:
    """A picture as it is inspected."""
    data = cv2.imencode(ext, pixels, options)[1].tobytes()
    said = inspect_image(data, max_pixels=1 << 30)
    pixel_count = said["width"] * said["height"]
    values = {name: said[name] for name in ("phash", "sharpness", "compression_loss", "bytes", "contrast")}
    return ImageRow(hashlib.sha256(data).hexdigest(), pixels=pixel_count, **values)


def test_colours_and_gradients_are_not_the_same_picture():
    """The hashes of one-coloured images are equal, those of gradients in any direction are within a few bits."""
    red, blue = np.full((64, 96, 3), (0, 0, 200), np.uint8), np.full((64, 96, 3), (200, 0, 0), np.uint8)
    ramp = np.tile(np.arange(0, 256, 2, dtype=np.uint8), (128, 1))
    pictures = [encoded(pixels) for pixels in (red, blue, ramp, ramp.T, ramp // 2)]
    assert verdicts(pictures) == [(None, "kept")] * 5


def test_recompressed_and_resized_photographs_are_found_and_crops_are_not():
    pictures, family = [], []
    for name in ("astronaut", "chelsea", "coffee"):
        photograph = cv2.cvtColor(getattr(skimage.data, name)(), cv2.COLOR_RGB2BGR)
        original = encoded(photograph)
        half = cv2.resize(photograph, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
        smaller = encoded(half, ".jpg", cv2.IMWRITE_JPEG_QUALITY, 85)
        tiny = encoded(cv2.resize(half, None, fx=0.6, fy=0.6), ".webp", cv2.IMWRITE_WEBP_QUALITY, 70)
        crop = encoded(photograph[:, photograph.shape[1] // 5 :])
        pictures += [tiny, original, smaller, original, crop]
        family += [original.id, original.id, original.id, original.id, None]
    found = verdicts(pictures)
    assert [representative for representative, _ in found] == family
    assert [why for _, why in found] == ["near_duplicate", "kept", "near_duplicate", "exact_duplicate", "kept"] * 3


def test_pictures_without_a_hash_are_duplicates_only_of_equal_bytes():
    pictures = [ImageRow("a"), ImageRow("b"), ImageRow("a"), ImageRow("c", BITS)]
    assert [why for _, why in verdicts(pictures)] == ["kept", "kept", "exact_duplicate", "kept"]


def planted(rng: np.random.Generator) -> list[ImageRow]:
    """400 pictures in random order: exact copies, edits of 1 to 4 bits, chains, piles."""
    pictures: list[ImageRow] = []
    for family in range(60):
        bits = random_hash(f"family {family}")
        for member in range(int(rng.integers(1, 6))):
            flipped = rng.choice(64, int(rng.integers(0, 5)), replace=False).tolist()
            edited = ImageRow(f"{family}.{member}", flip(bits, *flipped), pixels=int(rng.integers(1, 4)))
            pictures += [edited] * int(rng.integers(1, 4))
    pictures += [ImageRow(f"pile {n}", random_hash("pile"), pixels=n % 3) for n in range(40)]
    for link in range(20):
        pictures.append(ImageRow(f"link {link}", flip(random_hash("long chain"), *range(3 * link)), pixels=link % 4))
    return [pictures[place] for place in rng.permutation(len(pictures))]


def one_by_one(pictures: list[ImageRow], radius: int = 4) -> list[int]:
    """The place of the picture that stands for each: the best first, each for all that are near it and still there."""
    stands = list(range(len(pictures)))
    kept: list[int] = []
    for place in sorted(stands, key=lambda n: (-pictures[n].pixels, pictures[n].id, n)):
        here = pictures[place].phash
        near = (n for n in kept if (pictures[n].phash ^ here).bit_count() <= radius)
        stands[place] = next(near, place)
        kept += [place] if stands[place] == place else []
    return stands


def test_representatives_are_those_of_brute_force():
    pictures = planted(np.random.default_rng(0))
    stands, found = one_by_one(pictures), verdicts(pictures, shards=5, partitions=4)
    assert [n for n, (_, why) in enumerate(found) if why == "kept"] == [n for n, by in enumerate(stands) if by == n]
    for place, (representative, why) in enumerate(found):
        assert representative in ((None, pictures[place].id) if why == "kept" else (pictures[stands[place]].id,))
    like = [(pictures[n].phash ^ pictures[by].phash).bit_count() for n, by in enumerate(stands)]
    assert 1 < max(like) <= 4 and len(set(stands)) < len(pictures) - 200


@pytest.mark.parametrize(("shards", "partitions"), [(1, 1), (1, 16), (7, 1), (40, 5)])
def test_shards_and_partitions_change_nothing(shards, partitions):
    pictures = planted(np.random.default_rng(1))
    assert verdicts(pictures, shards=shards, partitions=partitions) == verdicts(pictures)


def said_of(pictures: list[ImageRow]) -> list[tuple[str, str, str]]:
    """What is said of each content, without regard to the order of rows."""
    found = verdicts(pictures)
    return sorted(
        (p.content, str(representative), why) for p, (representative, why) in zip(pictures, found, strict=True)
    )


def test_the_order_of_rows_changes_nothing_but_which_of_equal_items_stays():
    pictures = planted(np.random.default_rng(2))
    rng = np.random.default_rng(3)
    shuffled = [pictures[place] for place in rng.permutation(len(pictures))]
    assert said_of(shuffled) == said_of(pictures)


def test_a_row_is_shuffled_once_for_each_band_and_repeats_only_once():
    stage = Duplicates(DuplicatesSettings(hamming_radius=4))
    pictures = [
        ImageRow("a", BITS),
        ImageRow("b", flip(BITS, 0)),
        ImageRow("c", BITS),
        ImageRow("d", BITS),
        ImageRow("e", None),
    ]
    emitted = stage.map(shard_of(0, pictures, np.arange(5)))
    assert emitted.schema.field("key").type == pa.uint64()
    counts = pc.value_counts(emitted.column("row_address")).to_pylist()
    assert {row["values"]: row["counts"] for row in counts} == {0: 5, 1: 5, 2: 1, 3: 1, 4: 1}


def test_a_shard_without_live_rows_emits_nothing():
    stage = Duplicates(DuplicatesSettings())
    emitted = stage.map(shard_of(0, [], np.arange(0)))
    assert emitted.num_rows == 0
    assert emitted.schema == stage.map(shard_of(0, [ImageRow("a", BITS)], np.arange(1))).schema


def test_where_nothing_is_alike_nothing_is_said():
    pictures = [ImageRow(f"{n}", random_hash(f"{n}")) for n in range(50)]
    assert verdicts(pictures) == [(None, "kept")] * 50


@pytest.mark.parametrize("radius", [-1, 9])
def test_a_radius_beyond_what_is_exact_is_refused(radius):
    with pytest.raises(ValidationError, match="hamming_radius"):
        DuplicatesSettings(hamming_radius=radius)
