"""The schema of the JSON of samples, and checks against it."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from corpus.schema import MAX_FALSE_NEGATIVES, CaptionOrigin, Origin
from pipelines.publish.sample import CLUSTER_FIELDS, UNKNOWN_CLIP, clip_fields

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
    "text_image_score": float,
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
_VIDEO_ID = re.compile(r"[0-9a-f]{32}")
_PHASH = re.compile(r"[0-9a-f]{16}")
_ID = re.compile(r"[0-9a-f]{32}")
_ORIGINS = frozenset(map(str, Origin))
_CAPTION_ORIGINS = frozenset(map(str, CaptionOrigin))


def json_faults(sample: Any, clips: Collection[str] = ()) -> list[str]:
    """Lists the faults in the keys, the order of keys, the types and the values of a sample's JSON.

    `clips`: which of "query", "positive" and "negatives" are clips, and so have a video and times.
    """
    faults = list(_mismatches(sample, sample_shape(clips), ""))
    if faults:
        return faults
    faults += _clip_faults(sample, clips)
    if sample["caption_origin"] not in _CAPTION_ORIGINS:
        faults.append(f"caption_origin is {sample['caption_origin']!r}")
    faults += [
        f"{name} is {sample[name]!r}" for name in CLUSTER_FIELDS if sample[name] and not _ID.fullmatch(sample[name])
    ]
    others = sample["false_negatives"]
    if len(others) > MAX_FALSE_NEGATIVES or len(set(others)) < len(others) or sample["pair_id"] in others:
        faults.append(f"false_negatives has more than {MAX_FALSE_NEGATIVES} pairs, one twice, or the pair itself")
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
    """Returns which sides are clips in a dataset of clips, by its media fields."""
    starts = {field.partition(".")[0] for field in fields}
    return frozenset("negatives" if start.startswith("negative_") else start for start in starts)


def sample_shape(clips: Collection[str]) -> dict[str, Any]:
    """Returns the schema of a sample's JSON in which these sides are clips."""
    if not clips:
        return _SHAPE
    sides = {name: {**_SIDE_SHAPE, **_CLIP_SHAPE} for name in ("query", "positive") if name in clips}
    negative = {"id": str, "text": str, **_MEDIA_SHAPE, **_CLIP_SHAPE, **_SCORES_SHAPE}
    negatives = {"negatives": [negative]} if "negatives" in clips else {}
    return {**_SHAPE, **sides, **negatives, "source": {**_SOURCE_SHAPE, **_CLIP_SHAPE}}


def _clip_faults(sample: Mapping[str, Any], clips: Collection[str]) -> Iterator[str]:
    for name, side in _named_sides(sample):
        if name.partition("[")[0] not in clips:
            continue
        if {part: side[part] for part in UNKNOWN_CLIP} == UNKNOWN_CLIP:
            continue
        if not 0 <= side["start_s"] < side["end_s"]:
            yield f"{name}: from {side['start_s']} s to {side['end_s']} s is no part of a video"
        if not _VIDEO_ID.fullmatch(side["video"]):
            yield f"{name}.video is {side['video']!r}"
    side_name = next((name for name in ("query", "positive") if name in clips), None)
    if side_name and clip_fields(sample["source"], True) != clip_fields(sample[side_name], True):
        yield f"source has another clip than {side_name}"


def named_media(sample: Mapping[str, Any]) -> list[str]:
    """Returns the media fields that a sample's JSON names, in the order of the members."""
    return [name for _, side in _named_sides(sample) for name in side["media"]]


def inspected_images(sample: Mapping[str, Any]) -> dict[str, tuple[str, bool]]:
    """Returns for each media field the hash of the inspected picture ("": none), and whether it was re-encoded."""
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
