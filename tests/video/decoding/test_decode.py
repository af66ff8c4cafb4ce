"""Frames by their timestamps: every seek ends on the right frame, in every container, wherever the file lies."""

from __future__ import annotations

import errno
import io
import pickle
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import av
import cv2
import numpy as np
import pytest
from av.stream import Disposition

from corpus.media import MediaWriter
from corpus.storage import MissingError, StorageError, Store
from tests.helpers.videos import Shot, make_video, number_on
from video.budget import VideoError
from video.decoding.decode import audio_stream, frames, open_container, rational, time_base, video_stream
from video.decoding.files import RangeFile, VideoSource

FRAMES = 60
SHOTS = [Shot(30, seed=1, camera="pan"), Shot(30, seed=2, camera="zoom")]
KINDS: dict[str, dict[str, Any]] = {
    "plain.mp4": {},
    "variable.mp4": {"variable": True, "start_s": 2.0, "b_frames": 3},
    "variable.mkv": {"variable": True, "rate": 30, "audio": True, "start_s": 1.0},
    "open_gop.mp4": {"options": {"x264-params": "open-gop=1"}, "b_frames": 3},
    "vp9.webm": {"codec": "libvpx-vp9", "b_frames": 0},
    "hevc.mov": {"codec": "libx265"},
    "old.avi": {"codec": "mpeg4", "b_frames": 0},
    "b_frames.avi": {},
    "broadcast.ts": {},
    "disc.mpg": {"codec": "mpeg2video"},
    "mpeg1.mpg": {"codec": "mpeg1video"},
    "turned.mp4": {"rotation": 90},
}

DELAYS = {"broadcast.ts": 0.08, "disc.mpg": 0.54, "mpeg1.mpg": 0.54}


@pytest.mark.parametrize("name", KINDS)
def test_every_seek_ends_on_the_right_frame(tmp_path: Path, name: str) -> None:
    truth = make_video(tmp_path / name, SHOTS, gop=12, size=(160, 120), **KINDS[name])
    with open_container(tmp_path / name) as container:
        whole = [(frame.time_s, number_on(frame.rgb()), frame.keyframe) for frame in frames(container)]
        delay = whole[0][0] - truth.times_s[0]
        assert delay == pytest.approx(DELAYS.get(name, 0), abs=1e-3)
        assert [time - delay for time, _, _ in whole] == pytest.approx(truth.times_s)
        assert [number for _, number, _ in whole] == list(range(FRAMES))
        last = [FRAMES - 1] * name.endswith(".mpg")  # with which the encoder ends what it cannot put into B-frames
        assert [number for _, number, key in whole if key] == [*range(0, FRAMES, 12), *last]
        for number in (0, 1, 11, 12, 13, 29, 35, 36, 59):
            start_s = whole[number][0]
            seen = [(f.time_s, number_on(f.rgb()), f.keyframe) for f in frames(container, start_s, start_s + 0.1)]
            first = seen[0][1]
            assert seen == [entry for entry in whole[first:] if entry[0] < start_s + 0.1]
            assert first <= number and seen[0][2]
            assert number - first < 36  # not from the start of the file, however imprecise the seek


def test_a_warm_up_starts_a_keyframe_earlier(tmp_path: Path) -> None:
    make_video(tmp_path / "a.mp4", SHOTS, gop=12, size=(160, 120))
    with open_container(tmp_path / "a.mp4") as container:
        assert number_on(next(frames(container, 30 / 25)).rgb()) == 24
        assert number_on(next(frames(container, 30 / 25, warm_up_s=0.4)).rgb()) == 12
        assert number_on(next(frames(container, 30 / 25, warm_up_s=9.0)).rgb()) == 0
        assert [number_on(frame.rgb()) for frame in frames(container, 99.0)] == list(range(48, FRAMES))  # after the end


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
def test_frames_are_upright_and_as_small_as_wanted(tmp_path: Path, rotation: int) -> None:
    make_video(tmp_path / "a.mp4", [Shot(2, "photo")], size=(320, 180), rotation=rotation)
    player = cv2.VideoCapture(str(tmp_path / "a.mp4"))  # turns frames too
    expected = np.asarray(player.read()[1])
    with open_container(tmp_path / "a.mp4") as container:
        frame = next(frames(container))
    assert frame.size == (320, 180) and frame.orientation.rotation == rotation
    assert np.abs(frame.bgr().astype(int) - expected).mean() < 2
    assert (frame.rgb() == frame.bgr()[:, :, ::-1]).all()
    small = frame.bgr((96, 54))
    assert small.shape == (54, 96, 3) and small.flags.c_contiguous
    assert np.abs(small - cv2.resize(expected, (96, 54), interpolation=cv2.INTER_AREA).astype(int)).mean() < 3
    grey = frame.grey((96, 54))
    assert grey.shape == (54, 96)
    assert np.abs(grey - cv2.cvtColor(small, cv2.COLOR_BGR2GRAY).astype(int)).mean() < 3
    assert number_on(frame.rgb((640, 360))) == 0


