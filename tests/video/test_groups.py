from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpus.settings import SettingsError, parse_settings
from video.group_alike import AlikeSettings
from video.group_negatives import moment_negatives, sibling_negatives
from video.groups import ClipColumns, Groups, GroupSettings, group_clips, group_id

RNG = np.random.default_rng(7)
PICTURES = RNG.integers(0, 2**64, 64, dtype=np.uint64)  # far from each other: in 32 bits or so
EVERY_CLIP = GroupSettings(max_group=1000, negatives=200)


@dataclass(frozen=True)
class Made:
    """A clip as a test plants it."""

    name: str
    start_s: float
    end_s: float
    hashes: Sequence[int] = ()
    video: bytes = b"one"
    embedding: tuple[float, ...] = (0.0, 0.0)


def columns(clips: Sequence[Made]) -> ClipColumns:
    return ClipColumns(
        pa.array([clip.video for clip in clips], pa.binary()),
        np.array([clip.start_s for clip in clips], float),
        np.array([clip.end_s for clip in clips], float),
        pa.array([item(clip.name) for clip in clips], pa.binary(16)),
        pa.array([[int(value) for value in clip.hashes] for clip in clips], pa.list_(pa.uint64())),
        np.array([clip.embedding for clip in clips], np.float32).reshape(len(clips), 2),
    )


def item(name: str) -> bytes:
    return name.encode().ljust(16, b"\0")


def noisy(picture: int, bits: int = 3) -> int:
    """The hash of much the same picture: other by so many bits."""
    flips = RNG.choice(64, bits, replace=False)
    return int(PICTURES[picture]) ^ sum(1 << int(flip) for flip in flips)


def shots(pictures: str, length_s: float = 5.0, video: bytes = b"one") -> list[Made]:
    """A clip of four keyframes for each letter, one after the other; equal letters show much the same."""
    return [
        Made(f"{place:02}{letter}", place * length_s, (place + 1) * length_s, [noisy(ord(letter) - 65)] * 4, video)
        for place, letter in enumerate(pictures)
    ]


def grouped(clips: Sequence[Made], settings: GroupSettings = EVERY_CLIP) -> dict[str, tuple[str, str, str | None]]:
    """Of each clip: its group, its reason, and the name of the one that stands for its cluster."""
    table = group_clips(columns(clips), settings).table(columns(clips).item_id)
    assert table.column_names == ["group", "representative", "status", "reason"]
    named = {item(clip.name): clip.name for clip in clips}
    rows = zip(clips, table.to_pylist(), strict=True)
    return {c.name: (r["group"], r["reason"], named.get(r["representative"])) for c, r in rows}


def staying(clips: Sequence[Made], settings: GroupSettings = EVERY_CLIP) -> list[str]:
    return [name for name, (_, reason, _) in grouped(clips, settings).items() if not reason]


def named(clips: Sequence[Made], rows: np.ndarray) -> dict[str, list[str]]:
    return {
        clip.name: [clips[row].name for row in found if row >= 0]
        for clip, found in zip(clips, rows.tolist(), strict=True)
    }


def siblings(clips: Sequence[Made], settings: GroupSettings = EVERY_CLIP) -> dict[str, list[str]]:
    made = columns(clips)
    return named(clips, sibling_negatives(made, group_clips(made, settings), settings))


