"""The stages of the graph that `benchmarks.makespan` runs: those of images, each with a planted cost.

This module and `makespan_run` are imported as modules of their own, so that they run over the package of an older
commit as well: they use nothing of it that both don't have.
"""

from __future__ import annotations

import hashlib
import io
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
from PIL import Image

from corpus.settings import Settings
from corpus.stage import ITEMS, VERDICT, Gives, MapStage, Resources, Shard, SourceInfo
from filters.image.stats import ImageStats
from pipelines.download.images import Download, items_table, store_image

COSTS = "RZEN_MAKESPAN_COSTS"  # the environment variable that tells workers the costs


@dataclass(frozen=True)
class Costs:
    """The costs of one shard in each stage, and of loading the model."""

    network_s: float  # asleep
    computed_hashes: int  # rounds of a hash function, in each of the two stages that compute
    model_s: float  # asleep
    load_s: float  # asleep

    def to_text(self) -> str:
        """Returns what `COSTS` is set to."""
        return f"{self.network_s} {self.computed_hashes} {self.model_s} {self.load_s}"

    @staticmethod
    def current() -> Costs:
        """Reads the costs from the environment."""
        network, hashes, model, load = os.environ[COSTS].split()
        return Costs(float(network), int(hashes), float(model), float(load))


def compute(hashes: int) -> None:
    """Keeps one core busy with real work."""
    hashlib.pbkdf2_hmac("sha256", b"makespan", b"", hashes)


def picture(seed: int) -> bytes:
    """Returns a PNG of 8 × 8 random fields: no two seeds give pictures that are near each other."""
    fields = np.random.default_rng(seed).integers(0, 255, (8, 8, 3), np.uint8)
    sink = io.BytesIO()
    Image.fromarray(fields.repeat(16, axis=0).repeat(16, axis=1)).save(sink, "PNG")
    return sink.getvalue()


class SlowDownload(Download):
    """Draws the picture that each URL names, and waits as for a network."""

    @classmethod
    def create(cls, source: SourceInfo) -> MapStage:
        return cls(cls.settings_of(source))

    def setup(self) -> Callable[[Shard], pa.Table]:
        costs = Costs.current()

        def draw(shard: Shard) -> pa.Table:
            assert shard.media is not None
            time.sleep(costs.network_s)
            urls = shard["rows"].column("url").to_pylist()
            bodies = (picture(int(url.rpartition("/")[2].partition(".")[0])) for url in urls)
            fields: dict[str, Any] = {"http_status": 200, "attempts": 1, "detail": ""}
            return items_table([store_image(body, self._settings, shard.media, fields) for body in bodies])

        return draw


class ExpensiveImageStats(ImageStats):
    """The stage `image_stats`, and as much work again as its costs say."""

    def setup(self) -> Callable[[Shard], pa.Table]:
        return _with_cost(super().setup())


def _with_cost(function: Callable[[Shard], pa.Table]) -> Callable[[Shard], pa.Table]:
    costs = Costs.current()

    def work(shard: Shard) -> pa.Table:
        compute(costs.computed_hashes)
        return function(shard)

    return work


class ScarceModel(MapStage):
    """A stage that holds a model on the only GPU: it scores the items that are no duplicates.

    It has two shards at once, as such stages have: one is read while the GPU is at the other.
    """

    name = "scarce_model"
    reads: tuple[str, ...] = (ITEMS, VERDICT)
    over = frozenset({Gives.IMAGES})
    roles: ClassVar[tuple[str, ...]] = (VERDICT,)
    schema = pa.schema([("score", pa.float32())])
    resources = Resources(cpus=0, gpus=1, holds_model=True, in_flight=2)  # asleep: it takes no core

    @classmethod
    def create(cls, source: SourceInfo) -> MapStage:
        return cls(Settings())

    def setup(self) -> Callable[[Shard], pa.Table]:
        costs = Costs.current()
        time.sleep(costs.load_s)
        gpu = threading.Lock()

        def score(shard: Shard) -> pa.Table:
            with gpu:
                time.sleep(costs.model_s)
            ids = shard[ITEMS].column("item_id").to_pylist()
            return pa.table({"score": pa.array([item[0] / 255 for item in ids], pa.float32())})

        return score


class Agreement(MapStage):
    """A stage that computes over what the model has written, as the agreement of captions is scored on processors."""

    name = "computed_agreement"
    reads: tuple[str, ...] = (ITEMS, VERDICT)
    over = frozenset({Gives.IMAGES})
    roles: ClassVar[tuple[str, ...]] = (VERDICT,)
    schema = pa.schema([("agreement", pa.float32())])

    @classmethod
    def create(cls, source: SourceInfo) -> MapStage:
        return cls(Settings())

    def setup(self) -> Callable[[Shard], pa.Table]:
        def score(shard: Shard) -> pa.Table:
            ids = shard[ITEMS].column("item_id").to_pylist()
            return pa.table({"agreement": pa.array([item[-1] / 255 for item in ids], pa.float32())})

        return _with_cost(score)
