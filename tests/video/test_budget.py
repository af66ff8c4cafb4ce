"""What a video may cost: frames of any size, times beyond any clock and work without end cost their video, no more."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pytest

from pipelines.publish import tar_check
from pipelines.publish.tar_check import unplayable
from tests.helpers.changing import KINDS, changing_video, sounding_video
from tests.helpers.clip_shards import contents, moment, run_clips, video_row
from tests.helpers.videos import Shot, make_video
from video.budget import Budget, VideoError, video_errors
from video.clips import Clip, ClipSettings
from video.decoding.decode import frames, open_container, video_stream
from video.extract import extract_clips, extract_intervals
from video.probe import ProbeSettings, probe, quick_probe
from video.segments import SegmentSettings
from video.stages.clips import Clips, ClipsSettings
from video.transcode.audio import AudioTrack
from video.transcode.cut import CutSettings, cut_many
from video.transcode.encode import EncodeSettings
from video.transcode.remux import remux_plans

SMALL = Budget(max_side_px=128)
LONG, LARGE = (192, 48), (480, 400)  # a side too long, in few pixels; more pixels than any frame may have
SCENES = ClipSettings(min_s=0.2, max_s=0.4, stitch=False)
STAGE = ClipsSettings(clips=SCENES, probe=ProbeSettings(max_side_px=128))
MP4 = CutSettings(encode=EncodeSettings(preset="ultrafast"))


def reason(call: Callable[[], Any]) -> str:
    try:
        call()
    except VideoError as error:
        return error.reason
    return ""


# Sizes


def test_a_frame_that_is_too_large_ends_a_video_whatever_its_header_says(tmp_path: Path) -> None:
    wrong = {}
    for kind, size in itertools.product(KINDS, (LONG, LARGE)):
        path = changing_video(tmp_path / kind, [((64, 48), 3), (size, 2), ((64, 48), 3)])
        seen: list[tuple[int, int]] = []

        def read(path: Path = path, seen: list[tuple[int, int]] = seen) -> None:
            with open_container(path, budget=SMALL) as container:
                seen += [frame.size for frame in frames(container, budget=SMALL)]

        try:
            read()
            wrong[kind, size] = f"{seen}"
        except VideoError as error:
            if (error.reason, set(seen) <= {(64, 48)}, "128 a side" in error.detail) != ("too_large", True, True):
                wrong[kind, size] = f"{seen}: {error}"
        if reason(lambda path=path: probe(path, ProbeSettings(max_side_px=128))) not in ("", "too_large"):
            wrong[kind, size] = "probed"
    assert wrong == {}


def test_a_video_of_large_frames_alone_is_too_large_at_once(tmp_path: Path) -> None:
    found = {}
    for kind, size in itertools.product(KINDS, (LONG, LARGE)):
        path = changing_video(tmp_path / kind, [(size, 9)])
        found[kind, size] = reason(lambda path=path: probe(path, ProbeSettings(max_side_px=128)))
    assert set(found.values()) == {"too_large"}, found


def test_frames_of_other_sizes_within_the_limit_are_read(tmp_path: Path) -> None:
    for kind in KINDS:
        path = changing_video(tmp_path / kind, [((64, 48), 2), ((96, 80), 2)])
        with open_container(path, budget=SMALL) as container:
            sizes = [frame.size for frame in frames(container, budget=SMALL)]
        assert sizes == [(64, 48)] * 2 + [(96, 80)] * 2, kind


@pytest.mark.parametrize("size", [LONG, LARGE])
@pytest.mark.parametrize(
    "told",
    [
        {},
        {"first_frame_s": 0.0, "duration_s": 6.2, "segments": 1},
        {"first_frame_s": 0.0, "duration_s": 6.2, "segments": 2, "segment_end_s": 5.5},
        {"timed": True, "annotations": [moment(0.0, 0.5, "a"), moment(5.8, 6.1, "b")]},
    ],
    ids=["probed", "glanced", "span", "annotated"],
)
def test_clips_before_a_frame_that_is_too_large_stay(tmp_path: Path, told: dict[str, Any], size: Any) -> None:
    path = changing_video(tmp_path / "flv1.flv", [((64, 48), 150), (size, 1), ((64, 48), 4)])
    rows = run_clips(tmp_path, Clips(STAGE), [video_row(path, **told)])
    assert {row["status"] for row in rows[:-1]} <= {"kept", "filtered"}
    assert [row["status"] for row in rows].count("kept") >= 1
    assert (rows[-1]["status"], rows[-1]["reason"]) == ("failed", "too_large")
    assert "pixels" in rows[-1]["detail"]
    assert all(row["end_s"] <= 6.0 for row in rows[:-1])


# Times


@pytest.mark.parametrize(("jump", "ends"), [(25 * 7 * 3600, "too_long"), (25 * 10**12, "broken")])
def test_a_time_beyond_all_that_is_allowed_ends_a_video(tmp_path: Path, jump: int, ends: str) -> None:
    """Else there would be a clip for each half a minute until then."""
    path = changing_video(tmp_path / "mjpeg.mkv", [((64, 48), 160)], [*range(150), *range(jump, jump + 10)])
    assert reason(lambda: probe(path)) == ends
    rows = run_clips(tmp_path, Clips(STAGE), [video_row(path, first_frame_s=0.0, duration_s=6.0)])
    assert (rows[-1]["status"], rows[-1]["reason"]) == ("failed", ends)
    assert 1 < len(rows) < 20
    late = changing_video(tmp_path / "mjpeg.mkv", [((64, 48), 9)], range(25 * 10**13, 25 * 10**13 + 225, 25))
    assert reason(lambda: probe(late)) == "broken"


def test_seen_is_what_a_clock_can_show() -> None:
    budget = Budget(max_time_s=10.0)
    assert [reason(lambda at=at: budget.check_display_time(at)) for at in (-5.0, 10.0, 10.1, 1e12, float("nan"))] == [
        "",
        "",
        "too_long",
        "broken",
        "broken",
    ]


def test_every_pass_ends_when_the_time_is_spent(tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    make_video(path, [Shot(30, seed=1), Shot(30, seed=2)], size=(64, 48), audio=True, gop=10)
    spent = Budget(seconds=0.0)

    def read_frames() -> None:
        with open_container(path) as container:
            next(frames(container, budget=spent))

    def copy() -> None:
        with open_container(path) as container:
            list(remux_plans(container, video_stream(container), [(0, 10**6)], spent))

    def hear() -> None:
        with AudioTrack(path, 64_000, spent) as sound:
            sound.add_to(next(cut_many(path, [(0, 1)], MP4)).data, 0, 1)

    settings = SegmentSettings(clips=SCENES)
    calls: dict[str, Callable[[], Any]] = {
        "open": lambda: open_container(path, budget=spent),
        "frames": read_frames,
        "remuxed": copy,
        "sound": hear,
        "probe": lambda: probe(path, budget=spent),
        "watch": lambda: list(extract_clips(path, settings, budget=spent)),
        "intervals": lambda: list(extract_intervals(path, [Clip(0, 1)], settings, spent)),
        "cut": lambda: list(cut_many(path, [(0, 1)], MP4, spent)),
    }
    assert {name: reason(call) for name, call in calls.items()} == dict.fromkeys(calls, "time_budget")


def test_libav_stops_reading_at_the_deadline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By its own interrupt: the time that is left when a file is opened bounds each call that reads."""
    path = tmp_path / "film.mp4"
    make_video(path, [Shot(30)], size=(64, 48))
    monkeypatch.setattr(Budget, "check_time", lambda self: None)
    monkeypatch.setattr(Budget, "remaining_s", 1e-9)
    assert reason(lambda: open_container(path, budget=Budget(seconds=1.0))) == "time_budget"


