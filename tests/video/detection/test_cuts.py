from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from tests.helpers.videos import Shot, Truth, a_b_a, interrupted, look, make_video
from video.detection.cuts import Cut, CutFinder, DetectSettings
from video.detection.slides import SlideDetector
from video.extract import find_cuts

RATE = 25
FRAME_S = 1 / RATE
SIZE = (256, 192)
CAMERAS: list[Any] = ["still", "pan", "zoom"]
PICTURES: list[Any] = ["photo", "texture", "drawing"]


def shots(transition: Any, seed: int, count: int = 10) -> list[Shot]:
    """Shots of all cameras and pictures in turn."""
    chance = np.random.default_rng(seed)
    return [
        Shot(
            frames=int(chance.integers(28, 45)),
            picture=PICTURES[number % 3],
            seed=10 * seed + number,
            camera=CAMERAS[(number + number // 3) % 3],
            path=(0.1, 0.5),
            transition=transition,
        )
        for number in range(count)
    ]


def hits(found: Sequence[float], truth: Truth, rate: int = RATE) -> int:
    """How many planted cuts are found, one each: at one frame of tolerance, or within the transition."""
    left = list(found)
    count = 0
    for cut_s in truth.cuts_s:
        spans = [(start, end) for start, end, _ in truth.transitions if start <= cut_s <= end]
        start, end = spans[0] if spans else (cut_s, cut_s)
        near = [time_s for time_s in left if start - 1 / rate - 1e-3 <= time_s <= end + 1 / rate + 1e-3]
        if near:
            left.remove(near[0])
            count += 1
    return count


def f1(found: Sequence[float], truth: Truth) -> float:
    return 2 * hits(found, truth) / (len(found) + len(truth.cuts_s))


def times(cuts: Sequence[Cut]) -> list[float]:
    return [cut.time_s for cut in cuts]


def stock(path: Path, detector: str) -> list[float]:
    """The cuts of PySceneDetect with its own defaults."""
    import scenedetect

    scenes = scenedetect.detect(str(path), getattr(scenedetect, detector)())
    return [start.seconds for start, _ in scenes[1:]]


def test_hard_cuts_are_found_to_the_frame(tmp_path: Path) -> None:
    truth = make_video(tmp_path / "cuts.mp4", shots("cut", 1, 25), size=SIZE)
    found = times(find_cuts(tmp_path / "cuts.mp4", DetectSettings()))
    assert len(truth.cuts_s) == 24
    assert f1(found, truth) >= 0.98
    assert f1(found, truth) >= max(f1(stock(tmp_path / "cuts.mp4", name), truth) for name in STOCK)
    assert set(found) <= set(truth.times_s)


STOCK = ("AdaptiveDetector", "ContentDetector")


@pytest.mark.parametrize("transition", ["fade", "dissolve", "flash"])
def test_transitions_are_found_at_least_as_well_as_by_the_stock_detectors(tmp_path: Path, transition: str) -> None:
    path = tmp_path / "video.mp4"
    truth = make_video(path, shots(transition, 2), size=SIZE)
    ours = f1(times(find_cuts(path, DetectSettings())), truth)
    assert ours >= 0.9
    assert ours >= max(f1(stock(path, name), truth) for name in STOCK)


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
    assert times(find_cuts(tmp_path / "video.mp4", DetectSettings())) == pytest.approx(truth.cuts_s, abs=FRAME_S + 1e-3)


def page(*lines: str, ink: int = 30, paper: int = 255) -> np.ndarray:
    picture = np.full((360, 640, 3), paper, np.uint8)
    for place, line in enumerate(lines):
        cv2.putText(picture, line, (30, 60 + 50 * place), cv2.FONT_HERSHEY_SIMPLEX, 1.0, (ink,) * 3, 2, cv2.LINE_AA)
    return picture


PAGES = [
    ("What was measured", "- how often it is right", "- what each step costs", "- both at once"),
    ("Where the data came from", "- pages of the web", "- talks and lectures"),
    ("What went wrong", "- too few pairs", "- two of them twice", "- a third unread"),
    ("And next year", "- more of the same", "- another encoder"),
]


def test_changes_of_slides_are_found_and_what_is_added_to_one_is_none(tmp_path: Path) -> None:
    speaker = Shot(frames=400, picture="photo", camera="pan")
    for name, paper, with_speaker in (("white", 255, False), ("black", 10, False), ("speaker", 255, True)):
        pictures = []
        for lines in PAGES:
            for shown in range(2, len(lines) + 1):  # built up, a line every second
                pictures += [page(*lines[:shown], ink=255 - paper, paper=paper)] * 25
        if with_speaker:
            for number, picture in enumerate(pictures):
                pictures[number] = picture.copy()
                pictures[number][-90:, -160:] = look(speaker, number, (160, 90))
        write_film(tmp_path / f"{name}.mp4", pictures)
        changes = np.cumsum([len(lines) - 1 for lines in PAGES])[:-1]
        found = find_cuts(tmp_path / f"{name}.mp4", DetectSettings())
        assert times(found) == pytest.approx(changes.astype(float)), name
        assert "slide" in {cut.kind for cut in found}, name
        without = times(find_cuts(tmp_path / f"{name}.mp4", DetectSettings(detect_slides=False)))
        assert len(without) < len(changes), name


def test_what_moves_or_only_changes_its_light_is_no_slide(tmp_path: Path) -> None:
    seen = [
        look(Shot(frames=100, picture=picture, camera="zoom"), number, SIZE)
        for picture in PICTURES
        for number in range(100)
    ]
    finder = SlideDetector()
    cuts = [cut for number, rgb in enumerate(seen) for cut in finder.push(number * FRAME_S, rgb)] + finder.finish()
    assert [cut for cut in cuts if cut.time_s not in (4.0, 8.0)] == []
    lit = [page(*PAGES[0], paper=255)] * 20 + [page(*PAGES[0], paper=140, ink=10)] * 20 + [page(*PAGES[0])] * 20
    finder = SlideDetector()
    assert [cut for number, rgb in enumerate(lit) for cut in finder.push(number * FRAME_S, rgb)] + finder.finish() == []


def write_film(path: Path, pictures: Sequence[np.ndarray]) -> None:
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("libx264", rate=RATE, options={"preset": "ultrafast", "crf": "26"})
        stream.width, stream.height, stream.pix_fmt = pictures[0].shape[1], pictures[0].shape[0], "yuv420p"
        for picture in pictures:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())


def test_a_long_black_is_a_scene_of_its_own(tmp_path: Path) -> None:
    made = [Shot(frames=50, picture="photo", transition="fade"), Shot(frames=100, picture="black", transition="fade")]
    truth = make_video(tmp_path / "video.mp4", [*made, Shot(frames=50, picture="photo", seed=2)], size=SIZE)
    found = find_cuts(tmp_path / "video.mp4", DetectSettings())
    assert hits(times(found), truth) == len(found) == 2


def test_dialogue_is_cut_each_time(tmp_path: Path) -> None:
    truth = make_video(tmp_path / "video.mp4", a_b_a(picture="photo"), size=SIZE)
    assert times(find_cuts(tmp_path / "video.mp4", DetectSettings())) == truth.cuts_s


@pytest.mark.parametrize(
    "video",
    [{"variable": True}, {"rotation": 90}, {"start_s": 5.0}, {"b_frames": 0, "rate": 40}, {"size": (322, 242)}],
    ids=lambda video: "-".join(video),
)
def test_times_are_the_containers_whatever_the_video_is_like(tmp_path: Path, video: dict[str, Any]) -> None:
    path = tmp_path / "video.mkv"
    truth = make_video(path, shots("cut", 3, 5), **{"size": SIZE, **video})
    assert times(find_cuts(path, DetectSettings())) == truth.cuts_s


@pytest.mark.parametrize("detector", ["adaptive", "content", "hash", "histogram", "threshold"])
def test_every_detector_of_pyscenedetect_is_at_hand(tmp_path: Path, detector: Any) -> None:
    path = tmp_path / "video.mp4"
    made = [Shot(frames=40, picture=picture, seed=1) for picture in ("photo", "black", "drawing", "texture")]
    truth = make_video(path, made, size=SIZE, numbered=False)
    # Mean level of the black shot: 16. The one cut of the threshold detector lies in the middle of it.
    settings = DetectSettings(detector=detector, detect_gradual=False, detect_slides=False, black_level=24)
    found = times(find_cuts(path, settings))
    if detector == "threshold":
        assert found == pytest.approx([60 * FRAME_S], abs=FRAME_S)
    else:
        assert found == truth.cuts_s


def test_no_cut_follows_another_too_soon(tmp_path: Path) -> None:
    path = tmp_path / "video.mp4"
    make_video(path, [Shot(frames=10, seed=n) for n in range(12)], size=SIZE)
    found = times(find_cuts(path, DetectSettings(min_scene_s=1.0)))
    assert found
    assert min(np.diff(found)) >= 1.0 - 1e-3


def test_a_finder_that_starts_later_finds_the_same(tmp_path: Path) -> None:
    chance = np.random.default_rng(0)
    scenes = [chance.integers(0, 255, (6, 8, 3)).astype(np.uint8).repeat(16, 0).repeat(16, 1) for _ in range(12)]
    video = [(number * FRAME_S, scenes[number // 40]) for number in range(480)]
    whole, late = CutFinder(DetectSettings()), CutFinder(DetectSettings())
    first = [cut for time_s, bgr in video for cut in whole.feed(time_s, bgr)] + whole.finish()
    second = [cut for time_s, bgr in video[150:] for cut in late.feed(time_s, bgr)] + late.finish()
    assert times(first) == pytest.approx([40 * number * FRAME_S for number in range(1, 12)])
    assert [cut for cut in second if cut.time_s > 7] == [cut for cut in first if cut.time_s > 7]


def test_an_empty_video_has_no_cut() -> None:
    assert CutFinder(DetectSettings()).finish() == []
