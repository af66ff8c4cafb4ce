"""Clips that look the same: which stays, how much must be alike, and what it is compared by."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.helpers.grouping import EVERY_CLIP, PICTURES, Made, columns, grouped, noisy, shots, staying
from video.grouping.groups import GroupSettings, group_clips, group_id
from video.grouping.near_duplicates import NearDuplicateSettings


def test_of_a_dialogue_that_cuts_back_and_forth_one_clip_of_each_speaker_stays() -> None:
    found = grouped(shots("ABABAC"))
    one = group_id(b"one", 0)
    assert found == {
        "00A": (one, "", "00A"),
        "01B": (one, "", "01B"),
        "02A": ("", "near_duplicate_sibling", "00A"),
        "03B": ("", "near_duplicate_sibling", "01B"),
        "04A": ("", "near_duplicate_sibling", "00A"),
        "05C": (one, "", None),
    }


def test_an_intro_that_comes_again_and_again_stays_once_in_each_video_that_has_it() -> None:
    first, second = shots("IABICDI"), shots("IEIF", video=b"two")
    second = [replace(clip, name=f"two{clip.name}") for clip in second]
    assert staying(first + second) == ["00I", "01A", "02B", "04C", "05D", "two00I", "two01E", "two03F"]


def test_the_longest_stays_then_the_earliest_then_the_one_with_the_smallest_id() -> None:
    same = [int(PICTURES[0])] * 2
    early, late, long = Made("a", 0, 5, same), Made("b", 9, 14, same), Made("c", 20, 26, same)
    assert staying([late, early, long]) == ["c"]
    assert staying([late, early]) == ["a"]
    last = Made("x", 9, 14, same)  # overlaps with neither; both are like it, and are not compared with each other
    overlapping = grouped([Made("z", 0, 5, same), Made("y", 0, 5, same), last])
    assert {name: stands for name, (_, _, stands) in overlapping.items()} == {"z": None, "y": "y", "x": "y"}
    assert staying([Made("x", 0.3, 5.3, same), Made("w", 7.1, 12.1, same)]) == ["x"]  # though 12.1 - 7.1 isn't 5.0


def test_it_is_the_shorter_clip_whose_keyframes_are_looked_for_in_the_other() -> None:
    whole = Made("whole", 0, 40, [int(picture) for picture in PICTURES[:8]])
    part = Made("part", 50, 60, [noisy(2), noisy(3)])
    half = Made("half", 70, 80, [noisy(2), noisy(40)])
    assert staying([whole, part]) == ["whole"]
    assert staying([whole, half]) == ["whole"]
    strict = GroupSettings(near_duplicate=NearDuplicateSettings(min_frame_share=0.6))
    assert staying([whole, part], strict) == ["whole"]
    assert staying([whole, half], strict) == ["whole", "half"]
    long_part = replace(part, end_s=100)  # now it is the longer one, and two of eight are not enough of the other
    assert staying([whole, long_part]) == ["whole", "part"]


@pytest.mark.parametrize(("bits", "alike"), [(0, True), (8, True), (9, False)])
def test_the_radius_is_in_bits_and_included(bits: int, alike: bool) -> None:
    clips = [Made("a", 0, 5, [int(PICTURES[0])]), Made("b", 5, 10, [noisy(0, bits)])]
    assert (len(staying(clips)) == 1) == alike


def test_a_keyframe_counts_once_however_many_other_clips_have() -> None:
    two = Made("two", 0, 5, [int(PICTURES[0]), int(PICTURES[1])])
    four = Made("four", 6, 10, [int(picture) for picture in PICTURES[2:6]])
    other = Made("other", 20, 30, [int(PICTURES[1])])
    half = GroupSettings(near_duplicate=NearDuplicateSettings(min_frame_share=0.6))
    assert staying([two, four, other], half) == ["two", "four", "other"]
    last = [replace(two, start_s=40, end_s=45), replace(four, start_s=50, end_s=54)]
    assert staying([*last, other], half) == ["two", "four", "other"]


def test_clips_without_hashes_are_like_nothing_but_the_same_item() -> None:
    blank = [Made("a", 0, 5), Made("b", 5, 10), Made("c", 10, 15, [0])]
    assert staying(blank) == ["a", "b", "c"]
    clips = [Made("a", 0, 5), Made("a", 5, 10), Made("b", 10, 15)]
    assert group_clips(columns(clips), EVERY_CLIP).representative.tolist() == [0, 0, 2]


def test_likeness_is_not_carried_on_from_clip_to_clip() -> None:
    """A clip is removed only if it is like the clip that stands for it, however many clips lie between them."""
    step = [0b0, 0xFF, 0xFFFF, 0xFFFFFF]  # each is like the next, and like no other
    clips = [Made(f"{place}", place, place + 1, [value]) for place, value in enumerate(step)]
    chain = {"0": "0", "1": "0", "2": "2", "3": "2"}
    assert {name: stands for name, (_, _, stands) in grouped(clips).items()} == chain
    assert {name: stands for name, (_, _, stands) in grouped(clips[::-1]).items()} == chain
    longest = [replace(clips[1], end_s=1 + 1.5), *(replace(clip, start_s=9, end_s=10) for clip in clips[2:3]), clips[0]]
    assert {name: stands for name, (_, _, stands) in grouped(longest).items()} == {"1": "1", "2": "1", "0": "1"}
    between = [Made("a", 0, 9, [0b0]), Made("b", 10, 18, [0xFFFF]), Made("c", 20, 21, [0xFF])]  # c is like both
    assert {name: stands for name, (_, _, stands) in grouped(between).items()} == {"a": "a", "b": None, "c": "a"}


def test_a_video_of_many_clips_is_compared_in_several_batches() -> None:
    hashes = np.random.default_rng(1).integers(0, 2**64, 600, dtype=np.uint64).tolist()
    hashes[300:] = [value ^ 1 for value in hashes[:300]]
    clips = [Made(f"{place:03}", place, place + 1, [value]) for place, value in enumerate(hashes)]
    assert group_clips(columns(clips), EVERY_CLIP).representative.tolist() == [*range(300), *range(300)]
    same = [replace(clip, hashes=[1]) for clip in clips]
    assert group_clips(columns(same), EVERY_CLIP).representative.tolist() == [0] * 600
    steps = np.cumsum(np.arange(600) % 5 != 0) % 64  # a chain over all batches, checked by the definition
    chain = [replace(clip, hashes=[(1 << int(step)) - 1]) for clip, step in zip(clips, steps, strict=True)]
    found = group_clips(
        columns(chain), GroupSettings(near_duplicate=NearDuplicateSettings(hamming_radius=3))
    ).representative
    kept: list[int] = []
    for place, step in enumerate(steps.tolist()):
        stands = next((other for other in kept if abs(int(steps[other]) - step) <= 3), place)
        kept += [place] if stands == place else []
        assert found[place] == stands
