"""Which clips can be copied packet by packet: those whose packets follow one another from an IDR picture on."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import av
import pytest

from tests.helpers.cut_films import FRAMES, GOP, RATE, SHOTS, SIZE, numbers_in
from tests.helpers.videos import make_video
from video.budget import Budget, VideoError
from video.decoding.decode import open_container, time_base, video_stream
from video.transcode.remux import can_remux, remux, remux_plans

H264 = frozenset({"h264"})


def copies(path: Path, cuts: list[tuple[int, int]]) -> dict[tuple[int, int], bytes]:
    """The clips (first frame, frame after the last) that can be copied."""
    with open_container(path) as container:
        stream = video_stream(container)
        ticks = [tuple(round(number / RATE / time_base(stream)) for number in cut) for cut in cuts]
        plans = list(remux_plans(container, stream, ticks, Budget()))
        return {cuts[at]: remux(stream, plan) for at, plan in plans}


@pytest.mark.parametrize("b_frames", [0, 2])
@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_clips_from_keyframe_to_keyframe_are_copied_to_the_frame(tmp_path: Path, suffix: str, b_frames: int) -> None:
    path = tmp_path / f"film{suffix}"
    make_video(path, SHOTS, gop=GOP, size=SIZE, b_frames=b_frames)
    cuts = [(0, GOP), (0, FRAMES), (GOP, 3 * GOP), (3 * GOP, FRAMES), (5, GOP), (GOP + 1, 2 * GOP)]
    found = copies(path, sorted(cuts))
    assert set(cuts[:4]) <= set(found)
    assert not {(5, GOP), (GOP + 1, 2 * GOP)} & set(found)  # which begin between keyframes
    for (first, after), data in found.items():
        assert numbers_in(data) == list(range(first, after))
        with av.open(io.BytesIO(data)) as clip:
            assert next(packet.pts for packet in clip.demux(video=0) if packet.is_keyframe) == 0


def test_a_clip_that_ends_between_keyframes_is_copied_only_without_frames_that_refer_forwards(tmp_path: Path) -> None:
    make_video(tmp_path / "plain.mp4", SHOTS, gop=GOP, size=SIZE, b_frames=0)
    assert numbers_in(copies(tmp_path / "plain.mp4", [(0, 7)])[0, 7]) == list(range(7))
    make_video(tmp_path / "b.mp4", SHOTS, gop=GOP, size=SIZE, b_frames=3, options={"x264-params": "b-adapt=0"})
    ends = range(2, GOP)
    found = copies(tmp_path / "b.mp4", [(0, end) for end in ends])
    assert 0 < len(found) < len(ends)
    assert {cut: numbers_in(data) for cut, data in found.items()} == {cut: list(range(*cut)) for cut in found}


@pytest.mark.parametrize(
    ("name", "video", "fits"),
    [
        ("a.mp4", {}, True),
        ("a.mkv", {}, True),
        ("a.avi", {"b_frames": 0}, False),  # it has no timestamps
        ("vp9.webm", {"codec": "libvpx-vp9", "b_frames": 0}, False),
        ("full.mp4", {"pix_fmt": "yuv444p"}, False),
        ("odd.mp4", {"pix_fmt": "yuv444p", "size": (161, 121)}, False),
    ],
)
def test_codec_container_and_pixels_must_fit(tmp_path: Path, name: str, video: dict[str, Any], fits: bool) -> None:
    make_video(tmp_path / name, SHOTS[:1], **{"size": SIZE, **video})
    with open_container(tmp_path / name) as container:
        assert can_remux(container, video_stream(container), H264) is fits
        assert not can_remux(container, video_stream(container), frozenset())


def test_a_budget_that_is_spent_ends_it(tmp_path: Path) -> None:
    make_video(tmp_path / "film.mp4", SHOTS, gop=GOP, size=SIZE)
    with open_container(tmp_path / "film.mp4") as container, pytest.raises(VideoError):
        list(remux_plans(container, video_stream(container), [(0, 10**9)], Budget(seconds=-1.0)))
