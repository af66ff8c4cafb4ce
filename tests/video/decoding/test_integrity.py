"""A damaged packet is never in a clip's mp4: own small films, with packets overwritten in the middle."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from tests.helpers.clip_shards import contents, moment, run_clips, video_row
from tests.helpers.damaging import damage
from tests.helpers.video_calls import cut_mp4
from tests.helpers.videos import Shot, make_video
from video.budget import Budget, VideoError
from video.decoding.decode import frames, open_container
from video.decoding.integrity import DecodedFrames, mp4_error
from video.stages.clips import Clips, ClipsSettings
from video.transcode.cut import CutSettings, cut_many

VP9 = {"codec": "libvpx-vp9", "b_frames": 0, "options": {"deadline": "realtime", "cpu-used": "8"}}
FILMS: list[tuple[str, dict[str, Any]]] = [("film.mp4", {}), ("film.webm", VP9)]
COPIES = CutSettings(remux_codecs=frozenset({"h264", "vp9"}))
THREE = [(0.0, 2.0), (2.0, 4.0), (4.0, 6.0)]  # keyframes lie at 0, 2, 4 s


def film(path: Path, **video: Any) -> Path:
    path.parent.mkdir(exist_ok=True)
    make_video(path, [Shot(frames=150)], gop=50, **{"b_frames": 2, **video})
    return path


def decoded_whole(mp4: bytes) -> int:
    """Frames, by PyAV alone, which raises for a packet that it can't decode; sound is decoded too."""
    with av.open(io.BytesIO(mp4)) as container:
        for packet in container.demux(*container.streams.audio) if container.streams.audio else ():
            packet.decode()
    with av.open(io.BytesIO(mp4)) as container:
        count = sum(1 for _ in container.decode(video=0))
        assert count == container.streams.video[0].frames
    return count


@pytest.mark.parametrize(("name", "video"), FILMS)
@pytest.mark.parametrize("annotated", [False, True])
def test_a_clip_with_damaged_packets_is_encoded_anew(
    tmp_path: Path, name: str, video: dict[str, Any], annotated: bool
) -> None:
    path = film(tmp_path / name, **video)
    lost = damage(path, lambda time_s: 2.9 < time_s < 3.1)
    assert lost >= 4
    settings = ClipsSettings(mp4=True, cut=COPIES, single_clip_max_s=0.0)
    said = {"annotations": [moment(*times) for times in THREE], "timed": True} if annotated else {}
    rows = [row for row in run_clips(tmp_path, Clips(settings), [video_row(path, **said)]) if row["parts"]]
    assert len(rows) == (3 if annotated else 1)
    for row in rows:
        (mp4,) = contents(tmp_path, row, "mp4")
        assert decoded_whole(mp4) == row["mp4_frames"]
        assert mp4_error(mp4, Budget()) == ""
        hurt = row["start_s"] < 3 < row["end_s"]
        assert row["remuxed"] == (not hurt)
        whole = round((row["end_s"] - row["start_s"]) * 25)
        assert whole / 2 <= row["mp4_frames"] < whole if hurt else row["mp4_frames"] == whole


@pytest.mark.parametrize(("name", "video"), FILMS)
def test_without_a_pass_before_the_copies_themselves_are_decoded(
    tmp_path: Path, name: str, video: dict[str, Any]
) -> None:
    path = film(tmp_path / name, **video)
    damage(path, lambda time_s: 2.9 < time_s < 3.1)
    clips = sorted(cut_many(path, THREE, COPIES), key=lambda clip: clip.index)
    assert [clip.remuxed for clip in clips] == [True, False, True]
    assert [decoded_whole(clip.data) for clip in clips] == [clip.frames for clip in clips]


