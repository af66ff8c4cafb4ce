"""Stage `embed`: a vector for each side of each pair, once for equal sides, or a reason."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from corpus.schema import item_id
from mining.embed import Embed, embed_schema
from mining.settings import EmbedSettings
from tests.helpers.mining_worlds import read_rows, run_over_pairs, scene
from tests.helpers.small_worlds import World, image_pair


def vector(data: bytes) -> np.ndarray:
    return np.frombuffer(data, np.float16).astype(np.float64)


def embedded(world: World, rows: list[dict[str, Any]], tables: int = 1) -> list[dict[str, Any]]:
    paths = world.write_pairs("shapes", rows, tables)
    return read_rows(world, run_over_pairs(world, Embed(EmbedSettings()), [[("pairs", path)] for path in paths]))


def negative(text: str, *items: bytes) -> dict[str, Any]:
    return {"text": text, "items": list(items), "clip": None, "score": 0.0, "origin": "given"}


def test_sides_have_vectors_of_norm_1_and_equal_sides_the_same(tmp_path: Path) -> None:
    world = World(str(tmp_path))
    red, blue = world.store([scene("red", 30), scene("blue", 60)], "png")
    rows = [
        image_pair("shapes", "a square on red", red),
        image_pair("shapes", "a square on blue", blue),
        image_pair("shapes", "another caption", red),
    ]
    found = embedded(world, rows)
    assert [row["pair_id"] for row in found] == [row["pair_id"] for row in rows]
    assert [row["positive_reason"] for row in found] == [""] * 3
    assert found[0]["positive_vector"] == found[2]["positive_vector"] != found[1]["positive_vector"]
    assert found[0]["positive_id"] == found[2]["positive_id"] != found[1]["positive_id"]
    assert found[0]["query_id"] != found[2]["query_id"]
    for row in found:
        for role in ("query", "positive"):
            assert abs(np.linalg.norm(vector(row[f"{role}_vector"])) - 1) < 2e-3
        assert vector(row["query_vector"]) @ vector(row["positive_vector"]) == 0, "a text and a picture"


def test_given_negatives_have_vectors_in_their_order(tmp_path: Path) -> None:
    world = World(str(tmp_path))
    red, green, blue = world.store([scene(colour, 30) for colour in ("red", "green", "blue")], "png")
    rows = [
        image_pair("shapes", "one", red, negatives=[negative("", blue), negative("words alone"), negative("", green)]),
        image_pair("shapes", "two", green),
        image_pair("shapes", "three", blue, negatives=None),
    ]
    found = embedded(world, rows)
    assert [len(row["negative_vectors"]) for row in found] == [3, 0, 0]
    assert found[0]["negative_vectors"][0] == found[2]["positive_vector"]
    assert found[0]["negative_vectors"][2] == found[1]["positive_vector"]
    assert found[0]["negative_ids"][0] == found[2]["positive_id"]
    assert len(set(found[0]["negative_ids"])) == 3


def test_a_side_without_a_vector_says_why(tmp_path: Path) -> None:
    world = World(str(tmp_path))
    good, torn = world.store([scene("red", 30, kind="JPEG"), scene("blue", 30, kind="JPEG")[:700]], "jpg")
    (film,) = world.store([b"no picture"], "mp4")
    rows = [
        image_pair("shapes", "a caption", good),
        image_pair("shapes", "a caption", torn),
        image_pair("shapes", "a caption", item_id(b"nowhere")),
        image_pair("shapes", "?!", good),
        image_pair("shapes", "a caption", film),
        image_pair("shapes", "gone", good, status="filtered", reason="blurry"),
    ]
    found = embedded(world, rows)
    positive = [row["positive_reason"] for row in found]
    assert positive[0] == positive[3] == ""
    assert positive[1] in ("undecodable", "truncated")
    assert positive[2] == "missing_item" and positive[4] == "no_image"
    assert [row["query_reason"] for row in found] == ["", "", "", "no_content", "", None]
    assert [row["positive_vector"] is None for row in found] == [False, True, True, False, True, True]
    assert [row["status"] for row in found] == ["kept"] * 5 + ["filtered"]


def test_the_split_into_shards_does_not_matter(tmp_path: Path) -> None:
    world = World(str(tmp_path))
    items = world.store([scene(colour, left) for colour in ("red", "blue") for left in (30, 50, 70)], "png")
    rows = [image_pair("shapes", f"caption {n}", item) for n, item in enumerate(items)]
    by_split = []
    for tables in (1, 2, 5):
        by_split.append({row["pair_id"]: row for row in embedded(world, rows, tables)})
        assert len(by_split[-1]) == len(rows)
    assert by_split[0] == by_split[1] == by_split[2]


def test_the_schema_is_of_the_encoders_dimension() -> None:
    stage = Embed(EmbedSettings())
    assert stage.schema == embed_schema(512)
    assert stage.schema.field("query_vector").type.byte_width == 1024
    assert "decode_threads" not in str(stage.fingerprint_inputs())
