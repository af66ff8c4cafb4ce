"""Finds scene cuts with PySceneDetect's detectors, frame by frame and by timestamps, and the transitions that they
miss.

PySceneDetect finds hard cuts. Fades and dissolves (`transitions`) and changes of slides (`slides`) are added, and cuts
with the same picture on both sides (a flash) are removed.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Callable
from fractions import Fraction
from typing import Any, Literal

from pydantic import Field

from corpus.settings import Settings
from video.decoding.frame import Bgr
from video.detection.slides import SlideDetector
from video.detection.transitions import (
    FLASH_S,
    RANKS,
    BlankDetector,
    Cut,
    DissolveDetector,
    FadeDetector,
    FlashDetector,
    ThumbnailHistory,
    same_around,
    thumbnail_of,
)

__all__ = ["Cut", "CutFinder", "DetectSettings"]

_TICKS = 1_000_000  # of PySceneDetect's clock per second: finer than any frame, so that rounding merges no two
_NEAR_S = 4.0  # no transition is longer
# Correlation of the pictures before and after, from which there is no cut. The further apart they are, the more has
# moved; but a hard cut may well lead to a similar picture.
_SIMILAR = {"cut": 0.9, "fade": 0.8, "dissolve": 0.9, "flash": 0.9}
_BESIDE_S = 0.1  # maximum distance of candidates for the same event


class DetectSettings(Settings):
    """Settings of scene detection: a detector of PySceneDetect with its parameters, and further detectors. Parameters
    of other detectors than the chosen one are not used.
    """

    detector: Literal["adaptive", "content", "hash", "histogram", "threshold"] = Field(
        "adaptive", description="The detector of PySceneDetect that finds hard cuts."
    )
    adaptive_threshold: float = Field(
        3.5,
        gt=0,
        description="The change of a frame, over the mean change around it, from which it is a cut (adaptive).",
    )
    window_width: int = Field(
        3, ge=1, description="The number of frames before and after a frame that this mean is of (adaptive)."
    )
    min_content: float = Field(15.0, ge=0, description="The smallest change that a cut has, in grey levels (adaptive).")
    content_threshold: float = Field(
        27.0, gt=0, description="The change between two frames from which there is a cut, in levels (content)."
    )
    hash_threshold: float = Field(0.35, gt=0, le=1, description="The share of bits that change at a cut (hash).")
    histogram_threshold: float = Field(
        0.2,
        gt=0,
        le=1,
        description="The value of 1 - correlation of the brightness histograms from which there is a cut (histogram).",
    )
    black_level: int = Field(
        12, ge=0, le=255, description="The mean grey level below which a picture is black (threshold)."
    )
    min_scene_s: float = Field(0.6, gt=0, description="The shortest scene: after a cut, none is found for so long.")
    detect_gradual: bool = Field(
        True, description="Whether fades and dissolves are found too, and flashes are not taken for cuts."
    )
    detect_slides: bool = Field(
        True, description="Whether hard changes between still pictures, such as pages of text, are found too."
    )
    detect_side_px: int = Field(160, ge=32, description="The longer side to which frames are shrunk for detection.")


class CutFinder:
    """A finder of cuts in frames that come in display order. It returns cuts in order, with a delay.

    A cut depends only on the frames of some seconds before it, so that a pass that starts in the middle of a video soon
    finds the same cuts as one from its beginning.
    """

    # By how much the last frame is ahead of a returned cut. Only the detector `threshold` may take longer: it returns a
    # cut when the black is over.
    delay_s = 3.2

    def __init__(self, settings: DetectSettings) -> None:
        self._settings = settings
        self._process = _detector(settings)
        self._times = array("d")  # of all frames, in seconds
        self._history = ThumbnailHistory(kept_s=2 * self.delay_s)
        self._detectors = [
            kind(self._history) for kind in (FadeDetector, BlankDetector, DissolveDetector, FlashDetector)
        ]
        self._slides = SlideDetector() if settings.detect_slides else None
        self._found: list[Cut] = []
        self._recent: list[Cut] = []  # recent candidates, accepted or not
        self._last_cut_s = float("-inf")

    def feed(self, time_s: float, bgr: Bgr) -> list[Cut]:
        """Takes the next frame; returns the cuts that are certain now. Frames have the same size, times rise."""
        self._times.append(time_s)
        start_s = self._times[0]
        for ticks in self._process(round((time_s - start_s) * _TICKS), bgr):
            cut_s = self._first_from(start_s + ticks / _TICKS)
            self._found.append(Cut(cut_s, cut_s, cut_s))
        if self._slides:
            self._found += self._slides.push(time_s, bgr)
        if not self._settings.detect_gradual:
            return self._settle(time_s - (self.delay_s if self._slides else 0.0))
        self._history.push(time_s, thumbnail_of(bgr))
        for detector in self._detectors:
            self._found += detector.push(time_s)
        return self._settle(time_s - self.delay_s)

    def finish(self) -> list[Cut]:
        """Ends the video; returns the cuts that waited for further frames."""
        if self._settings.detect_gradual and self._times:
            self._found += [cut for detector in self._detectors for cut in detector.finish()]
        if self._slides:
            self._found += self._slides.finish()
        return self._settle(float("inf"))

    def _first_from(self, time_s: float) -> float:
        return self._times[min(bisect_left(self._times, time_s - 1 / _TICKS), len(self._times) - 1)]

    def _settle(self, until_s: float) -> list[Cut]:
        self._found.sort()
        ready = [cut for cut in self._found if cut.time_s <= until_s]
        accepted = []
        for cut in ready:
            if cut.time_s - self._last_cut_s >= self._settings.min_scene_s - 0.001 and self._is_valid(cut):
                self._last_cut_s = cut.time_s
                accepted.append(cut)
        self._found = self._found[len(ready) :]
        self._recent = [cut for cut in self._recent + ready if cut.time_s > until_s - _NEAR_S]
        return accepted

    def _is_valid(self, cut: Cut) -> bool:
        """Returns whether a cut leads to a new picture, and no candidate of higher rank describes the same event."""
        if not self._settings.detect_gradual:
            return True
        others = [other for other in self._recent + self._found if RANKS[other.kind] < RANKS[cut.kind]]
        within = [other for other in others if other.start_s - _BESIDE_S <= cut.time_s <= other.end_s + _BESIDE_S]
        around = [other for other in others if cut.start_s <= other.time_s <= cut.end_s]
        # In the middle of a fade no other candidate is valid, even if the fade is none; an invalid cut proves nothing.
        if any(other.kind == "fade" or self._is_new(other) for other in within):
            return False
        return self._is_new(cut) and not any(self._is_new(other) for other in around)

    def _is_new(self, cut: Cut) -> bool:
        if cut.kind == "slide":  # thumbnails of pages of text are similar: `slides` has compared their edges
            return True
        # The middle of a fade is left out: it may show either picture. Its edges are not, as the camera may move on.
        share = {"cut": 0.0, "fade": 0.5, "dissolve": 1.0, "flash": 1.0}[cut.kind]
        before_s = cut.time_s + share * (cut.start_s - cut.time_s)
        after_s = cut.time_s + share * (cut.end_s - cut.time_s)
        return not same_around(self._history, before_s, after_s, cut.end_s + FLASH_S, _SIMILAR[cut.kind])


def _detector(settings: DetectSettings) -> Callable[[int, Bgr], list[int]]:
    """Returns PySceneDetect's detector: a function of a frame and its time in ticks that returns times of cuts."""
    # Slow: the package imports all its video readers.
    from scenedetect import FrameTimecode, detectors

    clock = Fraction(_TICKS)
    min_scene_s = settings.min_scene_s - 0.001  # so that rounding doesn't make it longer
    detector: Any = {
        "adaptive": lambda: detectors.AdaptiveDetector(
            settings.adaptive_threshold, min_scene_s, settings.window_width, settings.min_content
        ),
        "content": lambda: detectors.ContentDetector(settings.content_threshold, min_scene_s),
        "hash": lambda: detectors.HashDetector(settings.hash_threshold, min_scene_len=min_scene_s),
        "histogram": lambda: detectors.HistogramDetector(settings.histogram_threshold, min_scene_len=min_scene_s),
        "threshold": lambda: detectors.ThresholdDetector(settings.black_level, min_scene_s),
    }[settings.detector]()

    def process(ticks: int, bgr: Bgr) -> list[int]:
        # A "frame" of its clock is a tick, so that its limits in frames are limits in time.
        return [cut.frame_num for cut in detector.process_frame(FrameTimecode(ticks, clock), bgr)]

    return process
