from __future__ import annotations

import cv2
import numpy as np
import pytest
from videos import Shot, look

from video.looks import hashes_of, look_at, looks_in, phash, sharpness, summary

SIZE = (160, 120)


def picture(seed: int, number: int = 0, camera: str = "still") -> np.ndarray:
    shot = Shot(frames=40, picture="photo", seed=seed, camera=camera)  # type: ignore[arg-type]
    return look(shot, number, SIZE)[:, :, ::-1]


def grey(seed: int) -> np.ndarray:
    return cv2.cvtColor(np.ascontiguousarray(picture(seed)), cv2.COLOR_BGR2GRAY)


@pytest.mark.parametrize("seed", range(4))
def test_the_hash_is_within_a_few_bits_of_the_librarys(seed: int) -> None:
    import imagehash
    from PIL import Image

    known = int(str(imagehash.phash(Image.fromarray(grey(seed)))), 16)
    assert (phash(grey(seed)) ^ known).bit_count() <= 6


def test_the_hash_survives_scaling_and_tells_pictures_apart() -> None:
    one, other = grey(2), grey(3)
    smaller = cv2.resize(one, (100, 70), interpolation=cv2.INTER_AREA)
    assert (phash(one) ^ phash(smaller)).bit_count() <= 6
    assert (phash(one) ^ phash(other)).bit_count() > 16


def test_blur_lowers_the_sharpness() -> None:
    sharp = grey(2)
    assert sharpness(sharp) > 1
    assert sharpness(cv2.GaussianBlur(sharp, (0, 0), 3)) < 0.3
    assert sharpness(np.full((120, 160), 90, np.uint8)) == 0


def test_what_is_measured_of_a_picture() -> None:
    bgr = np.full((120, 160, 3), 40, np.uint8)
    bgr[:, 80:] = 200
    seen = look_at(1.5, bgr, None)
    assert (seen.time_s, seen.brightness, seen.light, seen.motion) == (1.5, 120, 200, 0)
    assert look_at(2.0, bgr[:, ::-1].copy(), seen).motion == 160
    assert look_at(2.0, bgr, seen).motion == 0
    assert look_at(2.0, np.full_like(bgr, 120), None).phash is None


def test_a_summary_leaves_out_the_motion_into_the_clip() -> None:
    looks = [look_at(0.0, picture(2), None)]
    for number in range(1, 9):
        looks.append(look_at(number / 4, picture(3), looks[-1]))
    inside = looks_in(looks, 0.25, 9.0)
    assert len(inside) == 8
    assert inside[0].motion > 10
    assert summary(inside, 32, 0.5).motion == 0
    assert summary(inside, 32, 0.5).still
    assert not summary(looks, 32, 0.5).still
    assert len(set(hashes_of(inside))) == 1


def test_a_clip_is_black_when_no_look_is_light() -> None:
    black = look_at(0.0, np.full((120, 160, 3), 16, np.uint8), None)
    assert summary([black, black], 32, 0.5).black
    assert not summary([black, look_at(0.2, picture(2), black)], 32, 0.5).black
    assert not summary([], 32, 0.5).black
