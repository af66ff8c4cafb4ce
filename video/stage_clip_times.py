"""Which clips a row of videos is to become, from what is said of the video, and when they are.

A row says times as a player shows them: seconds from where the container begins, be that with a sound before the
first frame. Frames have times on the container's own timeline, which need not begin at 0.
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
    """Where on a container's timeline the pictures lie, and where a player's clock shows 0."""

    first_s: float  # of the first frame
    duration_s: float  # of the pictures
    zero_s: float

    @property
    def last_s(self) -> float:
        return self.first_s + self.duration_s

    def shown(self, time_s: float) -> float:
        """A time of the container as a player shows it."""
        return round(time_s - self.zero_s, _DECIMALS)

    def span(self, video: Mapping[str, Any]) -> Span | None:
        """Of a row's span, for `spans.span_clips`: open at the video's own ends. None: the whole video."""
        begin_s, end_s = video["span_start_s"], video["span_end_s"]
        if not begin_s and end_s is None:
            return None
        return (self.zero_s + begin_s if begin_s else -inf, inf if end_s is None else self.zero_s + end_s)


@dataclass
class Wanted:
    """A clip that is asked for, with what is said of it."""

    kind: ClipKind
    clip: Clip | None = None  # None: one that is yet to be found
    text: str = ""
    other_texts: list[str] = field(default_factory=list)
    questions: list[dict[str, str]] = field(default_factory=list)

    def add_text(self, text: str) -> None:
        """One more description of the clip; each is one of its texts, once."""
        if not self.text:
            self.text = text
        elif text and text not in (self.text, *self.other_texts):
            self.other_texts.append(text)


def wanted_clips(video: Mapping[str, Any], timeline: Timeline, whole_up_to_s: float) -> list[Wanted] | None:
    """The clips of a row whose times are known beforehand, numbered by `Clip.annotation`; None: they are its scenes.

    Of a timed video: one for each interval of the row's annotations. Several that have the very same interval are one
    clip, with all their texts and questions: its frames are stored once, and each text is a pair of its own. Of a short
    video that is a single row and described: all of it.
    """
    whole = (timeline.first_s, timeline.last_s)
    if video["timed"]:
        said = [one for one in video["annotations"] or [] if one["start_s"] is not None]
        return _by_interval(annotated_clips([_interval(one, timeline) for one in said], whole), said)
    questions = questions_of(video)
    described = bool(video["text"] or questions)
    if not described or timeline.duration_s > whole_up_to_s or (video["spans"] or 1) > 1:
        return None
    clip = annotated_clips([whole], whole)[0]
    return [Wanted(ClipKind.WHOLE, clip, video["text"] or "", other_texts_of(video), questions)]


def other_texts_of(video: Mapping[str, Any]) -> list[str]:
    """What a row says of its whole video beside the first text."""
    of_whole = Wanted(ClipKind.WHOLE, text=video["text"] or "")
    for one in video["annotations"] or []:
        if one["start_s"] is None:
            of_whole.add_text(one["text"] or "")
    return of_whole.other_texts


def questions_of(video: Mapping[str, Any]) -> list[dict[str, str]]:
    """What a row asks about its whole video."""
    return [_question(one) for one in video["annotations"] or [] if one["start_s"] is None and one["question"]]


def _interval(annotation: Mapping[str, Any], timeline: Timeline) -> tuple[float, float | None]:
    end_s = annotation["end_s"]
    return timeline.zero_s + annotation["start_s"], None if end_s is None else timeline.zero_s + end_s


def _by_interval(clips: list[Clip], annotations: list[Mapping[str, Any]]) -> list[Wanted]:
    found: dict[tuple[float, float, str], Wanted] = {}
    for clip, said in zip(clips, annotations, strict=True):
        numbered = replace(clip, annotation=len(found))
        one = found.setdefault((clip.start_s, clip.end_s, clip.reason), Wanted(ClipKind.ANNOTATED, numbered))
        one.add_text(said["text"] or "")
        if said["question"]:
            one.questions.append(_question(said))
    return list(found.values())


def _question(annotation: Mapping[str, Any]) -> dict[str, str]:
    return {"question": annotation["question"], "answer": annotation["answer"] or ""}
