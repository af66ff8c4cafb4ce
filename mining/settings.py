"""Settings of embedding, searching and choosing hard negatives."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from corpus.image.pixel_budget import MAX_SOURCE_PIXELS
from corpus.schema import Task
from corpus.settings import Settings, tuning
from mining.encoders import AnyEncoder
from mining.encoders.descriptor import DescriptorSettings


class SideInstructions(Settings):
    """The instructions of the two sides of a task's pairs, in place of those that the pairs have."""

    query: str | None = Field(None, description="null: that of each pair")
    positive: str | None = Field(None, description="of negatives, too; null: that of each pair")


class EmbedSettings(Settings):
    """How the sides of pairs become vectors."""

    encoder: AnyEncoder = DescriptorSettings()
    instructions: dict[Task, SideInstructions] = Field(
        {}, description="by task, where vectors are made under other instructions than the pairs have"
    )
    max_source_pixels: int = Field(MAX_SOURCE_PIXELS, ge=1, description="an image that has more is not decoded")
    decode_threads: int = tuning(0, ge=0)  # of each worker; 0: one for each processor, 8 at most

    def overrides(self, task: Task | None) -> dict[str, str]:
        """The instructions of a task's sides that are not those of the pairs, by role."""
        chosen = self.instructions.get(task) if task is not None else None
        return {} if chosen is None else chosen.model_dump(exclude_none=True)


class NeighbourSettings(Settings):
    """How candidates for hard negatives are searched for."""

    k: int = Field(200, ge=1, description="nearest sides that are found for each pair")
    memory_bytes: int = tuning(1 << 30, ge=1 << 20)  # of each worker, for the search itself
    pool_bytes: int = tuning(4 << 30, ge=0)  # a pool of fewer bytes is kept in a worker's memory; else it is read anew


class MiningRules(Settings):
    """Which candidates become hard negatives. Names and meanings are those of sentence-transformers'
    `mine_hard_negatives`; see `mining.choose.Rules`."""

    num_negatives: int = Field(4, ge=1, description="hard negatives of a pair, those that it came with included")
    range_min: int = Field(0, ge=0, description="so many of the best candidates are left out")
    range_max: int | None = Field(None, ge=1, description="rank up to which candidates are taken; null: as needed")
    max_score: float | None = Field(None, description="of a candidate with the query; null: any")
    min_score: float | None = Field(None, description="of a candidate with the query; null: any")
    absolute_margin: float | None = Field(
        None, ge=0, description="by how much its score must be below that of the query's worst positive; null: any"
    )
    relative_margin: float | None = Field(
        None, ge=0, le=1, description="the same, as a share of that positive's score; null: any"
    )
    perc_pos: float | None = Field(
        0.95,
        gt=0,
        le=1,
        description="share of the positive's score that it may have; null: any (NV-Retriever)",
    )
    max_positive_similarity: float | None = Field(
        0.95,
        description="of a candidate with a positive of an equal query: above, it is a positive, too; null: any "
        "(RzenEmbed)",
    )
    max_query_similarity: float | None = Field(
        None,
        description="of the query with one that has the candidate as its positive: above, it answers this one, too; "
        "null: any (SaHa)",
    )
    sampling: Literal["top", "random"] = Field("top", description="the best candidates, or some drawn by `seed`")
    seed: int = Field(0, ge=0, description="of `sampling: random`")


class DatasetMining(MiningRules):
    """What is mined for the pairs of one dataset; a rule that is not set here is that of `stages.negatives`."""

    search_by: Literal["query", "positive"] = Field(
        "query", description="what a negative is near to; `positive` where an encoder cannot compare queries with them"
    )
    check_existing: bool = Field(True, description="negatives that pairs came with pass the same rules, or are dropped")


class HardNegativeSettings(MiningRules):
    """Which hard negatives are chosen among the nearest positives of other pairs."""

    datasets: dict[str, DatasetMining] = Field({}, description="the datasets whose hard negatives are mined")

    def of(self, dataset: str) -> DatasetMining:
        """The rules for a dataset: its own, and for what it does not set, the common ones."""
        chosen = self.datasets[dataset]
        common = {name: getattr(self, name) for name in MiningRules.model_fields}
        return DatasetMining(**(common | {name: getattr(chosen, name) for name in chosen.model_fields_set}))
