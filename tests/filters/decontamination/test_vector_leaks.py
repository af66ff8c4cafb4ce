"""Items held against media of evaluation sets by their vectors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa

from corpus.schema import ITEM_ID, item_id
from corpus.stage import EVALUATION_INDEX, ITEM_VECTORS
from corpus.vectors import normalise, packed_column
from filters.decontamination.evaluation import read_media
from filters.decontamination.leaks import Leaks, LeaksSettings
from filters.decontamination.vector_leaks import MIN_LISTED_COSINE, near_vectors, read_vectors
from tests.filters.decontamination.test_leaks import entry, images, index_of, near, pool_of
from tests.helpers.image_rows import random_hash


def test_vectors_find_what_hashes_miss(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    media = rng.standard_normal((40, 32))
    names = [f"{number:02d}" for number in range(40)]
    entries = [entry(name, random_hash(name), "even" if at % 2 == 0 else "odd") for at, name in enumerate(names)]
    entries.append(entry("07", None, "third"))  # the same medium in another set
    ids = pa.array([item_id(name.encode()) for name in names], ITEM_ID)
    vectors = pa.table({"item_id": ids, "vector": packed_column(normalise(media))})
    pools = {EVALUATION_INDEX: index_of(tmp_path, *entries), ITEM_VECTORS: pool_of(tmp_path, "vectors", vectors)}
    crop = normalise((media[7] + 0.15 * rng.standard_normal(32))[None]).astype(np.float64)
    exact = float(np.float32(normalise(crop)[0].astype(np.float64) @ normalise(media)[7].astype(np.float64)))
    rows = {"crop": random_hash("crop"), "clean": random_hash("clean")}
    shard = images(tmp_path, pools, rows, np.concatenate([crop, rng.standard_normal((1, 32))]))
    found = near(Leaks(LeaksSettings(), True, True), shard)
    assert found[0] == [("odd", "07", "cosine", round(exact, 3)), ("third", "07", "cosine", round(exact, 3))]
    assert found[1] == []


def test_the_largest_cosine_of_each_set_is_that_of_a_plain_product(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    media, rows = (normalise(rng.standard_normal((count, 8)) + 0.6) for count in (300, 50))
    names = [f"{number:03d}" for number in range(300)]
    sets = [f"set {number % 3}" for number in range(300)]
    index = index_of(tmp_path, *(entry(name, None, of_set) for name, of_set in zip(names, sets, strict=True)))
    ids = pa.array([item_id(name.encode()) for name in names], ITEM_ID)
    pool = pool_of(tmp_path, "vectors", pa.table({"item_id": ids, "vector": packed_column(media)}))
    known = read_vectors(pool, read_media(index))
    assert known is not None
    valid = np.arange(50) % 7 != 0
    found_rows, entries = near_vectors(pa.table({"vector": packed_column(rows, valid)}), known)
    found = {
        (row, one["set"]): (one["name"], one["value"]) for row, one in zip(found_rows, entries.to_pylist(), strict=True)
    }
    products = (rows.astype(np.float64) @ media.T.astype(np.float64)).astype(np.float32)
    expected = {}
    for row in np.flatnonzero(valid).tolist():
        for number in range(3):
            best = number + 3 * int(products[row, number::3].argmax())
            if products[row, best] >= MIN_LISTED_COSINE:
                expected[row, f"set {number}"] = (names[best], products[row, best])
    assert len(expected) > 100
    assert found == expected
