"""The shape of manifest.json: its keys and the types of their values, so that what is wrong is said by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from corpus.records import Modality, Task
from pipelines.publishing.mixture import BatchRule

Count = Annotated[int, Field(ge=0)]


class _Shape(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _Tar(_Shape):
    name: str
    samples: Count
    bytes: Count
    sha256: str
    md5: str


class _Dataset(_Shape):
    task: Task
    stage: int
    modality: Modality
    frames: Count = 0  # of clips only
    licence: str
    sources: list[str]
    fingerprint: str
    kept_pairs: Count
    repeated_pairs: Count
    samples: Count
    fields: list[str] = Field(min_length=1)
    negatives: Count
    random_negatives: Count
    weight: float = Field(gt=0, allow_inf_nan=False)
    repeats: int = Field(ge=1)
    batch_rule: BatchRule
    warnings: list[str]
    shards: list[_Tar]


class _Source(_Shape):
    rows_in: Count
    kept: Count
    removed: dict[str, dict[str, Count]]
    pending: Count = 0
    source_rows: Count = 0


class _File(_Shape):
    name: str
    bytes: Count
    sha256: str


class _Manifest(_Shape):
    schema_version: int
    name: str
    fingerprint: str
    seed: int
    batch_size: int
    pairs_per_shard: int
    weights: dict[str, Any] = {}  # where they are not by hand
    datasets: dict[str, _Dataset]
    funnel: dict[str, _Source]
    made_by: dict[str, str]
    files: list[_File]


def wrong_shape(manifest: Mapping[str, Any]) -> list[str]:
    """What is wrong with the keys and types of a manifest, each with the way that leads to it."""
    try:
        _Manifest.model_validate(manifest)
    except ValidationError as error:
        return [f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors(include_url=False)]
    return []
