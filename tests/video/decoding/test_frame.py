"""Frames as a player shows them: every display matrix and every shape of pixel, in frames and in mp4 files."""

from __future__ import annotations

import io
from fractions import Fraction
from itertools import product
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from tests.helpers.videos import Shot, make_video, number_on
from video.budget import VideoError
from video.decoding.decode import frames, open_container
from video.decoding.frame import Orientation, orientation_of
from video.probe import ProbeSettings, probe
from video.transcode.cut import CutSettings, cut_many

SIZE = (320, 180)
ENCODED = CutSettings(stream_copy=False)


def seen_first(path: Path) -> Any:
    with open_container(path) as container:
        return next(frames(container))


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
def test_mirrors_are_seen_as_players_show_them(tmp_path: Path, rotation: int) -> None:
    make_video(tmp_path / "plain.mp4", [Shot(30, "photo")], size=SIZE)
    make_video(tmp_path / "mirror.mp4", [Shot(30, "photo")], size=SIZE, rotation=rotation, mirrored=True, gop=10)
    expected = seen_first(tmp_path / "plain.mp4").rgb().astype(int)
    frame = seen_first(tmp_path / "mirror.mp4")
    assert frame.size == SIZE and frame.orientation.is_mirror_image and not frame.stored_as_displayed
    assert np.abs(frame.rgb() - expected).mean() < 3
    found = probe(tmp_path / "mirror.mp4")
    assert (found.width, found.height, found.mirrored) == (*SIZE, True)
    # What cannot be seen in an mp4's packets is encoded: readers differ in what they make of a matrix.
    clip = next(cut_many(tmp_path / "mirror.mp4", [(0.0, 0.4)]))
    assert not clip.remuxed and clip.frames == 10
    with av.open(io.BytesIO(clip.data)) as container:
        pictures = list(container.decode(video=0))
    assert [number_on(picture.to_ndarray(format="rgb24")) for picture in pictures] == list(range(10))
    assert pictures[0].rotation == 0 and pictures[0].side_data.get("DISPLAYMATRIX") is None
    assert np.abs(pictures[0].to_ndarray(format="rgb24") - expected).mean() < 6


def test_all_eight_orientations_by_their_matrices(tmp_path: Path) -> None:
    """Against the definition: a pixel at (x, y) is seen at (a·x + c·y, b·x + d·y), moved to begin at 0."""
    stored = np.arange(6, dtype=np.uint8).reshape(2, 3)
    failed = []
    for first, second, across in product((1, -1), (1, -1), (False, True)):
        a, b, c, d = (0, first, second, 0) if across else (first, 0, 0, second)
        places = {(a * x + c * y, b * x + d * y): stored[y, x] for y, x in np.ndindex(2, 3)}
        left, top = (min(place[axis] for place in places) for axis in (0, 1))
        expected = np.zeros((3, 2) if across else (2, 3), np.uint8)
        for (x, y), value in places.items():
            expected[y - top, x - left] = value
        one, last = 1 << 16, 1 << 30
        path = tmp_path / f"{a}{b}{c}{d}.mp4"
        with av.open(str(path), "w") as container:
            stream: Any = container.add_stream("libx264", rate=25)
            stream.width, stream.height, stream.pix_fmt = 64, 32, "yuv420p"
            stream.set_display_matrix([a * one, b * one, 0, c * one, d * one, 0, 0, 0, last])
            container.mux([*stream.encode(av.VideoFrame(64, 32, "yuv420p")), *stream.encode(None)])
        found = seen_first(path).orientation
        if not np.array_equal(found.apply(stored), expected):
            failed.append(((a, b, c, d), found))
        turned = np.rot90(stored[:, :: -1 if found.is_mirror_image else 1], found.rotation // 90)
        if not np.array_equal(turned, expected):
            failed.append(((a, b, c, d), found.rotation, found.is_mirror_image))
    assert not failed
    assert orientation_of(av.VideoFrame(16, 16, "yuv420p")) == Orientation()


@pytest.mark.parametrize(("aspect", "name"), [((4, 3), "a.mp4"), ((8, 9), "a.mkv"), ((16, 11), "a.ts")])
def test_pixels_that_are_not_square(tmp_path: Path, aspect: tuple[int, int], name: str) -> None:
    pixel = Fraction(*aspect)
    make_video(tmp_path / "plain.mp4", [Shot(30, "photo")], size=SIZE)
    make_video(tmp_path / name, [Shot(30, "photo")], size=SIZE, pixel_aspect=pixel)
    expected = seen_first(tmp_path / "plain.mp4").rgb((160, 90)).astype(int)
    frame = seen_first(tmp_path / name)
    assert frame.picture.width == round(SIZE[0] / pixel)
    assert abs(frame.size[0] - SIZE[0]) <= 1 and frame.size[1] == SIZE[1]
    assert np.abs(frame.rgb((160, 90)) - expected).mean() < 4
    found = probe(tmp_path / name)
    assert (found.width, found.height) == frame.size
    clip = next(cut_many(tmp_path / name, [(found.start_s, found.start_s + 0.4)]))
    assert not clip.remuxed
    with av.open(io.BytesIO(clip.data)) as container:
        stream = container.streams.video[0]
        assert stream.sample_aspect_ratio == 1 and abs(stream.width - SIZE[0]) <= 2
        picture = next(container.decode(stream))
    assert np.abs(picture.to_ndarray(format="rgb24", width=160, height=90) - expected).mean() < 6


def test_a_shape_that_nobody_has_is_no_shape_and_none_is_too_large(tmp_path: Path) -> None:
    make_video(tmp_path / "a.mp4", [Shot(10)], size=SIZE, pixel_aspect=Fraction(4, 3))
    content = (tmp_path / "a.mp4").read_bytes()
    place = content.index(b"pasp")
    for ratio, width in (((40, 1), 240), ((7, 1), 7 * 240)):
        told = b"pasp" + ratio[0].to_bytes(4, "big") + ratio[1].to_bytes(4, "big")
        (tmp_path / "b.mp4").write_bytes(content[:place] + told + content[place + 12 :])
        assert probe(tmp_path / "b.mp4").width == width
    (tmp_path / "b.mp4").write_bytes(content[:place] + b"pasp\0\0\0\7\0\0\0\1" + content[place + 12 :])
    with pytest.raises(VideoError, match="too_large"):
        probe(tmp_path / "b.mp4", ProbeSettings(max_side_px=1000))