def test_a_video_has_a_time_budget_and_the_clips_before_its_end_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "film.mp4"
    make_video(path, [Shot(50, seed=seed) for seed in range(5)], size=(64, 48))
    row = video_row(path, first_frame_s=0.0, duration_s=10.0)
    whole = run_clips(tmp_path, Clips(ClipsSettings(clips=SCENES)), [row])
    assert "failed" not in {row["status"] for row in whole}
    clocks: dict[float, Iterator[int]] = defaultdict(itertools.count)  # of each video: a second for each look at it
    monkeypatch.setattr(Budget, "remaining_s", property(lambda self: self.seconds - next(clocks[self.started_at])))
    bounded = ClipsSettings(clips=SCENES, video_timeout_s=200.0, timeout_per_s=0.0)
    stage = Clips(bounded)
    rows = run_clips(tmp_path, stage, [row, row])
    ends = [place for place, row in enumerate(rows) if row["reason"] == "time_budget"]
    assert len(ends) == 2 and ends[1] == len(rows) - 1
    assert 1 < ends[0] < len(whole)
    times = [(row["start_s"], row["end_s"], row["status"]) for row in whole]
    assert [(row["start_s"], row["end_s"], row["status"]) for row in rows[: ends[0]]] == times[: ends[0]]
    assert rows[ends[0]]["detail"] == "over 200 s of work"
    longer = ClipsSettings(clips=SCENES, video_timeout_s=200.0, timeout_per_s=300.0)
    assert len(run_clips(tmp_path, Clips(longer), [row])) == len(whole)
    table = pa.table({"status": [row["status"] for row in rows], "reason": [row["reason"] for row in rows]})
    assert stage.retryable_reasons(table).to_pylist().count("time_budget") == 2  # --retry tries them again


