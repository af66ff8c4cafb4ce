"""Slides of a talk: a change is found, and what is added to one, moves or only changes its light is none."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from tests.helpers.scene_films import FRAME_S, PICTURES, RATE, SIZE, cut_times
from tests.helpers.video_calls import find_cuts
from tests.helpers.videos import Shot, look
from video.detection.cuts import DetectSettings
from video.detection.slides import SlideDetector


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
        assert cut_times(found) == pytest.approx(changes.astype(float)), name
        assert "slide" in {cut.kind for cut in found}, name
        without = cut_times(find_cuts(tmp_path / f"{name}.mp4", DetectSettings(detect_slides=False)))
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
