"""Sound of clips: every sample at its time, and silence where there is none."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from tests.helpers.cut_films import FAST, FRAMES, GOP, RATE, SETTINGS, SHOTS, SIZE, frame_times, numbers_in
from tests.helpers.videos import make_video
from video.transcode.audio import with_audio
from video.transcode.cut import CutSettings, cut_many


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
        for clip in cut_many(source, [frame_times(*ends) for ends in wanted], CutSettings(encode=FAST, audio=True)):
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
    silent = [next(cut_many(tmp_path / "a.mp4", [frame_times(3, 20)], SETTINGS)).data]
    silent.append(next(cut_many(film, [frame_times(3, 20)], CutSettings(encode=FAST, audio=True))).data)
    for data in silent:
        with av.open(io.BytesIO(data)) as container:
            assert not container.streams.audio