def test_a_glance_has_a_budget_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_video(tmp_path / "film.mp4", [Shot(30)], size=(64, 48))
    assert quick_probe(tmp_path / "film.mp4") is not None
    monkeypatch.setattr("video.probe._MAX_WORK_S", 0.0)
    assert quick_probe(tmp_path / "film.mp4") is None


def test_verify_bounds_what_it_opens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_video(tmp_path / "film.mp4", [Shot(30)], size=(64, 48))
    data = (tmp_path / "film.mp4").read_bytes()
    assert unplayable(data, opened=True) == ""
    monkeypatch.setattr(tar_check, "_MAX_WORK_S", 0.0)
    assert unplayable(data, opened=True).startswith("time_budget")


# Sound


def heard(path: Path, start_s: float, end_s: float) -> np.ndarray:
    """The sound of a clip of the video, as its samples at 48 kHz; empty where it has none."""
    import io

    import av

    (clip,) = cut_many(path, [(start_s, end_s)], MP4.model_copy(update={"audio": True}))
    with av.open(io.BytesIO(clip.data)) as container:
        if not container.streams.audio:
            return np.zeros(0)
        resampler = av.AudioResampler("flt", "mono", 48_000)
        parts = [part.to_ndarray()[0] for frame in container.decode(audio=0) for part in resampler.resample(frame)]
    return np.concatenate(parts)


def test_sound_that_changes_its_rate_is_heard_to_its_end(tmp_path: Path) -> None:
    path = sounding_video(tmp_path / "a.mkv", [48_000, 22_050, 44_100], "mp2")
    samples = heard(path, 0.0, 3.0)
    loud = [float(np.abs(samples[round((second + 0.5) * 48_000) :][:4800]).max()) for second in range(3)]
    assert all(0.15 < level < 0.5 for level in loud), loud


def test_sound_of_no_possible_rate_is_left_out(tmp_path: Path) -> None:
    for rate in (1, 100):
        path = sounding_video(tmp_path / "a.mkv", [rate], "pcm_s16le", seconds=2)
        assert not len(heard(path, 0.0, 1.0))
    assert len(heard(sounding_video(tmp_path / "b.mkv", [8000], "pcm_s16le"), 0.0, 1.0))


def test_memory_that_libav_does_not_get_is_a_reason_that_may_be_tried_again() -> None:
    import av

    def claims() -> None:
        with video_errors():
            raise av.error.MemoryError(12, "Cannot allocate memory")

    assert reason(claims) == "out_of_memory"
    table = pa.table({"status": ["failed", "failed"], "reason": ["out_of_memory", "broken"]})
    assert Clips(STAGE).retryable_reasons(table).to_pylist() == ["out_of_memory", ""]


# Sizes that change within what is allowed


@pytest.mark.parametrize("kind", ["h264.ts", "vp8.webm"])
def test_a_clip_in_which_the_size_changes_has_one_size(tmp_path: Path, kind: str) -> None:
    """That of its first frame, in its frames and in its mp4; packets are copied only where nothing changes."""
    path = changing_video(tmp_path / kind, [((64, 48), 60), ((96, 80), 60)])
    wanted = [(0.0, 2.0), (1.0, 4.0), (0.0, 4.8)]
    for clip in cut_many(path, wanted, MP4):
        assert mp4_sizes(clip.data) == [(64, 48)] * clip.frames
        assert clip.frames == round(25 * (wanted[clip.index][1] - wanted[clip.index][0]))
        assert not (clip.remuxed and clip.index)
    annotated = {"timed": True, "annotations": [moment(1.0, 4.0, "a")]}
    (row,) = run_clips(tmp_path, Clips(ClipsSettings(clips=SCENES, mp4=True, cut=MP4)), [video_row(path, **annotated)])
    shapes = {cv2.imdecode(np.frombuffer(data, np.uint8), 1).shape[:2] for data in contents(tmp_path, row, "jpg")}
    assert shapes == {(row["height"], row["width"])}


def mp4_sizes(data: bytes) -> list[tuple[int, int]]:
    import io

    import av

    with av.open(io.BytesIO(data)) as container:
        return [(picture.width, picture.height) for picture in container.decode(video=0)]
