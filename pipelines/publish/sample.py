"""One sample of a corpus: the names of its members, and its JSON.

A sample's members lie together and in this order: `json`, the query's media, the positive's, the negatives'. Every
sample of a dataset has the same fields, because readers infer them from the first samples. So an image is called
`.jpg` whatever its format is: the readers decode by content, and some of them know no `.webp`.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from corpus.schema import CLIP, MOST_FALSE_NEGATIVES, PAIR_RANK, PAIR_RELATIONS, CaptionOrigin, Origin
from corpus.sides import side_ids
from pipelines.publish.pair_contents import first_entries

_IMAGE = "jpg"  # what every image is called
IMAGE_EXTS = frozenset({"jpg", "jpeg", "png", "webp", "gif", "bmp", "tif", "tiff", "avif"})


def field_ext(ext: str) -> str:
    """The extension that an item's field has in a corpus."""
    return _IMAGE if ext.lower() in IMAGE_EXTS else ext.lower()


@dataclass(frozen=True)
class SampleFields:
    """The media fields of every sample of a dataset."""

    query: tuple[str, ...]
    positive: tuple[str, ...]
    negatives: tuple[tuple[str, ...], ...]
    clip: bool = False  # of a dataset of clips: what has media is one

    @property
    def fields(self) -> tuple[str, ...]:
        """All media fields, in the order in which they lie."""
        return (*self.query, *self.positive, *(name for fields in self.negatives for name in fields))

    @property
    def frames(self) -> int:
        """How many images the side has that has most of them."""
        return max(sum(name.endswith(f".{_IMAGE}") for name in fields) for fields in (self.query, self.positive))


def media_fields(side: str, exts: Sequence[str], clip: bool = False) -> tuple[str, ...]:
    """A side's fields, from its items' field extensions: `query.jpg` of one, `query.frame_00.jpg` ... of several.

    In a dataset of clips every image is a frame, one that is alone too, and lies beside `query.mp4` where both are.
    """
    total, seen, fields = Counter(exts), Counter[str](), []
    for ext in exts:
        frame = total[ext] > 1 or (clip and ext == _IMAGE)
        fields.append(f"{side}.frame_{seen[ext]:02d}.{ext}" if frame else f"{side}.{ext}")
        seen[ext] += 1
    return tuple(fields)


def make_sample_fields(exts: Mapping[str, Sequence[str]], negatives: int, clip: bool = False) -> SampleFields:
    """The fields, from the field extensions of each role's items. `clip`: they are of a dataset of clips."""
    return SampleFields(
        media_fields("query", exts["query"], clip),
        media_fields("positive", exts["positive"], clip),
        tuple(media_fields(f"negative_{n}", exts["negatives"], clip) for n in range(negatives)),
        clip,
    )


@dataclass(frozen=True)
class Pictures:
    """Facts about the media of n sides, in lists that are parallel to their `media`."""

    phash: Sequence[list[str]]  # 16 hexadecimal digits, of the picture that was judged; "" where none was
    rewritten: Sequence[list[bool]]  # whether the published bytes are others than the stored ones

    def of(self, side: int) -> dict[str, Any]:
        """The fields of one side."""
        return {"phash": self.phash[side], "rewritten": self.rewritten[side]}


