"""What holds for the groups of any clips, against the definitions said without arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tests.helpers.grouping import Made, columns, grouped, named, siblings
from video.grouping.groups import GroupSettings, group_clips
from video.grouping.near_duplicates import NearDuplicateSettings
from video.grouping.negatives import NegativeSettings, moment_negatives, sibling_negatives


@st.composite
def corpora(draw: st.DrawFn) -> list[Made]:
    """Clips of a few videos that overlap, repeat pictures and have equal times now and then."""
    count = draw(st.integers(1, 24))
    clips = []
    for place in range(count):
        start_s = draw(st.integers(0, 60))
        clips.append(
            Made(
                f"{place:02}",
                start_s,
                start_s + draw(st.integers(1, 6)),
                draw(st.lists(st.integers(0, 15).map(lambda n: 0xF << n * 4), max_size=3)),
                draw(st.sampled_from([b"", b"one", b"two"])),
            )
        )
    return clips


choices = st.builds(
    GroupSettings,
    near_duplicate=st.builds(
        NearDuplicateSettings, hamming_radius=st.sampled_from([0, 4]), min_frame_share=st.sampled_from([0.4, 0.5, 1.0])
    ),
    max_group_size=st.integers(3, 6),
)
negative_choices = st.builds(
    NegativeSettings,
    num_negatives=st.integers(0, 5),
    sampling_strategy=st.sampled_from(["nearest", "random"]),
    min_gap_s=st.sampled_from([0.0, 2.0]),
)


def plainly_alike(one: Made, other: Made, settings: NearDuplicateSettings) -> bool:
    """The definition, said without arrays."""

    def share(some: Made, others: Made) -> float:
        near = [min((h ^ o).bit_count() for o in others.hashes) <= settings.hamming_radius for h in some.hashes]
        return sum(near) / len(near)

    if gap(one, other) < 0:
        return False
    if not one.hashes or not other.hashes:
        return False
    lengths = [clip.end_s - clip.start_s for clip in (one, other)]
    shares = [share(one, other), share(other, one)]
    return (
        max(s for s, length in zip(shares, lengths, strict=True) if length == min(lengths)) >= settings.min_frame_share
    )


@given(corpora(), choices)
def test_groups_hold_what_they_promise(clips: list[Made], settings: GroupSettings) -> None:
    found = group_clips(columns(clips), settings)
    names = found.group.to_pylist()
    stays = [found.representative[row] == row for row in range(len(clips))]
    for group in set(names) - {""}:
        rows = [row for row, name in enumerate(names) if name == group]
        assert settings.min_group_size <= len(rows) <= settings.max_group_size
        assert len({clips[row].video for row in rows}) == 1 and all(stays[row] for row in rows)
        assert not any(plainly_alike(clips[a], clips[b], settings.near_duplicate) for a in rows for b in rows if a != b)
        assert all(gap(clips[a], clips[b]) >= 0 for a in rows for b in rows if a != b)
    for row in np.flatnonzero(stays):
        others = [other for other in np.flatnonzero(stays) if clips[other].video == clips[row].video]
        if not names[row]:  # then nothing was left to form a group of two with
            assert all(names[other] or gap(clips[row], clips[other]) < 0 for other in others)
        if not any(gap(clips[a], clips[b]) < 0 for a in others for b in others if a < b):
            assert bool(names[row]) == (len(others) >= settings.min_group_size)
    assert not any(name for name, stay in zip(names, stays, strict=True) if not stay)
    assert found.representative.tolist() == plain_representatives(clips, settings.near_duplicate)


def plain_representatives(clips: list[Made], settings: NearDuplicateSettings) -> list[int]:
    """One after the other, the best first: each clip is joined to the first that stays and that it is like."""
    stands = list(range(len(clips)))
    kept: list[int] = []
    order = sorted(range(len(clips)), key=lambda row: (-length(clips[row]), clips[row].start_s, clips[row].name))
    for row in order:
        fitting = (other for other in kept if clips[other].video == clips[row].video)
        stands[row] = next((other for other in fitting if plainly_alike(clips[row], clips[other], settings)), row)
        kept += [row] if stands[row] == row else []
    return stands


def length(clip: Made) -> float:
    return clip.end_s - clip.start_s


@given(corpora(), choices, negative_choices)
def test_negatives_hold_what_they_promise(clips: list[Made], groups: GroupSettings, settings: NegativeSettings) -> None:
    made = columns(clips)
    found = group_clips(made, groups)
    names = found.group.to_pylist()
    for row, others in enumerate(sibling_negatives(made, found, settings).tolist()):
        others = [other for other in others if other >= 0]
        assert len(set(others)) == len(others) and row not in others
        assert all(names[other] == names[row] != "" for other in others)
        fitting = [
            other
            for other in range(len(clips))
            if names[other] == names[row] != "" and other != row and gap(clips[row], clips[other]) >= settings.min_gap_s
        ]
        assert set(others) <= set(fitting) and len(others) == min(settings.num_negatives, len(fitting))
        if settings.sampling_strategy == "nearest":
            gaps = sorted(gap(clips[row], clips[other]) for other in fitting)
            assert [gap(clips[row], clips[other]) for other in others] == gaps[: len(others)]


def gap(one: Made, other: Made) -> float:
    return max(one.start_s, other.start_s) - min(one.end_s, other.end_s)


@given(corpora(), choices, negative_choices, st.randoms(use_true_random=False))
def test_the_order_of_the_rows_changes_nothing(
    clips: list[Made], groups: GroupSettings, settings: NegativeSettings, random: Any
) -> None:
    shuffled = random.sample(clips, len(clips))
    assert grouped(clips, groups) == grouped(shuffled, groups)
    assert siblings(clips, settings, groups) == siblings(shuffled, settings, groups)
    moments, others = columns(clips), columns(shuffled)
    before, after = moment_negatives(moments, settings), moment_negatives(others, settings)
    assert named(clips, before) == named(shuffled, after)


@given(corpora(), choices, negative_choices)
def test_a_video_comes_out_the_same_whatever_else_there_is(
    clips: list[Made], groups: GroupSettings, settings: NegativeSettings
) -> None:
    alone = [clip for clip in clips if clip.video == clips[0].video]
    assert grouped(alone, groups).items() <= grouped(clips, groups).items()
    found = siblings(clips, settings, groups)
    assert siblings(alone, settings, groups) == {clip.name: found[clip.name] for clip in alone}