def test_of_a_dialogue_that_cuts_back_and_forth_one_clip_of_each_speaker_stays() -> None:
    found = grouped(shots("ABABAC"))
    one = group_id(b"one", 0)
    assert found == {
        "00A": (one, "", "00A"),
        "01B": (one, "", "01B"),
        "02A": ("", "alike_sibling", "00A"),
        "03B": ("", "alike_sibling", "01B"),
        "04A": ("", "alike_sibling", "00A"),
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
    assert staying([Made("z", 0, 5, same), Made("y", 0, 5, same)]) == ["y"]
    assert staying([Made("x", 0.3, 5.3, same), Made("w", 7.1, 12.1, same)]) == ["x"]  # though 12.1 - 7.1 isn't 5.0


def test_it_is_the_shorter_clip_whose_keyframes_are_looked_for_in_the_other() -> None:
    whole = Made("whole", 0, 40, [int(picture) for picture in PICTURES[:8]])
    part = Made("part", 50, 60, [noisy(2), noisy(3)])
    half = Made("half", 70, 80, [noisy(2), noisy(40)])
    assert staying([whole, part]) == ["whole"]
    assert staying([whole, half]) == ["whole"]
    strict = GroupSettings(alike=AlikeSettings(min_share=0.6))
    assert staying([whole, part], strict) == ["whole"]
    assert staying([whole, half], strict) == ["whole", "half"]
    long_part = replace(part, end_s=100)  # now it is the longer one, and two of eight are not enough of the other
    assert staying([whole, long_part]) == ["whole", "part"]


@pytest.mark.parametrize(("bits", "alike"), [(0, True), (8, True), (9, False)])
def test_the_radius_is_in_bits_and_included(bits: int, alike: bool) -> None:
    clips = [Made("a", 0, 5, [int(PICTURES[0])]), Made("b", 5, 10, [noisy(0, bits)])]
    assert (len(staying(clips)) == 1) == alike


def test_clips_without_hashes_are_like_nothing_but_the_same_item() -> None:
    blank = [Made("a", 0, 5), Made("b", 5, 10), Made("c", 10, 15, [0])]
    assert staying(blank) == ["a", "b", "c"]
    clips = [Made("a", 0, 5), Made("a", 5, 10), Made("b", 10, 15)]
    assert group_clips(columns(clips), EVERY_CLIP).representative.tolist() == [0, 0, 2]


def test_embeddings_that_point_the_same_way_are_alike_and_those_without_direction_are_not() -> None:
    clips = [
        Made("a", 0, 5, embedding=(1, 0)),
        Made("b", 5, 10, embedding=(9, 2.9)),  # cosine 0.952
        Made("c", 10, 15, embedding=(9, 3.0)),  # cosine 0.949 with a, 1.000 with b
        Made("d", 15, 20, embedding=(0, 1)),
        Made("e", 20, 25, embedding=(float("nan"), 1)),
        Made("f", 25, 30),
        Made("g", 30, 35),
    ]
    assert staying(clips) == ["a", "d", "e", "f", "g"]
    assert staying([clips[0], clips[2]]) == ["a", "c"]
    assert staying(clips[:2], GroupSettings(alike=AlikeSettings(min_cosine=0.96))) == ["a", "b"]


def test_alike_is_carried_on_from_clip_to_clip() -> None:
    step = [0b0, 0xFF, 0xFFFF, 0xFFFFFF]
    clips = [Made(f"{place}", place, place + 1, [value]) for place, value in enumerate(step)]
    assert staying(clips) == ["0"]
    assert staying([clips[0], clips[2]]) == ["0", "2"]


def test_a_video_with_fewer_clips_than_a_group_needs_keeps_them_without_one() -> None:
    assert grouped(shots("AAA")) == {
        "00A": ("", "", "00A"),
        "01A": ("", "alike_sibling", "00A"),
        "02A": ("", "alike_sibling", "00A"),
    }
    three = GroupSettings(min_group=3)
    assert {group for group, _, _ in grouped(shots("AB"), three).values()} == {""}
    assert {group for group, _, _ in grouped(shots("ABC"), three).values()} == {group_id(b"one", 0)}


def test_large_groups_are_split_by_time_into_nearly_equal_parts() -> None:
    clips = [Made(f"{place:02}", place * 5, place * 5 + 5, [int(PICTURES[place])]) for place in range(23)]
    names = [group for group, _, _ in grouped(clips, GroupSettings(max_group=6)).values()]
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


def test_hashes_and_embeddings_may_be_missing_altogether() -> None:
    bare = replace(columns(shots("AAB")), hashes=None, embedding=None)
    assert group_clips(bare, EVERY_CLIP).alone.all()
    null = replace(bare, hashes=pa.array([[1], None, [1]], pa.list_(pa.uint64())))
    assert group_clips(null, EVERY_CLIP).representative.tolist() == [0, 1, 0]


def test_no_clips_make_no_groups() -> None:
    none = columns([])
    found = group_clips(none, EVERY_CLIP)
    assert found.table(none.item_id).num_rows == 0
    assert sibling_negatives(none, found, GroupSettings()).shape == (0, 4)
    assert moment_negatives(none, GroupSettings(), found).shape == (0, 4)


def test_a_video_of_many_clips_is_compared_in_several_batches() -> None:
    hashes = np.random.default_rng(1).integers(0, 2**64, 600, dtype=np.uint64).tolist()
    hashes[599] = hashes[0] ^ 1
    hashes[400] = hashes[130] ^ 2
    clips = [Made(f"{place:03}", place, place + 1, [value]) for place, value in enumerate(hashes)]
    assert set(range(600)) - {int(name) for name in staying(clips)} == {400, 599}
    angles = np.arange(600) / 600 * np.pi
    angles[599], angles[400] = angles[0], angles[130]
    turned = [
        replace(clip, hashes=(), embedding=(float(np.cos(angle)), float(np.sin(angle))))
        for clip, angle in zip(clips, angles, strict=True)
    ]
    exact = GroupSettings(alike=AlikeSettings(min_cosine=1.0))  # neighbours are at 1 - 1.4e-5
    assert set(range(600)) - {int(name) for name in staying(turned, exact)} == {400, 599}


def test_siblings_come_nearest_first_the_earlier_one_of_two_and_alike_ones_never() -> None:
    found = siblings(shots("ABACDE"), GroupSettings(negatives=3))
    assert found == {
        "00A": ["01B", "03C", "04D"],
        "01B": ["00A", "03C", "04D"],
        "02A": [],
        "03C": ["04D", "01B", "05E"],
        "04D": ["03C", "05E", "01B"],
        "05E": ["04D", "03C", "01B"],
    }


def test_siblings_nearer_than_the_gap_or_overlapping_are_left_out() -> None:
    found = siblings(shots("ABCD"), GroupSettings(gap_s=5.0))
    assert found == {"00A": ["02C", "03D"], "01B": ["03D"], "02C": ["00A"], "03D": ["01B", "00A"]}
    clips = [Made("a", 0, 6), Made("b", 5, 9), Made("c", 9, 12)]
    assert siblings(clips) == {"a": ["c"], "b": ["c"], "c": ["b", "a"]}


def test_siblings_are_of_the_same_part_of_a_split_group() -> None:
    found = siblings(shots("ABCDEF"), GroupSettings(max_group=3))
    assert set(found["02C"]) == {"00A", "01B"} and set(found["03D"]) == {"04E", "05F"}


def test_seeded_siblings_depend_on_the_seed_and_the_ids_alone() -> None:
    clips = shots("ABCDEFGHIJ")
    one = GroupSettings(negatives=3, rule="seeded", seed=1)
    found = siblings(clips, one)
    assert all(len(set(others) - {name}) == 3 for name, others in found.items())
    assert found == siblings(clips[::-1], one)
    assert found != siblings(clips, one.model_copy(update={"seed": 2}))
    everyone = [other for seed in range(20) for other in siblings(clips, one.model_copy(update={"seed": seed}))["00A"]]
    assert set(everyone) == {clip.name for clip in clips[1:]}  # no sibling is out of its reach


def test_moments_that_share_much_of_their_time_are_no_negatives_of_each_other() -> None:
    moments = [Made("a", 0, 10), Made("b", 5, 15), Made("c", 9, 19), Made("d", 30, 40), Made("e", 0, 9, video=b"two")]
    settings = GroupSettings(max_iou=1 / 3)
    found = named(moments, moment_negatives(columns(moments), settings))
    # a and b share 5 of 15 s: not below a third. a and c share 1 of 19 s, b and c 6 of 14 s.
    assert found == {"a": ["c", "d"], "b": ["d"], "c": ["a", "d"], "d": ["c", "b", "a"], "e": []}
    assert named(moments, moment_negatives(columns(moments), GroupSettings(max_iou=0.34)))["a"] == ["b", "c", "d"]


def test_a_moment_that_several_texts_ask_for_is_a_negative_once_and_never_of_itself() -> None:
    moments = [Made("a", 0, 10), Made("a", 0, 10), Made("b", 20, 30), Made("b", 20, 30)]
    rows = moment_negatives(columns(moments), GroupSettings(negatives=2))
    assert rows.tolist() == [[2, -1], [2, -1], [0, -1], [0, -1]]


def test_moments_of_a_cluster_are_no_negatives_of_each_other() -> None:
    moments = columns(shots("ABA"))
    found = moment_negatives(moments, GroupSettings(negatives=2), group_clips(moments, EVERY_CLIP))
    assert found.tolist() == [[1, -1], [0, 2], [1, -1]]


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
    with pytest.raises(SettingsError, match="twice min_group"):
        parse_settings({"min_group": 5, "max_group": 8}, GroupSettings)
    assert GroupSettings(min_group=5, max_group=9).max_group == 9


@st.composite
def corpora(draw: st.DrawFn) -> list[Made]:
    """Clips of a few videos that overlap, repeat pictures and have equal times now and then."""
    count = draw(st.integers(1, 24))
    clips = []
    for place in range(count):
        start_s = draw(st.integers(0, 30))
        clips.append(
            Made(
                f"{place:02}",
                start_s,
                start_s + draw(st.integers(1, 6)),
                draw(st.lists(st.integers(0, 8).map(lambda n: 0xF << n * 4), max_size=3)),
                draw(st.sampled_from([b"", b"one", b"two"])),
                draw(st.sampled_from([(0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (-1.0, 0.0)])),
            )
        )
    return clips


choices = st.builds(
    GroupSettings,
    alike=st.builds(AlikeSettings, radius_bits=st.sampled_from([0, 4]), min_share=st.sampled_from([0.4, 0.5, 1.0])),
    max_group=st.integers(3, 6),
    negatives=st.integers(0, 5),
    rule=st.sampled_from(["nearest", "seeded"]),
    gap_s=st.sampled_from([0.0, 2.0]),
)


def plainly_alike(one: Made, other: Made, settings: AlikeSettings) -> bool:
    """The definition, said without arrays."""

    def share(some: Made, others: Made) -> float:
        near = [min((h ^ o).bit_count() for o in others.hashes) <= settings.radius_bits for h in some.hashes]
        return sum(near) / len(near)

    if any(one.embedding) and one.embedding == other.embedding:
        return True
    if not one.hashes or not other.hashes:
        return False
    lengths = [clip.end_s - clip.start_s for clip in (one, other)]
    shares = [share(one, other), share(other, one)]
    return max(s for s, length in zip(shares, lengths, strict=True) if length == min(lengths)) >= settings.min_share


@given(corpora(), choices)
def test_groups_hold_what_they_promise(clips: list[Made], settings: GroupSettings) -> None:
    found = group_clips(columns(clips), settings)
    names = found.group.to_pylist()
    stays = [found.representative[row] == row for row in range(len(clips))]
    for group in set(names) - {""}:
        rows = [row for row, name in enumerate(names) if name == group]
        assert settings.min_group <= len(rows) <= settings.max_group
        assert len({clips[row].video for row in rows}) == 1 and all(stays[row] for row in rows)
        assert not any(plainly_alike(clips[a], clips[b], settings.alike) for a in rows for b in rows if a != b)
    for row, name in enumerate(names):
        of_video = [other for other in range(len(clips)) if clips[other].video == clips[row].video and stays[other]]
        assert bool(name) == (stays[row] and len(of_video) >= settings.min_group)
    assert clusters(found) == plain_clusters(clips, settings.alike)


def clusters(found: Groups) -> list[int]:
    first: dict[int, int] = {}
    return [first.setdefault(of, row) for row, of in enumerate(found.representative.tolist())]


def plain_clusters(clips: list[Made], settings: AlikeSettings) -> list[int]:
    labels = list(range(len(clips)))
    for a, one in enumerate(clips):
        for b, other in enumerate(clips[:a]):
            if one.video == other.video and plainly_alike(one, other, settings):
                low, high = sorted((labels[a], labels[b]))
                labels = [low if label == high else label for label in labels]
    return labels


@given(corpora(), choices)
def test_negatives_hold_what_they_promise(clips: list[Made], settings: GroupSettings) -> None:
    made = columns(clips)
    found = group_clips(made, settings)
    names = found.group.to_pylist()
    for row, others in enumerate(sibling_negatives(made, found, settings).tolist()):
        others = [other for other in others if other >= 0]
        assert len(set(others)) == len(others) and row not in others
        assert all(names[other] == names[row] != "" for other in others)
        fitting = [
            other
            for other in range(len(clips))
            if names[other] == names[row] != "" and other != row and gap(clips[row], clips[other]) >= settings.gap_s
        ]
        assert set(others) <= set(fitting) and len(others) == min(settings.negatives, len(fitting))
        if settings.rule == "nearest":
            gaps = sorted(gap(clips[row], clips[other]) for other in fitting)
            assert [gap(clips[row], clips[other]) for other in others] == gaps[: len(others)]


def gap(one: Made, other: Made) -> float:
    return max(one.start_s, other.start_s) - min(one.end_s, other.end_s)


@given(corpora(), choices, st.randoms(use_true_random=False))
def test_the_order_of_the_rows_changes_nothing(clips: list[Made], settings: GroupSettings, random: Any) -> None:
    shuffled = random.sample(clips, len(clips))
    assert grouped(clips, settings) == grouped(shuffled, settings)
    assert siblings(clips, settings) == siblings(shuffled, settings)
    moments, others = columns(clips), columns(shuffled)
    before, after = moment_negatives(moments, settings), moment_negatives(others, settings)
    assert named(clips, before) == named(shuffled, after)


@given(corpora(), choices)
def test_a_video_comes_out_the_same_whatever_else_there_is(clips: list[Made], settings: GroupSettings) -> None:
    alone = [clip for clip in clips if clip.video == clips[0].video]
    assert grouped(alone, settings).items() <= grouped(clips, settings).items()
    found = siblings(clips, settings)
    assert siblings(alone, settings) == {clip.name: found[clip.name] for clip in alone}
