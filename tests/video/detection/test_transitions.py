"""Fades and dissolves: how many are found beside stock detectors, and where they begin and end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.helpers.scene_films import (
    CAMERAS,
    FRAME_S,
    SIZE,
    STOCK,
    cut_times,
    f1,
    shots,
    stock_cuts,
)
from tests.helpers.video_calls import find_cuts
from tests.helpers.videos import Shot, interrupted, make_video
from video.detection.cuts import DetectSettings


@pytest.mark.parametrize("transition", ["fade", "dissolve", "flash"])
def test_transitions_are_found_at_least_as_well_as_by_the_stock_detectors(tmp_path: Path, transition: str) -> None:
    path = tmp_path / "video.mp4"
    truth = make_video(path, shots(transition, 2), size=SIZE)
    ours = f1(cut_times(find_cuts(path, DetectSettings())), truth)
    assert ours >= 0.9
    assert ours >= max(f1(stock_cuts(path, name), truth) for name in STOCK)


@pytest.mark.parametrize(("transition", "kind"), [("fade", "fade"), ("dissolve", "dissolve")])
def test_the_edges_of_a_transition_are_known(tmp_path: Path, transition: Any, kind: str) -> None:
    path = tmp_path / "video.mp4"
    still = [Shot(frames=50, picture="photo", seed=n, transition=transition, transition_frames=16) for n in range(4)]
    truth = make_video(path, still, size=SIZE)
    cuts = find_cuts(path, DetectSettings())
    assert [cut.kind for cut in cuts] == [kind] * 3
    for cut, (start_s, end_s, _) in zip(cuts, truth.transitions, strict=True):
        assert abs(cut.start_s - start_s) <= 3 * FRAME_S
        assert abs(cut.end_s - end_s) <= 3 * FRAME_S


@pytest.mark.parametrize("between", ["flash", "fade"])
def test_what_comes_back_was_not_cut(tmp_path: Path, between: Any) -> None:
    made: list[Shot] = []
    for number, camera in enumerate(CAMERAS):
        made += interrupted(Shot(frames=80, picture="photo", seed=number, camera=camera, path=(0, 0.4)), between)
    truth = make_video(tmp_path / "video.mp4", made, size=SIZE)
    assert len(truth.cuts_s) == 2
    assert cut_times(find_cuts(tmp_path / "video.mp4", DetectSettings())) == pytest.approx(
        truth.cuts_s, abs=FRAME_S + 1e-3
    )
