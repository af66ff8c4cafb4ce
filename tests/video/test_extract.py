from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.helpers.videos import Shot, Truth, audio_only, interrupted, make_video, number_on, truncate
from video.budget import VideoError
from video.clips import ClipSettings
from video.detection.cuts import DetectSettings
from video.extract import ExtractedClip, ExtractSettings, extract_clips
from video.frames import FrameSettings

SIZE = (256, 192)
FRAME_S = 1 / 25
PLAIN = ExtractSettings(clips=ClipSettings(min_s=1, max_s=10, stitch=False))


def film(path: Path, frames: list[int], **video: Any) -> Truth:
    made = [Shot(frames=count, picture="photo", seed=number, camera="pan") for number, count in enumerate(frames)]
    return make_video(path, made, **{"size": SIZE, **video})


def near(clips: list[ExtractedClip], wanted: list[tuple[float, float]], tolerance_s: float = 1e-6) -> bool:
    return np.shape(times(clips)) == np.shape(wanted) and np.allclose(times(clips), wanted, rtol=0, atol=tolerance_s)


def times(clips: list[ExtractedClip]) -> list[tuple[float, float]]:
    return [(each.clip.start_s, each.clip.end_s) for each in clips]


@pytest.mark.parametrize("video", [{}, {"variable": True}, {"rotation": 270}], ids=["plain", "variable", "rotated"])
def test_clips_lie_between_the_cuts_with_frames_from_within(tmp_path: Path, video: dict[str, Any]) -> None:
    path = tmp_path / "video.mkv"
    truth = film(path, [50, 40, 75, 30], **video)
    clips = list(extract_clips(path, PLAIN))
    edges = [0.0, *truth.cuts_s]
    assert [each.clip.start_s for each in clips] == edges
    assert [each.clip.end_s for each in clips][:-1] == truth.cuts_s
    assert clips[-1].clip.end_s > truth.times_s[-1]
    for each in clips:
        assert len(each.frames) == 8
        assert [truth.times_s[number_on(kept.rgb)] for kept in each.frames] == [kept.time_s for kept in each.frames]
        assert all(each.clip.start_s <= kept.time_s < each.clip.end_s for kept in each.frames)
        part_s = (each.clip.end_s - each.clip.start_s) / 8
        middles = [each.clip.start_s + part_s * (n + 0.5) for n in range(8)]
        off = [abs(kept.time_s - middle) for kept, middle in zip(each.frames, middles, strict=True)]
        assert max(off) <= part_s / 2 + 3 * FRAME_S


def test_frames_have_the_size_of_the_budget(tmp_path: Path) -> None:
    film(tmp_path / "video.mp4", [50], rotation=90)
    settings = ExtractSettings(frames=FrameSettings(frames_per_clip=3, max_pixels=112 * 84, multiple=28))
    (clip,) = extract_clips(tmp_path / "video.mp4", settings)
    assert [kept.rgb.shape for kept in clip.frames] == [(84, 112, 3)] * 3


@pytest.mark.parametrize("border", [1.0, 2.0, 2.08, 3.9, 4.0, 7.3])
def test_spans_give_each_clip_once(tmp_path: Path, border: float) -> None:
    path = tmp_path / "video.mp4"
    film(path, [50, 40, 75, 30, 40], gop=12)
    whole = list(extract_clips(path, PLAIN))
    parts = [list(extract_clips(path, PLAIN, span)) for span in ((0.0, border), (border, 20.0))]
    assert times(parts[0] + parts[1]) == times(whole)
    assert all(each.clip.start_s < border for each in parts[0])
    assert all(each.clip.start_s >= border for each in parts[1])
    for one, other in zip(parts[0] + parts[1], whole, strict=True):
        assert [kept.time_s for kept in one.frames] == pytest.approx([k.time_s for k in other.frames], abs=0.26)
        assert np.abs(one.stats.sharpness - other.stats.sharpness) < 0.2


def test_a_span_in_which_no_scene_starts_is_empty(tmp_path: Path) -> None:
    film(tmp_path / "video.mp4", [50, 150])
    assert list(extract_clips(tmp_path / "video.mp4", PLAIN, (3.0, 6.0))) == []


def test_spans_share_what_goes_on_for_too_long(tmp_path: Path) -> None:
    path = tmp_path / "video.mkv"
    film(path, [25, 400], rate=10, gop=20)
    settings = ExtractSettings(clips=ClipSettings(min_s=1, max_s=100, stitch=False), lookahead_s=8)
    spans = [(0.0, 15.0), (15.0, 30.0), (30.0, 45.0)]
    clips = [clip for span in spans for clip in extract_clips(path, settings, span)]
    # At 30 s no cut comes for 8 s, at 45 s the video is over; so the borders are ends, and the last is the video's.
    assert near(clips, [(0, 2.5), (2.5, 15), (15, 30), (30, 42.5)])


