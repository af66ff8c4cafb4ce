"""Recordings that were joined byte by byte are one video: nothing of it is lost, wherever reading begins."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from corpus.storage import Store
from tests.helpers.videos import Shot, make_video, number_on
from video.budget import Budget, VideoError
from video.decoding import continuity
from video.decoding.decode import frames, open_container, video_stream
from video.decoding.files import RangeFile, VideoSource
from video.probe import probe, quick_probe
from video.transcode.cut import CutSettings, cut_many
from video.transcode.encode import EncodeSettings

SIZE = (160, 120)
PARTS = (30, 45)  # frames of the two recordings
NUMBERS = [*range(PARTS[0]), *range(PARTS[1])]
# When the two begin, in seconds: anew, further back, after a long gap.
STARTS = {"anew": (0.0, 0.0), "back": (50.0, 3.0), "gap": (0.0, 100.0)}


def joined(folder: Path, ext: str, starts: tuple[float, float], **more: Any) -> Path:
    parts = []
    for part, (count, start_s) in enumerate(zip(PARTS, starts, strict=True)):
        path = folder / f"part{part}.{ext}"
        codec = "mpeg2video" if ext == "mpg" else "libx264"
        shots = [Shot(count, seed=part, camera="pan")]
        make_video(path, shots, gop=12, size=SIZE, start_s=start_s, codec=codec, **more)
        parts.append(path.read_bytes())
    (folder / f"joined.{ext}").write_bytes(b"".join(parts))
    return folder / f"joined.{ext}"


def seen(source: VideoSource, start_s: float | None = None) -> list[tuple[float, int]]:
    with open_container(source) as container:
        return [(round(frame.time_s, 3), number_on(frame.rgb())) for frame in frames(container, start_s)]


@pytest.mark.parametrize("name", STARTS)
@pytest.mark.parametrize("ext", ["ts", "mpg"])
def test_joined_recordings_are_one_video(tmp_path: Path, ext: str, name: str) -> None:
    path = joined(tmp_path, ext, STARTS[name])
    whole = seen(path)
    assert [number for _, number in whole] == NUMBERS
    assert np.diff([time_s for time_s, _ in whole]) == pytest.approx([0.04] * (len(NUMBERS) - 1), abs=0.045)
    found = probe(path)
    assert found.frames == len(NUMBERS)
    assert (found.start_s, found.duration_s) == pytest.approx((whole[0][0], 3.0), abs=0.05)
    assert found.rate == pytest.approx(25, rel=0.02)
    for place in (0, 1, 13, 29, 30, 31, 44, 60, 74):
        some = seen(path, whole[place][0])
        assert some == whole[-len(some) :] and place - 13 < len(whole) - len(some) <= place
    assert quick_probe(path) is None  # the last timestamp tells nothing


def test_the_same_from_a_store_and_from_memory(tmp_path: Path) -> None:
    path = joined(tmp_path, "ts", STARTS["back"])
    whole = seen(path)
    sources: list[VideoSource] = [io.BytesIO(path.read_bytes()), RangeFile(Store(tmp_path), path.name)]
    for source in sources:
        assert [entry for entry in seen(source, whole[40][0]) if entry[0] >= whole[40][0]] == whole[40:]


def test_all_packets_are_read_once_for_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = joined(tmp_path, "ts", STARTS["anew"])
    remembered: list[Any] = []
    monkeypatch.setattr(
        continuity,
        "cache_breaks",
        lambda *found, keep=continuity.cache_breaks: (remembered.append(found), keep(*found)),
    )
    for _ in range(3):
        for source in (path, RangeFile(Store(tmp_path), path.name)):
            with open_container(source) as container:
                breaks = continuity.breaks_of(container, video_stream(container), Budget())
            assert len(breaks.offsets_s) == 1 and breaks.offsets_s[0] == pytest.approx(1.2, abs=0.1)
    assert len(remembered) == 2


@pytest.mark.parametrize("copy", [True, False])
def test_clips_over_a_break_have_their_frames_and_their_sound(tmp_path: Path, copy: bool) -> None:
    path = joined(tmp_path, "ts", STARTS["back"], audio=True)
    times_s = [time_s for time_s, _ in seen(path)]
    settings = CutSettings(stream_copy=copy, audio=True, encode=EncodeSettings(preset="ultrafast"))
    places = [(5, 25), (20, 50), (32, 70)]
    clips = list(cut_many(path, [(times_s[first] - 0.005, times_s[last] - 0.005) for first, last in places], settings))
    assert sorted(clip.index for clip in clips) == [0, 1, 2]
    for clip in clips:
        first, last = places[clip.index]
        with av.open(io.BytesIO(clip.data)) as container:
            numbers = [number_on(picture.to_ndarray(format="rgb24")) for picture in container.decode(video=0)]
        assert numbers == NUMBERS[first:last]
        with av.open(io.BytesIO(clip.data)) as container:
            heard = np.concatenate([frame.to_ndarray()[0] for frame in container.decode(audio=0)])
        parts = heard[2048 : int((last - first) * 0.04 * 48_000) - 2048]
        loud = [float(np.sqrt((part**2).mean())) for part in np.array_split(parts, 8)]
        assert min(loud) > 0.08  # the tone goes on, but for a moment where they were joined


def test_a_break_costs_no_more_than_the_budget_allows(tmp_path: Path) -> None:
    path = joined(tmp_path, "ts", STARTS["anew"])
    with open_container(path) as container, pytest.raises(VideoError, match="time_budget"):
        list(frames(container, 1.5, budget=Budget(seconds=0)))
    with open_container(path) as container, pytest.raises(VideoError, match="too_long"):
        list(frames(container, budget=Budget(max_time_s=2.0)))


def test_a_pause_and_inexact_times_are_no_breaks(tmp_path: Path) -> None:
    path = joined(tmp_path, "ts", (0.0, 6.0))
    times_s = [time_s for time_s, _ in seen(path)]
    assert max(np.diff(times_s)) == pytest.approx(6.0 - 1.2, abs=0.1)
    with open_container(path) as container:
        assert not continuity.breaks_of(container, video_stream(container), Budget()).offsets_s
