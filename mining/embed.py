"""Stage `embed`, over the pairs of a dataset: a vector of each side, and of each hard negative that a pair came with.

Vectors are normalised float16. Sides that are equal (items, text, instruction) have one vector, whatever pair they
stand in. A side without one has the reason why: nothing is removed here, `neighbours` leaves such pairs out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from corpus.arrays import one_array
from corpus.execution import ShardError
from corpus.pool import PoolRead, PoolScope
from corpus.schema import ITEM_ID
from corpus.stage import ITEMS, Gives, MapStage, Shard, SourceInfo
from corpus.text.keys import side_ids
from mining.encoders.base import NOT_FINITE, Encoder
from mining.settings import EmbedSettings
from mining.side_images import SideImages, packed_ids
from mining.vectors import VectorError, Vectors, check_vectors, normalise, packed_column, packed_type
from serving.request import BackendError, EmbedRequest, ModelClient, ModelResponse

EMBED = "embed"
PAIRS = "pairs"
ROLES = ("query", "positive")

Vector = np.ndarray
Side = tuple[tuple[bytes, ...], str, str]  # ids of its items, text, instruction


def embed_schema(dimension: int) -> pa.Schema:
    """The columns of the stage's tables: per side its id, its vector or why there is none; the same of negatives."""
    vector = packed_type(dimension)
    columns = [
        field
        for role in ROLES
        for field in (
            pa.field(f"{role}_id", ITEM_ID),
            pa.field(f"{role}_vector", vector),
            pa.field(f"{role}_reason", pa.string()),
        )
    ]
    columns += [pa.field("negative_ids", pa.list_(ITEM_ID)), pa.field("negative_vectors", pa.list_(vector))]
    return pa.schema([pa.field("pair_id", ITEM_ID), *columns])


class Embed(MapStage):
    """The vectors of a dataset's sides, for the datasets whose hard negatives are mined."""

    name = EMBED
    reads = (PAIRS,)
    pools = (PoolRead(ITEMS, PoolScope.SOURCES, fingerprinted=False),)
    settings_key = EMBED
    settings_type = EmbedSettings
    over = frozenset(Gives)
    over_pairs = True
    filters_rows = False
    summary = "the vectors of its query, its positive and the negatives that it came with, or why there is none"

    def __init__(self, settings: EmbedSettings) -> None:
        super().__init__(settings)
        self._settings = settings
        encoder = settings.encoder.encoder()
        self.schema = embed_schema(encoder.dimension)
        self.resources = encoder.resources

    @classmethod
    def applies_to(cls, source: SourceInfo) -> bool:
        return super().applies_to(source) and source.dataset in source.stages.negatives.datasets

    def fingerprint_inputs(self) -> dict[str, Any]:
        return {
            "producer": self._settings.encoder.encoder().producer,
            "max_source_pixels": self._settings.max_source_pixels,
        }

    def setup(self) -> Callable[[Shard], pa.Table]:
        return EmbedWorker(self._settings.encoder.encoder(), self._settings)


@dataclass(frozen=True)
class _Sides:
    """The different sides of a shard, and which of them each row has in each role."""

    different: list[Side]
    ids: np.ndarray  # uint64[2, different]
    places: dict[str, np.ndarray]  # role -> int64[rows], into `different`
    negatives: np.ndarray  # int64, into `different`, row after row
    counts: np.ndarray  # int64[rows], negatives of each row


