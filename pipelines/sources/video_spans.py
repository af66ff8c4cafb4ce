"""Long videos in spans, and what is said of a video shared out to them."""

from __future__ import annotations

import bisect
import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from pipelines.sources.video_forms import Annotation

ANNOTATION = pa.struct(
    [
        pa.field("start_s", pa.float64()),  # null: of the whole video
        pa.field("end_s", pa.float64()),  # null: to the video's end
        pa.field("text", pa.string()),
        pa.field("question", pa.string()),
        pa.field("answer", pa.string()),
    ]
)


def span_starts(duration_s: float | None, span_s: float) -> list[float]:
    """Where each of the fewest equal spans begins that are no longer than `span_s`."""
    spans = max(math.ceil((duration_s or 0.0) / span_s), 1)
    return [round(at * (duration_s or 0.0) / spans, 3) for at in range(spans)]


def share_out(
    annotations: Sequence[Annotation], starts: Sequence[float], counts: Counter[str]
) -> tuple[str, list[list[dict[str, Any]]]]:
    """The first description of the whole, and for each span the annotations that begin in it, in the order of time.

    What else is said of the whole goes to the first span, without times; what begins behind the end to the last: the
    stage that cuts knows the end. Adds to `counts` what was placed and what was left out.
    """
    text = ""
    shares: list[list[dict[str, Any]]] = [[] for _ in starts]
    for one in annotations:
        said = {"text": one.text, "question": one.question, "answer": one.answer}
        if one.start_s is None and not one.whole:
            counts["no_time"] += 1
            continue
        counts["placed"] += 1
        if one.whole and one.text and not text:
            text = said["text"]
            said["text"] = ""
            if not one.question:
                continue
        span = bisect.bisect_right(starts, one.start_s or 0.0) - 1
        shares[span].append({"start_s": one.start_s, "end_s": one.end_s, **said})
    for share in shares:
        share.sort(key=lambda each: -1.0 if each["start_s"] is None else each["start_s"])
    return text, shares