def test_a_video_is_read_where_it_lies(tmp_path: Path, store_url: str) -> None:
    truth = make_video(tmp_path / "a.mp4", SHOTS, gop=12, size=(160, 120))
    data = (tmp_path / "a.mp4").read_bytes()
    store = Store(store_url)
    media = MediaWriter(store, "media/0.tar")
    media.add(b"first", "mp4", b"something else")
    offset, size = media.add(b"second", "mp4", data)
    media.commit()
    store.publish("whole.mp4", data)
    sources: list[VideoSource] = [
        RangeFile(store, "media/0.tar", offset, size),
        io.BytesIO(data),
        store.full("whole.mp4"),
    ]
    for source in sources:
        with open_container(source) as container:
            seen = {frame.time_s: number_on(frame.rgb()) for frame in frames(container, truth.times_s[40])}
        assert seen == {truth.times_s[number]: number for number in range(36, FRAMES)}


def test_damage_costs_the_frames_that_it_hits(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    make_video(path, SHOTS, gop=12, size=(160, 120))
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 200] = bytes(200)
    path.write_bytes(data)
    with open_container(path) as container:
        times = [frame.time_s for frame in frames(container)]
    assert FRAMES - 15 < len(times) <= FRAMES
    assert times == sorted(set(times))
    assert times[0] == 0.0 and times[-1] == pytest.approx((FRAMES - 1) / 25)


def test_what_is_no_video_says_so(tmp_path: Path) -> None:
    victim = tmp_path / "victim.mp4"
    make_video(victim, [Shot(2)], size=(160, 120))
    (tmp_path / "text.mp4").write_bytes(b"no video at all " * 100)
    playlist = f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{victim.as_uri()}\n#EXT-X-ENDLIST\n"
    (tmp_path / "playlist.mp4").write_text(playlist)  # would open another file
    make_video(tmp_path / "a.nut", [Shot(2)], size=(160, 120))
    reasons = {"text.mp4": "broken", "playlist.mp4": "broken", "a.nut": "unsupported"}
    for name, reason in reasons.items():
        for source in (tmp_path / name, io.BytesIO((tmp_path / name).read_bytes())):
            with pytest.raises(VideoError) as caught:
                open_container(source)
            assert caught.value.reason == reason
            assert str(tmp_path) not in str(caught.value)
    with pytest.raises(MissingError):
        open_container(tmp_path / "nothing.mp4")
    with pytest.raises(ValueError, match="downloaded first"):
        open_container("https://example.org/a.mp4")


def test_an_error_of_storage_is_no_fault_of_the_video(tmp_path: Path) -> None:
    make_video(tmp_path / "a.mp4", SHOTS, gop=12, size=(160, 120))
    with pytest.raises(StorageError, match="wanted"):  # the table says that there is more than there is
        open_container(RangeFile(Store(tmp_path), "a.mp4", 0, (tmp_path / "a.mp4").stat().st_size + 1))


def test_too_many_open_files_are_no_fault_of_the_video(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.mp4").write_bytes(b"never looked at")

    def refuse(*args: Any, **options: Any) -> None:
        raise av.error.FFmpegError(errno.EMFILE, "Too many open files", str(args[0]))

    monkeypatch.setattr("av.open", refuse)
    with pytest.raises(StorageError, match=r"a\.mp4: Too many open files"):
        open_container(tmp_path / "a.mp4")


def test_an_error_can_be_sent_to_another_process() -> None:
    sent = pickle.loads(pickle.dumps(VideoError("truncated", "12 bytes are missing")))  # noqa: S301
    assert (sent.reason, str(sent)) == ("truncated", "truncated: 12 bytes are missing")


def test_tags_may_be_in_any_encoding(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "a.mp4"), "w") as container:
        container.metadata["title"] = "TITLE OF A FILM"
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        for packet in [*stream.encode(av.VideoFrame(64, 64, "yuv420p")), *stream.encode(None)]:
            container.mux(packet)
    content = (tmp_path / "a.mp4").read_bytes()
    assert content.count(b"TITLE OF A FILM") == 1
    (tmp_path / "a.mp4").write_bytes(content.replace(b"TITLE OF A FILM", b"\xd4\xc9\xd4\xd2 \xff\xfe\x80 A FILM"))
    with open_container(tmp_path / "a.mp4") as container:
        assert len(list(frames(container))) == 1


