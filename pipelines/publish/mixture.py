"""The settings of a mixture, and the datasets of the workspace that it selects from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import Field, field_validator, model_validator

from corpus.image.encode import JPEG_QUALITY
from corpus.schema import Modality, Task
from corpus.settings import Settings, tuning
from corpus.urls import SIGNATURES
from pipelines.labels.vocabulary import LabelNames, load_names
from pipelines.publish.candidates import PairTable
from pipelines.publish.weights import WeightSettings


class BatchSettings(Settings):
    """Settings of batches of communities: pairs that are near to each other, beyond the nearest (B3, 2025).

    The dataset must be mined (`stages.negatives.datasets`): its pairs' neighbours are the graph.
    """

    batch_size: int | None = Field(
        None, ge=2, description="The number of samples of a batch; null: the mixture's `batch_size`."
    )
    community: int = Field(
        32, ge=2, le=128, description="The most pairs of a community; a batch is made of communities."
    )
    ranks: tuple[int, int] = Field(
        (30, 130),
        description="The ranks of the neighbours that a pair is joined with, the second one excluded; nearer ones are "
        "often false negatives.",
    )

    @model_validator(mode="after")
    def _check(self) -> BatchSettings:
        if not 0 <= self.ranks[0] < self.ranks[1]:
            raise ValueError(f"ranks are {list(self.ranks)}: the first from 0, the second above it")
        if self.batch_size is not None and self.community > self.batch_size:
            raise ValueError(f"community ({self.community}) is more than a batch ({self.batch_size})")
        return self


class MixtureDataset(Settings):
    """Settings of one dataset of a mixture: how many pairs, at which weight, with how many negatives."""

    pairs: int | None = Field(None, ge=1, description="The number of pairs in a seeded sample; null takes all.")
    weight: float = Field(
        1.0,
        gt=0,
        allow_inf_nan=False,
        description="How often the trainer draws from the dataset; it is multiplied by what `weights` computes.",
    )
    repeats: int = Field(1, ge=1, description="How often an epoch contains the dataset.")
    negatives: int = Field(0, ge=0, description="The number of hard negatives of every sample.")
    batches: BatchSettings | None = Field(
        None,
        description="How batches are made of pairs that are near to each other, in a mined dataset; null: shuffled.",
    )


class MixtureSettings(Settings):
    """Settings of one corpus: its datasets, and how their samples are divided into tars."""

    corpus: str = tuning(..., description="The folder or fsspec URL that the corpus is written to.")
    seed: int = Field(0, description="The seed of samples of pairs, of their order and of random negatives.")
    pairs_per_shard: int = Field(1000, ge=1, description="The most samples of a tar.")
    batch_size: int = Field(768, ge=1, description="The trainer's batch in samples, which it fills from one dataset.")
    members_per_batch: int = Field(
        8,
        ge=1,
        le=128,
        description="The most members of a group (the clips of a video) that lie together in a batch, as each other's "
        "negatives; the others are in other batches.",
    )
    jpeg_quality: int = Field(
        JPEG_QUALITY,
        ge=1,
        le=100,
        description="The JPEG quality of images that are re-encoded because a stock reader would show them wrong.",
    )
    weights: WeightSettings = Field(WeightSettings(), description="How the weights of the datasets are computed.")
    url_signature_params: tuple[str, ...] = Field(
        SIGNATURES,
        description="Query parameters that are left out of published URLs; `*` stands for any letters. Of an "
        "entry of several names, all are left out where the first is in the URL.",
    )
    datasets: dict[str, MixtureDataset] = Field(
        min_length=1, description="Settings of the datasets of the mixture, by their names."
    )

    @field_validator("url_signature_params")
    @classmethod
    def _name_something(cls, signatures: tuple[str, ...]) -> tuple[str, ...]:
        if not all(map(str.split, signatures)):
            raise ValueError("an entry is one or more names of parameters, with spaces between them")
        return signatures

    def batch_size_of(self, dataset: str) -> int:
        """Returns the size of the batches by which a dataset is ordered."""
        batches = self.datasets[dataset].batches
        return self.batch_size if batches is None or batches.batch_size is None else batches.batch_size


@dataclass(frozen=True)
class DatasetInput:
    """A dataset of the workspace. The paths of its tables contain their fingerprints, or digests of their content."""

    name: str
    task: Task
    stage: int  # of the training recipe: 1 without instructions, 2 with
    modality: Modality
    licence: str
    sources: tuple[str, ...]
    pairs: tuple[str, ...]  # paths of its pairs tables
    later: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # by these paths: tables of later stages
    search_by: str = "query"  # of its neighbours, where it is mined

    @property
    def tables(self) -> tuple[PairTable, ...]:
        """The tables of its pairs."""
        return tuple(PairTable(path, self.later.get(path, ())) for path in self.pairs)


@dataclass(frozen=True)
class PublishInput:
    """The input of publishing: datasets and items, and the origins that manifest and data card state."""

    name: str
    datasets: tuple[DatasetInput, ...]
    items: tuple[str, ...]  # paths of item tables: LOCATION_FIELDS
    funnel: Mapping[str, Any]  # source -> {"rows_in", "kept", "removed": {status: {reason: rows}}}
    versions: Mapping[str, str]  # name -> version
    inspected: Mapping[str, str] = field(
        default_factory=dict
    )  # path of an item table -> of the table of the stage `image_stats`
    names: LabelNames = field(default_factory=load_names)  # which labels contain which
    evaluation: Mapping[str, Any] = field(default_factory=dict)  # evaluation set -> what was checked and removed
    unchecked: tuple[str, ...] = ()  # evaluation sets that were not there


class PublishError(RuntimeError):
    """The error of a corpus that can't be published from the workspace. It names the dataset, and what to do."""
