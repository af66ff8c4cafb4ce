from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from corpus.settings import SettingsError, parse_settings
from tests.helpers.grouping import EVERY_CLIP, PICTURES, Made, columns, grouped, noisy, shots, staying
from video.grouping.groups import GroupSettings, group_clips, group_id
from video.grouping.near_duplicates import NearDuplicateSettings
from video.grouping.negatives import NegativeSettings, moment_negatives, sibling_negatives


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


def test_statuses_are_those_of_the_corpus() -> None:
    clips = columns(shots("ABA"))
    table = group_clips(clips, EVERY_CLIP).table(clips.item_id)
    assert table.column("status").to_pylist() == ["kept", "kept", "duplicate"]


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


def test_moments_that_overlap_stay_but_not_in_one_group() -> None:
    same = [int(PICTURES[0])] * 2
    moments = [Made("a", 0, 10, same), Made("b", 5, 12, same), Made("c", 10, 20), Made("d", 12, 14), Made("e", 13, 15)]
    first, second = group_id(b"one", 0), group_id(b"one", 1)
    assert grouped(moments) == {
        "a": (first, "", None),
        "b": (second, "", None),
        "c": (first, "", None),
        "d": (second, "", None),
        "e": ("", "", None),  # alone in the third
    }
    touching = [Made("a", 0, 10, same), Made("b", 10, 19, same)]
    assert staying(touching) == ["a"]
    one_item = columns([Made("a", 0, 10), Made("a", 5, 12)])
    assert group_clips(one_item, EVERY_CLIP).representative.tolist() == [0, 0]  # alike in any case


def test_clips_that_are_told_apart_are_not_alike() -> None:
    clips = columns(shots("AAAAA"))
    told = replace(clips, description=pa.array(["opens", "shuts", "opens", "knocks", "shuts"]))
    assert group_clips(told, EVERY_CLIP).representative.tolist() == [0, 1, 0, 3, 1]
    partly = replace(clips, description=pa.array(["opens", "shuts", "", None, "knocks"]))
    assert group_clips(partly, EVERY_CLIP).representative.tolist() == [0, 1, 0, 0, 4]  # the third is like all of them
    with pytest.raises(ValueError, match="1 rows of description for 5 clips"):
        replace(clips, description=pa.array(["opens"]))


def test_a_video_with_fewer_clips_than_a_group_needs_keeps_them_without_one() -> None:
    assert grouped(shots("AAA")) == {
        "00A": ("", "", "00A"),
        "01A": ("", "near_duplicate_sibling", "00A"),
        "02A": ("", "near_duplicate_sibling", "00A"),
    }
    three = GroupSettings(min_group_size=3)
    assert {group for group, _, _ in grouped(shots("AB"), three).values()} == {""}
    assert {group for group, _, _ in grouped(shots("ABC"), three).values()} == {group_id(b"one", 0)}


def test_large_groups_are_split_by_time_into_nearly_equal_parts() -> None:
    clips = [Made(f"{place:02}", place * 5, place * 5 + 5, [int(PICTURES[place])]) for place in range(23)]
    names = [group for group, _, _ in grouped(clips, GroupSettings(max_group_size=6)).values()]
    parts = sorted(set(names), key=names.index)
    assert parts == [group_id(b"one", part) for part in range(4)]
    assert names == sorted(names, key=parts.index)
    assert sorted(names.count(part) for part in parts) == [5, 6, 6, 6]


def test_a_group_id_is_made_of_the_key_and_the_part_only() -> None:
    assert group_id(b"one", 2) == hashlib.sha256(b"one\2\0\0\0\0\0\0\0").hexdigest()
    alone = grouped(shots("ABC", video=b"two"))
    others = [replace(clip, name=f"x{clip.name}") for clip in shots("ABCDE")]
    assert alone.items() <= grouped(others + shots("ABC", video=b"two")).items()


def test_keys_may_be_numbers() -> None:
    clips = columns(shots("ABC"))
    numbers = replace(clips, video=np.array([5, 2**63, 5], np.uint64))
    assert group_clips(numbers, EVERY_CLIP).group.to_pylist() == [
        group_id((5).to_bytes(8, "little"), 0),
        "",
        group_id((5).to_bytes(8, "little"), 0),
    ]


def test_hashes_may_be_missing_altogether() -> None:
    bare = replace(columns(shots("AAB")), hashes=None)
    assert group_clips(bare, EVERY_CLIP).alone.all()
    null = replace(bare, hashes=pa.array([[1], None, [1]], pa.list_(pa.uint64())))
    assert group_clips(null, EVERY_CLIP).representative.tolist() == [0, 1, 0]


def test_no_clips_make_no_groups() -> None:
    none = columns([])
    found = group_clips(none, EVERY_CLIP)
    assert found.table(none.item_id).num_rows == 0
    assert sibling_negatives(none, found, NegativeSettings()).shape == (0, 4)
    assert moment_negatives(none, NegativeSettings(), found).shape == (0, 4)


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


def test_what_cannot_be_grouped_is_refused() -> None:
    with pytest.raises(ValueError, match=r"clip 1 is no interval: start_s 5\.0, end_s 5\.0"):
        columns([Made("a", 0, 5), Made("b", 5, 5)])
    with pytest.raises(ValueError, match="clip 0 is no interval"):
        columns([Made("a", 0, float("nan"))])
    clips = columns(shots("AB"))
    with pytest.raises(ValueError, match="1 rows of hashes for 2 clips"):
        replace(clips, hashes=clips.hashes[:1])
    with pytest.raises(ValueError, match="1 clips have no item_id"):
        replace(clips, item_id=pa.array([b"a", None]))
    with pytest.raises(ValueError, match="1 clips have no video"):
        group_clips(replace(clips, video=pa.array([b"a", None])), EVERY_CLIP)
    with pytest.raises(ValueError, match="1 hashes are null"):
        group_clips(replace(clips, hashes=pa.array([[1, None], [2]], pa.list_(pa.uint64()))), EVERY_CLIP)


def test_settings_under_which_a_split_would_make_too_small_groups_are_refused() -> None:
    with pytest.raises(SettingsError, match="twice min_group_size"):
        parse_settings({"min_group_size": 5, "max_group_size": 8}, GroupSettings)
    assert GroupSettings(min_group_size=5, max_group_size=9).max_group_size == 9
