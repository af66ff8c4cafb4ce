"""The truth that test videos come with is true: read back with OpenCV and PyAV, without this project's own reader."""

from __future__ import annotations

from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from tests.helpers.videos import (
    Shot,
    a_b_a,
    audio_only,
    interrupted,
    look,
    make_video,
    number_on,
    pictures,
    still,
    with_number,
)

SHOTS = [
    Shot(20, seed=1, camera="pan", transition="fade"),
    Shot(24, seed=2, camera="zoom", transition="dissolve"),
    Shot(20, "photo", seed=0, camera="pan"),
    *interrupted(Shot(20, "drawing", seed=3), "flash"),
]
FRAMES = 84


@pytest.mark.parametrize(
    ("name", "video"),
    [
        ("plain.mp4", {}),
        ("variable.mp4", {"variable": True, "start_s": 2.0, "audio": True}),
        ("variable.mkv", {"variable": True, "start_s": 2.0, "audio": True, "rate": 30}),
        ("vp9.webm", {"codec": "libvpx-vp9", "b_frames": 0, "audio": True}),
        ("hevc.mp4", {"codec": "libx265", "b_frames": 0}),
        ("old.avi", {"codec": "mpeg4", "b_frames": 0}),
        ("open.mp4", {"options": {"x264-params": "open-gop=1"}, "b_frames": 3}),
        ("odd.mp4", {"size": (241, 161), "pix_fmt": "yuv444p"}),
    ],
)
def test_times_numbers_and_keyframes_are_as_stated(tmp_path: Path, name: str, video: dict) -> None:
    truth = make_video(tmp_path / name, SHOTS, gop=12, **{"size": (240, 160), **video})
    with av.open(str(tmp_path / name)) as container:
        seen = [(float(f.time), f.key_frame, f.to_ndarray(format="rgb24")) for f in container.decode(video=0)]
        assert bool(container.streams.audio) == video.get("audio", False)
    assert [time for time, _, _ in seen] == pytest.approx(truth.times_s, abs=1e-6)
    assert [number_on(pixels) for _, _, pixels in seen] == list(range(FRAMES))
    assert [time for time, key, _ in seen if key] == pytest.approx(truth.keyframes_s, abs=1e-6)
    assert seen[0][2].shape[:2] == truth.size[::-1]
    steps = np.diff(truth.times_s)
    assert (np.ptp(steps) > 0.01) == video.get("variable", False)


@pytest.mark.parametrize("rotation", [90, 180, 270])
def test_a_player_that_turns_frames_sees_them_upright(tmp_path: Path, rotation: int) -> None:
    make_video(tmp_path / "turned.mp4", [Shot(3)], size=(240, 160), rotation=rotation)
    player = cv2.VideoCapture(str(tmp_path / "turned.mp4"))
    done, pixels = player.read()
    assert done and pixels.shape == (160, 240, 3)
    assert number_on(pixels) == 0
    with av.open(str(tmp_path / "turned.mp4")) as container:
        stored = next(container.decode(video=0))
    assert (stored.width < stored.height) == (rotation != 180)


def test_cuts_and_transitions_lie_where_the_pictures_change(tmp_path: Path) -> None:
    truth = make_video(tmp_path / "cuts.mp4", [*a_b_a(2, 10), *SHOTS], size=(160, 120))
    assert truth.cut_frames == [10, 20, 30, 40, 60, 84, 104]  # no cut where the flash is
    assert truth.cuts_s == [truth.times_s[frame] for frame in truth.cut_frames]
    assert truth.transitions == [
        (truth.times_s[54], truth.times_s[66], "fade"),
        (truth.times_s[78], truth.times_s[90], "dissolve"),
        (truth.times_s[113], truth.times_s[116], "flash"),
    ]
    assert truth.frames_in(truth.cuts_s[0], truth.cuts_s[1]) == list(range(10, 20))


def test_transitions_look_as_they_are_called() -> None:
    size = (160, 120)
    shown = [frame.astype(int) for frame in pictures(SHOTS, size)]
    assert len(shown) == FRAMES
    levels = [frame.mean() for frame in shown]
    assert min(levels[19], levels[20]) < 0.15 * levels[13]  # black in the middle of the fade
    before, after = look(SHOTS[1], 23, size).astype(int), look(SHOTS[2], 0, size).astype(int)
    mixed = shown[43]
    assert 5 < np.abs(mixed - before).mean() < np.abs(after - before).mean() - 5
    assert levels[74] > levels[70] + 30 and np.abs(shown[70] - shown[80]).mean() < 1  # the flash, and back
    cut = [frame.astype(int) for frame in pictures(a_b_a(1, 3), size)]
    assert np.abs(cut[3] - cut[2]).mean() > 20 > np.abs(cut[2] - cut[1]).mean()


@pytest.mark.parametrize("number", [0, 1, 2**8 - 1, 2**12, 2**16 - 1])
def test_a_number_survives_jpeg_and_scaling(number: int) -> None:
    marked = with_number(look(Shot(1, "photo", seed=3), 0, (320, 240)), number)
    for size in ((320, 240), (112, 84), (640, 480), (100, 100)):
        small = cv2.resize(marked, size, interpolation=cv2.INTER_AREA)
        done, data = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, 70])
        assert done and number_on(cv2.imdecode(data, cv2.IMREAD_COLOR)) == number


def test_no_number_is_read_where_there_is_none() -> None:
    one_wrong = with_number(np.zeros((120, 160, 3), np.uint8), 77)
    one_wrong[-8:, 24:32] = 255 - one_wrong[-8:, 24:32]
    with pytest.raises(ValueError, match="no frame number"):
        number_on(one_wrong)


def test_videos_that_are_none(tmp_path: Path) -> None:
    still(tmp_path / "still.mp4", size=(160, 120))
    audio_only(tmp_path / "tone.m4a", 0.5)
    with av.open(str(tmp_path / "still.mp4")) as container:
        assert len(list(container.decode(video=0))) == 1
    with av.open(str(tmp_path / "tone.m4a")) as container:
        assert not container.streams.video
        assert sum(frame.samples for frame in container.decode(audio=0)) >= 24_000
