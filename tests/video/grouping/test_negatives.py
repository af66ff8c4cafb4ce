from __future__ import annotations

from dataclasses import replace

import pytest

from tests.helpers.grouping import EVERY_CLIP, Made, columns, named, shots, siblings
from video.grouping import negatives
from video.grouping.groups import GroupSettings, group_clips
from video.grouping.negatives import NegativeSettings, moment_negatives


def test_siblings_come_nearest_first_the_earlier_one_of_two_and_alike_ones_never() -> None:
    found = siblings(shots("ABACDE"), NegativeSettings(num_negatives=3))
    assert found == {
        "00A": ["01B", "03C", "04D"],
        "01B": ["00A", "03C", "04D"],
        "02A": [],
        "03C": ["04D", "01B", "05E"],
        "04D": ["03C", "05E", "01B"],
        "05E": ["04D", "03C", "01B"],
    }
    assert siblings(shots("ABACDE")[::-1], NegativeSettings(num_negatives=3)) == found


def test_siblings_come_out_the_same_in_however_many_portions(monkeypatch: pytest.MonkeyPatch) -> None:
    clips = shots("ABCDEFGH") + [replace(clip, name=f"two{clip.name}") for clip in shots("ABCDE", video=b"two")]
    found = siblings(clips)
    monkeypatch.setattr(negatives, "_CELLS", 17)
    assert siblings(clips) == found


def test_siblings_nearer_than_the_gap_or_overlapping_are_left_out() -> None:
    found = siblings(shots("ABCD"), NegativeSettings(min_gap_s=5.0))
    assert found == {"00A": ["02C", "03D"], "01B": ["03D"], "02C": ["00A"], "03D": ["01B", "00A"]}
    clips = [Made("a", 0, 6), Made("b", 5, 9), Made("c", 9, 12)]  # b overlaps with a: it is not in its group
    assert siblings(clips) == {"a": ["c"], "b": [], "c": ["a"]}


def test_siblings_are_of_the_same_part_of_a_split_group() -> None:
    found = siblings(shots("ABCDEF"), groups=GroupSettings(max_group_size=3))
    assert set(found["02C"]) == {"00A", "01B"} and set(found["03D"]) == {"04E", "05F"}


def test_seeded_siblings_depend_on_the_seed_and_the_ids_alone() -> None:
    clips = shots("ABCDEFGHIJ")
    one = NegativeSettings(num_negatives=3, sampling_strategy="random", seed=1)
    found = siblings(clips, one)
    assert all(len(set(others) - {name}) == 3 for name, others in found.items())
    assert found == siblings(clips[::-1], one)
    assert found != siblings(clips, one.model_copy(update={"seed": 2}))
    everyone = [other for seed in range(20) for other in siblings(clips, one.model_copy(update={"seed": seed}))["00A"]]
    assert set(everyone) == {clip.name for clip in clips[1:]}  # no sibling is out of its reach


def test_moments_that_share_much_of_their_time_are_no_negatives_of_each_other() -> None:
    moments = [Made("a", 0, 10), Made("b", 5, 15), Made("c", 9, 19), Made("d", 30, 40), Made("e", 0, 9, video=b"two")]
    settings = NegativeSettings(max_iou=1 / 3)
    found = named(moments, moment_negatives(columns(moments), settings))
    # a and b share 5 of 15 s: not below a third. a and c share 1 of 19 s, b and c 6 of 14 s.
    assert found == {"a": ["c", "d"], "b": ["d"], "c": ["a", "d"], "d": ["c", "b", "a"], "e": []}
    assert named(moments, moment_negatives(columns(moments), NegativeSettings(max_iou=0.34)))["a"] == ["b", "c", "d"]


def test_a_moment_that_several_texts_ask_for_is_a_negative_once_and_never_of_itself() -> None:
    moments = [Made("a", 0, 10), Made("a", 0, 10), Made("b", 20, 30), Made("b", 20, 30)]
    rows = moment_negatives(columns(moments), NegativeSettings(num_negatives=2))
    assert rows.tolist() == [[2, -1], [2, -1], [0, -1], [0, -1]]


def test_moments_of_a_cluster_are_no_negatives_of_each_other() -> None:
    moments = columns(shots("ABA"))
    found = moment_negatives(moments, NegativeSettings(num_negatives=2), group_clips(moments, EVERY_CLIP))
    assert found.tolist() == [[1, -1], [0, 2], [1, -1]]
    again = columns([Made("a", 0, 5), Made("b", 5, 10), Made("a", 20, 25)])  # one item at two times
    assert moment_negatives(again, NegativeSettings(num_negatives=2)).tolist() == [[1, -1], [0, -1], [1, -1]]
