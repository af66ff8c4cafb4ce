"""Settings of embedding, searching and choosing hard negatives."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from corpus.image.pixel_budget import MAX_SOURCE_PIXELS
from corpus.schema import Task
from corpus.settings import Settings, tuning
from corpus.workspace import NAME
from mining.encoders import AnyEncoder
from mining.encoders.descriptor import DescriptorSettings


class SideInstructions(Settings):
    """The instructions of the two sides of a task's pairs, in place of those that the pairs have."""

    query: str | None = Field(None, description="The instruction of queries; null takes that of each pair.")
    positive: str | None = Field(
        None, description="The instruction of positives and negatives; null takes that of each pair."
    )


class EmbedSettings(Settings):
    """Settings of the vectors of the sides of pairs."""

    encoder: AnyEncoder = Field(DescriptorSettings(), description="The encoder that makes the vectors.")
    instructions: dict[Task, SideInstructions] = Field(
        {}, description="The instructions, by task, that replace those of the pairs where vectors are made."
    )
    max_source_pixels: int = Field(MAX_SOURCE_PIXELS, ge=1, description="The largest image that is decoded.")
    decode_threads: int = tuning(
        0, ge=0, description="Threads of each worker that decode images; 0 is one for each core, at most 8."
    )

    def overrides(self, task: Task | None) -> dict[str, str]:
        """Returns the instructions of a task's sides that are not those of the pairs, by role."""
        chosen = self.instructions.get(task) if task is not None else None
        return {} if chosen is None else chosen.model_dump(exclude_none=True)


class ItemVectorSettings(Settings):
    """Settings of the vectors of items: images, and clips by their frames."""

    encoder: AnyEncoder | None = Field(
        None, description="The encoder that makes a vector of each item; null makes none."
    )
    sources: Literal["all"] | tuple[str, ...] = Field(
        "all", description="The sources whose items get vectors; `all` is each that has images or clips."
    )
    instruction: str = Field("", description="The instruction under which items are read, by encoders that have one.")
    mirror: bool = Field(
        False,
        description="Whether an item's vector is the mean of those of its images and of their mirror images, so that "
        "mirror images are equal; it takes twice the time.",
    )
    max_source_pixels: int = Field(MAX_SOURCE_PIXELS, ge=1, description="The largest image that is decoded.")
    decode_threads: int = tuning(
        0, ge=0, description="Threads of each worker that decode images; 0 is one for each core, at most 8."
    )

    def names(self, source: str) -> bool:
        """Tells whether the items of a source get vectors."""
        return self.encoder is not None and (self.sources == "all" or source in self.sources)


class ItemNeighbourSettings(Settings):
    """Settings of the search for items that are near to each other. What is near enough to be a duplicate is decided
    by `stages.duplicates.min_cosine`, without another search."""

    min_cosine: float = Field(
        0.8, ge=-1, le=1, description="The lowest cosine of the vectors of two items that is written down."
    )
    k: int = Field(32, ge=1, description="The most neighbours of an item that are written down, the nearest first.")
    max_exact_items: int | None = Field(
        5_000_000,
        ge=1,
        description="The most items with vectors that are searched exactly. More are divided by k-means into clusters "
        "of about 2,000 (it takes faiss), and each is compared with those of the nearest `clusters`; null searches "
        "exactly, however many there are.",
    )
    clusters: int = Field(
        4, ge=1, description="The number of clusters that an item is compared with: its own and the nearest others."
    )
    memory_bytes: int = tuning(
        1 << 30, ge=1 << 20, description="The memory of each worker for the search itself, for all its shards."
    )
    shards_at_once: int = tuning(
        4, ge=1, description="The number of shards that one worker searches for at once, reading the pool together."
    )
    pool_bytes: int = tuning(
        4 << 30,
        ge=0,
        description="The largest pool that is kept in a worker's memory; a larger one is read again for each few "
        "shards that are searched for at once.",
    )


