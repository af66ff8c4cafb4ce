"""Frames written as a clip: each at its own time, in even sides and square pixels, the same bytes each time."""

from __future__ import annotations

import io
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest

from tests.helpers.cut_films import FAST, GOP, SHOTS, SIZE, numbers_in
from tests.helpers.videos import make_video
from video.decoding.decode import frames, open_container, video_stream
from video.transcode.encode import ClipWriter, EncodeSettings


def encode(
    path: Path, first: int, after: int, settings: EncodeSettings = FAST
) -> tuple[bytes, ClipWriter, list[float]]:
    """The clip of some frames, its writer, and when each frame is shown in the source, the one after it too."""
    with open_container(path) as container:
        writer = ClipWriter(video_stream(container), settings)
        times = []
        for number, frame in enumerate(frames(container)):
            times += [frame.time_s] if first <= number <= after else []
            if first <= number < after:
                writer.add(frame)
        return writer.close(times[after - first] if len(times) > after - first else None), writer, times


@pytest.mark.parametrize("variable", [False, True])
def test_frames_keep_their_distances_and_the_first_is_at_0(tmp_path: Path, variable: bool) -> None:
    make_video(tmp_path / "a.mkv", SHOTS, gop=GOP, size=SIZE, variable=variable, start_s=3.0)
    data, writer, times = encode(tmp_path / "a.mkv", 5, 25)
    assert numbers_in(data) == list(range(5, 25)) and writer.frames == 20
    assert (writer.start_s, writer.end_s) == (pytest.approx(times[0]), pytest.approx(times[-1]))
    with av.open(io.BytesIO(data)) as clip:
        shown = [picture.time for picture in clip.decode(video=0)]
    assert shown == pytest.approx([time_s - times[0] for time_s in times[:-1]], abs=1e-3)


def test_the_last_frame_of_a_video_is_shown_as_long_as_the_source_says(tmp_path: Path) -> None:
    make_video(tmp_path / "a.mp4", SHOTS, gop=GOP, size=SIZE)
    _, writer, times = encode(tmp_path / "a.mp4", 50, 60)
    assert len(times) == 10 and writer.end_s == pytest.approx(times[-1] + 1 / 25)


def test_the_same_frames_are_the_same_bytes(tmp_path: Path) -> None:
    make_video(tmp_path / "a.mp4", SHOTS, gop=GOP, size=SIZE)
    data = encode(tmp_path / "a.mp4", 3, 30)[0]
    assert encode(tmp_path / "a.mp4", 3, 30)[0] == data
    assert len(encode(tmp_path / "a.mp4", 3, 30, EncodeSettings(preset="superfast", crf=40))[0]) < len(data)


@pytest.mark.parametrize(
    ("video", "size"),
    [
        ({"size": (161, 121), "pix_fmt": "yuv444p"}, (160, 120)),
        ({"size": (320, 180), "rotation": 90}, (320, 180)),
        ({"size": (320, 240), "pixel_aspect": Fraction(4, 3)}, (320, 240)),
        ({"size": SIZE, "pix_fmt": "yuv420p10le"}, SIZE),
    ],
)
def test_clips_are_upright_even_and_of_square_pixels(tmp_path: Path, video: dict[str, Any], size: tuple) -> None:
    make_video(tmp_path / "a.mkv", SHOTS[:1], gop=GOP, **video)
    data = encode(tmp_path / "a.mkv", 0, 8)[0]
    assert numbers_in(data) == list(range(8))
    with av.open(io.BytesIO(data)) as clip:
        context = clip.streams.video[0].codec_context
        assert (context.width, context.height, context.pix_fmt, context.name) == (*size, "yuv420p", "h264")
        assert context.sample_aspect_ratio in (None, 0, 1)


def test_a_clip_without_a_frame_is_refused(tmp_path: Path) -> None:
    make_video(tmp_path / "a.mp4", SHOTS[:1], gop=GOP, size=SIZE)
    with open_container(tmp_path / "a.mp4") as container, pytest.raises(ValueError, match="without a frame"):
        ClipWriter(video_stream(container), FAST).close(None)
