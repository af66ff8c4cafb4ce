"""Makes the samples of a corpus: the names of their members, and their JSON.

The members of a sample are consecutive, in this order: `json`, the query's media, the positive's, the negatives'. Every
sample of a dataset has the same fields, because readers infer them from the first samples. Therefore an image has the
extension `.jpg` whatever its format is: readers decode by content, and some of them know no `.webp`.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from corpus.schema import CLIP, PAIR_RANK, PAIR_RELATIONS, TEXT_IMAGE_SCORE, Origin
from corpus.text.keys import side_ids
from pipelines.publish.false_negatives import sample_false_negatives
from pipelines.publish.pair_contents import first_entries

_IMAGE = "jpg"  # the extension of every image
IMAGE_EXTS = frozenset({"jpg", "jpeg", "png", "webp", "gif", "bmp", "tif", "tiff", "avif"})


def field_ext(ext: str) -> str:
    """Returns the extension of an item's field in a corpus."""
    return _IMAGE if ext.lower() in IMAGE_EXTS else ext.lower()


@dataclass(frozen=True)
class SampleFields:
    """The media fields of every sample of a dataset."""

    query: tuple[str, ...]
    positive: tuple[str, ...]
    negatives: tuple[tuple[str, ...], ...]
    clip: bool = False  # of a dataset of clips, where every side with media is a clip

    @property
    def fields(self) -> tuple[str, ...]:
        """All media fields, in the order of the members."""
        return (*self.query, *self.positive, *(name for fields in self.negatives for name in fields))

    @property
    def frames(self) -> int:
        """The number of images of the side that has most of them."""
        return max(sum(name.endswith(f".{_IMAGE}") for name in fields) for fields in (self.query, self.positive))


def media_fields(side: str, exts: Sequence[str], clip: bool = False) -> tuple[str, ...]:
    """Names a side's fields by its items' extensions: `query.jpg` for one, `query.frame_00.jpg` ... for
    several.

    In a dataset of clips every image is a frame, also a single one, beside `query.mp4` where there is one.
    """
    total, used, fields = Counter(exts), Counter[str](), []
    for ext in exts:
        frame = total[ext] > 1 or (clip and ext == _IMAGE)
        fields.append(f"{side}.frame_{used[ext]:02d}.{ext}" if frame else f"{side}.{ext}")
        used[ext] += 1
    return tuple(fields)


def make_sample_fields(exts: Mapping[str, Sequence[str]], negatives: int, clip: bool = False) -> SampleFields:
    """Names the fields by the extensions of each role's items. `clip`: they are of a dataset of clips."""
    return SampleFields(
        media_fields("query", exts["query"], clip),
        media_fields("positive", exts["positive"], clip),
        tuple(media_fields(f"negative_{n}", exts["negatives"], clip) for n in range(negatives)),
        clip,
    )


@dataclass(frozen=True)
class MediaFacts:
    """The pHash and the rewriting of the media of n sides, in lists parallel to their `media`."""

    phash: Sequence[list[str]]  # 16 hexadecimal digits, of the inspected picture; "" where none was
    rewritten: Sequence[list[bool]]  # whether the published bytes differ from the stored ones

    def of_side(self, side: int) -> dict[str, Any]:
        """Returns the JSON fields of one side."""
        return {"phash": self.phash[side], "rewritten": self.rewritten[side]}


def sample_jsons(
    pairs: pa.Table,
    dataset: str,
    task: str,
    stage: int,
    sample_fields: SampleFields,
    media_facts: Mapping[str, MediaFacts],
) -> list[dict[str, Any]]:
    """Makes the JSON of each pair (a row of PAIR_SCHEMA). Random negatives are to be added where it has too few.

    `media_facts`: of the sides "query", "positive" and "negatives", these in the order of pairs.
    """
    query, positive = (
        _sides(pairs, name, fields, media_facts[name], sample_fields.clip)
        for name, fields in (("query", sample_fields.query), ("positive", sample_fields.positive))
    )
    negatives = _negatives(pairs.column("negatives").combine_chunks(), sample_fields, media_facts["negatives"])
    texts = {name: _strings(pairs.column(name)) for name in _TEXTS}
    clusters = {field.name: _strings(_column(pairs, field)) for field in _CLUSTERS}
    false_negatives = sample_false_negatives(pairs)
    in_batch = pc.fill_null(pairs.column("in_batch_negatives"), True).to_pylist()
    ranks = _ranks(_column(pairs, PAIR_RANK))
    agreements = _numbers(_column(pairs, TEXT_IMAGE_SCORE), -1.0)
    return [
        {
            "pair_id": pair_id,
            "dataset": dataset,
            "task": task,
            "stage": stage,
            "query": query[row],
            "positive": positive[row],
            "negatives": negatives[row],
            "positive_score": score,
            "positive_rank": ranks[row],
            "text_image_score": agreements[row],
            "false_negatives": [other.hex() for other in false_negatives[row]],
            **{name: values[row] for name, values in clusters.items()},
            "group": texts["group"][row],
            "label": texts["label"][row],
            "in_batch_negatives": in_batch[row],
            "caption_origin": texts["caption_origin"][row],
            "caption_model": texts["caption_model"][row],
            "caption_prompt": texts["caption_prompt"][row],
            "source": {
                "url": texts["source_url"][row],
                "sha256": sha256,
                "licence": texts["licence"][row],
                **clip_fields(query[row] if sample_fields.query else positive[row], sample_fields.clip),
            },
        }
        for row, (pair_id, sha256, score) in enumerate(
            zip(
                hexadecimal(pairs.column("pair_id")),
                hexadecimal(pairs.column("source_sha256")),
                _numbers(pairs.column("positive_score")),
                strict=True,
            )
        )
    ]


