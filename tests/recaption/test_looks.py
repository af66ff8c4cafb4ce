"""What is measured in planted pictures."""

import numpy as np
import pytest

from recaption.looks import Look, changed, look_at

RED, BLUE, WHITE, BLACK = (220, 20, 20), (20, 20, 220), (255, 255, 255), (0, 0, 0)


def filled(colour: tuple[int, ...], height: int = 240, width: int = 240) -> np.ndarray:
    return np.broadcast_to(np.array(colour, np.uint8), (height, width, 3)).copy()


def squares(side: int, size: int = 256) -> np.ndarray:
    board = np.indices((size, size)) // side
    return np.dstack([(board.sum(axis=0) % 2 * 255).astype(np.uint8)] * 3)


def where(look: Look, colour: str) -> str:
    return next(part.where for part in look.parts if part.colour == colour)


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        (np.s_[:80, :], "at the top"),
        (np.s_[160:, :], "at the bottom"),
        (np.s_[:, :80], "on the left"),
        (np.s_[:, 160:], "on the right"),
        (np.s_[:90, :90], "at the top left"),
        (np.s_[150:, 150:], "at the bottom right"),
        (np.s_[80:160, 80:160], "in the centre"),
    ],
)
def test_where_a_colour_lies(place: tuple[slice, slice], expected: str) -> None:
    pixels = filled(WHITE)
    pixels[place] = RED
    look = look_at(pixels)
    assert where(look, "red") == expected
    share = (pixels[..., 1] < 100).mean() * 100
    assert abs(look.parts[1].percent - share) <= 3
    assert look.lightest != expected


def test_a_frame_lies_around_the_edges() -> None:
    pixels = filled(BLUE)
    pixels[30:-30, 30:-30] = WHITE
    assert where(look_at(pixels), "blue") == "around the edges"


@pytest.mark.parametrize(
    ("colour", "name"),
    [
        (BLACK, "black"),
        ((70, 70, 74), "dark grey"),
        ((128, 130, 128), "grey"),
        ((190, 190, 190), "light grey"),
        (WHITE, "white"),
        (RED, "red"),
        ((255, 140, 0), "orange"),
        ((120, 70, 20), "brown"),
        ((245, 225, 30), "yellow"),
        ((40, 180, 50), "green"),
        ((10, 90, 20), "dark green"),
        ((135, 206, 235), "sky blue"),
        (BLUE, "blue"),
        ((10, 15, 90), "navy blue"),
        ((150, 40, 200), "purple"),
        ((255, 182, 193), "pink"),
        ((230, 215, 180), "beige"),
    ],
)
def test_names_of_colours(colour: tuple[int, ...], name: str) -> None:
    look = look_at(filled(colour))
    assert [(part.colour, part.percent, part.where) for part in look.parts] == [(name, 100, "")]


@pytest.mark.parametrize("side", [2, 3, 4, 5, 8, 16])
def test_a_checkerboard_is_not_taken_for_a_plain_surface(side: int) -> None:
    """Whatever the size of its squares is in the steps of the grid."""
    look = look_at(squares(side))
    assert look.changes > 400
    assert {part.colour for part in look.parts} == {"black", "white"}
    assert all(40 <= part.percent <= 60 for part in look.parts)


def test_sharpness_is_that_of_edges() -> None:
    steps = squares(64)
    soft = np.array([np.convolve(row, np.ones(24) / 24, "same") for row in steps[..., 0].astype(float)])
    assert 70 <= look_at(steps).sharpness <= 130
    assert look_at(np.dstack([soft.astype(np.uint8)] * 3)).sharpness < 80
    assert look_at(squares(2)).sharpness > 350
    assert look_at(filled(RED)).sharpness == 0


def test_symmetry() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (120, 60, 3)).astype(np.uint8)
    smooth = np.repeat(np.repeat(noise[::12, ::12], 12, axis=0), 12, axis=1)
    assert look_at(np.hstack([smooth, smooth[:, ::-1]])).mirrored
    assert not look_at(np.hstack([smooth, smooth])).mirrored
    assert not look_at(filled(RED)).mirrored  # nothing to mirror


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (300, 1), (2, 2), (7, 5)])
def test_tiny_pictures_are_measured(size: tuple[int, int]) -> None:
    look = look_at(filled(BLUE, *size))
    assert look.parts[0].colour == "blue"
    assert look.changes == look.sharpness == look.deviation == 0
    assert look.aspect_percent == 100 * size[1] // size[0]


def test_changes_between_pictures_of_any_size() -> None:
    whole, half = filled(RED), filled(RED, 120, 480)
    half[:, 240:] = BLUE
    assert changed(look_at(whole), look_at(whole)) == 0
    assert 48 <= changed(look_at(whole), look_at(half)) <= 52
