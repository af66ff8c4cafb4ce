"""Which clips a row of videos is to become, from what is said of the video, and when they are.

A row says times in seconds from the video's first frame; a container has a timeline of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from math import inf
from typing import Any

from video.clips import Clip, annotated_clips
from video.spans import Span
from video.tables import ClipKind

_DECIMALS = 6  # of seconds: what adding and subtracting a container's first time does to a number is smaller


@dataclass(frozen=True)
class Timeline:
    """Where on a container's timeline a video lies."""

    first_s: float  # of the first frame
    duration_s: float

    @property
    def last_s(self) -> float:
        return self.first_s + self.duration_s

    def shown(self, time_s: float) -> float:
        """A time of the container, in seconds from the first frame."""
        return round(time_s - self.first_s, _DECIMALS)

    def span(self, video: Mapping[str, Any]) -> Span | None:
        """Of a row's span, for `spans.span_clips`: open at the video's own ends. None: the whole video."""
        begin_s, end_s = video["span_start_s"], video["span_end_s"]
        if not begin_s and end_s is None:
            return None
        return (self.first_s + begin_s if begin_s else -inf, inf if end_s is None else self.first_s + end_s)


@dataclass
class Wanted:
    """A clip that is asked for, with what is said of it."""

    kind: ClipKind
    clip: Clip | None = None  # None: one that is yet to be found
    text: str = ""
    questions: list[dict[str, str]] = field(default_factory=list)


def wanted_clips(video: Mapping[str, Any], timeline: Timeline, whole_up_to_s: float) -> list[Wanted] | None:
    """The clips of a row whose times are known beforehand, numbered by `Clip.annotation`; None: they are its scenes.

    Of a timed video: one for each interval of the row's annotations. Several that have the very same interval are one
    clip, with the first text and all the questions. Of a short video that is a single row and described: all of it.
    """
    whole = (timeline.first_s, timeline.last_s)
    if video["timed"]:
        said = [one for one in video["annotations"] or [] if one["start_s"] is not None]
        return _by_interval(annotated_clips([_interval(one, timeline) for one in said], whole), said)
    questions = questions_of(video)
    described = bool(video["text"] or questions)
    if not described or timeline.duration_s > whole_up_to_s or (video["spans"] or 1) > 1:
        return None
    return [Wanted(ClipKind.WHOLE, annotated_clips([whole], whole)[0], video["text"] or "", questions)]


def questions_of(video: Mapping[str, Any]) -> list[dict[str, str]]:
    """What a row asks about its whole video."""
    return [_question(one) for one in video["annotations"] or [] if one["start_s"] is None and one["question"]]


def _interval(annotation: Mapping[str, Any], timeline: Timeline) -> Span:
    end_s = annotation["end_s"]
    return timeline.first_s + annotation["start_s"], timeline.last_s if end_s is None else timeline.first_s + end_s


def _by_interval(clips: list[Clip], annotations: list[Mapping[str, Any]]) -> list[Wanted]:
    found: dict[tuple[float, float, str], Wanted] = {}
    for clip, said in zip(clips, annotations, strict=True):
        numbered = replace(clip, annotation=len(found))
        one = found.setdefault((clip.start_s, clip.end_s, clip.reason), Wanted(ClipKind.ANNOTATED, numbered))
        one.text = one.text or said["text"] or ""
        if said["question"]:
            one.questions.append(_question(said))
    return list(found.values())


def _question(annotation: Mapping[str, Any]) -> dict[str, str]:
    return {"question": annotation["question"], "answer": annotation["answer"] or ""}
