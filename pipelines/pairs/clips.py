"""Stage `pairs` over clips: text -> clip, clip -> text, moments of a video, and questions about what is seen.

The clips of a video are alike and differ in what happens: they are each other's hard negatives, by the order of the
pairs (`group`), by name (`negatives`), or both.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, model_validator

from corpus.schema import (
    CLIP,
    FRAME_EXT,
    PAIR_ORIGIN,
    PAIR_SCHEMA,
    PARTS_FIELD,
    VIDEO_EXT,
    CaptionOrigin,
    Status,
    Task,
    pair_id,
)
from corpus.stage import ITEMS, ROWS, VERDICT, Gives, MapStage, Shard, SourceInfo
from corpus.text.keys import normalize_text
from pipelines.pairs.captions import TextSettings, choose_texts, no_items, repeated, sides, uncaptioned
from recaption.schema import CAPTION
from video.grouping.negatives import (
    NegativeSettings,
    PairTexts,
    assign_pair_groups,
    clip_negatives,
    rank_siblings,
    text_negatives,
)
from video.schema import ClipKind

_QUESTIONS = ("questions", "window_questions")
_WINDOWS = ("windows", "window_questions")
_VIDEO_ID_DIGITS = 32  # hexadecimal
_MEDIA = {"frames": (FRAME_EXT,), "mp4": (VIDEO_EXT,), "both": (FRAME_EXT, VIDEO_EXT)}


class ClipPairSettings(TextSettings):
    """Settings of a dataset of clips of a source of videos.

    `moments` are the clips of intervals that somebody described: which of the video's moments does the text mean?
    `questions` have the clip and the question as the query and the answer as the positive. `task` is video_qa for
    these and video_retrieval for others; `sibling_negatives` is explicit for moments, none for questions and in_batch
    for others.
    """

    needs = Gives.CLIPS

    kind: Literal["clips"] = Field(description="A dataset of clips, moments or windows of videos, and their texts.")
    unit: Literal["clips", "moments", "windows", "questions", "window_questions"] = Field(
        "clips", description="What a pair has of a video; windows take one to three minutes, or all of a short video."
    )
    task: Task = Field(Task.VIDEO_RETRIEVAL, description="The training task of the pairs.")
    direction: Literal["text_to_clip", "clip_to_text"] = Field("text_to_clip", description="Which side is the query.")
    media: Literal["frames", "mp4", "both"] = Field(
        "frames", description="What a pair has of a clip, as far as the source stores it."
    )
    sibling_negatives: Literal["in_batch", "explicit", "both", "none"] = Field(
        "in_batch",
        description="How clips of the same video are negatives: kept together in the order, named in each pair, "
        "or both.",
    )
    negatives: NegativeSettings = Field(NegativeSettings(), description="Which siblings are named as negatives.")

    @model_validator(mode="before")
    @classmethod
    def _defaults(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        unit = values.get("unit")
        if unit in _QUESTIONS:
            return {"task": Task.VIDEO_QA, "sibling_negatives": "none", **values}
        return {"sibling_negatives": "explicit", **values} if unit == "moments" else values

    @model_validator(mode="after")
    def _check(self) -> ClipPairSettings:
        for name in ("captions", "direction"):
            if self.unit in _QUESTIONS and getattr(self, name) != type(self).model_fields[name].default:
                raise ValueError(f"{name}: {getattr(self, name)}, but of {self.unit} the text is question and answer")
        return self

    @property
    def windows(self) -> bool:
        """Whether the pairs are made of the table of windows, not of that of clips."""
        return self.unit in _WINDOWS

    @property
    def branch(self) -> str:
        return "windows" if self.windows else ""

    @property
    def crosses_modalities(self) -> bool:
        return self.unit not in _QUESTIONS

    def pairs_stage(self, source: SourceInfo) -> ClipPairs:
        return ClipPairs(source.dataset, self)

    def conflicts(self, stages: Any) -> Iterator[str]:
        captioned, where = stages.caption.sources, "stages.caption.sources"
        if self.windows:
            captioned, where = stages.caption.windows, "stages.caption.windows"
            if self.source not in stages.windows.sources:
                yield f"unit: {self.unit}, but stages.windows.sources does not name source {self.source!r}"
            if self.media != "frames":
                yield f"media: {self.media}, but a window has frames only"
        if self.media in ("mp4", "both") and not stages.clips.mp4:
            yield f"media: {self.media}, but stages.clips keeps no mp4"
        if self.media in ("frames", "both") and not stages.clips.keep_frames:
            yield f"media: {self.media}, but stages.clips keeps no frames"
        yield from uncaptioned(self, captioned, where)


class ClipPairs(MapStage):
    """The pairs of a shard's clips. One that can't be is there with its reason: no_text, no_caption, no_frames, no_mp4.

    ROWS, ITEMS and VERDICT are one table (`video.schema.GROUPS_SCHEMA`, or that of windows). All clips of a video are
    in the same shard.
    """

    name = "pairs"
    reads: tuple[str, ...] = (ROWS, ITEMS, VERDICT)
    over = frozenset({Gives.CLIPS})
    summary = "text → clip, clip → text, moment retrieval, questions; of clips, or of windows"
    reasons = {
        "no_text": "the clip has no text of this kind",
        "no_caption": "the clip has no generated caption",
        "no_frames": "the pair needs frames, and the clip has none",
        "no_mp4": "the pair needs an mp4, and the clip has none",
    }
    optional_reads = (CAPTION,)
    filters_rows = False
    schema = PAIR_SCHEMA
    fan_out = True
    origin_columns = PAIR_ORIGIN

    def __init__(self, dataset: str, settings: ClipPairSettings) -> None:
        super().__init__(settings)
        self.dataset = dataset
        self._settings = settings
        if settings.captions != "original":
            self.reads = (*type(self).reads, CAPTION)

    def fingerprint_inputs(self) -> dict[str, object]:
        return {"dataset": self.dataset, **self._settings.canonical()}

    def setup(self) -> Callable[[Shard], pa.Table]:
        return partial(pair_clips, dataset=self.dataset, settings=self._settings)


def pair_clips(shard: Shard, dataset: str, settings: ClipPairSettings) -> pa.Table:
    """Returns the pairs (PAIR_SCHEMA, status, reason) of a shard's live rows, in the order of the rows."""
    if settings.unit == "moments":
        kinds = shard[ROWS].column("kind")
        shard = shard.take(np.flatnonzero(pc.equal(kinds, str(ClipKind.ANNOTATED)).to_numpy(zero_copy_only=False)))
    pair_texts = _questions(shard, settings) if settings.unit in _QUESTIONS else choose_texts(shard, settings)
    media = _media(shard, settings)
    place = pair_texts.column("row").to_numpy()
    pair_texts = pair_texts.append_column("missing", media.missing.take(pa.array(place)))
    reason = pc.if_else(
        pc.equal(pair_texts.column("text"), ""), pair_texts.column("without"), pair_texts.column("missing")
    )
    kept = pc.equal(reason, "").to_numpy(zero_copy_only=False)
    pairs = _Pairs(shard, settings, pair_texts, media, place, kept)
    rows = shard[ROWS].take(place)
    return pa.table(
        {
            "pair_id": pairs.ids(dataset),
            **pairs.both_sides(),
            "negatives": pa.array(pairs.negatives(), PAIR_SCHEMA.field("negatives").type),
            "positive_score": pa.array(np.zeros(len(place), np.float32)),
            "group": pa.array(pairs.groups(), pa.string()),
            "label": repeated("", len(place)),
            "in_batch_negatives": pa.array(np.ones(len(place), np.bool_)),
            **{name: pair_texts.column(name) for name in ("caption_origin", "caption_model", "caption_prompt")},
            "source_url": _public(rows.column("url"), rows.column("video")),
            "source_sha256": rows.column("downloaded_sha256"),
            "licence": pc.fill_null(rows.column("licence"), ""),
            "status": pc.if_else(pa.array(kept), str(Status.KEPT), str(Status.FILTERED)),
            "reason": reason,
        }
    )


