from __future__ import annotations

import itertools
import math
import random

import pytest

from tests.helpers.cases import cases
from tests.helpers.video_calls import clips_of
from video.clips import Clip, ClipMaker, ClipSettings, Scene, annotated_clips, min_hamming, split_scene

SETTINGS = ClipSettings(min_s=2, max_s=10)


def scenes_at(*cuts: float) -> list[Scene]:
    """Scenes between the given times, each a picture of its own."""
    last = len(cuts) - 2
    return [
        Scene(cuts[n], cuts[n + 1], n > 0, n < last, (0xFF << 8 * (n % 8),), (0xFF << 8 * (n % 8),))
        for n in range(len(cuts) - 1)
    ]


def times(clips: list[Clip]) -> list[tuple[float, float]]:
    return [(clip.start_s, clip.end_s) for clip in clips]


def test_scenes_of_a_fitting_length_are_clips_as_they_are() -> None:
    assert clips_of(scenes_at(0, 3, 8, 10), SETTINGS) == [Clip(0, 3), Clip(3, 8), Clip(8, 10)]


def test_short_scenes_take_in_what_follows_until_they_are_long_enough() -> None:
    clips = clips_of(scenes_at(0, 1, 2.5, 6, 7, 7.5, 8.5, 12), SETTINGS)
    assert times(clips) == [(0, 2.5), (2.5, 6), (6, 8.5), (8.5, 12)]
    assert [clip.scenes for clip in clips] == [2, 1, 3, 1]


def test_a_short_scene_before_one_that_fills_a_clip_goes_to_the_clip_before_it() -> None:
    assert times(clips_of(scenes_at(0, 4, 5, 14.5), SETTINGS)) == [(0, 5), (5, 14.5)]
    assert times(clips_of(scenes_at(0, 4, 5), SETTINGS)) == [(0, 5)]


def test_a_short_scene_that_fits_nowhere_has_a_reason() -> None:
    clips = clips_of(scenes_at(0, 9.5, 10.5, 20), SETTINGS)
    assert clips == [Clip(0, 9.5), Clip(9.5, 10.5, 1, "too_short"), Clip(10.5, 20)]
    assert clips_of(scenes_at(0, 1), SETTINGS) == [Clip(0, 1, 1, "too_short")]


def test_long_scenes_are_split_into_pieces_above_half_the_maximum() -> None:
    assert times(clips_of([Scene(0, 12)], SETTINGS)) == [(0, 6), (6, 12)]
    assert times(clips_of([Scene(0, 10)], SETTINGS)) == [(0, 10)]
    assert times(clips_of([Scene(5, 40)], SETTINGS)) == [(5, 15), (15, 25), (25, 32.5), (32.5, 40)]


def test_a_split_is_no_cut() -> None:
    first, second = split_scene(Scene(0, 12, True, True, (1,), (2,)), 10)
    assert (first.after_cut, first.before_cut, first.first_hashes, first.last_hashes) == (True, False, (1,), ())
    assert (second.after_cut, second.before_cut, second.first_hashes, second.last_hashes) == (False, True, (), (2,))


def test_neighbours_that_look_the_same_are_stitched_up_to_the_maximum() -> None:
    seen = 0xF0F0F0F0F0F0F0F0
    left = Scene(0, 3, False, True, (0,), (seen,))
    right = Scene(3, 6, True, False, (seen ^ 0b111,), (0,))
    assert times(clips_of([left, right], SETTINGS)) == [(0, 6)]
    assert times(clips_of([left, right], ClipSettings(min_s=2, max_s=10, stitch_hamming_radius=2))) == [(0, 3), (3, 6)]
    assert times(clips_of([left, right], ClipSettings(min_s=2, max_s=10, stitch=False))) == [(0, 3), (3, 6)]
    assert times(clips_of([left, right], ClipSettings(min_s=2, max_s=5))) == [(0, 3), (3, 6)]


