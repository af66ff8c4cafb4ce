"""A number is read back from what has been scaled, compressed and turned to grey; where there is none, none is read."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from demo.films.frame_numbers import LARGEST, number_on, with_number
from demo.films.render import HEIGHT, WIDTH, gallery
from tests.helpers.cases import cases

NUMBERS = (0, 1, 2, 4095, 20_000, 43_690, LARGEST)


def picture(scene: int = 3) -> np.ndarray:
    return gallery()[scene].pixels[:HEIGHT, :WIDTH]


@cases("number", NUMBERS)
@cases("size", [(WIDTH, HEIGHT), (308, 224), (160, 120), (80, 60), (451, 333)])
@cases("quality", [30, 90])
def test_a_number_survives_scaling_and_jpeg(number: int, size: tuple[int, int], quality: int) -> None:
    marked = cv2.resize(with_number(picture(), number), size, interpolation=cv2.INTER_AREA)
    data = cv2.imencode(".jpg", marked, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    assert number_on(cv2.imdecode(data, cv2.IMREAD_COLOR)) == number
    assert number_on(cv2.imdecode(data, cv2.IMREAD_GRAYSCALE)) == number


@pytest.mark.parametrize("level", [0, 4, 128, 255])
def test_no_number_is_read_from_an_even_picture(level: int) -> None:
    with pytest.raises(ValueError, match="no frame number"):
        number_on(np.full((HEIGHT, WIDTH, 3), level, np.uint8))


def test_hardly_any_picture_is_taken_for_a_number() -> None:
    read = 0
    for scene in range(len(gallery())):
        try:
            number_on(picture(scene))
        except ValueError:
            continue
        read += 1
    assert read == 0


def test_two_frames_in_a_dissolve_have_no_number_between_them() -> None:
    mixed = cv2.addWeighted(with_number(picture(), 1000), 0.5, with_number(picture(), 3000), 0.5, 0)
    with pytest.raises(ValueError, match="no frame number"):
        number_on(mixed)


def test_the_strip_leaves_the_brightness_of_the_picture_alone() -> None:
    marked = {number: with_number(picture(), number).mean() for number in NUMBERS}
    assert max(marked.values()) - min(marked.values()) < 0.01
