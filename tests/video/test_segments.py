from __future__ import annotations

import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

import video.segments
from tests.helpers.videos import Shot, Truth, audio_only, make_video, number_on, truncate
from video.budget import VideoError
from video.clips import Clip, ClipSettings, annotated_clips
from video.frames import uniform_times
from video.segments import SegmentClip, SegmentSettings, segment_clips
from video.transcode.cut import CutSettings
from video.transcode.encode import EncodeSettings

SIZE = (192, 144)
WATCH: dict[str, Any] = {"clips": ClipSettings(min_s=1, max_s=10, stitch=False)}
CUT = CutSettings(encode=EncodeSettings(preset="ultrafast"))
BOTH = SegmentSettings(**WATCH, mp4=True, cut=CUT)
FRAMES = SegmentSettings(**WATCH)


def film(path: Path, frames: Sequence[int] = (50, 40, 75, 30), **video: Any) -> Truth:
    made = [Shot(frames=count, picture="photo", seed=number, camera="pan") for number, count in enumerate(frames)]
    return make_video(path, made, **{"size": SIZE, "gop": 10, **video})


def in_jpegs(clip: SegmentClip) -> list[int]:
    return [number_on(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)) for data in clip.frames]


def in_mp4(clip: SegmentClip) -> list[int]:
    with av.open(io.BytesIO(clip.mp4)) as container:
        return [number_on(picture.to_ndarray(format="rgb24")) for picture in container.decode(video=0)]


def times(clips: Sequence[SegmentClip]) -> list[tuple[float, float]]:
    return [(clip.start_s, clip.end_s) for clip in clips]


@pytest.mark.parametrize(
    "video",
    [{"b_frames": 0}, {"b_frames": 3}, {"variable": True, "b_frames": 2}, {"start_s": 4.0, "codec": "mpeg4"}],
    ids=["plain", "b-frames", "variable", "late-mpeg4"],
)
def test_frames_and_mp4_of_a_clip_carry_the_numbers_between_its_cuts(tmp_path: Path, video: dict[str, Any]) -> None:
    truth = film(tmp_path / "video.mkv", **video)
    clips = list(segment_clips(tmp_path / "video.mkv", None, BOTH))
    edges, h264 = [0, *truth.cut_frames, len(truth.times_s)], "codec" not in video
    assert [clip.start_s for clip in clips] == [truth.times_s[0], *truth.cuts_s]
    for clip, first, after in zip(clips, edges, edges[1:], strict=False):
        assert (clip.reason, clip.scenes, clip.annotation) == ("", 1, None)
        assert in_mp4(clip) == list(range(first, after))
        assert clip.mp4_frames == after - first
        assert len(clip.frames) == 8
        assert [truth.times_s[number] for number in in_jpegs(clip)] == list(clip.frame_times_s)
        assert all(clip.start_s <= time_s < clip.end_s for time_s in clip.frame_times_s)
        height, width = cv2.imdecode(np.frombuffer(clip.frames[0], np.uint8), cv2.IMREAD_COLOR).shape[:2]
        assert clip.size == (width, height) == (196, 140)
        assert clip.stats and not clip.stats.static and 4 <= len(clip.hashes) <= 8
    # From keyframe to keyframe, and not from between two.
    assert [clip.remuxed for clip in (clips[0], clips[1], clips[3])] == [h264, h264, False]


def test_what_is_not_asked_for_is_not_made(tmp_path: Path) -> None:
    film(tmp_path / "video.mp4")
    frames = list(segment_clips(tmp_path / "video.mp4", None, FRAMES))
    assert [(len(clip.frames), clip.mp4, clip.mp4_frames) for clip in frames] == [(8, b"", 0)] * 4
    alone = SegmentSettings(**WATCH, keep_frames=False, mp4=True, cut=CUT)
    mp4 = list(segment_clips(tmp_path / "video.mp4", None, alone))
    assert times(mp4) == times(frames)
    assert [(clip.frames, clip.size) for clip in mp4] == [((), (0, 0))] * 4
    assert [number for clip in mp4 for number in in_mp4(clip)] == list(range(195))
    with pytest.raises(ValueError, match="no bytes"):
        SegmentSettings(**WATCH, keep_frames=False)


@pytest.mark.parametrize("ends", [(0.0, 60.0), (-math.inf, math.inf)])
def test_spans_together_give_each_clip_once(tmp_path: Path, ends: tuple[float, float]) -> None:
    film(tmp_path / "video.mp4")
    spans = [(ends[0], 2.5), (2.5, 3.0), (3.0, ends[1])]
    clips = [list(segment_clips(tmp_path / "video.mp4", span, BOTH)) for span in spans]
    assert [len(part) for part in clips] == [2, 0, 2]
    assert [number for part in clips for clip in part for number in in_mp4(clip)] == list(range(195))


