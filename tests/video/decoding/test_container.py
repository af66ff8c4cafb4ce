"""What the container of a video shows without decoding: what kind it is, and that its end is missing."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from tests.helpers.cases import cases
from tests.helpers.videos import Shot, audio_only, make_video
from video.decoding.container import container_of, truncation_error


def test_ends_of_files_without_one_are_unknown() -> None:
    recorded = b"\x1a\x45\xdf\xa3\x81\x00" + b"\x18\x53\x80\x67\x01" + b"\xff" * 7 + b"clusters"
    assert truncation_error(io.BytesIO(recorded)) == ""
    known = b"\x1a\x45\xdf\xa3\x81\x00" + b"\x18\x53\x80\x67\x8a" + b"clusters"
    assert truncation_error(io.BytesIO(known)) == "2 of 21 bytes are missing"
    for data in (b"", b"RIFF", b"\x1a\x45\xdf\xa3", b"\0\0\0\x08ftyp", b"anything else at all"):
        truncation_error(io.BytesIO(data))


@pytest.mark.parametrize(
    ("name", "codec", "ext"),
    [
        ("a.mp4", "libx264", "mp4"),
        ("a.mov", "libx264", "mov"),
        ("a.mkv", "libx264", "mkv"),
        ("a.webm", "libvpx-vp9", "webm"),
        ("a.avi", "mpeg4", "avi"),
        ("a.flv", "libx264", "flv"),
        ("a.ts", "libx264", "ts"),
        ("a.m2ts", "libx264", "ts"),
        ("a.wmv", "mpeg4", "wmv"),
    ],
)
def test_real_containers_are_known_by_their_first_bytes(tmp_path: Path, name: str, codec: str, ext: str) -> None:
    make_video(tmp_path / name, [Shot(10)], size=(160, 120), codec=codec, b_frames=0)
    assert container_of((tmp_path / name).read_bytes()[:1024]) == ext


@pytest.mark.parametrize(
    ("head", "ext"),
    [
        (b"\x00\x00\x01\xba\x44\x00\x04", "mpg"),
        (b"\x00\x00\x01\xb3\x16\x00\xf0", "mpg"),
        (b"\x00\x00\x00\x18ftyp3gp5", "3gp"),
        (b"\x00\x00\x00\x18stypmsdh", "mp4"),
        (b"\x00\x00\x00\x08wide\x00\x00\x12\x34mdat", "mov"),
        (b"\x2c\x00\x00\x00mdat", "mov"),
        (b"OggS\x00\x02", "ogv"),
    ],
)
def test_others_too(head: bytes, ext: str) -> None:
    assert container_of(head) == ext


def test_a_fragment_and_a_sound_are_containers_too(tmp_path: Path) -> None:
    make_video(tmp_path / "a.mp4", [Shot(10)], size=(160, 120), fragmented=True)
    audio_only(tmp_path / "b.mp4")
    assert [container_of((tmp_path / name).read_bytes()[:1024]) for name in ("a.mp4", "b.mp4")] == ["mp4", "mp4"]


@cases(
    "head",
    [
        b"",
        b"G",
        b"<!doctype html><html>",
        b"Get free videos here",
        b"#EXTM3U\n#EXT-X-VERSION:3\n",
        b"\xff\xd8\xff\xe0\x00\x10JFIF",
        b"\x00\x00\x00\x1cftypavif\x00\x00\x00\x00",
        b"RIFF\x00\x00\x00\x00WEBPVP8 ",
        b"RIFF\x00\x00\x00\x00WAVEfmt ",
        b"G" * 100,
        b'{"error": "quota"}',
        bytes(1024),
    ],
)
def test_what_is_no_video(head: bytes) -> None:
    assert container_of(head) == ""
