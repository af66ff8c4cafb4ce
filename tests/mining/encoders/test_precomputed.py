"""Encoder `precomputed`: sides get the vectors that files have for their names; others have a reason."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from corpus.item_ids import join_id
from corpus.schema import ITEM_ID
from corpus.text.keys import side_ids
from mining.embed import Embed
from mining.encoders.precomputed import PrecomputedSettings
from mining.settings import EmbedSettings
from tests.helpers.mining_worlds import read_rows, run_over_pairs
from tests.helpers.small_worlds import World, image_pair

DIMENSION = 4
TEXTS = ("one", "two", "three")


def write(folder: Path, name: str, ids: Iterable[str], vectors: np.ndarray) -> str:
    np.save(folder / f"{name}.npy", vectors)
    (folder / f"{name}.ids.txt").write_text("\n".join(ids))
    return str(folder / f"{name}.npy")


def vectors_of(count: int) -> np.ndarray:
    return np.random.default_rng(5).standard_normal((count, DIMENSION)).astype(np.float32)


def stored(vector: np.ndarray) -> bytes:
    numbers = vector.astype(np.float64)
    return (numbers / np.linalg.norm(numbers)).astype(np.float16).tobytes()


def hex_of_side(text: str, *items: bytes) -> str:
    sides = pa.StructArray.from_arrays([pa.array([text]), pa.array([items], pa.list_(ITEM_ID))], ["text", "items"])
    return join_id(side_ids(sides)[:, 0]).hex()


def embed(world: World, rows: list[dict[str, Any]], *files: str, **settings: Any) -> list[dict[str, Any]]:
    chosen = PrecomputedSettings(kind="precomputed", files=files, **settings)
    [path] = world.write_pairs("shapes", rows, 1)
    return read_rows(world, run_over_pairs(world, Embed(EmbedSettings(encoder=chosen)), [[("pairs", path)]]))


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(str(tmp_path / "workspace"))


def test_items_have_the_vectors_of_their_ids(world: World, tmp_path: Path) -> None:
    items = world.pictures(3)
    vectors = vectors_of(3)
    vectors[1, 2] = np.nan
    path = write(tmp_path, "items", [item.hex() for item in items[:2]], vectors[:2])
    rows = [image_pair("shapes", text, item) for text, item in zip(TEXTS, items, strict=True)]
    found = embed(world, rows, path)
    assert [row["positive_reason"] for row in found] == ["", "not_finite", "not_precomputed"]
    assert found[0]["positive_vector"] == stored(vectors[0])
    assert [row["query_reason"] for row in found] == ["no_name"] * 3


def test_sides_have_the_vectors_of_their_ids_negatives_too(world: World, tmp_path: Path) -> None:
    items = world.pictures(2)
    sides = [("one", ()), ("", (items[0],)), ("", (items[1],)), ("one", (items[1],))]
    vectors = vectors_of(len(sides))
    path = write(tmp_path, "sides", [hex_of_side(text, *each) for text, each in sides], vectors)
    negative = {"text": "", "items": [items[1]], "clip": None, "score": 0.0, "origin": "given"}
    row = image_pair("shapes", "one", items[0], negatives=[negative, {**negative, "text": "one"}])
    [found] = embed(world, [row], path, named_by="side")
    assert found["query_vector"] == stored(vectors[0]) and found["positive_vector"] == stored(vectors[1])
    assert found["negative_vectors"] == [stored(vectors[2]), stored(vectors[3])]


def test_images_have_the_vectors_of_their_rows_urls(world: World, tmp_path: Path) -> None:
    items = world.pictures(3)
    rows = [image_pair("shapes", text, item) for text, item in zip(TEXTS, items, strict=True)]
    rows[1]["source_url"] = None
    rows[2]["query"]["items"] = [items[0]]  # of which image the URL is nobody can tell
    vectors = vectors_of(3)
    path = write(tmp_path, "urls", [f"http://example.com/{text}.jpg" for text in TEXTS], vectors)
    found = embed(world, rows, path, named_by="source_url")
    assert [row["positive_reason"] for row in found] == ["", "no_name", "no_name"]
    assert found[0]["positive_vector"] == stored(vectors[0])
    assert [row["query_reason"] for row in found] == ["no_name"] * 3


def test_of_several_urls_the_first_that_is_known_counts(world: World, tmp_path: Path) -> None:
    [item] = world.pictures(1)
    rows = [image_pair("shapes", text, item) for text in TEXTS]
    vectors = vectors_of(1)
    path = write(tmp_path, "urls", ["http://example.com/two.jpg"], vectors)
    found = embed(world, rows, path, named_by="source_url")
    assert {row["positive_vector"] for row in found} == {stored(vectors[0])}


def test_files_are_part_of_the_fingerprint(world: World, tmp_path: Path) -> None:
    path = write(tmp_path, "items", ["aa"], vectors_of(1))
    settings = PrecomputedSettings(kind="precomputed", files=(path,))
    assert settings.encoder().dimension == DIMENSION
    before = settings.encoder().producer
    write(tmp_path, "items", ["aa", "bb"], vectors_of(2))
    assert settings.encoder().producer != before
    pinned = settings.model_copy(update={"revision": "1"})
    before = pinned.encoder().producer
    write(tmp_path, "items", ["aa"], vectors_of(1))
    assert pinned.encoder().producer == before != pinned.model_copy(update={"named_by": "side"}).encoder().producer


def test_files_of_several_dimensions_are_refused(world: World, tmp_path: Path) -> None:
    paths = [write(tmp_path, "a", ["aa"], vectors_of(1)), write(tmp_path, "b", ["bb"], vectors_of(1)[:, :3])]
    with pytest.raises(AssertionError, match="vectors of 3 numbers; those of other files have 4"):
        embed(world, [image_pair("shapes", "one", *world.pictures(1))], *paths)