def test_times_and_rates_are_fractions_in_every_release_of_pyav(tmp_path: Path) -> None:
    make_video(tmp_path / "a.mp4", SHOTS[:1], size=(64, 64))
    with open_container(tmp_path / "a.mp4") as container:
        stream = container.streams.video[0]
        assert type(time_base(stream)) is type(rational(stream.average_rate)) is Fraction
        assert rational(stream.average_rate) == 25
    for unset in (None, Fraction(0)):
        assert rational(unset) is None
        with pytest.raises(VideoError, match="unsupported"):
            time_base(cast("av.VideoStream", SimpleNamespace(time_base=unset)))


def test_the_stream_is_the_one_that_players_take(tmp_path: Path) -> None:
    """By disposition, then by bits per second; a cover never, wherever it lies and whatever it says of itself."""
    cover, small, large = ("mjpeg", (64, 64), 1), ("libx264", (160, 120), 30), ("libx264", (320, 240), 30)
    default, attached = Disposition.default, Disposition.attached_pic
    cases: list[tuple[str, list[tuple[tuple[str, tuple[int, int], int], Any]], tuple[int, int]]] = [
        ("default.mkv", [(small, 0), (large, default)], large[1]),
        ("first_default.mkv", [(small, default), (large, 0)], small[1]),
        ("larger.mp4", [(small, default), (large, default)], large[1]),
        ("cover.mkv", [(cover, 0), (small, default)], small[1]),
        ("default_cover.mp4", [(cover, default), (small, 0)], small[1]),
        ("attached.mp4", [(large, default), (cover, attached)], large[1]),
        ("attached_first.mkv", [(cover, attached | default), (small, 0)], small[1]),
    ]
    failed = []
    for name, streams, expected in cases:
        _with_streams(tmp_path / name, streams)
        with open_container(tmp_path / name) as container:
            chosen = video_stream(container)
            seen = [frame.size for frame in frames(container)]
        if (chosen.width, chosen.height) != expected or seen != [expected] * 30:
            failed.append((name, chosen.width, len(seen)))
    assert not failed


def test_a_cover_alone_is_no_video(tmp_path: Path) -> None:
    _with_streams(tmp_path / "a.mp4", [(("mjpeg", (64, 64), 1), Disposition.attached_pic)])
    with open_container(tmp_path / "a.mp4") as container, pytest.raises(VideoError, match=r"no_video: .* cover"):
        video_stream(container)


def test_the_sound_is_the_one_that_players_take(tmp_path: Path) -> None:
    for name, default in (("first.mkv", 0), ("second.mkv", 1)):
        with av.open(str(tmp_path / name), "w") as container:
            for number in (0, 1):
                stream = container.add_stream("flac", rate=24_000 * (number + 1), layout="mono")
                stream.disposition = Disposition.default if number == default else Disposition(0)
            for stream in container.streams.audio:
                samples = av.AudioFrame.from_ndarray(np.zeros((1, 4096), np.int16), format="s16", layout="mono")
                samples.sample_rate, samples.pts = stream.codec_context.sample_rate, 0
                container.mux([*stream.encode(samples), *stream.encode(None)])
        with open_container(tmp_path / name) as container:
            chosen = audio_stream(container)
            assert chosen is not None and chosen.index == default
    make_video(tmp_path / "silent.mp4", [Shot(2)], size=(160, 120))
    with open_container(tmp_path / "silent.mp4") as container:
        assert audio_stream(container) is None


def _with_streams(path: Path, streams: list[tuple[tuple[str, tuple[int, int], int], Any]]) -> None:
    """A file with streams of (codec, size, frames), each with its disposition."""
    with av.open(str(path), "w") as container:
        opened: list[Any] = []
        for (codec, size, _), disposition in streams:
            stream: Any = container.add_stream(codec, rate=25)
            stream.width, stream.height = size
            stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
            stream.disposition = disposition
            opened.append(stream)
        random = np.random.default_rng(5)
        for number in range(30):
            for stream, ((_, size, count), _) in zip(opened, streams, strict=True):
                if number < count:
                    pixels = random.integers(0, 256, (size[1] // 8, size[0] // 8, 3), np.uint8)
                    picture = av.VideoFrame.from_ndarray(pixels.repeat(8, 0).repeat(8, 1), format="rgb24")
                    picture = picture.reformat(format=stream.pix_fmt)
                    picture.pts, picture.time_base = number, Fraction(1, 25)
                    container.mux(stream.encode(picture))
        for stream in opened:
            container.mux(stream.encode())
