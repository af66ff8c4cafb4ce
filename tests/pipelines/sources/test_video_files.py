"""Video files: their names, and which one a name means."""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path
from typing import Any

import pytest

from pipelines.sources.files import FileInfo
from pipelines.sources.source_shards import source_fingerprint
from pipelines.sources.video_files import VideoNames
from tests.helpers.video_sources import place, plain, rows_of, source
from tests.helpers.videos import Shot, make_video, still
from video.budget import VideoError
from video.probe import probe


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Three seconds."""
    path = tmp_path_factory.mktemp("film") / "film.mp4"
    make_video(path, [Shot(frames=15), Shot(frames=15)], rate=10, size=(160, 120))
    return path.read_bytes()


def test_names_with_accents_brackets_and_dots(tmp_path: Path, film: bytes) -> None:
    taken_apart = unicodedata.normalize("NFD", "Café ヴィデオ.mp4")
    folder = place(tmp_path / "v", film, taken_apart, "clip [1080p].mp4", "id.v2.mp4")
    form = plain(
        tmp_path,
        {"video": unicodedata.normalize("NFC", taken_apart), "text": "coffee"},
        {"video": "id.v2", "text": "dots"},
    )
    rows = rows_of(source(folder, annotations=[form]))
    assert {row["video"]: row["text"] for row in rows} == {
        taken_apart: "coffee",
        "clip [1080p].mp4": "",
        "id.v2.mp4": "dots",
    }
    assert [row["video"] for row in rows_of(source(f"{folder}/clip [1080p].mp4"))] == ["clip [1080p].mp4"]
    assert [row["video"] for row in rows_of(source(f"{folder}/*.v2.*"))] == ["id.v2.mp4"]


def test_a_name_that_is_no_unicode_is_left_out(tmp_path: Path, film: bytes) -> None:
    folder = place(tmp_path / "v", film, "a.mp4", os.fsdecode(b"caf\xe9.mp4"))
    rows = source(folder)
    source_fingerprint(rows)
    assert [row["video"] for row in rows_of(rows)] == ["a.mp4"]
    assert rows.counts["bad_name"] == 1


@pytest.mark.parametrize(
    ("requested", "expected"),
    [
        ("1", ["/d/x/1.mp4", "/d/y/1.mp4"]),
        ("x/1.mp4", ["/d/x/1.mp4"]),
        ("/their/disk/x/1.mp4", ["/d/x/1.mp4"]),
        ("z/1.mp4", []),
        ("2.webm", ["/d/2.webm"]),
        ("2.mov", ["/d/2.mp4", "/d/2.webm"]),
        ("their/3.mp4", ["/d/3.mkv"]),
        ("", []),
        ("/", []),
    ],
)
def test_which_video_a_name_means(requested: str, expected: list[str]) -> None:
    names = ["x/1.mp4", "y/1.mp4", "2.mp4", "2.webm", "3.mkv"]
    found = VideoNames(FileInfo(f"/d/{name}", name) for name in names).find(requested)
    assert [video.url for video in found] == expected


def test_folders_take_every_ending_whose_format_is_read_and_count_the_others_by_ending(tmp_path: Path) -> None:
    folder = tmp_path / "v"
    folder.mkdir()
    shots = [Shot(frames=15, picture="photo", seed=seed) for seed in (1, 2)]
    codecs: dict[str, dict[str, Any]] = {
        "a.m2ts": {},
        "b.MTS": {},
        "c.3gp": {},
        "d.ogv": {"codec": "libvpx", "b_frames": 0},
        "e.gif": {"codec": "gif", "pix_fmt": "rgb8", "b_frames": 0},
    }
    for name, video in codecs.items():
        make_video(folder / name, shots, rate=10, size=(160, 120), **video)
        assert probe(folder / name).duration_s == pytest.approx(3.0, abs=0.21), name  # Ogg tells the first time badly
    still(folder / "f.gif", rate=10, codec="gif", pix_fmt="rgb8", b_frames=0, size=(160, 120))
    with pytest.raises(VideoError, match="still_image"):
        probe(folder / "f.gif")
    for name in ("g.swf", "h.swf", "i.srt", "j"):
        (folder / name).write_bytes(b"x")
    rows = source(str(folder))
    assert [row["video"] for row in rows_of(rows)] == [*codecs, "f.gif"]
    assert rows.notes["not_read"]["files"] == {"unsupported_extension": 4}
    lines = "\n".join(rows.notes["not_read"]["lines"])
    assert "g.swf: and 1 more that end in .swf" in lines and "i.srt" in lines
