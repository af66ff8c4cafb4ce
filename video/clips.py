"""Makes clips of scenes or of annotated intervals. It works on times only; no frame is read.

All times are seconds on the video's own timeline; an interval includes its start and excludes its end.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from pydantic import Field, model_validator

from corpus.settings import Settings

Interval = tuple[float, float]  # start_s, end_s

# An annotated interval of which less than this share lies in the video refers to another cut of the film, or to another
# unit of time: its text does not describe the rest of it.
MIN_INSIDE = 0.5


class ClipSettings(Settings):
    """Settings of the clips' lengths, and of the scenes that are joined."""

    min_s: float = Field(2.0, gt=0, description="The shortest clip; shorter scenes are joined with those after them.")
    max_s: float = Field(
        30.0, gt=0, description="The longest clip; longer scenes are split, and none are joined beyond this."
    )
    boundary_trim_s: float = Field(
        0.0, ge=0, description="Seconds that are left out on each side of a cut, besides the transition itself."
    )
    stitch: bool = Field(
        True,
        description="Whether neighbouring scenes that look the same are joined: a flash, a jump, a light switched on.",
    )
    stitch_hamming_radius: int = Field(
        8,
        ge=0,
        le=64,
        description="By how many bits the pHashes of the same picture may differ where scenes are stitched.",
    )

    @model_validator(mode="after")
    def _check(self) -> ClipSettings:
        if self.max_s < 2 * self.min_s:
            # Else the halves of a scene just over the maximum would be under the minimum.
            raise ValueError(f"max_s ({self.max_s}) must be at least twice min_s ({self.min_s})")
        if self.min_s <= 2 * self.boundary_trim_s:
            raise ValueError(
                f"boundary_trim_s ({self.boundary_trim_s}) on both sides leaves nothing of min_s ({self.min_s})"
            )
        return self


@dataclass(frozen=True)
class Scene:
    """The time between two cuts, without the transitions; or a part of it."""

    start_s: float
    end_s: float
    after_cut: bool = False  # whether it begins at a cut, not at the start of the video or a split
    before_cut: bool = False
    first_hashes: tuple[int, ...] = ()  # pHashes of pictures near its start, and near its end
    last_hashes: tuple[int, ...] = ()

    @property
    def length_s(self) -> float:
        """The length in seconds."""
        return self.end_s - self.start_s


@dataclass(frozen=True)
class Clip:
    """An interval that becomes an item, or a row with a reason why it doesn't."""

    start_s: float
    end_s: float
    scenes: int = 1  # number of scenes in it; 0: it is annotated
    reason: str = ""  # too_short; of annotated clips: not_an_interval, outside_video
    annotation: int | None = None  # index of its annotated interval


@dataclass
class ClipMaker:
    """A builder of clips from scenes that come in order; it yields a clip as soon as no later scene can change it.

    In order of time: scenes above the maximum are split; neighbours that look the same are stitched; a scene below the
    minimum is joined with the following ones until it is long enough, else with the clip before it, else it is a clip
    with the reason too_short. At most two clips are undecided at a time.
    """

    settings: ClipSettings
    _pending: list[Scene] = field(default_factory=list)  # long enough, but a short neighbour may still join it
    _group: list[Scene] = field(default_factory=list)

    @property
    def undecided_from_s(self) -> float | None:
        """The start of the first undecided clip; None where there is none."""
        scenes = self._pending or self._group
        return scenes[0].start_s if scenes else None

    def push(self, scene: Scene) -> list[Clip]:
        """Adds the next scene; returns the clips that are decided now."""
        return [clip for piece in split_scene(scene, self.settings.max_s) for clip in self._push(piece)]

    def finish(self) -> list[Clip]:
        """Returns the clips that were undecided, after the last scene."""
        clips = self._close()
        clips += self._clips(self._pending)
        self._pending = []
        return clips

    def _push(self, scene: Scene) -> list[Clip]:
        if self._group and self._joins(self._group, scene):
            self._group.append(scene)
            return []
        clips = self._close()
        self._group = [scene]
        return clips

    def _joins(self, group: Sequence[Scene], scene: Scene) -> bool:
        return self._fits(group, [scene]) and (self._short(group) or is_continuation(group[-1], scene, self.settings))

    def _close(self) -> list[Clip]:
        """Ends the current group, which then waits for a short neighbour; returns the clips that waited before it."""
        group, self._group = self._group, []
        if not group:
            return []
        if self._short(group) and self._pending and self._fits(self._pending, group):
            self._pending += group
            return []
        clips = self._clips(self._pending)
        self._pending = []
        if self._short(group):
            return clips + self._clips(group)
        self._pending = group
        return clips

    def _fits(self, group: Sequence[Scene], more: Sequence[Scene]) -> bool:
        return more[-1].end_s - group[0].start_s <= self.settings.max_s

    def _short(self, group: Sequence[Scene]) -> bool:
        return _length_s(group) < self.settings.min_s

    def _clips(self, group: Sequence[Scene]) -> list[Clip]:
        if not group:
            return []
        start_s, end_s = group[0].start_s, group[-1].end_s
        if self._short(group):
            return [Clip(start_s, end_s, len(group), "too_short")]
        start_s += self.settings.boundary_trim_s if group[0].after_cut else 0.0
        end_s -= self.settings.boundary_trim_s if group[-1].before_cut else 0.0
        return [Clip(start_s, end_s, len(group))]