def random_negative(
    side: str,
    text: str,
    fields: tuple[str, ...],
    media_facts: Mapping[str, Any],
    clip: Mapping[str, Any] | None = None,
    is_clip: bool = False,
) -> dict[str, Any]:
    """Makes the JSON of a random negative: the positive side of another pair, without a score.

    `side`: its id; `media_facts`: see `MediaFacts.of_side`; `clip` (CLIP): of a dataset of clips (`is_clip`).
    """
    facts = {**media_facts, **clip_fields(clip, is_clip and bool(fields))}
    return {"id": side, "text": text, "media": list(fields), **facts, "origin": str(Origin.RANDOM), **_UNSCORED}


def clip_fields(clip: Mapping[str, Any] | None, is_clip: bool) -> dict[str, Any]:
    """Returns the video and times of a side that is a clip, `UNKNOWN_CLIP` where they are unknown; {} for others."""
    clip = clip or UNKNOWN_CLIP
    return {name: clip[name] for name in CLIP.names} if is_clip else {}


def to_bytes(sample: Mapping[str, Any]) -> bytes:
    """Encodes the `json` member of a sample."""
    return _ENCODER.encode(sample).encode()


def side_names(sides: pa.StructArray) -> list[str]:
    """Returns the ids of sides in hexadecimal digits, 32 each."""
    digits = side_ids(sides).T.astype(">u8").tobytes().hex()
    return [digits[at : at + 32] for at in range(0, len(digits), 32)]


def hexadecimal(ids: pa.ChunkedArray) -> list[str]:
    """Formats binary values in lower-case hexadecimal; "" for null."""
    return [value.hex() if value is not None else "" for value in ids.to_pylist()]


_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False)
_CLUSTERS = PAIR_RELATIONS[:2]
CLUSTER_FIELDS = tuple(field.name for field in _CLUSTERS)
_TEXTS = ("group", "label", "caption_origin", "caption_model", "caption_prompt", "source_url", "licence")


def _column(pairs: pa.Table, field: pa.Field) -> pa.ChunkedArray | pa.Array:
    """Returns a column of a stage after `pairs`; nulls where none wrote it."""
    return pairs.column(field.name) if field.name in pairs.column_names else pa.nulls(pairs.num_rows, field.type)


def _strings(column: pa.ChunkedArray | pa.Array) -> list[str]:
    return pc.fill_null(column, "").to_pylist()


def _sides(
    pairs: pa.Table, name: str, fields: tuple[str, ...], media_facts: MediaFacts, clip: bool
) -> list[dict[str, Any]]:
    side = pairs.column(name).combine_chunks()
    texts = (_strings(side.field(part)) for part in ("instruction", "text"))
    return [
        {
            "id": side_id,
            "instruction": instruction,
            "text": text,
            "media": list(fields),
            **media_facts.of_side(row),
            **clip_fields(of_clip, clip and bool(fields)),
        }
        for row, (side_id, instruction, text, of_clip) in enumerate(
            zip(side_names(side), *texts, side.field("clip").to_pylist(), strict=True)
        )
    ]


def _numbers(column: pa.ChunkedArray | pa.Array, missing: float = 0.0) -> list[float]:
    """Returns the shortest decimals of float32 numbers; `missing` for NaN, infinity and null."""
    values = pc.fill_null(column, missing).to_numpy(zero_copy_only=False)
    return [float(str(value)) if math.isfinite(value) else missing for value in values]


def _ranks(column: pa.ChunkedArray | pa.Array) -> list[int]:
    """Returns the ranks among neighbours; -1 where none were searched."""
    return pc.fill_null(column, -1).to_pylist()


def _negatives(lists: pa.Array, sample_fields: SampleFields, media_facts: MediaFacts) -> list[list[dict[str, Any]]]:
    used = first_entries(lists, len(sample_fields.negatives))
    entries = used.values
    texts, scores = _strings(entries.field("text")), _numbers(entries.field("score"))
    origins, ids = _strings(entries.field("origin")), side_names(entries)
    ranks = _ranks(entries.field("rank"))
    similarities, judge_scores = _numbers(entries.field("positive_similarity")), _numbers(entries.field("judge"), -1.0)
    offsets, clips = used.offsets.to_pylist(), entries.field("clip").to_pylist()
    return [
        [
            {
                "id": ids[at],
                "text": texts[at],
                "media": list(sample_fields.negatives[at - start]),
                **media_facts.of_side(at),
                **clip_fields(clips[at], sample_fields.clip and bool(sample_fields.negatives[at - start])),
                "origin": origins[at],
                "rank": ranks[at],
                "score": scores[at],
                "positive_similarity": similarities[at],
                "judge": judge_scores[at],
            }
            for at in range(start, stop)
        ]
        for start, stop in pairwise(offsets)
    ]


UNKNOWN_CLIP = {"video": "", "start_s": 0.0, "end_s": 0.0}  # of a set that has frames without times
_UNSCORED = {"rank": -1, "score": 0.0, "positive_similarity": 0.0, "judge": -1.0}
