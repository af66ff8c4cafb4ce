"""Many clips of one video: any order, any overlap, wherever the file lies, with their sound, in one decode."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

import video.transcode.cut
from corpus.media import MediaWriter
from corpus.storage import Store
from tests.helpers.videos import Shot, audio_only, make_video, number_on, truncate
from video.budget import VideoError
from video.decoding.decode import frames
from video.decoding.files import RangeFile
from video.decoding.frame import Frame
from video.transcode.audio import with_audio
from video.transcode.cut import CutSettings, cut_many, cut_mp4, decode_ranges
from video.transcode.encode import EncodeSettings

FRAMES, GOP, SIZE, RATE = 60, 12, (160, 120), 25
SHOTS = [Shot(30, seed=1, camera="pan"), Shot(30, seed=2, camera="zoom")]
FAST = EncodeSettings(preset="superfast")
SETTINGS = CutSettings(encode=FAST)


def at(*numbers: int) -> tuple[float, ...]:
    """The times of frames."""
    return tuple(number / RATE for number in numbers)


def numbers_in(clip: bytes) -> list[int]:
    with av.open(io.BytesIO(clip)) as container:
        return [number_on(picture.to_ndarray(format="rgb24")) for picture in container.decode(video=0)]


def sound_of(file: Any, rate: int) -> np.ndarray:
    """Samples (time,) of the first channel from the time 0 on."""
    with av.open(file) as container:
        assert container.streams.audio[0].rate == rate
        parts = [(part.pts * part.time_base, part.to_ndarray()[0]) for part in container.decode(audio=0)]
    heard = np.zeros(round(max(begin * rate + len(part) for begin, part in parts)))
    for begin, part in parts:
        heard[max(0, round(begin * rate)) :][: len(part)] = part
    return heard


@pytest.fixture
def film(tmp_path: Path) -> Path:
    make_video(tmp_path / "film.mp4", SHOTS, gop=GOP, size=SIZE)
    return tmp_path / "film.mp4"


def test_clips_come_in_any_order_and_overlap(film: Path) -> None:
    wanted = [(30, 50), (3, 9), (12, 24), (0, 60), (5, 40), (12, 24), (6, 13), (59, 60), (31, 32)]
    for max_open_clips in (1, 2, 9):
        settings = CutSettings(encode=FAST, max_open_clips=max_open_clips, min_seek_gap_s=0.2)
        clips = list(cut_many(film, [at(*ends) for ends in wanted], settings))
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
    wanted = [at(first, first + 5) for first in range(1, 51, 5)]
    assert [clip.frames for clip in cut_many(film, wanted, CutSettings(encode=FAST, stream_copy=False))] == [5] * 10
    assert decoded == pytest.approx([number / RATE for number in range(52)])
    decoded.clear()
    far = [at(1, 3), at(50, 52)]
    assert len(list(cut_many(film, far, CutSettings(encode=FAST, stream_copy=False, min_seek_gap_s=1.0)))) == 2
    assert decoded == pytest.approx([number / RATE for number in [*range(4), *range(48, 53)]])
    decoded.clear()
    assert all(clip.remuxed for clip in cut_many(film, [at(0, 12), at(24, 48)], SETTINGS))
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
        with pytest.raises(ValueError, match="no time"):
            next(cut_many(film, [ends], SETTINGS))


def test_a_clip_is_written_to_a_path_or_a_file(film: Path, tmp_path: Path) -> None:
    result = cut_mp4(film, *at(12, 24), tmp_path / "a.mp4", SETTINGS)
    assert (result.frames, result.remuxed) == (12, True)
    file = io.BytesIO()
    assert cut_mp4(film, *at(13, 24), file).remuxed is False
    assert numbers_in((tmp_path / "a.mp4").read_bytes()) == list(range(12, 24))
    assert numbers_in(file.getvalue()) == list(range(13, 24))
    with pytest.raises(ValueError, match="no frame from 9"):
        cut_mp4(film, 9.0, 10.0, tmp_path / "b.mp4")
    assert not (tmp_path / "b.mp4").exists()


def test_the_same_bytes_whatever_else_is_cut_and_however_it_is_decoded(film: Path) -> None:
    alone = [next(cut_many(film, [at(*ends)], SETTINGS)).data for ends in ((5, 30), (12, 24))]
    settings = CutSettings(encode=FAST, max_open_clips=1, decoder_threads=1, min_seek_gap_s=0.0)
    for chosen in (SETTINGS, settings):
        together = {clip.index: clip.data for clip in cut_many(film, [at(5, 30), at(12, 24), at(0, 40)], chosen)}
        assert [together[0], together[1]] == alone
    assert settings.canonical() == SETTINGS.canonical()


def test_the_same_bytes_whatever_was_in_memory_before(film: Path) -> None:
    noise = np.random.default_rng(0)
    made = set()
    for _ in range(12):
        rubbish = [noise.random(int(size)) for size in noise.integers(1, 1 << 16, 100)]
        del rubbish[::2]  # what is freed now is what the encoder gets
        made.add(next(cut_many(film, [at(5, 55)], CutSettings())).data)
    assert len(made) == 1


@pytest.mark.parametrize("name", ["aac.mp4", "opus.mkv"])
def test_sound_is_kept_to_the_sample(tmp_path: Path, film: Path, name: str) -> None:
    rate = 48_000
    if name == "aac.mp4":  # a rising tone, which is at no other time what it is at one
        seconds = np.arange(rate * FRAMES // RATE) / rate
        rising = 0.4 * np.sin(2 * np.pi * (200 + 400 * seconds) * seconds).astype(np.float32)
        (tmp_path / name).write_bytes(with_audio(film.read_bytes(), np.stack([rising, -rising]), rate, 128_000))
        reach, inexact = 2000, 1
    else:
        make_video(tmp_path / name, SHOTS, gop=GOP, size=SIZE, audio=True)  # a tone that comes again after 109 samples
        reach, inexact = 50, rate // 1000  # and timestamps in milliseconds
    whole = sound_of(str(tmp_path / name), rate)
    wanted = [(12, 36), (7, 20), (50, 60)]
    for source in (tmp_path / name, io.BytesIO((tmp_path / name).read_bytes())):
        for clip in cut_many(source, [at(*ends) for ends in wanted], CutSettings(encode=FAST, audio=True)):
            first, after = wanted[clip.index]
            assert clip.remuxed == ((first, after) == (12, 36))
            assert numbers_in(clip.data) == list(range(first, after))
            heard = sound_of(io.BytesIO(clip.data), rate)
            assert len(heard) / rate == pytest.approx((after - first) / RATE, abs=0.05)
            middle = heard[rate // 10 : rate // 4]
            begin = first * rate // RATE + rate // 10
            apart = [np.abs(whole[begin + shift :][: len(middle)] - middle).mean() for shift in range(-reach, reach)]
            assert abs(int(np.argmin(apart)) - reach) <= inexact and min(apart) < 0.02


def test_sound_is_dropped_by_default_and_not_missed_where_there_is_none(tmp_path: Path, film: Path) -> None:
    make_video(tmp_path / "a.mp4", SHOTS, gop=GOP, size=SIZE, audio=True)
    silent = [next(cut_many(tmp_path / "a.mp4", [at(3, 20)], SETTINGS)).data]
    silent.append(next(cut_many(film, [at(3, 20)], CutSettings(encode=FAST, audio=True))).data)
    for data in silent:
        with av.open(io.BytesIO(data)) as container:
            assert not container.streams.audio


def test_videos_are_cut_where_they_lie(film: Path, store_url: str) -> None:
    store = Store(store_url)
    media = MediaWriter(store, "media/0.tar")
    media.add(b"first", "mp4", b"something else")
    offset, size = media.add(b"second", "mp4", film.read_bytes())
    media.commit()
    file = RangeFile(store, "media/0.tar", offset, size)
    clips = {clip.index: clip for clip in cut_many(file, [at(12, 24), at(40, 50)], SETTINGS)}
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
    for clip in cut_many(tmp_path / "cut_off.mkv", [at(*ends) for ends in wanted], SETTINGS):
        first, after = wanted[clip.index]
        rest = numbers_in(clip.data)
        assert rest == list(range(first, first + clip.frames))
        assert rest[-1] == 14 if after == 15 else 15 < rest[-1] < 59