def test_what_shows_nothing_looks_like_nothing() -> None:
    assert times(clips_of([Scene(0, 3), Scene(3, 6)], SETTINGS)) == [(0, 3), (3, 6)]
    assert min_hamming((), (1,)) == 65
    assert min_hamming((0, 0xFF), (0xFE, 1 << 63)) == 1


def test_trimmed_at_cuts_and_nowhere_else() -> None:
    settings = ClipSettings(min_s=2, max_s=10, boundary_trim_s=0.25)
    clips = clips_of(scenes_at(0, 3, 15, 18), settings)
    assert times(clips) == [(0, 2.75), (3.25, 9), (9, 14.75), (15.25, 18)]


def test_transitions_lie_between_scenes_and_inside_joined_ones_only() -> None:
    scenes = [Scene(0, 4, False, True), Scene(4.5, 5.5, True, True), Scene(6, 9, True, False)]
    assert times(clips_of(scenes, SETTINGS)) == [(0, 4), (4.5, 9)]


@cases("seed", range(20))
def test_every_moment_is_in_one_clip_and_lengths_are_kept(seed: int) -> None:
    chance = random.Random(seed)
    cuts = [0.0]
    while len(cuts) < 40:
        cuts.append(cuts[-1] + chance.choice([0.7, 1.0, 1.9, 2.0, 5.0, 10.0, 10.1, 37.0]))
    clips = clips_of(scenes_at(*cuts), SETTINGS)
    assert clips[0].start_s == 0
    assert clips[-1].end_s == cuts[-1]
    assert all(left.end_s == right.start_s for left, right in itertools.pairwise(clips))
    lengths = [clip.end_s - clip.start_s for clip in clips]
    assert all(2 - 1e-9 <= length <= 10 + 1e-9 for length, clip in zip(lengths, clips, strict=True) if not clip.reason)
    assert all(length < 2 for length, clip in zip(lengths, clips, strict=True) if clip.reason)


@pytest.mark.parametrize("seed", range(5))
def test_no_more_than_two_clips_are_undecided(seed: int) -> None:
    chance, now = random.Random(seed), 0.0
    maker = ClipMaker(SETTINGS)
    for _ in range(200):
        start, now = now, now + chance.choice([0.7, 1.5, 2.5, 9.0, 25.0])
        maker.push(Scene(start, now))
        assert maker.undecided_from_s is not None
        assert now - maker.undecided_from_s <= 2 * SETTINGS.max_s
    maker.finish()
    assert maker.undecided_from_s is None


def test_annotated_intervals_are_clips_whatever_their_length() -> None:
    clips = annotated_clips([(0, 1), (5, 300), (290, 309.8), (299, None)], (0.5, 300))
    assert times(clips) == [(0.5, 1), (5, 300), (290, 300), (299, 300)]
    assert [clip.annotation for clip in clips] == [0, 1, 2, 3]
    assert not any(clip.reason for clip in clips)


def test_annotated_intervals_that_cannot_be() -> None:
    wrong = [(3, 3), (5, 4), (math.nan, 4), (1, math.inf), (math.nan, None), (302, 301)]
    outside = [(300, 310), (-5, 0.5), (300, None), (400, None), (290, 310.2), (250, 3000), (-2, 1.4), (1000, 300_000)]
    clips = annotated_clips(wrong + outside, (0.5, 300))
    assert [clip.reason for clip in clips] == ["not_an_interval"] * 6 + ["outside_video"] * 8
    assert times(clips)[6:10] == [(300, 310), (-5, 0.5), (300, 300), (400, 400)]  # as they were annotated


@pytest.mark.parametrize("settings", [{"min_s": 6, "max_s": 10}, {"min_s": 1, "max_s": 10, "boundary_trim_s": 0.5}])
def test_settings_that_contradict_each_other(settings: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="min_s"):
        ClipSettings(**settings)