def sample_jsons(
    pairs: pa.Table, dataset: str, task: str, stage: int, layout: SampleFields, pictures: Mapping[str, Pictures]
) -> list[dict[str, Any]]:
    """Make the JSON of each pair (a row of PAIR_SCHEMA): all but its media. Its negatives are its own, perhaps too few.

    `pictures`: of the sides "query", "positive" and "negatives", these in the order of pairs.
    """
    query, positive = (
        _sides(pairs, name, fields, pictures[name], layout.clip)
        for name, fields in (("query", layout.query), ("positive", layout.positive))
    )
    negatives = _negatives(pairs.column("negatives").combine_chunks(), layout, pictures["negatives"])
    texts = {name: _strings(pairs.column(name)) for name in _TEXTS}
    clusters = {name: _strings(_column(pairs, name)) for name in _CLUSTERS}
    false_negatives = pc.fill_null(_column(pairs, "false_negatives"), []).to_pylist()
    ranks = _ranks(pairs.column(PAIR_RANK.name) if PAIR_RANK.name in pairs.column_names else None, pairs.num_rows)
    in_batch = pc.fill_null(pairs.column("in_batch_negatives"), True).to_pylist()
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
                **clip_fields(query[row] if layout.query else positive[row], layout.clip),
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
    pictures: Mapping[str, Any],
    clip: Mapping[str, Any] | None = None,
    is_clip: bool = False,
) -> dict[str, Any]:
    """A negative that is the positive side of another pair, the one with the id `side`, with what `Pictures.of` says
    of it, and, in a dataset of clips (`is_clip`), which `clip` (CLIP) it is. It was never scored.
    """
    shown = {**pictures, **clip_fields(clip, is_clip and bool(fields))}
    return {"id": side, "text": text, "media": list(fields), **shown, "origin": str(Origin.RANDOM), **_UNSCORED}


def clip_fields(clip: Mapping[str, Any] | None, is_clip: bool) -> dict[str, Any]:
    """Of a side that is a clip, its video and times, `_UNKNOWN_CLIP` where they aren't known; of others nothing."""
    clip = clip or _UNKNOWN_CLIP
    return {name: clip[name] for name in CLIP.names} if is_clip else {}


def to_bytes(sample: Mapping[str, Any]) -> bytes:
    """A sample's `json` member."""
    return _ENCODER.encode(sample).encode()


def side_names(sides: pa.StructArray) -> list[str]:
    """The ids of sides in hexadecimal digits, 32 each."""
    digits = side_ids(sides).T.astype(">u8").tobytes().hex()
    return [digits[at : at + 32] for at in range(0, len(digits), 32)]


def hexadecimal(ids: pa.ChunkedArray) -> list[str]:
    """Lower-case hex of binary values; "" for null."""
    return [value.hex() if value is not None else "" for value in ids.to_pylist()]


_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False)
_CLUSTERS = ("query_cluster", "positive_cluster")
_TEXTS = ("group", "label", "caption_origin", "caption_model", "caption_prompt", "source_url", "licence")


def _column(pairs: pa.Table, name: str) -> pa.ChunkedArray | pa.Array:
    """A column of PAIR_RELATIONS; nulls where no stage has written it."""
    kind = next(field.type for field in PAIR_RELATIONS if field.name == name)
    return pairs.column(name) if name in pairs.column_names else pa.nulls(pairs.num_rows, kind)


def _strings(column: pa.ChunkedArray | pa.Array) -> list[str]:
    return pc.fill_null(column, "").to_pylist()


def _sides(pairs: pa.Table, name: str, fields: tuple[str, ...], pictures: Pictures, clip: bool) -> list[dict[str, Any]]:
    side = pairs.column(name).combine_chunks()
    texts = (_strings(side.field(part)) for part in ("instruction", "text"))
    return [
        {
            "id": own,
            "instruction": instruction,
            "text": text,
            "media": list(fields),
            **pictures.of(row),
            **clip_fields(of_clip, clip and bool(fields)),
        }
        for row, (own, instruction, text, of_clip) in enumerate(
            zip(side_names(side), *texts, side.field("clip").to_pylist(), strict=True)
        )
    ]


def _numbers(column: pa.ChunkedArray | pa.Array, missing: float = 0.0) -> list[float]:
    """The shortest decimals that are these float32 numbers; `missing` for null and for what isn't a number."""
    values = pc.fill_null(column, missing).to_numpy(zero_copy_only=False)
    return [float(str(value)) if math.isfinite(value) else missing for value in values]


def _ranks(column: pa.ChunkedArray | pa.Array | None, rows: int) -> list[int]:
    """Places among neighbours; -1 where nothing was searched for."""
    return [-1] * rows if column is None else pc.fill_null(column, -1).to_pylist()