def _questions(shard: Shard, settings: ClipPairSettings) -> pa.Table:
    """Returns texts as `choose_texts` does: `text` is the answer, and there is a column `question`; "" where either
    lacks.

    A clip that nothing is asked about has one row.
    """
    lists = shard[ROWS].column("questions").to_pylist()
    entries_of_rows = [(row, each) for row, entries in enumerate(lists) for each in entries or [{}]]
    words = [tuple((each.get(name) or "").strip() for name in ("question", "answer")) for _, each in entries_of_rows]
    n = len(entries_of_rows)

    def masked(texts: list[str]) -> pa.Array:
        return settings.mask.apply(pa.array(texts, pa.string()))[0]

    return pa.table(
        {
            "row": pa.array([row for row, _ in entries_of_rows], pa.int64()),
            "text": masked([answer if question else "" for question, answer in words]),
            "question": masked([question for question, _ in words]),
            "caption_origin": repeated(CaptionOrigin.ORIGINAL, n),
            "caption_model": repeated("", n),
            "caption_prompt": repeated("", n),
            "without": repeated("no_text", n),
        }
    )


def _public(urls: pa.ChunkedArray, names: pa.ChunkedArray) -> pa.ChunkedArray:
    """Returns the origin of a video that a corpus states: its URL, or of a file the name without the
    path on this machine.
    """
    return pc.if_else(pc.match_substring(urls, "://"), urls, names)


@dataclass(frozen=True, eq=False)
class _Media:
    """The items of n clips' sides, and why a clip has none."""

    items: pa.ListArray  # list<item id>[n]: frames in the order of time, then the mp4
    clips: pa.StructArray  # CLIP[n]: which part of which video it is
    missing: pa.Array  # string[n]; "": nothing is


