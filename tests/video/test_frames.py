"""Frames of a clip: the moments, the sizes and the frames themselves are the right ones."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.helpers.videos import Shot, make_video, number_on
from video.decoding.decode import frames, open_container
from video.frames import FrameSettings, encode_frames, frame_size, uniform_times

SHOTS = [Shot(30, seed=1, camera="pan"), Shot(30, seed=2, camera="zoom")]
SMALL = FrameSettings(max_pixels=112 * 84, multiple=4)


def test_times_are_the_middles_of_equal_parts() -> None:
    assert uniform_times(10.0, 18.0, 4) == [11.0, 13.0, 15.0, 17.0]
    assert uniform_times(2.0, 3.0, 1) == [2.5]
    for start_s, end_s, count in ((1.0, 1.0, 2), (2.0, 1.0, 2), (float("nan"), 1.0, 2), (0.0, 1.0, 0)):
        with pytest.raises(ValueError, match=r"without length|frames"):
            uniform_times(start_s, end_s, count)


@given(st.floats(0, 1e4), st.floats(0.04, 1e4), st.integers(1, 64))
def test_times_lie_inside_and_apart(start_s: float, length_s: float, count: int) -> None:
    times = uniform_times(start_s, start_s + length_s, count)
    assert len(times) == count and start_s < times[0] and times[-1] < start_s + length_s
    assert np.diff(times) == pytest.approx(length_s / count, rel=1e-6)


@pytest.mark.parametrize(
    ("seen", "stored"),
    [
        ((1080, 1920), (280, 476)),  # what Qwen2-VL's smart_resize gives for at most 180 tokens of 28 × 28
        ((1920, 1080), (476, 280)),
        ((240, 320), (252, 308)),  # within the budget: the nearest multiples
        ((120, 160), (112, 168)),
        ((10, 10), (28, 28)),
    ],
)
def test_sizes_by_hand(seen: tuple[int, int], stored: tuple[int, int]) -> None:
    assert frame_size(*seen, FrameSettings()) == stored


@given(st.integers(1, 5000), st.integers(1, 5000), st.sampled_from([1, 14, 28, 32]), st.integers(4096, 400_000))
def test_sizes_keep_to_the_budget(height: int, width: int, multiple: int, max_pixels: int) -> None:
    settings = FrameSettings(max_pixels=max_pixels, multiple=multiple)
    high, wide = frame_size(height, width, settings)
    assert high % multiple == 0 and wide % multiple == 0 and min(high, wide) >= multiple
    assert high * wide <= max(max_pixels, multiple * max(high, wide))  # a strip can't be narrower than a multiple
    if max(height, width) < 8 * min(height, width) and high * wide <= max_pixels:
        assert frame_size(high, wide, settings) == (high, wide)  # the trainer's processor resizes nothing
        if min(high, wide) > 4 * multiple:
            assert high / wide == pytest.approx(height / width, rel=0.5)


def test_small_frames_are_enlarged_where_the_settings_say_so() -> None:
    assert frame_size(60, 80, FrameSettings(min_pixels=100_000)) == (280, 392)
    assert frame_size(60, 80, FrameSettings()) == (56, 84)
    with pytest.raises(ValueError, match="no image"):
        frame_size(0, 80, FrameSettings())


def stored_frames(path: Path, numbers: Collection[int], settings: FrameSettings) -> list[np.ndarray]:
    """Returns frames of a video at the size at which they are stored."""
    with open_container(path) as container:
        displayed = [frame for number, frame in enumerate(frames(container)) if number in numbers]
        sizes = [frame_size(frame.size[1], frame.size[0], settings) for frame in displayed]
        return [frame.rgb((width, height)) for frame, (height, width) in zip(displayed, sizes, strict=True)]


def test_frames_of_a_clip_survive_jpeg(tmp_path: Path) -> None:
    make_video(tmp_path / "a.mp4", [Shot(40, "photo", camera="pan")], size=(320, 240))
    settings = FrameSettings()
    found = stored_frames(tmp_path / "a.mp4", range(9, 24, 2), settings)
    stored = encode_frames(found, settings.jpeg_quality)
    decoded = [cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)[:, :, ::-1] for data in stored]
    assert [number_on(pixels) for pixels in decoded] == [9, 11, 13, 15, 17, 19, 21, 23]
    for pixels, before in zip(decoded, found, strict=True):
        assert pixels.shape == (252, 308, 3)
        assert np.abs(pixels.astype(int) - before).mean() < 4  # red is red: the channels are in their places
    smaller = encode_frames(found, 30)
    assert sum(map(len, smaller)) < sum(map(len, stored)) and encode_frames(found, 90) == stored


def test_what_is_no_frame_is_refused() -> None:
    for pixels in (np.zeros((8, 8), np.uint8), np.zeros((8, 8, 4), np.uint8), np.zeros((0, 8, 3), np.uint8)):
        with pytest.raises(ValueError, match="expected an RGB frame"):
            encode_frames([pixels], 90)
