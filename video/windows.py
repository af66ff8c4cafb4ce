"""A few minutes of a video at a time: which of its clips are joined into a window. Times only, in seconds."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pydantic import Field, model_validator

from corpus.settings import Settings
from video.spans import Span

_HINT_CHARS_EACH = 40  # what is said of a clip in fewer characters says nothing: rather leave some clips out
_MILLI = 1000


class WindowSettings(Settings):
    """How long windows are, and what they are made of."""

    min_s: float = Field(60.0, gt=0, description="shorter stretches of a video are left out")
    max_s: float = Field(180.0, gt=0, description="a video that is no longer is one window")
    whole_from_s: float = Field(20.0, ge=0, description="a video that is shorter is none")
    max_gap_s: float = Field(10.0, ge=0, description="of a window in no usable clip; at a longer one it ends")
    frames: int = Field(8, ge=1, description="of a window, evenly spread over its time")
    hint_chars: int = Field(1500, ge=0, description="of what is said of its clips, for a captioner")
    max_group: int = Field(32, ge=3, le=1024, description="windows of a video that are each other's hard negatives")

    @model_validator(mode="after")
    def _check(self) -> WindowSettings:
        if self.max_s <= self.min_s:
            raise ValueError(f"max_s ({self.max_s}) must be above min_s ({self.min_s}): windows end where clips do")
        return self


@dataclass(frozen=True)
class Window:
    """Part of a video. `clips` are the places of its clips among those that were given."""

    start_s: float
    end_s: float
    clips: tuple[int, ...]
    whole: bool = False


def windows_of(clips: Sequence[Span], duration_s: float, settings: WindowSettings) -> list[Window]:
    """The windows of a video's clips, (start_s, end_s) in order of their starts; in order, without overlap.

    A short video of which the clips show all is one window. Else windows begin and end where clips do, and not within
    another clip: as much of the video as possible is in one, and then their lengths are as near as possible to the
    middle between the bounds. Clips longer than a window are left out.
    """
    if settings.whole_from_s <= duration_s <= settings.max_s and not _gap(clips, duration_s, settings.max_gap_s):
        return [Window(0.0, duration_s, tuple(range(len(clips))), whole=True)]
    return [window for run in _runs(clips, settings) for window in _shared_out(run, settings)]


def _gap(clips: Sequence[Span], duration_s: float, most_s: float) -> bool:
    """Whether too much of the video in one piece is in no clip."""
    shown_s = 0.0
    for start_s, end_s in clips:
        if start_s - shown_s > most_s:
            return True
        shown_s = max(shown_s, end_s)
    return not clips or duration_s - shown_s > most_s


def _runs(clips: Sequence[Span], settings: WindowSettings) -> Iterator[list[Window]]:
    """Blocks of clips, between which a window may end, for as long as no long gap comes."""
    run: list[Window] = []
    for place, (start_s, end_s) in enumerate(clips):
        if end_s - start_s > settings.max_s:
            continue
        last = run[-1] if run else None
        if last and start_s < last.end_s:  # they overlap
            run[-1] = Window(last.start_s, max(last.end_s, end_s), (*last.clips, place))
            continue
        if last and start_s - last.end_s > settings.max_gap_s:
            yield run
            run = []
        run.append(Window(start_s, end_s, (place,)))
    if run:
        yield run


def _shared_out(blocks: Sequence[Window], settings: WindowSettings) -> list[Window]:
    """Blocks in windows, by dynamic programming over where the last window ends. Counts in whole milliseconds."""
    starts = [round(block.start_s * _MILLI) for block in blocks]
    ends = [round(block.end_s * _MILLI) for block in blocks]
    least, most = round(settings.min_s * _MILLI), round(settings.max_s * _MILLI)
    best: list[tuple[int, int]] = [(0, 0)]  # of the first n blocks: what is left out, and how uneven the windows are
    begins: list[int | None] = [None]  # the first block of the window that ends with the n-th; None: it is left out
    for last, end in enumerate(ends):
        left_out, uneven = best[last]
        cost, begin = (left_out + end - starts[last], uneven), None
        for first in range(last, -1, -1):
            length = end - starts[first]
            if length > most:
                break
            if length >= least:
                found = best[first][0], best[first][1] + (2 * length - least - most) ** 2
                if found < cost:
                    cost, begin = found, first
        best.append(cost)
        begins.append(begin)
    windows: list[Window] = []
    done = len(blocks)
    while done:
        begin = begins[done]
        if begin is not None:
            clips = tuple(place for block in blocks[begin:done] for place in block.clips)
            windows.append(Window(blocks[begin].start_s, blocks[done - 1].end_s, clips))
        done = done - 1 if begin is None else begin
    return windows[::-1]


def nearest(times_s: Sequence[float], wanted_s: float) -> int:
    """The place of the sorted time that is nearest; of two as near, the earlier."""
    after = bisect_left(times_s, wanted_s)
    around = range(max(0, after - 1), min(after + 1, len(times_s)))
    return min(around, key=lambda place: abs(times_s[place] - wanted_s))


def shortened(said: Sequence[str], most: int) -> str:
    """What is said of clips, in their order and numbered, in at most so many characters on one line.

    The longest are cut first, at a word, all to the same length; of very many only some are told, evenly spread.
    """
    texts = [line for text in said if (line := " ".join(text.split()))]
    room = max(1, most // _HINT_CHARS_EACH)
    if len(texts) > room:
        texts = [texts[(2 * place + 1) * len(texts) // (2 * room)] for place in range(room)]
    marks = [f"({number}) " for number in range(1, len(texts) + 1)]
    free = most - sum(len(mark) + 1 for mark in marks) + 1
    limit = _level([len(text) for text in texts], free)
    return " ".join(mark + _cut(text, limit) for mark, text in zip(marks, texts, strict=True)) if limit > 0 else ""


def _level(lengths: list[int], free: int) -> int:
    """The largest limit for which the lengths, cut to it, fit; 0 where none fits."""
    for place, length in enumerate(sorted(lengths)):
        left = len(lengths) - place
        if length * left > free:
            return max(0, free // left)
        free -= length
    return max(lengths, default=0)


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit + 1].rpartition(" ")[0] or text[:limit]
