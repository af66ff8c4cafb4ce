"""Descriptors: what is alike has similar vectors, and pictures and texts do not mix."""

from __future__ import annotations

import numpy as np

from mining.descriptor import DIMENSION, IMAGE_NUMBERS, TEXT_NUMBERS, describe, describe_image, describe_text

RED, BLUE = (200, 30, 30), (30, 30, 200)


def scene(background: tuple[int, int, int], left: int, shape: str = "square", size: int = 160) -> np.ndarray:
    """A white shape on a background."""
    pixels = np.full((size, size, 3), background, np.uint8)
    rows, columns = np.mgrid[0:size, 0:size]
    if shape == "square":
        inside = (abs(rows - 80) < 30) & (abs(columns - left) < 30)
    else:
        inside = (abs(rows - 80) + abs(columns - left)) < 40
    pixels[inside] = 255
    return pixels


def similarity(one: np.ndarray | None, other: np.ndarray | None) -> float:
    assert one is not None and other is not None
    return float(one @ other)


def test_norms_are_one() -> None:
    for vector in (
        describe([scene(RED, 40)], ""),
        describe([], "a red square"),
        describe([scene(RED, 40), scene(BLUE, 40)], "a red square"),
        describe([np.zeros((1, 1, 3), np.uint8)], ""),
    ):
        assert vector is not None and vector.shape == (DIMENSION,)
        assert abs(np.linalg.norm(vector) - 1) < 1e-12


def test_nothing_to_describe() -> None:
    for text in ("", "  ", "!?", "\u200b"):
        assert describe([], text) is None
        assert not describe_text(text).any()


def test_pictures_are_nearer_the_more_they_share() -> None:
    one = describe_image(scene(RED, 50))
    same_size = describe_image(scene(RED, 50, size=160)[::1])
    moved, recoloured = describe_image(scene(RED, 54)), describe_image(scene(BLUE, 50))
    other = describe_image(scene(BLUE, 110, "diamond"))
    assert similarity(one, same_size) > 1 - 1e-12
    assert similarity(one, same_size) > similarity(one, moved) > similarity(one, recoloured) > similarity(one, other)


def test_the_size_of_a_picture_does_not_matter_much() -> None:
    large = np.kron(scene(RED, 50), np.ones((3, 3, 1), np.uint8)).astype(np.uint8)
    assert similarity(describe_image(scene(RED, 50)), describe_image(large)) > 0.98


def test_texts_are_nearer_the_more_words_they_share() -> None:
    one = describe_text("a small red square at the top left of a green field")
    assert similarity(one, describe_text("A small red SQUARE, at the top left of a green field.")) > 1 - 1e-12
    near = describe_text("a small red circle at the top left of a green field")
    form = describe_text("small red squares at the top of green fields")
    far = describe_text("quarterly revenue of the company, in millions")
    assert similarity(one, near) > 0.7 > similarity(one, far)
    assert similarity(one, form) > 0.5
    assert abs(similarity(one, far)) < 0.3


def test_a_picture_and_a_text_have_nothing_in_common_and_a_side_of_both_has_something_with_each() -> None:
    picture, text = describe([scene(RED, 50)], ""), describe([], "a red square")
    both = describe([scene(RED, 50)], "a red square")
    assert similarity(picture, text) == 0
    assert abs(similarity(both, picture) - np.sqrt(0.5)) < 1e-9
    assert abs(similarity(both, text) - np.sqrt(0.5)) < 1e-9


def test_frames_are_averaged_in_any_order() -> None:
    frames = [scene(RED, 50), scene(BLUE, 50), scene(RED, 110)]
    one, other = describe(frames, ""), describe(frames[::-1], "")
    assert similarity(one, other) > 1 - 1e-12
    assert similarity(one, describe(frames[:1], "")) > similarity(one, describe([scene(BLUE, 110, "diamond")], ""))


def test_the_parts_fill_their_numbers() -> None:
    assert describe_image(scene(RED, 50)).shape == (IMAGE_NUMBERS,)
    assert describe_text("a").shape == (TEXT_NUMBERS,)
    assert IMAGE_NUMBERS + TEXT_NUMBERS == DIMENSION == 512