def _media(shard: Shard, settings: ClipPairSettings) -> _Media:
    parts = shard[ITEMS].column(PARTS_FIELD.name).combine_chunks()
    n = len(parts)
    owner = np.repeat(np.arange(n), pc.fill_null(pc.list_value_length(parts), 0).to_numpy(zero_copy_only=False))
    flat = parts.flatten()
    ext = flat.field("ext")
    missing = repeated("", n)
    order = []
    for medium in _MEDIA[settings.media]:
        found = np.flatnonzero(pc.fill_null(pc.equal(ext, medium), False).to_numpy(zero_copy_only=False))
        order.append(found)
        none = pa.array(np.bincount(owner[found], minlength=n) == 0)
        reason = "no_frames" if medium == FRAME_EXT else "no_mp4"
        missing = pc.if_else(pc.and_(none, pc.equal(missing, "")), reason, missing)
    chosen = np.concatenate(order)
    chosen = chosen[np.argsort(owner[chosen], kind="stable")]
    offsets = np.concatenate([[0], np.cumsum(np.bincount(owner[chosen], minlength=n))]).astype(np.int32)
    ids = flat.field("item_id").take(pa.array(chosen))
    return _Media(pa.ListArray.from_arrays(pa.array(offsets), ids), _clips(shard[ROWS]), missing)


def _clips(rows: pa.Table) -> pa.StructArray:
    """Returns CLIP of each row. A video's id is a hash of its name, which may be a path or a URL with a signature."""
    names = pc.coalesce(rows.column("video"), rows.column("url"), "").combine_chunks().dictionary_encode()
    ids = [hashlib.sha256(name.encode()).hexdigest()[:_VIDEO_ID_DIGITS] for name in names.dictionary.to_pylist()]
    columns = [pa.array(ids, pa.string()).take(names.indices)]
    columns += [pc.cast(rows.column(name).combine_chunks(), pa.float64()) for name in ("start_s", "end_s")]
    return pa.StructArray.from_arrays(columns, fields=list(CLIP))


@dataclass(frozen=True, eq=False)
class _Pairs:
    """m pairs of n clips, and what their columns are."""

    shard: Shard  # of the n clips
    settings: ClipPairSettings
    pair_texts: pa.Table  # of the m pairs
    media: _Media
    place: np.ndarray  # int64[m], the clip of each
    kept: np.ndarray  # bool[m]

    def __len__(self) -> int:
        return len(self.place)

    def ids(self, dataset: str) -> pa.Array:
        """Returns the ids of pairs, which depend on text and frames: the same words about the same
        frames are the same pair.
        """
        words = [
            self.pair_texts.column(name).to_pylist()
            for name in ("question", "text")
            if name in self.pair_texts.column_names
        ]
        items = self.media.items.to_pylist()
        built = [
            pair_id(dataset, *pair_texts, *items[row])
            for *pair_texts, row in zip(*words, self.place.tolist(), strict=True)
        ]
        return pa.array(built, PAIR_SCHEMA.field("pair_id").type)

    def both_sides(self) -> dict[str, pa.Array]:
        settings, n = self.settings, len(self)
        texts, place = self.pair_texts.column("text").combine_chunks(), pa.array(self.place)
        clip, text = (self.media.items.take(place), self.media.clips.take(place)), (texts, no_items(n))
        query: tuple[pa.Array, ...]
        positive: tuple[pa.Array, ...]
        if settings.unit in _QUESTIONS:
            query, positive = (self.pair_texts.column("question").combine_chunks(), *clip), text
        elif settings.direction == "text_to_clip":
            query, positive = text, (repeated("", n), *clip)
        else:
            query, positive = (repeated("", n), *clip), text
        return {
            "query": sides(settings.query_instruction, *query),
            "positive": sides(settings.positive_instruction, *positive),
        }

    def groups(self) -> list[str]:
        if self.settings.sibling_negatives not in ("in_batch", "both"):
            return [""] * len(self)
        rows = self.shard[ROWS].select(["group", "item_id"]).take(self.place)
        names = pc.if_else(pa.array(self.kept), pc.fill_null(rows.column("group"), ""), "")
        return assign_pair_groups(
            names.to_pylist(), rows.column("item_id").to_pylist(), self.pair_texts.column("text").to_pylist()
        )

    def negatives(self) -> list[list[dict[str, Any]]]:
        settings, limit = self.settings, self.settings.negatives.num_negatives
        if settings.sibling_negatives not in ("explicit", "both") or not limit:
            return [[] for _ in range(len(self))]
        of_questions = settings.unit in _QUESTIONS
        like = [
            normalize_text(each)
            for each in self.pair_texts.column("question" if of_questions else "caption_origin").to_pylist()
        ]
        pair_texts = PairTexts(self.place.tolist(), self.pair_texts.column("text").to_pylist(), like)
        as_text = of_questions or settings.direction == "clip_to_text"
        usable = pc.equal(self.media.missing, "").to_numpy(zero_copy_only=False)
        if as_text:
            usable = np.isin(
                np.arange(len(usable)), [row for row, text in zip(pair_texts.row, pair_texts.text, strict=True) if text]
            )
        ranked = rank_siblings(self.shard[ROWS], usable, settings.negatives, settings.unit == "moments")
        if as_text:
            found = text_negatives(pair_texts, ranked, limit, answers=of_questions)
        else:
            found = clip_negatives(pair_texts, ranked, self.media.items, self.media.clips, limit)
        return [negatives if kept else [] for negatives, kept in zip(found, self.kept.tolist(), strict=True)]
