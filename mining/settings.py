"""Settings of embedding, searching and choosing hard negatives."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from corpus.image.pixel_budget import MAX_SOURCE_PIXELS
from corpus.settings import Settings, tuning


class DescriptorSettings(Settings):
    """No model: colours and gradients of pictures, words of texts (`mining.descriptor`). Pictures are compared with
    pictures, and texts with texts."""

    kind: Literal["descriptor"] = "descriptor"


class EmbedSettings(Settings):
    """How the sides of pairs become vectors."""

    encoder: DescriptorSettings = DescriptorSettings()
    max_source_pixels: int = Field(MAX_SOURCE_PIXELS, ge=1, description="an image that has more is not decoded")
    decode_threads: int = tuning(0, ge=0)  # of each worker; 0: one for each processor, 8 at most


class NeighbourSettings(Settings):
    """How candidates for hard negatives are searched for."""

    k: int = Field(200, ge=1, description="nearest sides that are found for each pair")
    memory_bytes: int = tuning(1 << 30, ge=1 << 20)  # of each worker, for the search itself
    pool_bytes: int = tuning(4 << 30, ge=0)  # a pool of fewer bytes is kept in a worker's memory; else it is read anew


class DatasetMining(Settings):
    """What is mined for the pairs of one dataset."""

    search_by: Literal["query", "positive"] = Field(
        "query", description="what a negative is near to; `positive` where an encoder cannot compare queries with them"
    )


class NegativeSettings(Settings):
    """Which hard negatives are chosen among the nearest positives of other pairs."""

    datasets: dict[str, DatasetMining] = Field({}, description="the datasets that get negatives")
