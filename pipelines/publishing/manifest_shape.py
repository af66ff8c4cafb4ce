"""The shape of manifest.json: its keys and the types of their values, so that what is wrong is said by name.

Also the names in it: of datasets, tars and other files no others than a corpus can have. A manifest may come from
anybody, and a path in it must lead nowhere else.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from corpus.printable import printable
from corpus.records import Modality, Task
from corpus.workspace import NAME
from pipelines.publishing.mixture import BatchRule

Count = Annotated[int, Field(ge=0, le=2**63 - 1, strict=True)]
Name = Annotated[str, StringConstraints(pattern=rf"^{NAME}$")]
TarName = Annotated[str, StringConstraints(pattern=rf"^{NAME}-[0-9]{{6,12}}\.tar$")]
FileName = Annotated[str, StringConstraints(pattern=rf"^(README\.md|blend\.yaml|{NAME}/index\.json)$")]
Sha256 = Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")]
Md5 = Annotated[str, StringConstraints(pattern="^[0-9a-f]{32}$")]
Fingerprint = Annotated[str, StringConstraints(pattern="^[0-9a-f]{1,64}$")]


class _Shape(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _Tar(_Shape):
    name: TarName
    samples: Count
    bytes: Count
    sha256: Sha256
    md5: Md5


class _Dataset(_Shape):
    task: Task
    stage: int
    modality: Modality
    frames: Count = 0  # of clips only
    licence: str
    sources: list[str]
    fingerprint: Fingerprint
    kept_pairs: Count
    repeated_pairs: Count
    samples: Count
    fields: list[str] = Field(min_length=1)
    negatives: Count
    random_negatives: Count
    weight: float = Field(gt=0, allow_inf_nan=False)
    repeats: int = Field(ge=1)
    batch_rule: BatchRule
    equal_sides_in_batch: Count
    clustered: Count  # samples of which a side is in a cluster
    warnings: list[str]
    shards: list[_Tar]


class _Source(_Shape):
    rows_in: Count
    kept: Count
    removed: dict[str, dict[str, Count]]
    pending: Count = 0
    source_rows: Count = 0
    not_read: dict[str, dict[str, Count]] = {}


class _File(_Shape):
    name: FileName
    bytes: Count
    sha256: Sha256


class _Manifest(_Shape):
    schema_version: int
    name: str
    fingerprint: Fingerprint
    seed: int
    batch_size: int
    pairs_per_shard: int
    text: str = ""
    weights: dict[str, Any] = {}  # where they are not by hand
    datasets: dict[Name, _Dataset]
    funnel: dict[str, _Source]
    made_by: dict[str, str]
    files: list[_File]

    @model_validator(mode="after")
    def _names(self) -> _Manifest:
        for name, dataset in self.datasets.items():
            for tar in dataset.shards:
                if tar.name.rpartition("-")[0] != name:
                    raise ValueError(f"datasets.{name}: {tar.name} is no tar of this dataset")
        for file in self.files:
            folder = file.name.rpartition("/")[0]
            if folder and folder not in self.datasets:
                raise ValueError(f"files: {file.name} is of no dataset")
        return self


def wrong_shape(manifest: Mapping[str, Any]) -> list[str]:
    """What is wrong with the keys and types of a manifest, each with the way that leads to it."""
    try:
        _Manifest.model_validate(manifest)
    except ValidationError as error:
        return [_fault(fault) for fault in error.errors(include_url=False, include_input=False)]
    return []


def _fault(fault: Any) -> str:
    where = ".".join(printable(str(part)) for part in fault["loc"])
    what = printable(fault["msg"].removeprefix("Value error, "), 500)
    return f"{where}: {what}" if where else what
