from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.helpers.scene_films import (
    FRAME_S,
    SIZE,
    STOCK,
    cut_times,
    f1,
    hits,
    shots,
    stock_cuts,
)
from tests.helpers.video_calls import find_cuts
from tests.helpers.videos import Shot, a_b_a, make_video
from video.detection.cuts import CutFinder, DetectSettings


def test_hard_cuts_are_found_to_the_frame(tmp_path: Path) -> None:
    truth = make_video(tmp_path / "cuts.mp4", shots("cut", 1, 25), size=SIZE)
    found = cut_times(find_cuts(tmp_path / "cuts.mp4", DetectSettings()))
    assert len(truth.cuts_s) == 24
    assert f1(found, truth) >= 0.98
    assert f1(found, truth) >= max(f1(stock_cuts(tmp_path / "cuts.mp4", name), truth) for name in STOCK)
    assert set(found) <= set(truth.times_s)


def test_a_long_black_is_a_scene_of_its_own(tmp_path: Path) -> None:
    made = [Shot(frames=50, picture="photo", transition="fade"), Shot(frames=100, picture="black", transition="fade")]
    truth = make_video(tmp_path / "video.mp4", [*made, Shot(frames=50, picture="photo", seed=2)], size=SIZE)
    found = find_cuts(tmp_path / "video.mp4", DetectSettings())
    assert hits(cut_times(found), truth) == len(found) == 2


def test_dialogue_is_cut_each_time(tmp_path: Path) -> None:
    truth = make_video(tmp_path / "video.mp4", a_b_a(picture="photo"), size=SIZE)
    assert cut_times(find_cuts(tmp_path / "video.mp4", DetectSettings())) == truth.cuts_s


@pytest.mark.parametrize(
    "video",
    [{"variable": True}, {"rotation": 90}, {"start_s": 5.0}, {"b_frames": 0, "rate": 40}, {"size": (322, 242)}],
    ids=lambda video: "-".join(video),
)
def test_times_are_the_containers_whatever_the_video_is_like(tmp_path: Path, video: dict[str, Any]) -> None:
    path = tmp_path / "video.mkv"
    truth = make_video(path, shots("cut", 3, 5), **{"size": SIZE, **video})
    assert cut_times(find_cuts(path, DetectSettings())) == truth.cuts_s


@pytest.mark.parametrize("detector", ["adaptive", "content", "hash", "histogram", "threshold"])
def test_every_detector_of_pyscenedetect_is_at_hand(tmp_path: Path, detector: Any) -> None:
    path = tmp_path / "video.mp4"
    made = [Shot(frames=40, picture=picture, seed=1) for picture in ("photo", "black", "drawing", "texture")]
    truth = make_video(path, made, size=SIZE, numbered=False)
    # Mean level of the black shot: 16. The one cut of the threshold detector lies in the middle of it.
    settings = DetectSettings(detector=detector, detect_gradual=False, detect_slides=False, black_level=24)
    found = cut_times(find_cuts(path, settings))
    if detector == "threshold":
        assert found == pytest.approx([60 * FRAME_S], abs=FRAME_S)
    else:
        assert found == truth.cuts_s


def test_no_cut_follows_another_too_soon(tmp_path: Path) -> None:
    path = tmp_path / "video.mp4"
    make_video(path, [Shot(frames=10, seed=n) for n in range(12)], size=SIZE)
    found = cut_times(find_cuts(path, DetectSettings(min_scene_s=1.0)))
    assert found
    assert min(np.diff(found)) >= 1.0 - 1e-3


def test_a_finder_that_starts_later_finds_the_same(tmp_path: Path) -> None:
    chance = np.random.default_rng(0)
    scenes = [chance.integers(0, 255, (6, 8, 3)).astype(np.uint8).repeat(16, 0).repeat(16, 1) for _ in range(12)]
    video = [(number * FRAME_S, scenes[number // 40]) for number in range(480)]
    whole, late = CutFinder(DetectSettings()), CutFinder(DetectSettings())
    first = [cut for time_s, bgr in video for cut in whole.feed(time_s, bgr)] + whole.finish()
    second = [cut for time_s, bgr in video[150:] for cut in late.feed(time_s, bgr)] + late.finish()
    assert cut_times(first) == pytest.approx([40 * number * FRAME_S for number in range(1, 12)])
    assert [cut for cut in second if cut.time_s > 7] == [cut for cut in first if cut.time_s > 7]


def test_an_empty_video_has_no_cut() -> None:
    assert CutFinder(DetectSettings()).finish() == []
