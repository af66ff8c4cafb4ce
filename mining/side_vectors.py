"""Vectors of sides in one worker: looked up by content, and computed where no table has them."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from corpus.arrays import Places
from corpus.bisection import ShardError
from corpus.storage import Store
from corpus.vectors import VectorError, Vectors, check_vectors, normalise
from mining.encoders.base import NO_CONTENT, NO_IMAGES, EmbedClient, Encoder, NamedRequest
from mining.known_vectors import KnownVectors
from mining.sides import VectorSide
from serving.request import NOT_FINITE, BackendError, EmbedRequest, Pixels, Vector, VectorResponse

SideImage = tuple[Pixels, ...] | str  # the images of a side, in order, or why they cannot be read
# Of the sides at some places, in any order; a side with several views has the mean of their vectors.
ReadImages = Callable[[Places], Iterator[tuple[int, SideImage]]]


@dataclass(frozen=True)
class VectorRows:
    """The vectors of n sides, and why some have none."""

    keys: list[bytes]
    vectors: Vectors  # float16[n, dimension], of norm 1 where there is one
    reasons: list[str]  # "" of a side with a vector
    from_cache: int  # sides whose vectors were found

    @property
    def valid(self) -> npt.NDArray[np.bool_]:
        """Which sides have a vector, bool[n]."""
        return np.array([not reason for reason in self.reasons], np.bool_)

    def counts(self) -> dict[str, int]:
        """Counts the sides, those that were found, and those without a vector by reason."""
        counts = Counter(reason for reason in self.reasons if reason)
        without = {f"without/{reason}": number for reason, number in sorted(counts.items())}
        return {"sides": len(self.reasons), "from_cache": self.from_cache, **without}


class SideVectors:
    """The vectors of one encoder, in one worker. Thread-safe. The first side without a known vector loads the model."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self._lock = threading.Lock()
        self._known: KnownVectors | None = None
        self._client: EmbedClient | None = None

    def find(
        self,
        store: Store,
        sides: Sequence[VectorSide],
        read: ReadImages,
        names: Sequence[tuple[str, ...]] | None = None,
    ) -> VectorRows:
        """Finds or computes the vector of each side, or says why there is none.

        `read` gives the images of those that are computed. `names` are those of each side, for an encoder whose
        vectors exist already (`Encoder.named_by`). Raises ShardError where the model fails, which is no side's fault.
        """
        key = self._encoder.keys.key
        keys = [key(side.items, side.text, side.instruction, side.is_clip, side.is_mirrored) for side in sides]
        vectors = np.zeros((len(keys), self._encoder.dimension), np.float16)
        known = self._known_vectors(store).fill(keys, vectors) if names is None else np.empty(0, np.int64)
        missing = np.setdiff1d(np.arange(len(keys)), known)
        reasons = [""] * len(keys)
        try:
            computed = self._compute(sides, missing, read) if names is None else self._existing(sides, names)
            for place, vector in computed:
                if isinstance(vector, str):
                    reasons[place] = vector
                else:
                    vectors[place] = vector
        except BackendError as error:  # no row's fault: halving the shard would not find one
            raise ShardError(str(error)) from error
        rows = VectorRows(keys, vectors, reasons, len(known))
        check_vectors(vectors, rows.valid)
        return rows

    def close(self) -> None:
        """Stops the model, if it was started."""
        if self._client is not None:
            self._client.close()

    def _known_vectors(self, store: Store) -> KnownVectors:
        with self._lock:
            if self._known is None:
                self._known = KnownVectors(store, self._encoder.producer)
            return self._known

    def _compute(
        self, sides: Sequence[VectorSide], missing: Places, read: ReadImages
    ) -> Iterator[tuple[int, Vector | str]]:
        """Computes vectors, float16[dimension] of norm 1; yields each with its side's place, or why there is none."""
        if not len(missing):
            return
        client = self._opened_client()
        answers: dict[int, list[Future[VectorResponse] | str]] = {}
        for place, images in self._images(sides, missing, read):
            side, views = sides[place], answers.setdefault(place, [])
            if isinstance(images, str):
                views.append(images)
            elif not images and not side.text.strip():
                views.append(NO_CONTENT)
            else:
                views.append(client.submit(EmbedRequest(side.text, images, side.instruction)))
        for place, views in answers.items():
            yield place, _mean([each if isinstance(each, str) else _vector_or_reason(each.result()) for each in views])

    def _existing(
        self, sides: Sequence[VectorSide], names: Sequence[tuple[str, ...]]
    ) -> Iterator[tuple[int, Vector | str]]:
        """Looks vectors up by the names of their sides."""
        client = self._opened_client()
        for place, (side, known) in enumerate(zip(sides, names, strict=True)):
            request = NamedRequest(side.text, (), side.instruction, known)
            yield place, _vector_or_reason(client.submit(request).result())

    def _images(self, sides: Sequence[VectorSide], places: Places, read: ReadImages) -> Iterator[tuple[int, SideImage]]:
        if self._encoder.reads_images:
            return read(places)
        return ((place, NO_IMAGES if sides[place].items else ()) for place in places.tolist())

    def _opened_client(self) -> EmbedClient:
        with self._lock:
            if self._client is None:
                self._client = self._encoder.open()
            return self._client


def _mean(views: Sequence[Vector | str]) -> Any:
    """Returns the mean of the vectors of a side's views, of norm 1, or the reason why one of them has none."""
    reason = next((view for view in views if isinstance(view, str)), None)
    if reason is not None or len(views) == 1:
        return views[0] if reason is None else reason
    try:
        return normalise(np.sum(np.stack(views).astype(np.float64), axis=0)[None, :])[0]  # type: ignore[arg-type]
    except VectorError:
        return NOT_FINITE


def _vector_or_reason(response: VectorResponse) -> Any:
    if response.payload is None:
        return response.error
    try:
        return normalise(response.payload[None, :])[0]
    except VectorError:
        return NOT_FINITE