def split_scene(scene: Scene, max_s: float) -> Iterator[Scene]:
    """Yields the scene in pieces of at most `max_s`, and of more than half of that where it is split at all.

    Pieces are `max_s` long from the start while twice that remains, then there are two halves: so a piece is known long
    before the end of its scene.
    """
    while scene.length_s >= 2 * max_s:
        first, scene = split_at(scene, scene.start_s + max_s)
        yield first
    if scene.length_s > max_s:
        yield from split_at(scene, (scene.start_s + scene.end_s) / 2)
    else:
        yield scene


def split_at(scene: Scene, at_s: float) -> tuple[Scene, Scene]:
    """Returns the scene before and from a time within it. They meet without a cut, and have no hashes there to be
    compared.
    """
    before = replace(scene, end_s=at_s, before_cut=False, last_hashes=())
    return before, replace(scene, start_s=at_s, after_cut=False, first_hashes=())


def is_continuation(left: Scene, right: Scene, settings: ClipSettings) -> bool:
    """Returns whether the second scene begins with the picture that the first one ended with."""
    if not settings.stitch:
        return False
    return min_hamming(left.last_hashes, right.first_hashes) <= settings.stitch_hamming_radius


def min_hamming(some: Iterable[int], others: Sequence[int]) -> int:
    """Returns the smallest Hamming distance between two lists of 64-bit hashes; 65 where one is empty."""
    return min(((one ^ other).bit_count() for one in some for other in others), default=65)


def annotated_clips(intervals: Sequence[tuple[float, float | None]], video: tuple[float, float]) -> list[Clip]:
    """Returns a clip for each annotated (start_s, end_s), in its full length: its text is about all of it.

    An end of None is the video's. Intervals are cut to the video's start and end: annotations tend to end a little
    late. Reasons: not_an_interval (not finite, or an end that isn't after its start), outside_video (MIN_INSIDE).
    """
    return [_annotated(place, *interval, *video) for place, interval in enumerate(intervals)]


def _annotated(place: int, start_s: float, end_s: float | None, first_s: float, last_s: float) -> Clip:
    until_s = max(start_s, last_s) if end_s is None else end_s
    if not (math.isfinite(start_s) and math.isfinite(until_s)) or (end_s is not None and end_s <= start_s):
        return Clip(start_s, until_s, 0, "not_an_interval", place)
    inside_s = min(until_s, last_s) - max(start_s, first_s)
    if inside_s <= 0 or inside_s < MIN_INSIDE * (until_s - start_s):
        return Clip(start_s, until_s, 0, "outside_video", place)
    return Clip(max(first_s, start_s), min(until_s, last_s), 0, "", place)


def _length_s(group: Sequence[Scene]) -> float:
    return group[-1].end_s - group[0].start_s
