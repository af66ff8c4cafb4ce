"""Many clips of one video: any order, any overlap, wherever the file lies, with their sound, in one decode."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import video.transcode.cut
from corpus.media import MediaWriter
from corpus.storage import Store
from tests.helpers.cut_films import FAST, GOP, RATE, SETTINGS, SHOTS, SIZE, frame_times, numbers_in
from tests.helpers.video_calls import cut_mp4
from tests.helpers.videos import audio_only, make_video, truncate
from video.budget import VideoError
from video.decoding.decode import frames
from video.decoding.files import RangeFile
from video.decoding.frame import Frame
from video.transcode.cut import CutSettings, cut_many, decode_ranges


@pytest.fixture
def film(tmp_path: Path) -> Path:
    make_video(tmp_path / "film.mp4", SHOTS, gop=GOP, size=SIZE)
    return tmp_path / "film.mp4"


def test_clips_come_in_any_order_and_overlap(film: Path) -> None:
    wanted = [(30, 50), (3, 9), (12, 24), (0, 60), (5, 40), (12, 24), (6, 13), (59, 60), (31, 32)]
    for max_open_clips in (1, 2, 9):
        settings = CutSettings(encode=FAST, max_open_clips=max_open_clips, min_seek_gap_s=0.2)
        clips = list(cut_many(film, [frame_times(*ends) for ends in wanted], settings))
        assert sorted(clip.index for clip in clips) == list(range(len(wanted)))
        for clip in clips:
            assert numbers_in(clip.data) == list(range(*wanted[clip.index]))
        assert {wanted[clip.index] for clip in clips if clip.remuxed} == {(12, 24), (0, 60)}


def test_one_decode_for_all_clips(film: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    decoded: list[float] = []

    def counted(*args: Any, **more: Any) -> Iterator[Frame]:
        for frame in frames(*args, **more):
            decoded.append(frame.time_s)
            yield frame

    monkeypatch.setattr(video.transcode.cut, "frames", counted)
    wanted = [frame_times(first, first + 5) for first in range(1, 51, 5)]
    assert [clip.frames for clip in cut_many(film, wanted, CutSettings(encode=FAST, stream_copy=False))] == [5] * 10
    assert decoded == pytest.approx([number / RATE for number in range(52)])
    decoded.clear()
    far = [frame_times(1, 3), frame_times(50, 52)]
    assert len(list(cut_many(film, far, CutSettings(encode=FAST, stream_copy=False, min_seek_gap_s=1.0)))) == 2
    assert decoded == pytest.approx([number / RATE for number in [*range(4), *range(48, 53)]])
    decoded.clear()
    assert all(clip.remuxed for clip in cut_many(film, [frame_times(0, 12), frame_times(24, 48)], SETTINGS))
    assert len(decoded) == 1  # a look at the first frame: is it turned?


def test_stretches_cover_all_intervals_within_their_limits() -> None:
    wanted = [(0.0, 10.0), (1.0, 2.0), (1.5, 30.0), (2.0, 3.0), (12.0, 13.0), (50.0, 51.0), (52.0, 60.0)]
    runs = list(decode_ranges(list(enumerate(wanted)), 2, 5.0))
    assert [[index for index, _ in run] for run in runs] == [[0, 1, 3, 4], [5, 6], [2]]
    assert [[index for index, _ in run] for run in decode_ranges(list(enumerate(wanted)), 9, 100.0)] == [list(range(7))]
    assert list(decode_ranges([], 2, 5.0)) == []


def test_times_between_frames_and_past_the_end(film: Path) -> None:
    wanted = [(0.05, 0.17), (2.30, 99.0), (0.041, 0.079), (70.0, 80.0), (-5.0, 0.05), (-5.0, -1.0)]
    clips = {clip.index: clip for clip in cut_many(film, wanted, SETTINGS)}
    found = [numbers_in(clips[index].data) if clips[index].frames else [] for index in range(len(wanted))]
    assert found == [[2, 3, 4], [58, 59], [], [], [0, 1], []]
    assert clips[3].data == b"" and clips[2].data == b""
    assert numbers_in(next(cut_many(film, [(0.1 + 0.2 - 0.02, 1 / 3 + 1 / 75)], SETTINGS)).data) == [7, 8]


def test_intervals_without_time_are_refused(film: Path) -> None:
    assert list(cut_many(film, [], SETTINGS)) == []
    for ends in ((2.0, 2.0), (2.0, 1.0), (0.0, float("inf")), (float("nan"), 1.0)):
        with pytest.raises(ValueError, match="without length"):
            next(cut_many(film, [ends], SETTINGS))


def test_a_clip_is_written_to_a_path_or_a_file(film: Path, tmp_path: Path) -> None:
    result = cut_mp4(film, *frame_times(12, 24), tmp_path / "a.mp4", SETTINGS)
    assert (result.frames, result.remuxed) == (12, True)
    file = io.BytesIO()
    assert cut_mp4(film, *frame_times(13, 24), file).remuxed is False
    assert numbers_in((tmp_path / "a.mp4").read_bytes()) == list(range(12, 24))
    assert numbers_in(file.getvalue()) == list(range(13, 24))
    with pytest.raises(ValueError, match="no frame from 9"):
        cut_mp4(film, 9.0, 10.0, tmp_path / "b.mp4")
    assert not (tmp_path / "b.mp4").exists()


def test_the_same_bytes_whatever_else_is_cut_and_however_it_is_decoded(film: Path) -> None:
    alone = [next(cut_many(film, [frame_times(*ends)], SETTINGS)).data for ends in ((5, 30), (12, 24))]
    settings = CutSettings(encode=FAST, max_open_clips=1, decoder_threads=1, min_seek_gap_s=0.0)
    for chosen in (SETTINGS, settings):
        together = {
            clip.index: clip.data
            for clip in cut_many(film, [frame_times(5, 30), frame_times(12, 24), frame_times(0, 40)], chosen)
        }
        assert [together[0], together[1]] == alone
    assert settings.canonical() == SETTINGS.canonical()


def test_the_same_bytes_whatever_was_in_memory_before(film: Path) -> None:
    noise = np.random.default_rng(0)
    made = set()
    for _ in range(12):
        rubbish = [noise.random(int(size)) for size in noise.integers(1, 1 << 16, 100)]
        del rubbish[::2]  # what is freed now is what the encoder gets
        made.add(next(cut_many(film, [frame_times(5, 55)], CutSettings())).data)
    assert len(made) == 1


def test_videos_are_cut_where_they_lie(film: Path, store_url: str) -> None:
    store = Store(store_url)
    media = MediaWriter(store, "media/0.tar")
    media.add(b"first", "mp4", b"something else")
    offset, size = media.add(b"second", "mp4", film.read_bytes())
    media.commit()
    file = RangeFile(store, "media/0.tar", offset, size)
    clips = {clip.index: clip for clip in cut_many(file, [frame_times(12, 24), frame_times(40, 50)], SETTINGS)}
    assert [numbers_in(clips[index].data) for index in (0, 1)] == [list(range(12, 24)), list(range(40, 50))]


def test_broken_sources_say_so(tmp_path: Path, film: Path) -> None:
    audio_only(tmp_path / "tone.mp4")
    (tmp_path / "text.mp4").write_text("no video at all")
    for name, reason in (("tone.mp4", "no_video"), ("text.mp4", "broken")):
        with pytest.raises(VideoError) as caught:
            next(cut_many(tmp_path / name, [(0.0, 1.0)], SETTINGS))
        assert caught.value.reason == reason
    make_video(tmp_path / "cut_off.mkv", SHOTS, gop=GOP, size=SIZE)
    truncate(tmp_path / "cut_off.mkv", 0.5)
    wanted = [(3, 15), (3, 60), (0, 60)]
    for clip in cut_many(tmp_path / "cut_off.mkv", [frame_times(*ends) for ends in wanted], SETTINGS):
        first, after = wanted[clip.index]
        rest = numbers_in(clip.data)
        assert rest == list(range(first, first + clip.frames))
        assert rest[-1] == 14 if after == 15 else 15 < rest[-1] < 59