@pytest.mark.parametrize("cut_batch_s", [0.1, 5.0, 100.0])
def test_batches_change_nothing_and_a_file_object_is_read_on_after_them(tmp_path: Path, cut_batch_s: float) -> None:
    film(tmp_path / "video.mp4", b_frames=2)
    settings = BOTH.model_copy(update={"cut_batch_s": cut_batch_s})
    settings = settings.model_copy(update={"decoder_threads": 1})
    assert settings.canonical() == BOTH.canonical()
    whole = list(segment_clips(tmp_path / "video.mp4", None, BOTH))
    with (tmp_path / "video.mp4").open("rb") as file:
        clips = list(segment_clips(file, None, settings))
    assert [(clip.mp4, clip.frames) for clip in clips] == [(clip.mp4, clip.frames) for clip in whole]
    assert times(clips) == times(whole)


def test_at_most_a_batch_of_mp4_files_is_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    film(tmp_path / "video.mp4", [50] * 6)
    cut: list[int] = []
    cut_many = video.segments.cut_many

    def counted(source: Any, intervals: Any, *more: Any) -> Any:
        cut.append(len(intervals))
        return cut_many(source, intervals, *more)

    monkeypatch.setattr(video.segments, "cut_many", counted)
    clips = segment_clips(tmp_path / "video.mp4", None, BOTH.model_copy(update={"cut_batch_s": 4.5}))
    assert next(clips).mp4
    assert cut == [2]
    assert len(list(clips)) == 5
    assert cut == [2, 2, 2]


@pytest.mark.parametrize("video", [{"b_frames": 3}, {"variable": True}], ids=["b-frames", "variable"])
def test_annotated_clips_are_what_was_annotated(tmp_path: Path, video: dict[str, Any]) -> None:
    truth = film(tmp_path / "video.mkv", **video)
    end_s = truth.times_s[-1] + 0.04
    wanted = [(3.0, 6.0), (5.0, 2.0), (0.5, 2.0), (1.0, 4.5), (1000.0, 1001.0), (end_s - 1, end_s + 0.8)]
    made = annotated_clips(wanted, (0.0, end_s))
    clips = list(segment_clips(tmp_path / "video.mkv", None, BOTH, made))
    assert [clip.annotation for clip in clips] == [1, 4, 2, 3, 0, 5]
    assert [clip.reason for clip in clips] == ["not_an_interval", "outside_video", "", "", "", ""]
    assert all(clip.stats is None and not clip.mp4 and not clip.frames for clip in clips[:2])
    for clip in clips[2:]:
        assert clip.scenes == 0
        assert in_mp4(clip) == truth.frames_in(clip.start_s, clip.end_s)
        seen = [
            max(number for number, shown_s in enumerate(truth.times_s) if shown_s <= time_s + 1e-6)
            for time_s in uniform_times(clip.start_s, clip.end_s, 8)
        ]
        assert in_jpegs(clip) == seen


def test_an_interval_without_a_frame_has_a_reason(tmp_path: Path) -> None:
    film(tmp_path / "video.mp4", [50])
    wanted = [Clip(0.041, 0.079, 0, "", 0), Clip(30.0, 31.0, 0, "", 1), Clip(0.5, 1.5, 0, "", 2)]
    clips = list(segment_clips(tmp_path / "video.mp4", None, BOTH, wanted))
    assert {clip.annotation: (clip.reason, len(clip.frames), len(clip.mp4) > 0) for clip in clips} == {
        0: ("too_short", 0, False),
        1: ("no_frames", 0, False),
        2: ("", 8, True),
    }
    assert list(segment_clips(tmp_path / "video.mp4", None, BOTH, [])) == []


def test_scenes_that_are_too_short_come_without_bytes(tmp_path: Path) -> None:
    film(tmp_path / "video.mp4", [20])
    (clip,) = segment_clips(tmp_path / "video.mp4", None, BOTH)
    assert (clip.reason, clip.frames, clip.mp4) == ("too_short", (), b"")
    assert clip.stats and clip.stats.brightness > 0


def test_a_broken_video_says_so(tmp_path: Path) -> None:
    audio_only(tmp_path / "sound.mp4")
    (tmp_path / "text.mp4").write_text("no video at all")
    film(tmp_path / "short.mp4", [50])
    truncate(tmp_path / "short.mp4", 0.5)
    for name, reason in (("sound.mp4", "no_video"), ("text.mp4", "broken"), ("short.mp4", "broken")):
        for annotated in (None, [Clip(0.0, 1.0, 0, "", 0)]):
            with pytest.raises(VideoError) as caught:
                list(segment_clips(tmp_path / name, None, BOTH, annotated))
            assert caught.value.reason == reason