def test_long_scenes_are_given_in_pieces_as_they_go_on(tmp_path: Path) -> None:
    path = tmp_path / "video.mkv"
    film(path, [250, 30], rate=10)
    settings = ExtractSettings(clips=ClipSettings(min_s=1, max_s=4, stitch=False))
    assert near(
        list(extract_clips(path, settings)),
        [(0, 4), (4, 8), (8, 12), (12, 16), (16, 20), (20, 22.5), (22.5, 25), (25, 28)],
    )


def test_frames_held_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from video.frames import FrameBuffer

    most = 0
    offer = FrameBuffer.offer

    def counted(self: FrameBuffer, *args: Any) -> None:
        nonlocal most
        offer(self, *args)
        most = max(most, len(self))

    monkeypatch.setattr(FrameBuffer, "offer", counted)
    film(tmp_path / "video.mkv", [1500], rate=10, size=(160, 120))
    settings = ExtractSettings(clips=ClipSettings(min_s=2, max_s=10))
    clips = list(extract_clips(tmp_path / "video.mkv", settings))
    assert len(clips) == 15
    assert all(len({kept.time_s for kept in each.frames}) == 8 for each in clips)
    assert most <= 16 + 40 / 0.5


def test_transitions_are_trimmed_and_flashes_are_not_cut(tmp_path: Path) -> None:
    path = tmp_path / "video.mp4"
    made = [Shot(frames=60, picture="photo", seed=n, transition="fade", transition_frames=16) for n in range(3)]
    truth = make_video(path, made, size=SIZE)
    clips = list(extract_clips(path, PLAIN))
    (start, end, _), (start2, end2, _) = truth.transitions
    assert near(clips, [(0, start), (end, start2), (end2, 180 * FRAME_S)], 3 * FRAME_S)


def test_neighbours_that_look_the_same_are_one_clip(tmp_path: Path) -> None:
    path = tmp_path / "video.mp4"
    shots = [*interrupted(Shot(frames=100, picture="photo", seed=2), "flash"), Shot(frames=50, picture="photo", seed=3)]
    truth = make_video(path, shots, size=SIZE)
    detect = DetectSettings(detector="content", detect_gradual=False)  # which takes a flash for a cut
    apart = list(
        extract_clips(path, ExtractSettings(detect=detect, clips=ClipSettings(min_s=1, max_s=10, stitch=False)))
    )
    assert len(apart) == 3
    stitched = list(extract_clips(path, ExtractSettings(detect=detect, clips=ClipSettings(min_s=1, max_s=10))))
    assert near(stitched, [(0, truth.cuts_s[0]), (truth.cuts_s[0], 6)])


def test_what_clips_look_like(tmp_path: Path) -> None:
    path = tmp_path / "video.mp4"
    made = [
        Shot(frames=60, picture="photo", seed=1),
        Shot(frames=60, picture="photo", seed=2, camera="pan"),
        Shot(frames=90, picture="black"),
        Shot(frames=60, picture="drawing", seed=5, camera="pan"),
    ]
    make_video(path, made, size=SIZE, numbered=False)
    still, pan, black, drawing = extract_clips(path, PLAIN)
    assert [each.stats.static for each in (still, pan, black, drawing)] == [True, False, True, False]
    assert [each.stats.black for each in (still, pan, black, drawing)] == [False, False, True, False]
    assert black.stats.brightness == pytest.approx(16, abs=3)
    assert pan.stats.motion > 10 * still.stats.motion
    assert drawing.stats.sharpness > 1
    assert black.hashes == ()
    assert len(still.hashes) == 8
    assert all((one ^ still.hashes[0]).bit_count() <= 4 for one in still.hashes)
    assert min((one ^ other).bit_count() for one in still.hashes for other in pan.hashes) > 12


def test_without_frames(tmp_path: Path) -> None:
    film(tmp_path / "video.mp4", [50, 40])
    clips = list(extract_clips(tmp_path / "video.mp4", ExtractSettings(clips=PLAIN.clips, keep_frames=False)))
    assert near(clips, [(0, 2), (2, 3.6)])
    assert [each.frames for each in clips] == [[], []]


def test_videos_that_cannot_be_watched(tmp_path: Path) -> None:
    audio_only(tmp_path / "sound.mp4")
    with pytest.raises(VideoError) as sound:
        list(extract_clips(tmp_path / "sound.mp4", PLAIN))
    assert sound.value.reason == "no_video"
    film(tmp_path / "cut.mp4", [50])
    truncate(tmp_path / "cut.mp4", 0.5)
    with pytest.raises(VideoError):
        list(extract_clips(tmp_path / "cut.mp4", PLAIN))
