"""A clip has exactly the frames that were asked for, at their own times: read back from the numbers that they carry."""

from __future__ import annotations

import io
import struct
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from tests.helpers.videos import Shot, make_video, number_on
from video.decoding.decode import frames, open_container
from video.transcode.cut import CutClip, CutSettings, cut_many
from video.transcode.encode import EncodeSettings

FRAMES, GOP, SIZE = 60, 12, (160, 120)
SHOTS = [Shot(30, seed=1, camera="pan"), Shot(30, seed=2, camera="zoom")]
# With B-frames, which are what makes times hard: `ultrafast` has none.
FAST = EncodeSettings(preset="superfast")
SETTINGS = CutSettings(encode=FAST)
ENCODED = CutSettings(encode=FAST, stream_copy=False)
SIMPLE = CutSettings(encode=EncodeSettings(preset="ultrafast"), stream_copy=False)
# First frame, frame after the last: at keyframes and between them, one frame, the first and the last ones, all of them.
CUTS = [(0, 12), (12, 36), (12, 20), (5, 12), (7, 8), (24, 25), (31, 47), (36, 60), (59, 60), (0, 60)]
AT_KEYFRAMES = [(0, 12), (12, 36), (36, 60), (0, 60)]

Seen = list[tuple[int, float]]  # number on a frame, its time in seconds


def seen_in(source: Any) -> Seen:
    """What a reader sees that follows timestamps and nothing else: no turns, no repairs."""
    with av.open(source) as container:
        stream = container.streams.video[0]
        pictures = list(container.decode(stream))
        assert not any(picture.is_corrupt or picture.rotation for picture in pictures)
        return [(number_on(picture.to_ndarray(format="rgb24")), picture.time) for picture in pictures]


def upright(path: Path) -> Seen:
    with open_container(path) as container:
        return [(number_on(frame.rgb()), frame.time_s) for frame in frames(container)]


def cut_by_number(path: Path, cuts: list[tuple[int, int]], settings: CutSettings) -> dict[tuple[int, int], CutClip]:
    """Clips by the frames that each shall have; checks that it has them, and at their distances in the source."""
    whole = upright(path)
    times = [time for _, time in whole] + [whole[-1][1] + 1.0]
    clips = {cuts[clip.index]: clip for clip in cut_many(path, [(times[a], times[b]) for a, b in cuts], settings)}
    assert sorted(clips) == sorted(cuts)
    for (first, after), clip in clips.items():
        seen = seen_in(io.BytesIO(clip.data))
        assert [number for number, _ in seen] == list(range(first, after))
        assert [time for _, time in seen] == pytest.approx([t - times[first] for t in times[first:after]], abs=1e-4)
        assert clip.frames == after - first and clip.start_s == pytest.approx(times[first])
    return clips


@pytest.mark.parametrize(
    ("name", "video", "copies"),
    [
        ("plain.mp4", {"b_frames": 0}, [*AT_KEYFRAMES, (12, 20), (24, 25), (0, 60)]),
        ("b_frames.mp4", {"b_frames": 3}, AT_KEYFRAMES),
        ("b_frames.mkv", {"b_frames": 3}, AT_KEYFRAMES),
        ("b_frames.ts", {"b_frames": 3}, AT_KEYFRAMES),
        ("open.mp4", {"b_frames": 3, "options": {"x264-params": "open-gop=1"}}, [(0, 60)]),
        ("open.mkv", {"b_frames": 3, "options": {"x264-params": "open-gop=1"}}, [(0, 60)]),
        ("pyramid.mov", {"b_frames": 4, "options": {"x264-params": "b-pyramid=normal:ref=4"}}, AT_KEYFRAMES),
        ("variable.mp4", {"variable": True, "b_frames": 3}, AT_KEYFRAMES),
        ("variable.mkv", {"variable": True, "rate": 30, "start_s": 3.0}, AT_KEYFRAMES),
        ("refresh.mkv", {"b_frames": 0, "options": {"x264-params": "intra-refresh=1"}}, [(0, 60), (0, 12)]),
        ("turned.mp4", {"rotation": 90}, []),
        ("overhead.mov", {"rotation": 180}, []),
        ("vp9.webm", {"codec": "libvpx-vp9", "b_frames": 0, "variable": True}, []),
        ("vp8.webm", {"codec": "libvpx", "b_frames": 0}, []),
        ("hevc.mkv", {"codec": "libx265"}, []),
        ("old.avi", {"codec": "mpeg4", "b_frames": 0}, []),
        ("h264.avi", {}, []),
        ("full_colour.mp4", {"pix_fmt": "yuv444p"}, []),
    ],
)
def test_clips_have_exactly_their_frames(tmp_path: Path, name: str, video: dict[str, Any], copies: list) -> None:
    make_video(tmp_path / name, SHOTS, gop=GOP, size=SIZE, **video)
    clips = cut_by_number(tmp_path / name, CUTS, SETTINGS)
    assert {cut for cut, clip in clips.items() if clip.remuxed} >= set(copies)
    exact = {(24, 25)} if copies else set()  # a keyframe alone, where no B-frame comes between
    assert {cut for cut, clip in clips.items() if clip.remuxed} <= {*copies, *exact}
    for clip in clips.values():
        assert form_of(clip.data) == ("h264", "yuv420p", SIZE)