def test_a_clip_of_which_little_can_be_decoded_has_a_reason(tmp_path: Path) -> None:
    path = film(tmp_path / "film.mp4", b_frames=0)
    damage(path, lambda time_s: 2.3 < time_s < 3.99)
    said = {"annotations": [moment(*times) for times in THREE], "timed": True}
    rows = run_clips(tmp_path, Clips(ClipsSettings(mp4=True)), [video_row(path, **said)])
    assert [row["reason"] for row in rows] == ["", "damaged", ""]
    assert [row["status"] for row in rows] == ["kept", "failed", "kept"]
    assert rows[1]["parts"] is None
    (tmp_path / "again").mkdir()
    patient = ClipsSettings(mp4=True, cut=CutSettings(min_decoded_share=0.1))
    again = run_clips(tmp_path / "again", Clips(patient), [video_row(path, **said)])
    assert [row["mp4_frames"] for row in again] == [50, 8, 50]
    with pytest.raises(VideoError, match=r"broken: too few frames from 2\.0 s to 4\.0 s"):
        cut_mp4(path, 2.0, 4.0, io.BytesIO())
    (clip,) = cut_many(path, [(2.5, 3.5)])
    assert (clip.frames, clip.reason) == (0, "damaged")
    (between,) = cut_many(path, [(1.001, 1.002)])
    assert (between.frames, between.reason) == (0, "no_frames")


@pytest.mark.parametrize(("name", "filler"), [("film.mp4", 0xFF), ("film.mp4", 0x21), ("film.mkv", 0x7F)])
def test_damaged_sound_does_not_break_the_mp4(tmp_path: Path, name: str, filler: int) -> None:
    path = film(tmp_path / name, audio=True)
    whole = [clip.data for clip in cut_many(path, THREE, CutSettings(audio=True))]
    assert damage(path, lambda time_s: 2.5 < time_s < 3.5, "audio", filler) > 20
    clips = list(cut_many(path, THREE, CutSettings(audio=True)))
    assert [clip.remuxed for clip in clips] == [True, True, True]
    for clip, before in zip(clips, whole, strict=True):
        assert decoded_whole(clip.data) == 50 and not mp4_error(clip.data, Budget())
        now, then = samples_in(clip.data), samples_in(before)
        assert len(now) == len(then)
        unhurt = len(now) if clip.index != 1 else 20_000
        assert np.sqrt((now[:unhurt] ** 2).mean()) == pytest.approx(np.sqrt((then[:unhurt] ** 2).mean()), rel=0.05)


def samples_in(mp4: bytes) -> np.ndarray:
    with av.open(io.BytesIO(mp4)) as container:
        return np.concatenate([frame.to_ndarray()[0] for frame in container.decode(audio=0)])


def test_samples_beyond_any_level_become_silence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Damage may decode to numbers of which no AAC can be made."""
    path = film(tmp_path / "film.mkv", audio=True)
    for wrong in (np.nan, np.inf, 1e20):

        def broken(frame: av.AudioFrame, wrong: float = wrong) -> np.ndarray:
            samples = frame.to_ndarray().copy()
            samples[:, ::100] = wrong
            return samples

        with monkeypatch.context() as patched:
            patched.setattr("video.transcode.audio.samples_of", broken)
            (clip,) = cut_many(path, [(2.0, 4.0)], CutSettings(audio=True))
        assert decoded_whole(clip.data) == 50 and not samples_in(clip.data).any()


def test_the_fault_of_an_mp4_says_what_and_when(tmp_path: Path) -> None:
    path = film(tmp_path / "film.mp4", audio=True)
    assert mp4_error(path.read_bytes(), Budget()) == ""
    sound_only = film(tmp_path / "sound.mp4", audio=True)
    damage(sound_only, lambda time_s: 2.5 < time_s < 2.6, "audio")
    assert mp4_error(sound_only.read_bytes(), Budget()).startswith("its audio at 2.5")
    assert mp4_error(sound_only.read_bytes(), Budget(), first_frame=True) == ""
    damage(path, lambda time_s: 2.9 < time_s < 3.1)
    fault = mp4_error(path.read_bytes(), Budget())
    assert fault.startswith(("its video at 2.", "its video at 3.")), fault
    assert mp4_error(path.read_bytes(), Budget(), first_frame=True) == ""
    damage(path, lambda time_s: time_s < 6)
    assert "does not decode" in mp4_error(path.read_bytes(), Budget(), first_frame=True)
    assert mp4_error(b"no video", Budget())


def test_frames_are_noted_once_in_rising_order(tmp_path: Path) -> None:
    path = film(tmp_path / "film.mp4")
    noted = DecodedFrames()
    with open_container(path) as container:
        for start_s, end_s in ((0.0, 3.0), (2.5, 4.0)):
            for frame in frames(container, start_s, end_s):
                noted.add(frame)
    assert noted.has_all(number / 25 for number in range(100))
    assert not noted.has_all([4.0]) and not noted.has_all([1.01])