def _negatives(lists: pa.Array, layout: SampleFields, pictures: Pictures) -> list[list[dict[str, Any]]]:
    used = first_entries(lists, len(layout.negatives))
    entries = used.values
    texts, scores = _strings(entries.field("text")), _numbers(entries.field("score"))
    ranks = _ranks(entries.field("rank"), len(entries))
    similarities, judged = _numbers(entries.field("positive_similarity")), _numbers(entries.field("judge"), -1.0)
    origins, ids = _strings(entries.field("origin")), side_names(entries)
    offsets, clips = used.offsets.to_pylist(), entries.field("clip").to_pylist()
    return [
        [
            {
                "id": ids[at],
                "text": texts[at],
                "media": list(layout.negatives[at - start]),
                **pictures.of(at),
                **clip_fields(clips[at], layout.clip and bool(layout.negatives[at - start])),
                "origin": origins[at],
                "rank": ranks[at],
                "score": scores[at],
                "positive_similarity": similarities[at],
                "judge": judged[at],
            }
            for at in range(start, stop)
        ]
        for start, stop in pairwise(offsets)
    ]


_CLIP_SHAPE = {"video": str, "start_s": float, "end_s": float}
_MEDIA_SHAPE = {"media": [str], "phash": [str], "rewritten": [bool]}
_SIDE_SHAPE = {"id": str, "instruction": str, "text": str, **_MEDIA_SHAPE}
_SCORES_SHAPE = {"origin": str, "rank": int, "score": float, "positive_similarity": float, "judge": float}
_NEGATIVE_SHAPE = {"id": str, "text": str, **_MEDIA_SHAPE, **_SCORES_SHAPE}
_SOURCE_SHAPE = {"url": str, "sha256": str, "licence": str}
_SHAPE: dict[str, Any] = {
    "pair_id": str,
    "dataset": str,
    "task": str,
    "stage": int,
    "query": _SIDE_SHAPE,
    "positive": _SIDE_SHAPE,
    "negatives": [_NEGATIVE_SHAPE],
    "positive_score": float,
    "positive_rank": int,
    "false_negatives": [str],
    "query_cluster": str,
    "positive_cluster": str,
    "group": str,
    "label": str,
    "in_batch_negatives": bool,
    "caption_origin": str,
    "caption_model": str,
    "caption_prompt": str,
    "source": _SOURCE_SHAPE,
}
_UNSCORED = {"rank": -1, "score": 0.0, "positive_similarity": 0.0, "judge": -1.0}
_UNKNOWN_CLIP = {"video": "", "start_s": 0.0, "end_s": 0.0}  # of a set that gives frames without times
_VIDEO_ID = re.compile(r"[0-9a-f]{32}")
_PHASH = re.compile(r"[0-9a-f]{16}")
_ID = re.compile(r"[0-9a-f]{32}")
_ORIGINS = frozenset(map(str, Origin))
_CAPTION_ORIGINS = frozenset(map(str, CaptionOrigin))


def wrong_json(sample: Any, clips: Collection[str] = ()) -> list[str]:
    """List the faults in the keys, the order of keys, the types and the vocabulary of a sample's JSON.

    `clips`: which of "query", "positive" and "negatives" are clips, which say of which part of which video.
    """
    faults = list(_mismatches(sample, _shape(clips), ""))
    if faults:
        return faults
    faults += _wrong_clips(sample, clips)
    if sample["caption_origin"] not in _CAPTION_ORIGINS:
        faults.append(f"caption_origin is {sample['caption_origin']!r}")
    faults += [f"{name} is {sample[name]!r}" for name in _CLUSTERS if sample[name] and not _ID.fullmatch(sample[name])]
    others = sample["false_negatives"]
    if len(others) > MOST_FALSE_NEGATIVES or len(set(others)) < len(others) or sample["pair_id"] in others:
        faults.append(f"false_negatives has more than {MOST_FALSE_NEGATIVES} pairs, one twice, or the pair itself")
    faults += [f"false_negatives has {other!r}" for other in others if not _ID.fullmatch(other)]
    for number, negative in enumerate(sample["negatives"]):
        if negative["origin"] not in _ORIGINS:
            faults.append(f"negatives[{number}].origin is {negative['origin']!r}")
    for name, side in _named_sides(sample):
        if not len(side["media"]) == len(side["phash"]) == len(side["rewritten"]):
            faults.append(f"{name}: media, phash and rewritten differ in length")
        faults += [f"{name}.phash has {value!r}" for value in side["phash"] if value and not _PHASH.fullmatch(value)]
    return faults


