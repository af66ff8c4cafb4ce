"""Which clips are joined into windows, and what is told of them."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpus.settings import SettingsError, parse_settings
from video.stages.windows import Window, WindowSettings, join_texts, make_windows, nearest_index

SHORT = WindowSettings(min_s=6.0, max_s=18.0, whole_video_min_s=2.0, max_gap_s=1.0)
LONG_S = 100_000.0


def row_of(lengths: list[float], begin_s: float = 0.0) -> list[tuple[float, float]]:
    """Clips one after the other."""
    edges = list(itertools.accumulate(lengths, initial=begin_s))
    return list(itertools.pairwise(edges))


def spans(windows: list[Window]) -> list[tuple[float, float]]:
    return [(window.start_s, window.end_s) for window in windows]


def test_a_film_is_shared_out_evenly_along_the_borders_of_its_clips() -> None:
    found = make_windows(row_of([5.0] * 72), 360.0, WindowSettings())
    assert spans(found) == [(0.0, 120.0), (120.0, 240.0), (240.0, 360.0)]
    assert [window.clips for window in found] == [tuple(range(at, at + 24)) for at in (0, 24, 48)]
    assert not any(window.whole_video for window in found)
    uneven = make_windows(row_of([70.0, 40.0, 100.0, 30.0]), 240.0, WindowSettings())
    assert spans(uneven) == [(0.0, 110.0), (110.0, 240.0)]


def test_a_short_video_is_one_window_if_its_clips_show_all_of_it() -> None:
    clips = row_of([5.0] * 4)
    assert make_windows(clips, 20.0, WindowSettings()) == [Window(0.0, 20.0, (0, 1, 2, 3), whole_video=True)]
    assert make_windows(clips, 19.9, WindowSettings()) == []
    assert make_windows(clips, 30.0, WindowSettings()) == [Window(0.0, 30.0, (0, 1, 2, 3), whole_video=True)]
    for hidden in (row_of([5.0] * 4, 11.0), clips[:1] + row_of([5.0], 26.0), row_of([5.0] * 2), []):
        assert make_windows(hidden, 31.0, WindowSettings()) == []
    assert [window.whole_video for window in make_windows(row_of([60.0] * 3), 180.0, WindowSettings())] == [True]
    assert spans(make_windows(row_of([60.0, 60.0, 61.0]), 181.0, WindowSettings())) == [(0.0, 120.0), (120.0, 181.0)]


def test_no_window_goes_over_a_long_gap() -> None:
    clips = row_of([4.0, 4.0], 0.0) + row_of([4.0, 4.0], 9.0) + row_of([3.0, 4.0], 19.0)
    assert spans(make_windows(clips, LONG_S, SHORT)) == [(0.0, 17.0), (19.0, 26.0)]
    assert make_windows(row_of([5.0]) + row_of([5.0], 7.0), LONG_S, SHORT) == []


def test_no_window_ends_within_a_clip_and_too_long_clips_are_in_none() -> None:
    overlapping = [(0.0, 5.0), (3.0, 9.0), (8.0, 12.0), (12.0, 19.0), (12.0, 31.0), (13.0, 14.0)]
    found = make_windows(overlapping, LONG_S, SHORT)
    assert [(window.start_s, window.end_s, window.clips) for window in found] == [
        (0.0, 12.0, (0, 1, 2)),
        (12.0, 19.0, (3, 5)),
    ]


lengths = st.lists(st.integers(1, 12).map(float), max_size=9)


@given(st.lists(lengths, max_size=3))
def test_as_much_as_can_be_is_in_a_window_and_then_as_evenly_as_can_be(runs: list[list[float]]) -> None:
    clips = [clip for number, run in enumerate(runs) for clip in row_of(run, 1000.0 * number)]
    found = make_windows(clips, LONG_S, SHORT)
    for window in found:
        assert SHORT.min_s <= window.end_s - window.start_s <= SHORT.max_s
        assert list(window.clips) == list(range(window.clips[0], window.clips[-1] + 1))
        assert (window.start_s, window.end_s) == (clips[window.clips[0]][0], clips[window.clips[-1]][1])
    assert all(one.clips[-1] < other.clips[0] for one, other in itertools.pairwise(found))
    best = [sum(parts) for parts in zip(*(plainly_best(run) for run in runs), strict=True)] if runs else [0.0, 0.0]
    assert worth([window.end_s - window.start_s for window in found]) == tuple(best)


def worth(windows: list[float]) -> tuple[float, float]:
    return -sum(windows), sum((length - (SHORT.min_s + SHORT.max_s) / 2) ** 2 for length in windows)


def plainly_best(run: list[float]) -> tuple[float, float]:
    """Of all ways to cut a run and to leave parts out."""
    ways = []
    for cuts in itertools.product([False, True], repeat=max(0, len(run) - 1)):
        parts: list[float] = []
        for length, cut in zip(run, [True, *cuts], strict=False):
            parts = [*parts, length] if cut else [*parts[:-1], parts[-1] + length]
        ways.append(worth([part for part in parts if SHORT.min_s <= part <= SHORT.max_s]))
    return min(ways)


def test_the_nearest_time_is_found() -> None:
    times_s = [1.0, 2.0, 4.0]
    assert [nearest_index(times_s, at) for at in (0.0, 1.4, 1.6, 3.0, 3.1, 9.0)] == [0, 0, 1, 1, 2, 2]


def test_what_is_said_is_cut_evenly_and_at_words() -> None:
    assert join_texts(["a man", "", "a\n woman"], 100) == "(1) a man (2) a woman"
    assert join_texts([], 100) == join_texts(["", "  "], 100) == join_texts(["a man"], 0) == ""
    long = " ".join(["word"] * 100)
    told = join_texts([long, "short", long], 120)
    assert told.startswith("(1) word word") and " (2) short (3) word word" in told
    assert 105 <= len(told) <= 120 and set(told.split()) == {"(1)", "(2)", "(3)", "word", "short"}
    many = join_texts([f"{number:03}" + "x" * 96 for number in range(100)], 400)
    assert [part[:3] for part in many.split() if part[0] != "("] == [f"{at:03}" for at in range(5, 100, 10)]


@given(st.lists(st.text("ab ", max_size=60), max_size=12), st.integers(0, 300))
def test_what_is_said_is_never_longer_than_it_may_be(said: list[str], most: int) -> None:
    told = join_texts(said, most)
    assert len(told) <= most
    texts = [" ".join(text.split()) for text in said if text.strip()]
    if sum(len(text) + 7 for text in texts) <= most and len(texts) <= most // 40:
        assert told == " ".join(f"({number}) {text}" for number, text in enumerate(texts, 1))


def test_bounds_that_leave_no_room_are_refused() -> None:
    with pytest.raises(SettingsError, match="must be above min_s"):
        parse_settings({"min_s": 60, "max_s": 60}, WindowSettings)
