"""The scenes of the test VLM: a caption can be read back, and all that it says can be seen in the pixels."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import cv2
import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray

from corpus.schema import table_schema
from demo.vlm.scenes import COLOURS, OPTIONAL, PLACES, SIZES, VlmScene, all_scenes, draw_shapes, read_caption
from filters.image.quality import QualitySettings, quality_verdict
from filters.image.stats import ImageStats, inspect_image

SCENES = all_scenes()
TWO_RED_CIRCLES = VlmScene(2, "small", "red", "circle", "at the top left", "blue")


def some(number: int, seed: int = 0) -> list[VlmScene]:
    return [SCENES[index] for index in np.random.default_rng(seed).choice(len(SCENES), number, replace=False)]


def chroma(pixels: NDArray[np.float64]) -> NDArray[np.float64]:
    """Colour without brightness, which light changes."""
    return pixels / pixels.sum(axis=-1, keepdims=True)


def shape_mask(scene: VlmScene, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """255 where a pixel has the shape's colour and not the background's."""
    smooth = cv2.medianBlur(picture, 3).astype(float) + 1
    to_shape, to_ground = (
        np.abs(chroma(smooth) - chroma(np.array(COLOURS[name], float))).sum(axis=-1)
        for name in (scene.colour, scene.background)
    )
    return np.where(to_shape < 0.6 * to_ground, 255, 0).astype(np.uint8)


def test_a_caption_is_a_sentence() -> None:
    one = replace(TWO_RED_CIRCLES, count=1, shape="cross", place="in the centre", background="orange")
    assert TWO_RED_CIRCLES.caption == "two small red circles at the top left on a blue background."
    assert one.caption == "a small red cross in the centre on an orange background."
    assert replace(one, count=3).caption == "three small red crosses in the centre on an orange background."


def test_a_partial_caption_leaves_attributes_out() -> None:
    orange = VlmScene(1, "small", "orange", "cross", "at the top", "blue")
    expected = {
        (): ("two shapes.", "a shape."),
        ("colour",): ("two red shapes.", "an orange shape."),
        ("shape", "place"): ("two circles at the top left.", "a cross at the top."),
        ("size", "background"): ("two small shapes on a blue background.", "a small shape on a blue background."),
        OPTIONAL: (TWO_RED_CIRCLES.caption, orange.caption),
    }
    for stated, captions in expected.items():
        assert (TWO_RED_CIRCLES.partial_caption(stated), orange.partial_caption(stated)) == captions


def test_every_caption_reads_back_and_is_one_scenes_own() -> None:
    assert [read_caption(scene.caption) for scene in SCENES] == list(SCENES)
    assert len({scene.caption for scene in SCENES}) == len(SCENES) == 3 * 2 * 6 * 5 * 4 * 9
    assert read_caption(" " + TWO_RED_CIRCLES.caption.removesuffix(".") + "\n") == TWO_RED_CIRCLES


@pytest.mark.parametrize(
    "text",
    [
        "",
        "two small red circles",
        "two small red circle at the top left on a blue background.",
        "a small red circles at the top left on a blue background.",
        "two small red circles at the top left on an blue background.",
        "two small red circles at the top left on a red background.",
        "two small pink circles at the top left on a blue background.",
        "two small red circles at the top left on a blue background. And more.",
    ],
)
def test_what_is_no_caption_is_not_read(text: str) -> None:
    assert read_caption(text) is None


def test_the_held_out_scenes_are_a_tenth_and_always_the_same() -> None:
    held_out = [scene for scene in SCENES if scene.held_out]
    assert 0.08 < len(held_out) / len(SCENES) < 0.12
    for attribute in ("count", "size", "colour", "shape", "place", "background"):
        for value in {getattr(scene, attribute) for scene in SCENES}:
            shown = [scene.held_out for scene in SCENES if getattr(scene, attribute) == value]
            assert 0.05 < np.mean(shown) < 0.15, f"{value} is on both sides"
    digest = hashlib.sha256("\n".join(scene.caption for scene in held_out).encode()).hexdigest()
    assert digest.startswith("b30c4e6c311dfc74"), "other scenes would be held out than those the checkpoint never saw"


@pytest.mark.parametrize("side_px", [112, 224])
def test_drawings_differ_and_are_seeded(side_px: int) -> None:
    pictures = [draw_shapes(TWO_RED_CIRCLES, np.random.default_rng(seed), side_px) for seed in (1, 1, 2)]
    assert all(picture.shape == (side_px, side_px, 3) and picture.dtype == np.uint8 for picture in pictures)
    assert np.array_equal(pictures[0], pictures[1])
    assert not np.array_equal(pictures[0], pictures[2])


@pytest.mark.parametrize("side_px", [224, 448])
def test_what_the_caption_says_is_in_the_pixels(side_px: int) -> None:
    rng = np.random.default_rng(4)
    heights: dict[str, list[float]] = {size: [] for size in SIZES}
    for scene in some(200):
        picture = draw_shapes(scene, rng, side_px)
        _, _, boxes, centres = cv2.connectedComponentsWithStats(shape_mask(scene, picture))
        shapes = [index for index in range(1, len(boxes)) if boxes[index, cv2.CC_STAT_AREA] > side_px**2 / 900]
        assert len(shapes) == scene.count, scene.caption
        middle = centres[shapes].mean(axis=0) / side_px
        nearest = min(PLACES, key=lambda place: float(np.linalg.norm(middle - PLACES[place])))
        assert nearest == scene.place, scene.caption
        heights[scene.size] += [boxes[index, cv2.CC_STAT_HEIGHT] / side_px for index in shapes]
    assert max(heights["small"]) < min(heights["large"])


def test_the_colours_are_where_the_caption_says() -> None:
    rng = np.random.default_rng(7)
    for scene in [replace(scene, count=1) for scene in some(200, seed=3)]:
        picture = draw_shapes(scene, rng, 112)
        x, y = (round(112 * share) for share in PLACES[scene.place])
        there = picture[y - 1 : y + 2, x - 1 : x + 2].mean(axis=(0, 1))
        around = np.median(picture, axis=(0, 1))
        for seen, named in ((there, scene.colour), (around, scene.background)):
            differs = {
                name: float(np.abs(chroma(seen) - chroma(np.array(COLOURS[name], float))).sum()) for name in COLOURS
            }
            assert min(differs, key=lambda name: differs[name]) == named, scene.caption


def test_the_shapes_have_their_outlines() -> None:
    rng = np.random.default_rng(5)
    for scene in [replace(scene, count=1) for scene in some(120, seed=1)]:
        mask = shape_mask(scene, draw_shapes(scene, rng, 448))
        _, labels, boxes, _ = cv2.connectedComponentsWithStats(mask)
        largest = 1 + int(boxes[1:, cv2.CC_STAT_AREA].argmax())
        left, top, width, height, area = boxes[largest]
        inside = labels[top : top + height, left : left + width] == largest
        filled, lower = area / (width * height), inside[height // 2 :].sum() / area
        seen = "triangle" if lower > 0.6 else "square" if filled > 0.9 else "circle" if filled > 0.68 else "cross"
        assert seen == scene.shape, (scene.caption, filled, lower)


def test_no_filter_rejects_them() -> None:
    rng = np.random.default_rng(6)
    rows = []
    for scene in some(200, seed=2):
        blue_first = cv2.cvtColor(draw_shapes(scene, rng), cv2.COLOR_RGB2BGR)
        jpeg = cv2.imencode(".jpg", blue_first, [cv2.IMWRITE_JPEG_QUALITY, 85])[1].tobytes()
        rows.append(inspect_image(jpeg, max_pixels=1 << 20))
    verdicts = quality_verdict(pa.Table.from_pylist(rows, table_schema(ImageStats.schema)), QualitySettings())
    assert verdicts["reason"].to_pylist() == [""] * len(rows)