def clip_sides(fields: Iterable[str]) -> frozenset[str]:
    """Which sides are clips in a dataset of clips, by its media fields."""
    starts = {field.partition(".")[0] for field in fields}
    return frozenset("negatives" if start.startswith("negative_") else start for start in starts)


def _shape(clips: Collection[str]) -> dict[str, Any]:
    """The shape of a sample's JSON in which these sides are clips."""
    if not clips:
        return _SHAPE
    sides = {name: {**_SIDE_SHAPE, **_CLIP_SHAPE} for name in ("query", "positive") if name in clips}
    negative = {"id": str, "text": str, **_MEDIA_SHAPE, **_CLIP_SHAPE, **_SCORES_SHAPE}
    negatives = {"negatives": [negative]} if "negatives" in clips else {}
    return {**_SHAPE, **sides, **negatives, "source": {**_SOURCE_SHAPE, **_CLIP_SHAPE}}


def _wrong_clips(sample: Mapping[str, Any], clips: Collection[str]) -> Iterator[str]:
    for name, side in _named_sides(sample):
        if name.partition("[")[0] not in clips:
            continue
        if {part: side[part] for part in _UNKNOWN_CLIP} == _UNKNOWN_CLIP:
            continue
        if not 0 <= side["start_s"] < side["end_s"]:
            yield f"{name}: from {side['start_s']} s to {side['end_s']} s is no part of a video"
        if not _VIDEO_ID.fullmatch(side["video"]):
            yield f"{name}.video is {side['video']!r}"
    own = next((name for name in ("query", "positive") if name in clips), None)
    if own and clip_fields(sample["source"], True) != clip_fields(sample[own], True):
        yield f"source tells of another clip than {own}"


def named_media(sample: Mapping[str, Any]) -> list[str]:
    """The media fields that a sample's JSON names, in the order in which they must lie."""
    return [name for _, side in _named_sides(sample) for name in side["media"]]


def judged_pictures(sample: Mapping[str, Any]) -> dict[str, tuple[str, bool]]:
    """Of each media field: the hash of the picture that was judged ("": none), and whether it was written anew."""
    return {
        name: (phash, rewritten)
        for _, side in _named_sides(sample)
        for name, phash, rewritten in zip(side["media"], side["phash"], side["rewritten"], strict=True)
    }


def _named_sides(sample: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    yield from ((name, sample[name]) for name in ("query", "positive"))
    yield from ((f"negatives[{number}]", side) for number, side in enumerate(sample["negatives"]))


def _mismatches(value: Any, shape: Any, where: str) -> Iterator[str]:
    if isinstance(shape, dict):
        if not isinstance(value, dict) or list(value) != list(shape):
            found = f"keys {list(value)}" if isinstance(value, dict) else type(value).__name__
            yield f"{where or 'json'} has {found}, expected keys {list(shape)}"
            return
        for key, inner in shape.items():
            yield from _mismatches(value[key], inner, f"{where}.{key}" if where else key)
    elif isinstance(shape, list):
        if type(value) is not list:
            yield f"{where} is {type(value).__name__}, expected a list"
            return
        for number, entry in enumerate(value):
            yield from _mismatches(entry, shape[0], f"{where}[{number}]")
    elif type(value) is not shape or (shape is float and not math.isfinite(value)):
        yield f"{where} is {value!r}, expected {shape.__name__}"
