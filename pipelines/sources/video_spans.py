"""Divides long videos into segments, and the annotations of a video among them."""

from __future__ import annotations

import bisect
import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from pipelines.sources.video_annotations import Annotation

ANNOTATION = pa.struct(
    [
        pa.field("start_s", pa.float64()),  # null: of the whole video
        pa.field("end_s", pa.float64()),  # null: to the video's end
        pa.field("text", pa.string()),
        pa.field("question", pa.string()),
        pa.field("answer", pa.string()),
    ]
)


def segment_starts(duration_s: float | None, segment_s: float) -> list[float]:
    """Finds where each of the fewest equal segments begins that are no longer than `segment_s`."""
    count = max(math.ceil((duration_s or 0.0) / segment_s), 1)
    return [round(at * (duration_s or 0.0) / count, 3) for at in range(count)]


def assign_annotations(
    annotations: Sequence[Annotation], starts: Sequence[float], counts: Counter[str]
) -> tuple[str, list[list[dict[str, Any]]]]:
    """Gives the first description of the video, and each segment the annotations that begin in it, in order of time.

    Further annotations of the video go to the first segment, without times; those that begin behind the end to the
    last: the stage that cuts knows the end. Adds to `counts` how many were placed and how many left out.
    """
    text = ""
    by_segment: list[list[dict[str, Any]]] = [[] for _ in starts]
    for annotation in annotations:
        fields = {"text": annotation.text, "question": annotation.question, "answer": annotation.answer}
        if annotation.start_s is None and not annotation.whole_video:
            counts["no_time"] += 1
            continue
        counts["placed"] += 1
        if annotation.whole_video and annotation.text and not text:
            text = fields["text"]
            fields["text"] = ""
            if not annotation.question:
                continue
        segment = bisect.bisect_right(starts, annotation.start_s or 0.0) - 1
        by_segment[segment].append({"start_s": annotation.start_s, "end_s": annotation.end_s, **fields})
    for each_segment in by_segment:
        each_segment.sort(key=lambda each: -1.0 if each["start_s"] is None else each["start_s"])
    return text, by_segment