class DatasetSearch(Settings):
    """Settings of the search for candidates in one dataset."""

    pool: str = Field(
        "",
        pattern=f"({NAME})?",
        description="The name of a frozen pool. The search goes over the sides that the dataset had when the name was "
        "first used, so new shards make no older search stale; empty searches all sides.",
    )


class NeighbourSettings(Settings):
    """Settings of the search for candidates for hard negatives."""

    k: int = Field(200, ge=1, description="The number of nearest sides that are found for each pair.")
    datasets: dict[str, DatasetSearch] = Field({}, description="What is searched in single datasets.")
    shards_at_once: int = tuning(
        4, ge=1, description="The number of shards that one worker searches for at once, reading the pool together."
    )
    memory_bytes: int = tuning(
        4 << 30, ge=1 << 20, description="The memory of each worker for the search itself, for all its shards."
    )
    pool_bytes: int = tuning(
        4 << 30,
        ge=0,
        description="The largest pool that is kept in a worker's memory; a larger one is read again for each few "
        "shards that are searched for at once.",
    )


class MiningRules(Settings):
    """Rules by which candidates become hard negatives. Names and meanings are those of sentence-transformers'
    `mine_hard_negatives`; see `mining.choose.Rules`."""

    num_negatives: int = Field(
        4, ge=1, description="The number of hard negatives of a pair, those included that it came with."
    )
    range_min: int = Field(0, ge=0, description="How many of the best candidates are left out.")
    range_max: int | None = Field(
        None, ge=1, description="The last rank of a candidate that may be chosen; null is as many as needed."
    )
    max_score: float | None = Field(
        None, description="The highest score of a candidate with the query; null allows any."
    )
    min_score: float | None = Field(
        None, description="The lowest score of a candidate with the query; null allows any."
    )
    absolute_margin: float | None = Field(
        None,
        ge=0,
        description="How far a candidate's score must be below that of the query's worst positive; null allows any.",
    )
    relative_margin: float | None = Field(
        None, ge=0, le=1, description="The same as a share of that positive's score; null allows any."
    )
    perc_pos: float | None = Field(
        0.95,
        gt=0,
        le=1,
        description="The largest share of the positive's score that a candidate may have (NV-Retriever); null "
        "allows any.",
    )
    max_positive_similarity: float | None = Field(
        0.95,
        description="The highest similarity of a candidate with a positive of an equal query; above it the "
        "candidate counts as a positive (RzenEmbed); null allows any.",
    )
    max_query_similarity: float | None = Field(
        None,
        description="The highest similarity of the query with one whose positive the candidate is; above it the "
        "candidate counts as a positive (SaHa); null allows any.",
    )
    judge_drop: float = Field(
        0.5, gt=0, le=1, description="The judge's score from which a candidate is no negative; see `stages.judge`."
    )
    judge_positive: float = Field(
        0.9, gt=0, le=1, description="The judge's score from which a candidate is a second positive of the query."
    )
    sampling: Literal["top", "random"] = Field(
        "top", description="Whether the best candidates are chosen, or random ones by `seed`."
    )
    seed: int = Field(0, ge=0, description="The seed of random sampling.")


class DatasetMining(MiningRules):
    """Settings of mining for the pairs of one dataset; a rule that is not set here is that of `stages.negatives`."""

    search_by: Literal["query", "positive"] = Field(
        "query",
        description="The side of a pair that negatives are near to; `positive` is for encoders that cannot "
        "compare queries with positives.",
    )
    check_existing: bool = Field(
        True, description="Whether negatives that pairs came with are dropped where they break these rules."
    )


class HardNegativeSettings(MiningRules):
    """Settings of choosing hard negatives among the nearest positives of other pairs."""

    datasets: dict[str, DatasetMining] = Field(
        {}, description="The datasets whose hard negatives are mined, each with its own rules."
    )

    def of(self, dataset: str) -> DatasetMining:
        """Returns the rules for a dataset: its own, and for what it does not set, the common ones."""
        chosen = self.datasets[dataset]
        common = {name: getattr(self, name) for name in MiningRules.model_fields}
        return DatasetMining(**(common | {name: getattr(chosen, name) for name in chosen.model_fields_set}))
