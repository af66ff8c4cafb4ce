from __future__ import annotations

import cv2
import numpy as np

from tests.helpers.videos import Shot, look
from video.frame_stats import hashes_of, measure_frame, stats_between, summarize

SIZE = (160, 120)


def picture(seed: int, number: int = 0, camera: str = "still") -> np.ndarray:
    shot = Shot(frames=40, picture="photo", seed=seed, camera=camera)  # type: ignore[arg-type]
    return np.ascontiguousarray(look(shot, number, SIZE)[:, :, ::-1])


def phash(bgr: np.ndarray) -> int:
    value = measure_frame(0.0, bgr, None).phash
    assert value is not None
    return value


def test_the_hash_is_within_a_few_bits_of_the_librarys() -> None:
    import imagehash
    from PIL import Image

    apart = []
    for seed in range(4):
        grey = cv2.cvtColor(picture(seed), cv2.COLOR_BGR2GRAY)
        apart.append((phash(picture(seed)) ^ int(str(imagehash.phash(Image.fromarray(grey))), 16)).bit_count())
    assert max(apart) <= 3


def test_the_hash_survives_scaling_and_tells_pictures_apart() -> None:
    one, other = picture(2), picture(3)
    smaller = cv2.resize(one, (100, 70), interpolation=cv2.INTER_AREA)
    assert (phash(one) ^ phash(smaller)).bit_count() <= 6
    assert (phash(one) ^ phash(other)).bit_count() > 16


def test_blur_lowers_the_sharpness() -> None:
    sharp = picture(2)
    assert measure_frame(0.0, sharp, None).sharpness > 1
    assert measure_frame(0.0, cv2.GaussianBlur(sharp, (0, 0), 3), None).sharpness < 0.3
    assert measure_frame(0.0, np.full((120, 160, 3), 90, np.uint8), None).sharpness == 0


def test_the_statistics_of_a_frame() -> None:
    bgr = np.full((120, 160, 3), 40, np.uint8)
    bgr[:, 80:] = 200
    stats = measure_frame(1.5, bgr, None)
    assert (stats.time_s, stats.brightness, stats.p90_brightness, stats.motion) == (1.5, 120, 200, 0)
    assert measure_frame(2.0, bgr[:, ::-1].copy(), stats).motion == 160
    assert measure_frame(2.0, bgr, stats).motion == 0
    assert measure_frame(2.0, np.full_like(bgr, 120), None).phash is None


def test_a_clips_statistics_leave_out_the_motion_into_the_clip() -> None:
    stats = [measure_frame(0.0, picture(2), None)]
    for number in range(1, 9):
        stats.append(measure_frame(number / 4, picture(3), stats[-1]))
    inside = stats_between(stats, 0.25, 9.0)
    assert len(inside) == 8
    assert inside[0].motion > 10
    assert summarize(inside, 32, 0.5).motion == 0
    assert summarize(inside, 32, 0.5).static
    assert not summarize(stats, 32, 0.5).static
    assert len(set(hashes_of(inside))) == 1


def test_a_clip_is_black_when_no_frame_of_it_is_light() -> None:
    black = measure_frame(0.0, np.full((120, 160, 3), 16, np.uint8), None)
    assert summarize([black, black], 32, 0.5).black
    assert not summarize([black, measure_frame(0.2, picture(2), black)], 32, 0.5).black
    assert not summarize([], 32, 0.5).black
