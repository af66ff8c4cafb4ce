from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from tests.helpers.videos import Shot, make_video
from video.decoding.decode import frames, open_container
from video.decoding.frame import Frame, Orientation
from video.frames import Downscaler, even_size


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
def test_frames_are_small_upright_and_of_their_colours(tmp_path: Path, rotation: int) -> None:
    path = tmp_path / "video.mp4"
    make_video(path, [Shot(frames=3, picture="photo")], size=(320, 240), rotation=rotation)
    shrink = Downscaler(128)
    with open_container(path) as container:
        for frame in frames(container):
            small = shrink(frame)
            assert small.shape == (96, 128, 3)
            assert np.abs(small.astype(int) - frame.bgr((128, 96))).mean() < 2


@pytest.mark.parametrize("matrix", ["ITU601", "ITU709"])
@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuvj420p", "yuv420p10le"])
def test_what_is_looked_at_has_the_colours_of_what_is_published(matrix: str, pix_fmt: str) -> None:
    pixels = np.random.default_rng(3).integers(0, 256, (6, 8, 3), np.uint8).repeat(40, 0).repeat(40, 1)
    picture = av.VideoFrame.from_ndarray(pixels, format="rgb24")
    wide = "JPEG" if pix_fmt == "yuvj420p" else "MPEG"
    picture = picture.reformat(format=pix_fmt, dst_colorspace=matrix, dst_color_range=wide)
    frame = Frame(0.0, True, picture, Orientation(), Fraction(1), {})
    assert np.abs(frame.bgr()[20::40, 20::40, ::-1] - pixels[20::40, 20::40].astype(int)).max() < 6
    small = Downscaler(160)(frame)
    assert small.shape == (120, 160, 3)
    assert np.abs(small[10::20, 10::20].astype(int) - frame.bgr()[20::40, 20::40]).max() < 6


def test_odd_shapes_are_looked_at_as_they_are_seen(tmp_path: Path) -> None:
    make_video(tmp_path / "a.mp4", [Shot(2, "photo")], size=(320, 180), pixel_aspect=Fraction(4, 3))
    make_video(tmp_path / "b.mp4", [Shot(2, "photo")], size=(320, 180), rotation=90, mirrored=True)
    for name in ("a.mp4", "b.mp4"):
        with open_container(tmp_path / name) as container:
            frame = next(frames(container))
        small = Downscaler(160)(frame)
        assert small.shape == (90, 160, 3)
        assert np.abs(small.astype(int) - frame.bgr((160, 90))).mean() < 2


@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv444p"])
def test_odd_sizes(tmp_path: Path, pix_fmt: str) -> None:
    path = tmp_path / "video.mkv"
    size = (321, 241) if pix_fmt == "yuv444p" else (322, 242)
    make_video(path, [Shot(frames=2, picture="photo")], size=size, pix_fmt=pix_fmt)
    with open_container(path) as container:
        shapes = {Downscaler(160)(frame).shape for frame in frames(container)}
    assert shapes == {(120, 160, 3)}


def test_frames_are_shrunk_and_never_enlarged() -> None:
    assert even_size((1280, 720), 256) == (256, 144)
    assert even_size((720, 1280), 256) == (144, 256)
    assert even_size((100, 60), 256) == (100, 60)
    assert even_size((3000, 2), 256) == (256, 2)
