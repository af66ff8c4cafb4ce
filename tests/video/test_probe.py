"""What a video is said to be is what it was made as; what cannot be used gets its reason."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from corpus.storage import MissingError, Store
from tests.helpers.videos import Shot, audio_only, make_video, still, truncate
from video.budget import VideoError
from video.decoding.container import truncation_error
from video.decoding.files import RangeFile
from video.probe import Probe, ProbeSettings, probe

SHOTS = [Shot(30, seed=1, camera="pan"), Shot(30, seed=2)]
SMALL = (160, 120)


def reason(path: Path, settings: ProbeSettings | None = None) -> str:
    with pytest.raises(VideoError) as caught:
        probe(path, settings)
    return caught.value.reason


@pytest.mark.parametrize(
    ("name", "video", "codec"),
    [
        ("plain.mp4", {}, "h264"),
        ("sound.mp4", {"audio": True, "rate": 30, "faststart": True}, "h264"),
        ("late.mkv", {"start_s": 2.0, "b_frames": 3, "rate": 30}, "h264"),
        ("variable.mp4", {"variable": True, "start_s": 1.0}, "h264"),
        ("variable.mkv", {"variable": True, "audio": True}, "h264"),
        ("vp9.webm", {"codec": "libvpx-vp9", "b_frames": 0}, "vp9"),
        ("hevc.mov", {"codec": "libx265"}, "hevc"),
        ("old.avi", {"codec": "mpeg4", "b_frames": 0}, "mpeg4"),
        ("turned.mp4", {"rotation": 270}, "h264"),
        ("disc.mpg", {"codec": "mpeg2video", "b_frames": 0}, "mpeg2video"),
        ("odd.mp4", {"size": (161, 121), "pix_fmt": "yuv444p"}, "h264"),
    ],
)
def test_a_video_is_described_as_it_was_made(tmp_path: Path, name: str, video: dict, codec: str) -> None:
    path = tmp_path / name
    truth = make_video(path, SHOTS, gop=12, **{"size": SMALL, **video})
    rate = video.get("rate", 25)
    variable = video.get("variable", False)
    found = probe(path)
    assert (found.width, found.height) == truth.size
    assert (found.frames, found.codec, found.variable_rate) == (60, codec, variable)
    assert found.rotation == video.get("rotation", 0)
    assert found.audio == video.get("audio", False)
    assert found.pixel_format == video.get("pix_fmt", "yuv420p")
    late_s = 0.54 if name.endswith(".mpg") else 0.0  # what a program stream begins with
    assert found.keyframes_s == pytest.approx([time_s + late_s for time_s in truth.keyframes_s])
    assert found.start_s == pytest.approx(truth.times_s[0] + late_s)
    steps = np.diff(truth.times_s)
    assert 0.9 * steps.min() < found.end_s - late_s - truth.times_s[-1] < 1.1 * steps.max()
    assert found.rate == pytest.approx(60 / found.duration_s)
    assert variable or found.rate == pytest.approx(rate, rel=0.001)


def test_it_is_the_same_wherever_the_file_lies(tmp_path: Path, memory_store: str) -> None:
    make_video(tmp_path / "a.mp4", SHOTS, size=SMALL)
    data = (tmp_path / "a.mp4").read_bytes()
    store = Store(memory_store)
    store.publish("in.tar", b"before" + data + b"after")
    expected = probe(tmp_path / "a.mp4")
    assert isinstance(expected, Probe)
    assert probe(str(tmp_path / "a.mp4")) == expected
    assert probe(io.BytesIO(data)) == expected
    assert probe(RangeFile(store, "in.tar", 6, len(data))) == expected


@pytest.mark.parametrize(
    ("name", "video"),
    [
        ("index_last.mp4", {}),
        ("index_first.mp4", {"faststart": True}),
        ("a.mov", {"audio": True}),
        ("a.mkv", {}),
        ("a.webm", {"codec": "libvpx-vp9", "b_frames": 0}),
        ("a.avi", {"codec": "mpeg4", "b_frames": 0}),
        ("fragments.mp4", {"fragmented": True}),
        ("a.flv", {}),
    ],
)
@pytest.mark.parametrize("share", [0.97, 0.5])
def test_a_download_that_broke_off_is_truncated(tmp_path: Path, name: str, video: dict, share: float) -> None:
    path = tmp_path / name
    make_video(path, SHOTS, gop=12, size=SMALL, **video)
    with path.open("rb") as file:
        assert truncation_error(file) == ""
    probe(path)
    truncate(path, share)
    assert reason(path) == "truncated"


def test_a_file_that_ends_between_two_boxes_lacks_its_index(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    make_video(path, SHOTS, size=SMALL)
    data = path.read_bytes()
    path.write_bytes(data[: data.rindex(b"moov") - 4])
    assert reason(path) == "truncated"
    path.write_bytes(data + b"\xff" * 1000)  # what is appended does no harm
    assert probe(path).frames == 60


def test_what_is_no_video_has_its_reason(tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").write_bytes(b"")
    assert reason(tmp_path / "empty.mp4") == "empty_file"
    make_video(tmp_path / "head.mp4", [Shot(2)], size=SMALL, fragmented=True)
    data = (tmp_path / "head.mp4").read_bytes()
    (tmp_path / "head.mp4").write_bytes(data[: data.index(b"moof") - 4])
    assert reason(tmp_path / "head.mp4") == "empty_file"
    (tmp_path / "text.mp4").write_bytes(b"<html>not found</html>" * 50)
    assert reason(tmp_path / "text.mp4") == "broken"
    for name in ("tone.m4a", "tone.webm"):
        audio_only(tmp_path / name, 0.3)
        assert reason(tmp_path / name) == "no_video"
    with pytest.raises(MissingError):
        probe(tmp_path / "nothing.mp4")


def test_a_video_without_one_whole_frame_is_broken(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    make_video(path, SHOTS, size=SMALL)
    data = bytearray(path.read_bytes())
    start, end = data.index(b"mdat") + 4, data.rindex(b"moov") - 4
    data[start:end] = bytes(end - start)
    path.write_bytes(data)
    assert reason(path) == "broken"


@pytest.mark.parametrize(
    ("name", "video"),
    [
        ("one.mp4", {"frames": 1}),
        ("x264.mp4", {"frames": 75}),
        ("x264_with_music.mp4", {"frames": 75, "audio": True, "options": {"preset": "medium", "crf": "23"}}),
        ("x265.mp4", {"frames": 75, "codec": "libx265"}),
        ("vp9.webm", {"frames": 75, "codec": "libvpx-vp9", "b_frames": 0}),
        ("mpeg4.avi", {"frames": 75, "codec": "mpeg4", "b_frames": 0}),
        ("jpegs.mov", {"frames": 75, "codec": "mjpeg", "pix_fmt": "yuvj420p", "b_frames": 0}),
    ],
)
def test_a_picture_that_is_called_a_video_is_a_still_image(tmp_path: Path, name: str, video: dict) -> None:
    still(tmp_path / name, **{"size": (320, 240), **video})
    assert reason(tmp_path / name) == "still_image"


@pytest.mark.parametrize("name", ["cover.jpg", "cover.png"])
def test_a_picture_under_a_wrong_name_is_a_still_image(tmp_path: Path, name: str) -> None:
    cv2.imwrite(str(tmp_path / name), np.full((64, 64, 3), 90, np.uint8))
    (tmp_path / name).rename(tmp_path / "a.mp4")
    assert reason(tmp_path / "a.mp4") == "still_image"


def test_little_that_happens_is_enough_for_a_video(tmp_path: Path) -> None:
    make_video(tmp_path / "counter.mp4", [Shot(60, "drawing")])  # only the numbers change
    make_video(tmp_path / "slides.mp4", [Shot(60, "drawing", seed=1), Shot(60, "drawing", seed=2)], numbered=False)
    make_video(tmp_path / "slow.mp4", [Shot(60, camera="pan", path=(0, 0.2))], numbered=False)
    jpegs: dict[str, Any] = {"codec": "mjpeg", "pix_fmt": "yuvj420p", "b_frames": 0}
    make_video(tmp_path / "slow.mov", [Shot(60, camera="pan", path=(0, 0.2))], numbered=False, **jpegs)
    for name in ("counter.mp4", "slides.mp4", "slow.mp4", "slow.mov"):
        assert probe(tmp_path / name).frames in (60, 120)


def test_what_is_over_the_limits_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    make_video(path, SHOTS, size=SMALL, gop=2)
    assert reason(path, ProbeSettings(max_duration_s=2.3)) == "too_long"
    assert reason(path, ProbeSettings(max_frames=59)) == "too_long"
    assert reason(path, ProbeSettings(max_side_px=159)) == "too_large"
    assert probe(path, ProbeSettings(max_duration_s=2.4, max_frames=60, max_side_px=160)).frames == 60
    few = probe(path, ProbeSettings(max_keyframes=10)).keyframes_s
    assert few == probe(path).keyframes_s[::3] and len(few) == 10
