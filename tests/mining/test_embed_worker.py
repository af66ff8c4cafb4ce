"""Vectors are looked up by the content of sides, in all datasets of the workspace, before they are computed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from corpus.schema import Task
from mining.embed import Embed
from mining.settings import EmbedSettings
from tests.helpers.counting_encoders import counted, sent
from tests.helpers.mining_worlds import read_rows, run_over_pairs, scene
from tests.helpers.small_worlds import World, image_pair

TEXTS = ("a square on red", "a square on green", "a square on blue")
IMAGES = [("", "", 1)] * 3


@pytest.fixture
def world(tmp_path: Path) -> World:
    sent()
    return World(str(tmp_path))


def rows_of(items: list[bytes], texts: tuple[str, ...] = TEXTS, instruction: str = "") -> list[dict[str, Any]]:
    rows = [image_pair("shapes", text, item) for text, item in zip(texts, items, strict=True)]
    for row in rows:
        row["query"]["instruction"] = instruction
    return rows


def embed(
    world: World, dataset: str, rows: list[dict[str, Any]], settings: EmbedSettings, task: Task | None = None
) -> list[dict[str, Any]]:
    paths = world.write_pairs(dataset, rows, 1)
    inputs = [[("pairs", path)] for path in paths]
    return read_rows(world, run_over_pairs(world, Embed(settings, task), inputs, f"{dataset}/web"))


def scenes(world: World) -> list[bytes]:
    return world.store([scene(colour, 30) for colour in ("red", "green", "blue")], "png")


def vectors(rows: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    names = [f"{role}_{what}" for role in ("query", "positive") for what in ("id", "vector", "key")]
    return [tuple(row[name] for name in names) for row in rows]


def test_a_second_dataset_with_the_same_sides_computes_nothing(world: World) -> None:
    rows = rows_of(scenes(world))
    first = embed(world, "one", rows, counted())
    assert sent() == sorted([*((text, "", 0) for text in TEXTS), *IMAGES])
    second = embed(world, "two", rows[::-1], counted())
    assert sent() == []
    assert vectors(second) == vectors(first)[::-1]


def test_new_sides_only_are_computed_of_a_source_that_changed(world: World) -> None:
    items = scenes(world)
    rows = rows_of(items)
    embed(world, "one", rows, counted())
    sent()
    (grey,) = world.store([scene("grey", 30)], "png")
    changed = [*rows[:2], image_pair("shapes", "another text", items[2]), image_pair("shapes", TEXTS[0], grey)]
    found = embed(world, "one-again", changed, counted())
    assert sent() == [("", "", 1), ("another text", "", 0)]
    assert found[3]["query_vector"] == found[0]["query_vector"]
    assert len({row["positive_vector"] for row in found}) == 4


def test_negatives_that_pairs_came_with_are_found_as_positives_and_the_other_way_around(world: World) -> None:
    items = scenes(world)
    negatives = [{"text": "", "items": [item], "clip": None, "score": 0.0, "origin": "given"} for item in items[1:]]
    rows = rows_of(items)
    [first] = embed(world, "one", [rows[0] | {"negatives": negatives}], counted())
    sent()
    found = embed(world, "two", rows, counted())
    assert sent() == [(text, "", 0) for text in sorted(TEXTS[1:])], "images came as negatives"
    assert [row["positive_vector"] for row in found[1:]] == first["negative_vectors"]
    [third] = embed(world, "three", [rows[0] | {"negatives": negatives[::-1]}], counted())
    assert sent() == [] and third["negative_vectors"] == first["negative_vectors"][::-1]


def test_what_a_vector_depends_on_is_never_mixed(world: World) -> None:
    items = scenes(world)
    rows = rows_of(items)
    embed(world, "one", rows, counted())
    sent()
    embed(world, "revision", rows, counted(revision="2"))
    assert len(sent()) == 6, "another revision"
    embed(world, "limit", rows, counted(video_frames=4))
    assert len(sent()) == 6, "another rule for clips"
    embed(world, "instruction", rows_of(items, instruction="Find it: "), counted())
    assert sent() == sorted((text, "Find it: ", 0) for text in TEXTS), "another instruction of queries"


def test_settings_replace_the_instructions_of_a_task(world: World) -> None:
    items = scenes(world)
    rows = rows_of(items, instruction="Of the pair: ")
    settings = counted(instructions={"image_retrieval": {"query": "Set: ", "positive": "Show: "}})
    found = embed(world, "one", rows, settings, Task.IMAGE_RETRIEVAL)
    assert sent() == sorted([*((text, "Set: ", 0) for text in TEXTS), *[("", "Show: ", 1)] * 3])
    other = embed(world, "two", rows, settings, Task.IMAGE_QA)
    assert sent() == sorted([*((text, "Of the pair: ", 0) for text in TEXTS), *IMAGES])
    assert found[0]["query_id"] == other[0]["query_id"] and found[0]["query_key"] != other[0]["query_key"]
    both = [Embed(settings, task).fingerprint_inputs() for task in (Task.IMAGE_RETRIEVAL, Task.IMAGE_QA)]
    assert both[0] != both[1]


def test_sides_without_a_vector_are_tried_again(world: World) -> None:
    items = world.store([scene("red", 30, kind="JPEG")[:700]], "jpg")
    rows = [image_pair("shapes", "?!", items[0]), image_pair("shapes", " ", items[0])]
    for dataset in ("one", "two"):
        for found in embed(world, dataset, rows, counted()):
            assert (found["query_reason"], found["query_key"]) == ("no_content", None)
            assert found["positive_reason"] in ("truncated", "undecodable") and found["positive_key"] is None
        assert sent() == [("?!", "", 0)], "of an empty text nothing is computed"


def test_of_a_clip_so_many_frames_are_read(world: World) -> None:
    frames = world.store([scene("red", left) for left in range(20, 76, 5)], "png")
    assert len(frames) == 12
    clip = {"instruction": "", "text": "", "items": frames, "clip": {"video": "0" * 32, "start_s": 0.0, "end_s": 3.0}}
    images = {**clip, "clip": None}
    rows = [image_pair("shapes", "a text", frames[0]) | {"positive": side} for side in (clip, images)]
    found = embed(world, "one", rows, counted(video_frames=4))
    assert sent() == [("", "", 4), ("", "", 12), ("a text", "", 0)]
    expected = [frames[place] for place in (0, 3, 7, 11)]
    [subset] = embed(world, "two", [rows[0] | {"positive": {**images, "items": expected}}], counted(video_frames=4))
    assert subset["positive_vector"] == found[0]["positive_vector"] != found[1]["positive_vector"]
