"""The stage `duplicates` with cosines of vectors beside hashes: one family of each image, and no chains."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from corpus.stage import ITEM_NEIGHBOURS, Gives, SourceInfo
from filters.image.dedup import Duplicates, DuplicatesSettings
from tests.helpers.image_rows import Cosines, ImageRow, random_hash, verdicts


def both_ways(cosines: Cosines) -> Cosines:
    return {pair: cosine for one, cosine in cosines.items() for pair in (one, one[::-1])}


def row(name: str, pixels: int = 100, near_to: str = "", **values: Any) -> ImageRow:
    """An image with a hash of its own, or with that of another and one bit more."""
    bits = random_hash(near_to) ^ 1 if near_to else random_hash(name)
    return ImageRow(name, bits, pixels=pixels, **values)


def test_vectors_find_what_hashes_miss_and_each_image_says_why_it_is_removed() -> None:
    large, crop, rescaled, other = row("large", 900), row("crop", 400), row("rescaled", 100, "large"), row("other")
    cosines = both_ways({("large", "crop"): 0.97, ("large", "rescaled"): 0.99, ("large", "other"): 0.9})
    pictures = [crop, large, other, rescaled, large]
    assert verdicts(pictures, cosines=cosines) == [
        (large.id, "semantic_duplicate"),
        (large.id, "kept"),
        (None, "kept"),
        (large.id, "near_duplicate"),
        (large.id, "exact_duplicate"),
    ]
    assert [why for _, why in verdicts(pictures, cosines=cosines, min_cosine=0.9)][2] == "semantic_duplicate"
    hashes_only = [why for _, why in verdicts(pictures)]
    assert hashes_only == ["kept", "kept", "kept", "near_duplicate", "exact_duplicate"]


def test_the_lowest_cosine_is_inclusive() -> None:
    pictures = [row("a", 200), row("b")]
    for cosine, expected in ((np.float32(0.95), "semantic_duplicate"), (np.float32(0.9499), "kept")):
        assert verdicts(pictures, cosines=both_ways({("a", "b"): float(cosine)}))[1][1] == expected


def test_families_by_hash_and_by_vector_are_one_family() -> None:
    """A crop of the best, and a rescaled copy of that crop: the best stands for the crop, the crop for nobody."""
    best, crop, of_crop = row("best", 900), row("crop", 400), row("of crop", 100, "crop")
    cosines = both_ways({("best", "crop"): 0.97})
    found = verdicts([best, crop, of_crop], cosines=cosines)
    assert found == [(best.id, "kept"), (best.id, "semantic_duplicate"), (of_crop.id, "kept")]
    cosines = both_ways({("best", "crop"): 0.97, ("best", "of crop"): 0.96})
    assert [representative for representative, _ in verdicts([best, crop, of_crop], cosines=cosines)] == [best.id] * 3


def test_a_chain_of_vectors_does_not_carry_likeness_on() -> None:
    links = [row(f"link {n}", 100 - n) for n in range(7)]
    cosines = both_ways({(f"link {n}", f"link {n + 1}"): 0.96 for n in range(6)})
    for shards, partitions in ((1, 1), (3, 5)):
        found = verdicts(links, shards=shards, partitions=partitions, cosines=cosines)
        assert [stands for stands, _ in found] == [links[n - n % 2].id for n in range(7)]


def test_one_of_two_images_naming_the_other_is_enough() -> None:
    pictures = [row("a", 200), row("b"), row("c")]
    for pair in (("a", "b"), ("b", "a")):
        found = verdicts(pictures, cosines={pair: 0.99, ("c", "c2"): 0.99})
        assert [why for _, why in found] == ["kept", "semantic_duplicate", "kept"], pair


def test_neighbours_that_an_earlier_stage_removed_join_nobody() -> None:
    pictures = [row("a"), row("b")]
    cosines = {("a", "removed"): 0.99, ("b", "removed"): 0.99}
    assert [why for _, why in verdicts(pictures, cosines=cosines)] == ["kept", "kept"]


def test_flat_images_are_compared_by_vector_and_their_hashes_still_mean_nothing() -> None:
    pictures = [row("a", 200, contrast=0.5), row("b", contrast=0.5, near_to="a"), row("c", contrast=0.5, near_to="a")]
    found = verdicts(pictures, cosines=both_ways({("a", "b"): 0.99, ("b", "c"): 0.99}))
    assert [why for _, why in found] == ["kept", "semantic_duplicate", "kept"]


def planted(random: np.random.Generator) -> tuple[list[ImageRow], Cosines]:
    """Images in families by hash, by vector and by both, in random order, some of them several times."""
    pictures = []
    for family in range(25):
        for member in range(int(random.integers(1, 6))):
            bits = random_hash(f"{family}.{member // 2}") ^ (1 << int(random.integers(0, 64)))
            flat = random.random() < 0.1
            picture = ImageRow(
                f"{family}.{member}", bits, pixels=int(random.integers(1, 4)), contrast=0.1 if flat else 9.0
            )
            pictures += [picture] * int(random.integers(1, 3))
    names = sorted({picture.content for picture in pictures})
    cosines = {}
    for one, other in random.integers(0, len(names), (400, 2)).tolist():
        if names[one].split(".")[0] == names[other].split(".")[0] or random.random() < 0.05:
            cosines[names[one], names[other]] = float(np.float32(random.uniform(0.9, 1)))
    cosines = {pair: cosine for pair, cosine in cosines.items() if pair[0] != pair[1]}
    return [pictures[place] for place in random.permutation(len(pictures))], cosines


def one_by_one(pictures: list[ImageRow], cosines: Cosines) -> list[tuple[int, str]]:
    """The place of the image that stands for each and why: the best first, each for all near it that are there."""

    def why(place: int, kept: int) -> str:
        a, b = pictures[place], pictures[kept]
        if a.id == b.id:
            return "exact_duplicate"
        if min(a.contrast, b.contrast) >= 3 and (a.phash ^ b.phash).bit_count() <= 4:
            return "near_duplicate"
        cosine = max(cosines.get((a.content, b.content), 0), cosines.get((b.content, a.content), 0))
        return "semantic_duplicate" if np.float32(cosine) >= np.float32(0.95) else ""

    found: list[tuple[int, str]] = [(n, "kept") for n in range(len(pictures))]
    kept: list[int] = []
    for place in sorted(range(len(pictures)), key=lambda n: (-pictures[n].pixels, pictures[n].id, n)):
        stands = next((n for n in kept if why(place, n)), None)
        if stands is None:
            kept.append(place)
        else:
            found[place] = stands, why(place, stands)
    return found


@pytest.mark.parametrize(("shards", "partitions"), [(1, 1), (5, 4), (20, 16)])
def test_representatives_are_those_of_brute_force(shards: int, partitions: int) -> None:
    reasons: set[str] = set()
    for seed in range(4):
        pictures, cosines = planted(np.random.default_rng(seed))
        expected = one_by_one(pictures, cosines)
        found = verdicts(pictures, shards=shards, partitions=partitions, cosines=cosines)
        assert [why for _, why in found] == [why for _, why in expected]
        for place, (representative, why) in enumerate(found):
            if why != "kept":
                assert representative == pictures[expected[place][0]].id
        reasons |= {why for _, why in found}
    assert reasons == {"kept", "exact_duplicate", "near_duplicate", "semantic_duplicate"}


def info(encoder: object, tables: frozenset[str], min_cosine: float | None) -> SourceInfo:
    plug: Any = SimpleNamespace(gives=Gives.IMAGES, has_images=True, filters_images=True)
    stages = SimpleNamespace(
        item_vectors=SimpleNamespace(encoder=encoder),
        item_neighbours=SimpleNamespace(min_cosine=0.8),
        duplicates=DuplicatesSettings(min_cosine=min_cosine),
    )
    return SourceInfo("web", plug, stages, "", tables)


def test_without_vectors_the_cosine_makes_nothing_stale() -> None:
    inputs = [Duplicates.create(info(None, frozenset(), cosine)).fingerprint_inputs() for cosine in (None, 0.9, 0.95)]
    assert inputs[0] == inputs[1] == inputs[2] and "hamming_radius" in inputs[0] and "min_cosine" not in inputs[0]
    with_vectors = Duplicates.create(info(object(), frozenset({ITEM_NEIGHBOURS}), 0.9))
    assert with_vectors.fingerprint_inputs()["min_cosine"] == 0.9 and ITEM_NEIGHBOURS in with_vectors.reads
    other = Duplicates.create(info(object(), frozenset(), 0.9))
    assert other.fingerprint_inputs()["min_cosine"] == 0.9 and ITEM_NEIGHBOURS not in other.reads


def test_a_cosine_below_what_is_written_down_is_refused() -> None:
    for encoder, cosine, faults in ((object(), 0.75, 1), (object(), 0.8, 0), (None, 0.1, 0), (object(), None, 0)):
        found = list(Duplicates.conflicts({}, info(encoder, frozenset(), cosine).stages))
        assert len(found) == faults, (encoder, cosine)
        assert all("stages.item_neighbours.min_cosine" in each and "0.75" in each for each in found)
