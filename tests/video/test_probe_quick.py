"""What a header says of a video's length, against what the frames say."""

from __future__ import annotations

from pathlib import Path

import pytest

from corpus.storage import Store
from tests.helpers.videos import Shot, audio_only, make_video, truncate
from video.decoding.files import RangeFile
from video.probe import quick_probe


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.webm", "a.mov", "a.avi"])
def test_length_and_first_frame(tmp_path: Path, name: str) -> None:
    codec = "libvpx" if name.endswith("webm") else "libx264"
    more = {"b_frames": 0} if name.endswith(("avi", "webm")) else {}
    truth = make_video(tmp_path / name, [Shot(30), Shot(20, seed=1)], rate=10, codec=codec, **more)
    for source in (tmp_path / name, str(tmp_path / name), RangeFile(Store(tmp_path), name)):
        found = quick_probe(source)
        assert found is not None
        assert found.first_s == pytest.approx(truth.times_s[0], abs=0.002)
        assert found.duration_s == pytest.approx(5.0, abs=0.11)


def test_a_video_that_begins_late(tmp_path: Path) -> None:
    make_video(tmp_path / "late.mkv", [Shot(30)], rate=10, start_s=4.0)
    found = quick_probe(tmp_path / "late.mkv")
    assert found is not None
    assert found.first_s == pytest.approx(4.0, abs=0.002)


def test_what_is_wrong_is_left_to_the_probe(tmp_path: Path) -> None:
    make_video(tmp_path / "cut.mp4", [Shot(30)], rate=10)
    truncate(tmp_path / "cut.mp4", 0.5)
    audio_only(tmp_path / "sound.mp4")
    (tmp_path / "page.mp4").write_bytes(b"<html><body>Not here</body></html>")
    (tmp_path / "empty.mp4").write_bytes(b"")
    assert [quick_probe(tmp_path / f"{n}.mp4") for n in ("cut", "sound", "page", "empty")] == [None] * 4


def test_a_few_reads_whatever_the_length(tmp_path: Path) -> None:
    make_video(tmp_path / "long.mp4", [Shot(600, camera="pan")], rate=10, options={"crf": "1"}, faststart=True)
    file = RangeFile(Store(tmp_path), "long.mp4")
    read: list[int] = []
    inner = file._block

    def counted(number: int) -> bytes:
        read.append(number)
        return inner(number)

    file._block = counted  # type: ignore[method-assign]
    assert quick_probe(file) is not None
    assert len(set(read)) < (tmp_path / "long.mp4").stat().st_size / (1 << 20) / 2