def form_of(clip: bytes) -> tuple[str, str | None, tuple[int, int]]:
    with av.open(io.BytesIO(clip)) as container:
        stream = container.streams.video[0]
        return stream.codec_context.name, stream.codec_context.pix_fmt, (stream.width, stream.height)


@pytest.mark.parametrize("variable", [False, True])
def test_what_could_be_copied_can_be_encoded_too(tmp_path: Path, variable: bool) -> None:
    make_video(tmp_path / "a.mp4", SHOTS, gop=GOP, size=SIZE, b_frames=3, variable=variable)
    clips = cut_by_number(tmp_path / "a.mp4", CUTS, ENCODED)
    assert not any(clip.remuxed for clip in clips.values())


@pytest.mark.parametrize(
    "settings", [SETTINGS, ENCODED, CutSettings(encode=EncodeSettings(preset="ultrafast"), stream_copy=False)]
)
@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_the_last_frame_is_shown_as_long_as_in_the_source(tmp_path: Path, settings: CutSettings, name: str) -> None:
    make_video(tmp_path / name, SHOTS, gop=GOP, size=SIZE, b_frames=3, variable=True)
    times = [time for _, time in upright(tmp_path / name)]
    for clip in cut_by_number(tmp_path / name, [(0, 12), (12, 36), (24, 25)], settings).values():
        assert clip.end_s == pytest.approx(times[times.index(clip.start_s) + clip.frames])
        assert length_s(clip.data) == pytest.approx(clip.end_s - clip.start_s, abs=2e-3)


def length_s(clip: bytes) -> float:
    """As its head says (ISO/IEC 14496-12, mvhd): libav reports the sum of its decoding times instead."""
    ticks_per_s, ticks = struct.unpack_from(">II", clip, clip.index(b"mvhd") + 16)
    return ticks / ticks_per_s


@pytest.mark.parametrize(
    ("name", "codec", "taken"),
    [("a.mkv", "libx265", "hevc"), ("a.webm", "libvpx-vp9", "vp9"), ("b.mp4", "libx265", "hevc")],
)
def test_other_codecs_are_copied_where_the_settings_name_them(
    tmp_path: Path, name: str, codec: str, taken: str
) -> None:
    options = (
        {"x265-params": "open-gop=0:keyint=12:min-keyint=12:scenecut=0:log-level=error"} if taken == "hevc" else {}
    )
    make_video(tmp_path / name, SHOTS, gop=GOP, size=SIZE, codec=codec, b_frames=0, options=options)
    settings = CutSettings(encode=FAST, remux_codecs=frozenset({"hevc", "vp9"}))
    clips = cut_by_number(tmp_path / name, CUTS, settings)
    assert {cut for cut, clip in clips.items() if clip.remuxed} >= set(AT_KEYFRAMES)
    assert form_of(clips[12, 36].data)[0] == taken


