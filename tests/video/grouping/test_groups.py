from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from corpus.settings import SettingsError, parse_settings
from tests.helpers.grouping import EVERY_CLIP, PICTURES, Made, columns, grouped, shots, staying
from video.grouping.groups import GroupSettings, group_clips, group_id
from video.grouping.negatives import NegativeSettings, moment_negatives, sibling_negatives


def test_statuses_are_those_of_the_corpus() -> None:
    clips = columns(shots("ABA"))
    table = group_clips(clips, EVERY_CLIP).table(clips.item_id)
    assert table.column("status").to_pylist() == ["kept", "kept", "duplicate"]


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
