from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from videos import Shot, make_video

from video.reading import frames, open_container
from video.shrinking import Shrinker, even_size


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
def test_frames_are_small_upright_and_of_their_colours(tmp_path: Path, rotation: int) -> None:
    path = tmp_path / "video.mp4"
    make_video(path, [Shot(frames=3, picture="photo")], size=(320, 240), rotation=rotation)
    shrink = Shrinker(128)
    with open_container(path) as container:
        for frame in frames(container):
            small = shrink(frame)
            assert small.shape == (96, 128, 3)
            assert np.abs(small.astype(int) - frame.bgr((128, 96))).mean() < 2


@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv444p"])
def test_odd_sizes(tmp_path: Path, pix_fmt: str) -> None:
    path = tmp_path / "video.mkv"
    size = (321, 241) if pix_fmt == "yuv444p" else (322, 242)
    make_video(path, [Shot(frames=2, picture="photo")], size=size, pix_fmt=pix_fmt)
    with open_container(path) as container:
        shapes = {Shrinker(160)(frame).shape for frame in frames(container)}
    assert shapes == {(120, 160, 3)}


def test_frames_are_shrunk_and_never_enlarged() -> None:
    assert even_size((1280, 720), 256) == (256, 144)
    assert even_size((720, 1280), 256) == (144, 256)
    assert even_size((100, 60), 256) == (100, 60)
    assert even_size((3000, 2), 256) == (256, 2)
