"""The stage `groups` filters clips by their statistics, removes near duplicates within a video, and groups the rest.

It works on the measurements and hashes of the stage `clips` and reads no media, so changing a setting is cheap.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from corpus.schema import Status, table_schema
from corpus.settings import Settings
from corpus.stage import ITEMS, ROWS, VERDICT, Gives, MapStage, Shard
from corpus.text.keys import normalize_text
from corpus.thresholds import Bound, Threshold
from video.grouping.groups import ClipColumns, GroupSettings, group_clips
from video.schema import CLIPS_SCHEMA, GROUPS_SCHEMA, ClipKind

_CLIPS = "clips"


class ClipGroupsSettings(Settings):
    """Settings of the stage `groups`: thresholds of kept clips, and how they are grouped. Grey levels are 0 to 255."""

    drop_black: bool = Field(
        True, description="Whether a clip that never shows anything lighter than almost black is filtered (black)."
    )
    min_brightness: float = Field(
        8.0, ge=0, le=255, description="The lowest mean grey level of a clip; below it the clip is filtered (too_dark)."
    )
    max_brightness: float = Field(
        247.0,
        ge=0,
        le=255,
        description="The highest mean grey level of a clip; above it the clip is filtered (too_bright).",
    )
    drop_static: bool = Field(
        False, description="Whether a clip whose picture never changes, such as a slide, is filtered (static)."
    )
    min_motion: float = Field(
        0.0,
        ge=0,
        description="The smallest mean change between measured frames, in grey levels; below it the clip is "
        "filtered (low_motion).",
    )
    min_sharpness: float = Field(
        0.4,
        ge=0,
        description="The lowest sharpness of a clip (1.5 and more is sharp, 0.7 a little soft); below it the clip "
        "is filtered (blurred).",
    )
    min_side_px: int = Field(
        1, ge=1, description="The shortest side of a clip's frames; below it the clip is filtered (too_small)."
    )
    respect_descriptions: bool = Field(
        True, description="Whether annotated moments with different descriptions stay, however similar they look."
    )
    group: GroupSettings = Field(GroupSettings(), description="Which clips of a video form a group of hard negatives.")


def _of_clips(setting: str, bound: Bound, column: str, measures: str, reason: str) -> Threshold:
    """Declares a threshold of a column of `clips`."""
    return Threshold(setting=setting, bound=bound, table=_CLIPS, columns=(column,), measures=measures, reason=reason)


_THRESHOLDS = (
    _of_clips("min_brightness", Bound.LOWER, "brightness", "mean grey level of a clip", "too_dark"),
    _of_clips("max_brightness", Bound.UPPER, "brightness", "mean grey level of a clip", "too_bright"),
    _of_clips("min_motion", Bound.LOWER, "motion", "mean change between measured frames, in grey levels", "low_motion"),
    _of_clips("min_sharpness", Bound.LOWER, "sharpness", "sharpness of the edges", "blurred"),
    Threshold(
        setting="min_side_px",
        bound=Bound.LOWER,
        table=_CLIPS,
        columns=("width", "height"),
        value=lambda rows: pc.min_element_wise(rows.column("width"), rows.column("height"), skip_nulls=False),
        measures="shorter side of a clip's frames",
        unit="px",
        reason="too_small",
        logarithmic=True,
    ),
)


class Groups(MapStage):
    """The stage that filters the clips of all videos that begin in a shard, and groups them as each other's hard
    negatives.

    Rows are ordered by video, in the order in which videos first appear, then by time and item. Rows that were removed
    before stay as they are. Clips are filtered by the first rule that they fail: black, too_dark, too_bright, static,
    low_motion, blurred, too_small. Clips that look like a better one of their video are duplicates of it:
    near_duplicate_sibling (see `video.grouping.groups`). Moments that overlap are not, nor are those that are described
    differently (`respect_descriptions`).
    """

    name = "groups"
    reads = (_CLIPS,)
    settings_key = "groups"
    settings_type = ClipGroupsSettings
    over = frozenset({Gives.CLIPS})
    summary = "whether the clip is good enough, which other clip it looks like, and its group of hard negatives"
    reasons = {
        "black": "all of it is black, and `drop_black` is true",
        "static": "nothing moves in it, and `drop_static` is true",
        "near_duplicate_sibling": "it looks like a better clip of the same video",
    }
    roles = (ROWS, ITEMS, VERDICT)
    schema = GROUPS_SCHEMA
    thresholds = _THRESHOLDS
    fan_out = True
    lookahead_shards = True
    include_removed = True

    def __init__(self, settings: ClipGroupsSettings) -> None:
        super().__init__(settings)
        self._settings = settings

    def setup(self) -> Callable[[Shard], pa.Table]:
        return lambda shard: group_table(sort_clips(rows_of_shard(shard[_CLIPS], int(shard.name))), self._settings)


def rows_of_shard(clips: pa.Table, home: int) -> pa.Table:
    """Returns the rows of videos that begin in a shard. A row whose video is unknown belongs to the shard that it lies
    in.
    """
    return clips.filter(pc.fill_null(pc.equal(clips.column("home_shard"), home), True))


def sort_clips(clips: pa.Table) -> pa.Table:
    """Sorts clips by video, in the order of their first rows, then by start, end and item; nulls come last."""
    names = clips.column("video").combine_chunks().dictionary_encode(null_encoding="encode")
    keys = {
        "video": names.indices,
        "start_s": clips.column("start_s"),
        "end_s": clips.column("end_s"),
        "item_id": clips.column("item_id").cast(pa.binary()),
    }
    order = pc.sort_indices(pa.table(keys), sort_keys=[(name, "ascending") for name in keys])
    return clips.take(order)


def group_table(clips: pa.Table, settings: ClipGroupsSettings) -> pa.Table:
    """Returns the clips in their order, with `status` and `reason` updated, `group` and `representative`."""
    clips = clips.select(table_schema(CLIPS_SCHEMA).names).combine_chunks()
    columns = {name: clips.column(name) for name in CLIPS_SCHEMA.names}
    status, reason = clips.column("status"), clips.column("reason")
    failed_rule = pc.if_else(pc.equal(status, Status.KEPT), first_failed_rule(clips, settings), "")
    usable = pc.and_(pc.equal(status, Status.KEPT), pc.equal(failed_rule, "")).combine_chunks()
    status = pc.if_else(pc.equal(failed_rule, ""), status, Status.FILTERED.value)
    reason = pc.if_else(pc.equal(failed_rule, ""), reason, failed_rule)
    grouping = _groups_of(clips.filter(usable), settings)
    place = pa.array(np.cumsum(usable.to_numpy(zero_copy_only=False)) - 1, mask=~usable.to_numpy(zero_copy_only=False))
    grouping = grouping.take(place)  # nulls where a clip is in no group
    columns["group"] = pc.fill_null(grouping.column("group"), "")
    columns["representative"] = grouping.column("representative")
    columns["status"] = pc.coalesce(grouping.column("status"), status)
    columns["reason"] = pc.coalesce(grouping.column("reason"), reason)
    return pa.table(columns).select(table_schema(GROUPS_SCHEMA).names).cast(table_schema(GROUPS_SCHEMA))


def first_failed_rule(clips: pa.Table, settings: ClipGroupsSettings) -> pa.Array:
    """Returns the first rule that each clip fails, "" for none: string[n]. Unmeasured clips fail none."""

    def column(name: str) -> pa.Array:
        return clips.column(name).combine_chunks()

    brightness = column("brightness")
    rules = {
        "black": pc.and_(column("black"), settings.drop_black),
        "too_dark": pc.less(brightness, settings.min_brightness),
        "too_bright": pc.greater(brightness, settings.max_brightness),
        "static": pc.and_(column("static"), settings.drop_static),
        "low_motion": pc.less(column("motion"), settings.min_motion),
        "blurred": pc.less(column("sharpness"), settings.min_sharpness),
        "too_small": pc.less(pc.min_element_wise(column("width"), column("height")), settings.min_side_px),
    }
    broken = pa.StructArray.from_arrays([pc.fill_null(rule, False) for rule in rules.values()], list(rules))
    return pc.case_when(broken, *(pa.scalar(name) for name in rules), pa.scalar(""))


def _groups_of(clips: pa.Table, settings: ClipGroupsSettings) -> pa.Table:
    """Returns `group`, `representative`, `status` and `reason` of clips that passed all rules."""

    def column(name: str) -> pa.Array:
        return clips.column(name).combine_chunks()

    item_id, description = column("item_id"), None
    if settings.respect_descriptions:
        description = pa.array(map(_description, clips.select(["kind", "text", "questions"]).to_pylist()), pa.string())
    start_s, end_s = column("start_s").to_numpy(), column("end_s").to_numpy()
    columns = ClipColumns(column("video"), start_s, end_s, item_id, column("hashes"), description=description)
    return group_clips(columns, settings.group).table(item_id)


def _description(clip: Mapping[str, Any]) -> str:
    """Returns the description of a moment, or its questions and answers; "" for other clips, whose texts are the
    video's.
    """
    if clip["kind"] != ClipKind.ANNOTATED:
        return ""
    questions = [each[name] for each in clip["questions"] or [] for name in ("question", "answer")]
    return normalize_text(clip["text"] or " ".join(questions))
