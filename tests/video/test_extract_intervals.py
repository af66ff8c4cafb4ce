from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.helpers.videos import Shot, make_video, number_on
from video.clips import Clip, annotated_clips
from video.extract import ExtractedClip, ExtractSettings, extract_intervals
from video.frames import uniform_times

SETTINGS = ExtractSettings()


@pytest.mark.parametrize("video", [{}, {"variable": True}], ids=["plain", "variable"])
def test_frames_are_those_seen_at_the_middles_of_equal_parts(tmp_path: Path, video: dict[str, Any]) -> None:
    path = tmp_path / "video.mkv"
    made = [Shot(frames=60, picture="photo", seed=n, camera="pan") for n in range(5)]
    truth = make_video(path, made, size=(160, 120), gop=24, **video)
    wanted = [(0.0, 3.0), (1.0, 2.0), (0.5, 2.0), (9.5, 11.7), (8.99, 9.01)]
    clips = list(extract_intervals(path, annotated_clips(wanted, (0, truth.times_s[-1])), SETTINGS))
    assert [clip.clip.annotation for clip in clips] == [2, 1, 0, 4, 3]
    for clip in clips:
        seen = [
            max(number for number, shown_s in enumerate(truth.times_s) if shown_s <= time_s + 1e-6)
            for time_s in uniform_times(clip.clip.start_s, clip.clip.end_s, 8)
        ]
        assert [number_on(kept.rgb) for kept in clip.frames] == seen
        assert [kept.time_s for kept in clip.frames] == [truth.times_s[number] for number in seen]


def test_only_what_is_wanted_is_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import video.extract

    path = tmp_path / "video.mp4"
    make_video(path, [Shot(frames=600, camera="pan")], size=(160, 120), gop=25)
    seen: list[float] = []
    frames = video.extract.frames

    def counted(*args: Any, **more: Any) -> Any:
        for frame in frames(*args, **more):
            seen.append(frame.time_s)
            yield frame

    monkeypatch.setattr(video.extract, "frames", counted)
    wanted = [Clip(1, 2), Clip(20, 22), Clip(3, 3, 0, "not_an_interval"), Clip(2.5, 3.5)]
    clips = list(extract_intervals(path, wanted, SETTINGS))
    assert [clip.clip.start_s for clip in clips] == [1, 2.5, 20]
    assert max(time_s for time_s in seen if time_s < 10) < 3.5
    assert min(time_s for time_s in seen if time_s > 10) >= 20


def test_what_an_interval_looks_like(tmp_path: Path) -> None:
    path = tmp_path / "video.mp4"
    make_video(path, [Shot(frames=75, picture="photo"), Shot(frames=75, picture="black")], numbered=False)
    first, second = extract_intervals(path, [Clip(0, 2.9), Clip(3.1, 6)], SETTINGS)
    assert (first.stats.black, first.stats.static, second.stats.black) == (False, True, True)
    assert len(first.hashes) == 8
    assert second.hashes == ()


def test_a_clip_behind_the_last_frame_has_none(tmp_path: Path) -> None:
    path = tmp_path / "video.mp4"
    make_video(path, [Shot(frames=50)], size=(160, 120))
    clips: list[ExtractedClip] = list(extract_intervals(path, [Clip(0, 1), Clip(4, 5), Clip(1.5, 60)], SETTINGS))
    assert [(each.clip.start_s, each.clip.reason, len(each.frames)) for each in clips] == [
        (0, "", 8),
        (4, "no_frames", 0),
        (1.5, "", 8),
    ]


def test_nothing_wanted_is_nothing_done(tmp_path: Path) -> None:
    path = tmp_path / "video.mp4"
    make_video(path, [Shot(frames=10)], size=(160, 120))
    assert list(extract_intervals(path, [Clip(0, 0, 0, "not_an_interval")], SETTINGS)) == []
