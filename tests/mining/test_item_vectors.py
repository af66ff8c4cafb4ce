"""Stages `item_vectors` and `clip_vectors`: one vector of each item, found again wherever the item comes up."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pytest

from corpus.schema import LOCATION_FIELDS, PARTS_FIELD, STATUS_FIELDS
from corpus.settings import SettingsError, parse_settings
from corpus.stage import ITEM_VECTORS, ITEMS, ROWS, VERDICT
from mining.embed import Embed
from mining.item_vectors import ClipVectors, ItemVectors, item_vectors_schema
from mining.settings import EmbedSettings, ItemVectorSettings
from pipelines.config import Config
from pipelines.graph import build_graph
from tests.helpers.counting_encoders import CountingSettings, counted, sent
from tests.helpers.item_worlds import run_over_items
from tests.helpers.mining_worlds import read_rows, run_over_pairs, scene
from tests.helpers.small_worlds import World, image_pair
from tests.helpers.whole_runs import merged

COLOURS = ("red", "green", "blue")


def settings(**changes: Any) -> ItemVectorSettings:
    return ItemVectorSettings(encoder=CountingSettings(**changes))


def vectors_of(world: World, paths: list[str], owner: str = "web", **changes: Any) -> list[dict[str, Any]]:
    stage = ItemVectors(settings(**changes), (ITEMS,))
    return read_rows(world, run_over_items(world, stage, [[(ITEMS, path)] for path in paths], owner)[0])


@pytest.fixture
def world(tmp_path: Path) -> World:
    sent()
    return World(str(tmp_path))


def test_each_item_has_a_vector_of_norm_1_or_the_reason_why_not(world: World) -> None:
    good = [scene(colour, 30, kind="JPEG") for colour in COLOURS[:2]]
    items = world.store([good[0], good[1][:700], good[1], good[0]])
    *rows, failed = vectors_of(world, world.items)
    assert [row["item_id"] for row in rows] == items
    assert [row["vector_reason"] for row in rows] == ["", rows[1]["vector_reason"], "", ""]
    assert rows[1]["vector_reason"] in ("undecodable", "truncated") and rows[1]["vector"] is rows[1]["key"] is None
    assert rows[0]["vector"] == rows[3]["vector"] != rows[2]["vector"]
    for row in (rows[0], rows[2]):
        assert abs(np.linalg.norm(np.frombuffer(row["vector"], np.float16).astype(np.float64)) - 1) < 2e-3
    assert [(row["status"], row["reason"]) for row in rows] == [("kept", "")] * 4, "a row without a vector stays"
    assert (failed["status"], failed["vector"], failed["vector_reason"]) == ("failed", None, None)
    assert len(sent()) == 2, "equal items are sent once"


def test_vectors_are_found_by_content_in_items_and_in_pairs(world: World) -> None:
    pictures = [scene(colour, 30) for colour in COLOURS]
    items = world.store(pictures, "png")
    first = vectors_of(world, world.items)
    assert len(sent()) == 3
    world.store(pictures[::-1], "png")
    again = vectors_of(world, world.items[1:], "other")
    assert sent() == [] and [row["vector"] for row in again[:3]] == [row["vector"] for row in first[2::-1]]
    pairs = [image_pair("shapes", "", item) for item in items]
    paths = world.write_pairs("one", pairs, 1)
    embedded = read_rows(world, run_over_pairs(world, Embed(counted()), [[("pairs", paths[0])]], "one/web"))
    assert sent() == [], "no image, and queries without a text are not sent"
    assert [row["positive_vector"] for row in embedded] == [row["vector"] for row in first[:3]]


def test_vectors_of_pairs_are_not_computed_again_for_their_items(world: World) -> None:
    items = world.store([scene(colour, 60) for colour in COLOURS], "png")
    paths = world.write_pairs("one", [image_pair("shapes", f"on {n}", item) for n, item in enumerate(items)], 1)
    pairs = read_rows(world, run_over_pairs(world, Embed(counted()), [[("pairs", paths[0])]], "one/web"))
    sent()
    found = vectors_of(world, world.items)
    assert sent() == [] and [row["vector"] for row in found[:3]] == [row["positive_vector"] for row in pairs]
    vectors_of(world, world.items, "revised", revision="2")
    assert len(sent()) == 3, "another revision of the encoder makes other vectors"


def test_clips_are_described_by_their_frames(world: World) -> None:
    frames = world.store([scene(colour, left) for colour in COLOURS for left in (30, 60)], "png")
    table = world.workspace.read_table(world.items[0])
    parts = [{**row, "ext": "jpg"} for row in table.select([field.name for field in LOCATION_FIELDS]).to_pylist()[:6]]
    clips: list[dict[str, Any]] = [
        {"item_id": bytes([number]) * 16, "parts": parts[2 * number : 2 * number + 2], "status": "kept", "reason": ""}
        for number in range(3)
    ]
    clips.append({"item_id": b"m" * 16, "parts": [{**parts[0], "ext": "mp4"}], "status": "kept", "reason": ""})
    clips.append({**clips[0], "status": "filtered", "reason": "black"})
    path = "tables/films/groups/000000.0000000000000000.parquet"
    schema = pa.schema([*LOCATION_FIELDS, PARTS_FIELD, *STATUS_FIELDS])
    world.workspace.write_table(path, pa.Table.from_pylist(clips, schema), {})
    stage = ClipVectors(settings())
    outputs, (metrics,) = run_over_items(world, stage, [[(ITEMS, path), (VERDICT, path)]], "films")
    *found, only_film, filtered = read_rows(world, outputs)
    assert sent() == [("", "", 2)] * 3
    assert len({row["vector"] for row in found}) == 3
    assert only_film["vector"] is None and only_film["vector_reason"] == "no_image"
    assert filtered["vector"] is None and filtered["status"] == "filtered"
    assert metrics[ITEM_VECTORS] == {"sides": 4, "from_cache": 0, "without/no_image": 1}
    pair = image_pair("films", "a film", frames[0])
    pair["positive"] = {"instruction": "", "text": "", "items": frames[:2], "clip": None}
    paths = world.write_pairs("films", [pair], 1)
    embedded = read_rows(world, run_over_pairs(world, Embed(counted()), [[("pairs", paths[0])]], "films/web"))
    assert sent() == [("a film", "", 0)] and embedded[0]["positive_vector"] == found[0]["vector"]


def test_mirror_images_have_equal_vectors_where_vectors_are_means_of_both(world: World) -> None:
    pixels = cv2.imdecode(np.frombuffer(scene("red", 30), np.uint8), cv2.IMREAD_COLOR)
    mirrored = cv2.imencode(".png", pixels[:, ::-1])[1].tobytes()
    world.store([scene("red", 30), mirrored, b"no picture"], "png")
    plain = vectors_of(world, world.items)
    assert plain[0]["vector"] != plain[1]["vector"]
    sent()
    stage = ItemVectors(settings().model_copy(update={"mirror": True}), (ITEMS,))
    found = read_rows(world, run_over_items(world, stage, [[(ITEMS, world.items[0])]], "mean")[0])
    assert found[0]["vector"] == found[1]["vector"] not in (plain[0]["vector"], plain[1]["vector"])
    assert sent() == [("", "", 1)] * 4 and found[2]["vector_reason"] == "undecodable"


def test_vectors_that_exist_are_found_by_the_names_of_items_and_rows(world: World, tmp_path: Path) -> None:
    items = world.store([scene(colour, 30) for colour in COLOURS], "png")
    numbers = np.eye(4, 8, dtype=np.float32)
    np.save(tmp_path / "named.npy", numbers)
    urls = ["http://a/0.png", "http://a/1.png", "", "http://a/3.png"]
    rows_path = "tables/web/rows/000000.0000000000000000.parquet"
    statuses = {"status": ["kept"] * 4, "reason": [""] * 4}
    world.workspace.write_table(rows_path, pa.table({"url": urls, **statuses}), {})
    for named_by, ids in (("item", [item.hex() for item in items[:2]]), ("source_url", urls[:2])):
        (tmp_path / "named.ids.txt").write_text("".join(f"{name}\n" for name in [*ids, "x", "y"]))
        encoder = {"kind": "precomputed", "files": [str(tmp_path / "named.npy")], "named_by": named_by}
        stage = ItemVectors(ItemVectorSettings.model_validate({"encoder": encoder}), (ITEMS, ROWS))
        outputs, _ = run_over_items(world, stage, [[(ITEMS, world.items[0]), (ROWS, rows_path)]], named_by)
        *found, _ = read_rows(world, outputs)
        vectors = [np.frombuffer(row["vector"], np.float16).tolist() for row in found[:2]]
        assert vectors == numbers[:2].tolist(), named_by
        assert found[2]["vector_reason"] == ("not_precomputed" if named_by == "item" else "no_name")


def test_the_schema_and_the_fingerprint_are_of_the_encoder() -> None:
    stage = ItemVectors(ItemVectorSettings(encoder=EmbedSettings().encoder))
    assert stage.schema == item_vectors_schema(512)
    assert "decode_threads" not in str(stage.fingerprint_inputs()) and "sources" not in str(stage.fingerprint_inputs())
    assert stage.fingerprint_inputs()["producer"]["encoder"] == "descriptor"


def test_clips_have_the_role_of_item_vectors_and_images_are_searched_among_images(tmp_path: Path) -> None:
    sources = {
        "web": {"kind": "laion", "files": ["web.parquet"]},
        "films": {"kind": "videos", "videos": ["*.mp4"]},
        "other": {"kind": "laion", "files": ["other.parquet"]},
    }
    vectors = {"encoder": {"kind": "descriptor"}, "sources": ["web", "films"]}
    data = {"workspace": str(tmp_path), "sources": sources, "stages": {"item_vectors": vectors}}
    steps = {step.name: step.nodes for step in build_graph(parse_settings(data, Config))}
    assert [node.source for node in steps["item_vectors"]] == ["web"]
    assert [node.source for node in steps["clip_vectors"]] == ["films"]
    [search] = steps["item_neighbours"]
    [(read, pool)] = search.pools
    assert (read.name, [source for source, _ in pool]) == (ITEM_VECTORS, ["web"])
    reads = {node.source: [name for name, _ in node.reads] for node in steps["duplicates"]}
    assert ("item_neighbours" in reads["web"], "item_neighbours" in reads["other"]) == (True, False)
    with pytest.raises(SettingsError, match=r"stages.item_vectors.sources: no source with images or clips 'wbe'"):
        parse_settings(merged(data, {"stages": {"item_vectors": {"sources": ["wbe"]}}}), Config)