def test_an_open_group_in_hevc_is_not_copied(tmp_path: Path) -> None:
    options = {"x265-params": "open-gop=1:keyint=12:min-keyint=12:bframes=3:scenecut=0:log-level=error"}
    make_video(tmp_path / "a.mp4", SHOTS, gop=GOP, size=SIZE, codec="libx265", options=options)
    clips = cut_by_number(tmp_path / "a.mp4", CUTS, CutSettings(encode=FAST, remux_codecs=frozenset({"hevc"})))
    assert {cut for cut, clip in clips.items() if clip.remuxed} == {(0, 60)}


@pytest.mark.parametrize(
    ("name", "video", "size"),
    [
        ("odd.mp4", {"pix_fmt": "yuv444p"}, (161, 121)),
        ("odd.webm", {"codec": "libvpx-vp9", "b_frames": 0}, (161, 121)),
        ("odd_and_turned.mp4", {"pix_fmt": "yuv444p", "rotation": 270}, (163, 121)),
    ],
)
def test_odd_sides_lose_a_pixel(tmp_path: Path, name: str, video: dict[str, Any], size: tuple[int, int]) -> None:
    make_video(tmp_path / name, SHOTS, gop=GOP, size=size, **video)
    clips = cut_by_number(tmp_path / name, [(5, 20), (12, 24)], SETTINGS)
    assert form_of(clips[5, 20].data)[2] == (size[0] - 1, size[1] - 1)


@pytest.mark.parametrize("rotation", [90, 180, 270])
def test_turned_videos_become_upright_ones(tmp_path: Path, rotation: int) -> None:
    make_video(tmp_path / "a.mp4", [Shot(GOP, "photo")], gop=GOP, size=(320, 180), rotation=rotation)
    with open_container(tmp_path / "a.mp4") as container:
        expected = next(frames(container)).rgb().astype(int)
    data = next(cut_many(tmp_path / "a.mp4", [(0.0, 9.0)], SETTINGS)).data
    with av.open(io.BytesIO(data)) as clip:
        picture = next(clip.decode(video=0))
        assert picture.rotation == 0
        assert np.abs(picture.to_ndarray(format="rgb24") - expected).mean() < 4


@pytest.mark.parametrize(
    ("name", "video"),
    [
        ("full_range.mov", {"codec": "mjpeg", "pix_fmt": "yuvj420p", "b_frames": 0}),
        ("ten_bits.mkv", {"pix_fmt": "yuv420p10le"}),
        ("limited.mp4", {}),
    ],
)
def test_levels_are_kept(tmp_path: Path, name: str, video: dict[str, Any]) -> None:
    make_video(tmp_path / name, [Shot(10, "photo")], gop=GOP, size=(320, 240), **video)
    with open_container(tmp_path / name) as container:
        expected = next(frames(container)).rgb().astype(int)
    clip = next(cut_many(tmp_path / name, [(0.0, 9.0)], ENCODED))
    assert form_of(clip.data)[1] in ("yuv420p", "yuvj420p")
    with open_container(io.BytesIO(clip.data)) as container:
        assert np.abs(next(frames(container)).rgb() - expected).mean() < 4


@pytest.mark.parametrize("settings", [SETTINGS, ENCODED])
@pytest.mark.parametrize(("name", "rotation"), [("a.mp4", 0), ("turned.mp4", 90)])
def test_pixels_become_square(tmp_path: Path, settings: CutSettings, name: str, rotation: int) -> None:
    wide = {"x264-params": "sar=4/3"}
    make_video(tmp_path / name, SHOTS, gop=GOP, size=SIZE, rotation=rotation, options=wide)
    clip = next(cut_many(tmp_path / name, [(0.0, 9.0)], settings))
    with av.open(io.BytesIO(clip.data)) as container:
        stream = container.streams.video[0]
        assert stream.sample_aspect_ratio == 1  # readers differ in what they make of others
        assert (stream.width, stream.height) == ((160, 160) if rotation else (212, 120))
