"""The function of the stage `embed` in one worker: it looks vectors up by content, and computes the missing ones."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from typing import Any

import numpy as np
import pyarrow as pa

from corpus.execution import ShardError
from corpus.item_ids import packed_ids
from corpus.stage import ITEMS, PAIRS, Shard
from corpus.vectors import VectorError, Vectors, check_vectors, column_vectors, normalise, packed_column
from mining.embed import EMBED
from mining.encoders.base import NO_CONTENT, NO_IMAGES, EmbedClient, Encoder, NamedRequest
from mining.settings import EmbedSettings
from mining.sides import PAIR_ROLES, SideRules, Sides, VectorSide, different_sides, names_of_sides
from serving.request import NOT_FINITE, BackendError, EmbedRequest, Vector, VectorResponse
from serving.result_cache import ResultCache
from serving.side_images import SideImages

_PLACES = {
    f"{role}_key{plural}": {"key": f"{role}_key{plural}", "vector": f"{role}_vector{plural}"}
    for role, plural in (*((role, "") for role in PAIR_ROLES), ("negative", "s"))
}


class EmbedWorker:
    """The function of the stage in one worker. Thread-safe. The first side without a known vector loads the model.

    `overrides` has the instructions of sides that are not those of the pairs, by role.
    """

    def __init__(self, settings: EmbedSettings, overrides: Mapping[str, str] | None = None) -> None:
        self._encoder: Encoder = settings.encoder.encoder()
        clips = self._encoder.clip_frames
        self._rules = SideRules(
            self._encoder.reads_instructions,
            clips.count > 0 or clips.budget != self._encoder.budget,
            overrides or {},
        )
        self._images = SideImages(self._encoder.budget, settings.max_source_pixels, settings.decode_threads, clips)
        self._keys = self._encoder.keys
        self._lock = threading.Lock()
        self._cache: ResultCache | None = None
        self._client: EmbedClient | None = None

    def __call__(self, shard: Shard) -> pa.Table:
        """Computes the shard's vectors, with the columns of `mining.embed.embed_schema`."""
        sides = different_sides(shard[PAIRS], self._rules)
        keys = [self._keys.key(side.items, side.text, side.instruction, side.is_clip) for side in sides.different]
        vectors = np.zeros((len(keys), self._encoder.dimension), np.float16)
        named_by = self._encoder.named_by
        names = None if named_by is None else names_of_sides(sides, shard[PAIRS], named_by)
        found = self._from_cache(shard, keys, vectors) if names is None else np.empty(0, np.int64)
        missing = np.setdiff1d(np.arange(len(keys)), found)
        reasons = [""] * len(keys)
        try:
            chosen = [sides.different[place] for place in missing.tolist()]
            computed = self._compute(shard, chosen) if names is None else self._find(chosen, names)
            for place, vector in zip(missing.tolist(), computed, strict=True):
                if isinstance(vector, str):
                    reasons[place] = vector
                else:
                    vectors[place] = vector
        except BackendError as error:  # no row's fault: halving the shard would not find one
            raise ShardError(str(error)) from error
        valid = np.array([not reason for reason in reasons], np.bool_)
        check_vectors(vectors, valid)
        counts = Counter(reason for reason in reasons if reason)
        without = {f"without/{key}": n for key, n in sorted(counts.items())}
        shard.metrics[EMBED] = {"sides": len(reasons), "from_cache": len(found), **without}
        return _table(shard[PAIRS], sides, keys, vectors, reasons)

    def close(self) -> None:
        """Stops the model, if it was started."""
        self._images.close()
        if self._client is not None:
            self._client.close()

    def _from_cache(self, shard: Shard, keys: Sequence[bytes], vectors: Vectors) -> np.ndarray:
        """Fills in the vectors that tables in the workspace have; returns their rows."""
        with self._lock:
            if self._cache is None:
                producer = self._encoder.producer
                self._cache = ResultCache(shard.store, EMBED, producer, "key", "pairs", _PLACES)
            self._cache.refresh()  # each time: other datasets of this run share sides with this one
        places, rows = self._cache.find(keys, ["vector"])
        if rows is not None:
            vectors[places] = column_vectors(rows.column("vector"))
        return places

    def _compute(self, shard: Shard, sides: Sequence[VectorSide]) -> Iterator[Vector | str]:
        """Computes for each side its vector, float16[dimension] of norm 1, or why there is none."""
        if not sides:
            return
        client = self._opened_client()
        answers: list[Future[VectorResponse] | str] = []
        for side, images in zip(sides, self._read_images(shard, sides), strict=True):
            if isinstance(images, str):
                answers.append(images)
            elif not images and not side.text.strip():
                answers.append(NO_CONTENT)
            else:
                answers.append(client.submit(EmbedRequest(side.text, images, side.instruction)))
        for answer in answers:
            yield answer if isinstance(answer, str) else _vector_or_reason(answer.result())

    def _find(self, sides: Sequence[VectorSide], names: Sequence[tuple[str, ...]]) -> Iterator[Vector | str]:
        """Finds for each side its vector, which exists already, or why there is none."""
        client = self._opened_client()
        for side, known in zip(sides, names, strict=True):
            request = NamedRequest(side.text, (), side.instruction, known)
            yield _vector_or_reason(client.submit(request).result())

    def _read_images(self, shard: Shard, sides: Sequence[VectorSide]) -> Iterator[tuple[Any, ...] | str]:
        if not self._encoder.reads_images:
            return iter([NO_IMAGES if side.items else () for side in sides])
        items, clips = [side.items for side in sides], [side.is_clip for side in sides]
        return self._images.read(shard.store, shard.pools[ITEMS], items, clips)

    def _opened_client(self) -> EmbedClient:
        with self._lock:
            if self._client is None:
                self._client = self._encoder.open()
            return self._client


def _vector_or_reason(response: VectorResponse) -> Vector | str:
    if response.payload is None:
        return response.error
    try:
        return normalise(response.payload[None, :])[0]
    except VectorError:
        return NOT_FINITE


def _table(pairs: pa.Table, sides: Sides, keys: Sequence[bytes], vectors: Vectors, reasons: Sequence[str]) -> pa.Table:
    """Builds the columns of the stage's table from the vectors of the different sides."""
    valid = np.array([not reason for reason in reasons], np.bool_)
    texts = pa.array(reasons, pa.string())
    known_keys = pa.array(keys, pa.binary(16), mask=~valid)
    columns: dict[str, Any] = {"pair_id": pairs.column("pair_id")}
    for role, places in sides.places.items():
        columns[f"{role}_id"] = packed_ids(sides.ids[:, places])
        columns[f"{role}_vector"] = packed_column(vectors[places], valid[places])
        columns[f"{role}_reason"] = texts.take(pa.array(places))
        columns[f"{role}_key"] = known_keys.take(pa.array(places))
    offsets = pa.array(np.append(0, np.cumsum(sides.counts)).astype(np.int32))
    negatives = sides.negatives
    lists = {
        "negative_ids": packed_ids(sides.ids[:, negatives]),
        "negative_vectors": packed_column(vectors[negatives], valid[negatives]),
        "negative_keys": known_keys.take(pa.array(negatives)),
    }
    columns |= {name: pa.ListArray.from_arrays(offsets, values) for name, values in lists.items()}
    return pa.table(columns)