class EmbedWorker:
    """The function of the stage in one worker. The first side that needs a model loads it."""

    def __init__(self, encoder: Encoder, settings: EmbedSettings) -> None:
        self._encoder = encoder
        self._images = SideImages(encoder.budget, settings.max_source_pixels, settings.decode_threads)
        self._client: ModelClient[EmbedRequest, Vector] | None = None

    def __call__(self, shard: Shard) -> pa.Table:
        """The shard's vectors, with the columns of `embed_schema`."""
        sides = _different_sides(shard[PAIRS], self._encoder.reads_instructions)
        try:
            vectors, reasons = self._vectors(shard, sides.different)
        except BackendError as error:  # no row's fault: halving the shard would not find one
            raise ShardError(str(error)) from error
        valid = np.array([not reason for reason in reasons], np.bool_)
        counts = Counter(reason for reason in reasons if reason)
        shard.metrics[EMBED] = {"sides": len(reasons), **{f"without/{key}": n for key, n in sorted(counts.items())}}
        columns: dict[str, Any] = {"pair_id": shard[PAIRS].column("pair_id")}
        texts = pa.array(reasons, pa.string())
        for role, places in sides.places.items():
            columns[f"{role}_id"] = packed_ids(sides.ids[:, places])
            columns[f"{role}_vector"] = packed_column(vectors[places], valid[places])
            columns[f"{role}_reason"] = texts.take(pa.array(places))
        offsets = pa.array(np.append(0, np.cumsum(sides.counts)).astype(np.int32))
        listed = packed_column(vectors[sides.negatives], valid[sides.negatives])
        columns["negative_ids"] = pa.ListArray.from_arrays(offsets, packed_ids(sides.ids[:, sides.negatives]))
        columns["negative_vectors"] = pa.ListArray.from_arrays(offsets, listed)
        return pa.table(columns)

    def close(self) -> None:
        """Stop the model, if it was started."""
        self._images.close()
        if self._client is not None:
            self._client.close()

    def _vectors(self, shard: Shard, sides: Sequence[Side]) -> tuple[Vectors, list[str]]:
        """A vector for each side, float16[n, dimension], and why a row of it is none ("": it is one)."""
        if self._client is None:
            self._client = self._encoder.open()
        answers: list[Future[ModelResponse[Vector]] | str] = []
        decoded = self._images.read(shard.store, shard.pools[ITEMS], [items for items, _, _ in sides])
        for (_, text, instruction), images in zip(sides, decoded, strict=True):
            if isinstance(images, str):
                answers.append(images)
            else:
                answers.append(self._client.submit(EmbedRequest(text, images, instruction)))
        vectors = np.zeros((len(sides), self._encoder.dimension), np.float16)
        reasons = []
        for place, answer in enumerate(answers):
            response = ModelResponse[Vector](error=answer) if isinstance(answer, str) else answer.result()
            reason = response.error
            if response.payload is not None:
                try:
                    vectors[place] = normalise(response.payload[None, :])[0]
                except VectorError:
                    reason = NOT_FINITE
            reasons.append(reason)
        check_vectors(vectors, np.array([not reason for reason in reasons], np.bool_))
        return vectors, reasons


def _different_sides(pairs: pa.Table, instructions: bool) -> _Sides:
    """Finds the different sides of a shard's pairs; with `instructions` sides differ where these do."""
    known: dict[Side, int] = {}
    places = {role: _places(one_array(pairs.column(role)), instructions, known) for role in ROLES}
    lists = one_array(pairs.column("negatives"))
    counts = pc.fill_null(pc.list_value_length(lists), 0).to_numpy(zero_copy_only=False).astype(np.int64)
    # A negative is a candidate for the positive's place, so it takes the positive's instruction.
    existing = lists.flatten()
    instruction = one_array(pairs.column("positive")).field("instruction").to_pylist() if instructions else []
    repeated = [instruction[row] for row in np.repeat(np.arange(len(counts)), counts)] if instructions else None
    negatives = _places(existing, instructions, known, repeated)
    different = list(known)
    texts, items = pa.array([side[1] for side in different], pa.string()), [list(side[0]) for side in different]
    ids = side_ids(pa.StructArray.from_arrays([texts, pa.array(items, pa.list_(ITEM_ID))], ["text", "items"]))
    return _Sides(different, ids, places, negatives, counts)


def _places(
    sides: pa.StructArray, instructions: bool, known: dict[Side, int], existing: Sequence[str] | None = None
) -> np.ndarray:
    items, texts = sides.field("items").to_pylist(), sides.field("text").to_pylist()
    prompts: Sequence[str] = [""] * len(texts)
    if existing is not None:
        prompts = existing
    elif instructions:
        prompts = sides.field("instruction").to_pylist()
    found = (
        known.setdefault((tuple(ids or ()), text or "", prompt or ""), len(known))
        for ids, text, prompt in zip(items, texts, prompts, strict=True)
    )
    return np.fromiter(found, np.int64, len(texts))
