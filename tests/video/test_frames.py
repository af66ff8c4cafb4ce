"""Frames of a clip: the moments, the sizes and the frames themselves are the right ones."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.helpers.videos import Shot, audio_only, make_video, number_on
from video.budget import VideoError
from video.frames import FrameSettings, encode_frames, frame_size, sample_frames, uniform_times

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


@pytest.mark.parametrize(
    ("name", "video"),
    [
        ("plain.mp4", {}),
        ("b_frames.mkv", {"b_frames": 3, "start_s": 2.0}),
        ("variable.mp4", {"variable": True}),
        ("turned.mp4", {"rotation": 90}),
        ("vp9.webm", {"codec": "libvpx-vp9", "b_frames": 0}),
    ],
)
def test_the_frame_that_is_seen_at_a_time(tmp_path: Path, name: str, video: dict[str, Any]) -> None:
    truth = make_video(tmp_path / name, SHOTS, gop=12, size=(160, 120), **video)
    times = truth.times_s
    middles = [(early + late) / 2 for early, late in pairwise(times)]
    wanted = {31: middles[31], 5: middles[5], 6: times[6], 40: times[40] + 1e-4, 58: middles[58], 0: times[0]}
    for min_seek_gap_s in (0.1, 100.0):
        found = sample_frames(tmp_path / name, list(wanted.values()), SMALL, min_seek_gap_s)
        assert [number_on(pixels) for pixels in found] == list(wanted)
        assert {pixels.shape for pixels in found} == {(84, 112, 3)}


def test_the_first_and_the_last_frame_stand_for_what_lies_outside(tmp_path: Path) -> None:
    truth = make_video(tmp_path / "a.mkv", SHOTS, gop=12, size=(160, 120), start_s=3.0)
    found = sample_frames(tmp_path / "a.mkv", [99.0, 0.0, truth.times_s[59], -1.0, truth.times_s[7], 99.0], SMALL)
    assert [number_on(pixels) for pixels in found] == [59, 0, 59, 0, 7, 59]
    assert sample_frames(tmp_path / "a.mkv", [], SMALL) == []
    audio_only(tmp_path / "tone.mp4")
    with pytest.raises(VideoError, match="no_video"):
        sample_frames(tmp_path / "tone.mp4", [0.1], SMALL)


def test_frames_of_a_clip_survive_jpeg(tmp_path: Path) -> None:
    truth = make_video(tmp_path / "a.mp4", [Shot(40, "photo", camera="pan")], size=(320, 240))
    settings = FrameSettings()
    times = uniform_times(truth.times_s[8], truth.times_s[24], settings.frames_per_clip)
    found = sample_frames(tmp_path / "a.mp4", times, settings)
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
