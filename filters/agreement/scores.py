"""The function of the stage `agreement` in one worker: it looks scores up by content, and computes the missing ones."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from corpus.arrays import one_array
from corpus.bisection import ShardError
from corpus.hashing import digest
from corpus.pool import Pool
from corpus.stage import ITEMS, PAIRS, Shard
from corpus.storage import Store
from corpus.text.sentences import sentences
from filters.agreement.stage import AGREEMENT, AGREEMENT_SCHEMA, SCORES, AgreementSettings
from serving.openclip import ClipModel
from serving.request import NOT_FINITE, BackendError, Pixels
from serving.result_cache import ResultCache
from serving.side_images import ClipFrames, SideImages

NO_TEXT_AND_PICTURE = "no_text_and_picture"  # of a pair that is not a text on one side and a picture on the other
_DECIMALS = 4  # of a score: those after depend on what else is in the batch
_CACHED = (*SCORES, "sentences", "frames", "unread_share")


class Example(NamedTuple):
    """The text of a pair, and the picture or clip that it should fit."""

    text: str
    items: tuple[bytes, ...]  # ids
    is_clip: bool

    @property
    def key(self) -> bytes:
        """A hash, of 16 bytes, of all that the score depends on besides the model and its settings."""
        return digest(b"clip" if self.is_clip else b"", self.text, *self.items)


@dataclass(frozen=True, slots=True)
class Agreed:
    """The columns of the stage's table that a score fills."""

    text_image_score: float
    lowest_sentence_score: float
    best_frame_score: float
    lowest_sentence_best_frame_score: float
    sentences: int
    frames: int
    unread_share: float


@dataclass(frozen=True)
class ReadText:
    """The pieces of a text that are scored, and how much of it lies outside of them."""

    pieces: tuple[str, ...]
    unread_share: float


class AgreementWorker:
    """The function of the stage. Thread-safe. The first pair without a known score loads the model."""

    def __init__(self, settings: AgreementSettings) -> None:
        assert settings.backend is not None
        self._settings = settings
        self._backend = settings.backend
        clips = ClipFrames(self._backend.pixels, settings.video_frames)
        self._images = SideImages(self._backend.pixels, settings.max_source_pixels, settings.decode_threads, clips)
        self._lock = threading.Lock()  # guards the two below; shards take turns with the model
        self._model: ClipModel | None = None
        self._cache: ResultCache | None = None

    def __call__(self, shard: Shard) -> pa.Table:
        """Returns the scores of a shard's pairs, with the columns of AGREEMENT_SCHEMA."""
        examples = examples_of(shard[PAIRS])
        keys = [example.key if example else b"" for example in examples]
        found: dict[bytes, Agreed | str] = {b"": NO_TEXT_AND_PICTURE}
        found |= self._from_cache(shard, sorted({*keys} - {b""}))
        from_cache = len(found) - 1
        missing = {
            key: example
            for key, example in zip(keys, examples, strict=True)
            if example is not None and key not in found
        }
        try:
            found |= zip(missing, self._compute(shard, list(missing.values())), strict=True)
        except BackendError as error:  # no row's fault: halving the shard would not find one
            raise ShardError(str(error)) from error
        results = [found[key] for key in keys]
        shard.metrics[AGREEMENT] = {"computed": len(missing), "from_cache": from_cache, **_counts(results)}
        return _table(keys, results)

    def close(self) -> None:
        """Stops decoding."""
        self._images.close()

    def _from_cache(self, shard: Shard, keys: Sequence[bytes]) -> dict[bytes, Agreed]:
        """Returns the scores that tables in the workspace have, by key."""
        with self._lock:
            if self._cache is None:
                places = {"agreement_key": {"key": "agreement_key"}}
                self._cache = ResultCache(shard.store, AGREEMENT, self._settings.producer, SCORES[0], "pairs", places)
            self._cache.refresh()  # each time: other datasets of this run share pictures and texts with this one
        places_found, rows = self._cache.find(keys, _CACHED)
        entries = rows.to_pylist() if rows is not None else []
        return {keys[place]: Agreed(**entry) for place, entry in zip(places_found.tolist(), entries, strict=True)}

    def _compute(self, shard: Shard, examples: Sequence[Example]) -> list[Agreed | str]:
        """Computes the scores of different examples, or why there are none."""
        if not examples:
            return []
        sides = list(dict.fromkeys((example.items, example.is_clip) for example in examples))
        vectors = dict(zip(sides, self._picture_vectors(shard.store, shard.pools[ITEMS], sides), strict=True))
        texts = list(dict.fromkeys(example.text for example in examples))
        read = dict(zip(texts, self._text_vectors(texts), strict=True))
        return [_agreed(*read[each.text], vectors[each.items, each.is_clip]) for each in examples]

    def _text_vectors(self, texts: Sequence[str]) -> list[tuple[np.ndarray, ReadText]]:
        """Returns for each text the vectors of its pieces, float32[pieces, dimension], and what was read."""
        with self._lock:
            model = self._opened_model()
            read = scored_pieces(model, texts, self._settings.max_sentences)
            pieces = list(dict.fromkeys(piece for each in read for piece in each.pieces))
            vectors = _of_norm_1(model.text_vectors(pieces))
        row = {piece: number for number, piece in enumerate(pieces)}
        return [(vectors[[row[piece] for piece in each.pieces]], each) for each in read]

    def _picture_vectors(
        self, store: Store, pool: Pool, sides: Sequence[tuple[tuple[bytes, ...], bool]]
    ) -> Iterator[np.ndarray | str]:
        """Yields for each side the vectors of its pictures, float32[ways, frames, dimension], or why there are none.

        `ways`: the picture and, with `flip`, its mirror image.
        """
        items, clips = [side[0] for side in sides], [side[1] for side in sides]
        for batch in _batches(self._images.read(store, pool, items, clips), self._backend.batch_size):
            pictures = [picture for side in batch if not isinstance(side, str) for picture in side]
            ways = [pictures, [picture[:, ::-1] for picture in pictures]] if self._settings.flip else [pictures]
            with self._lock:
                vectors = np.stack([self._opened_model().image_vectors(way) for way in ways])
            done = 0
            for side in batch:
                if isinstance(side, str):
                    yield side
                else:
                    yield vectors[:, done : done + len(side)]
                    done += len(side)

    def _opened_model(self) -> ClipModel:
        if self._model is None:
            self._model = ClipModel(self._backend)
        return self._model


def examples_of(pairs: pa.Table) -> list[Example | None]:
    """Returns the text and the picture of each pair; None for a pair of other sides."""
    query, positive = (_sides(one_array(pairs.column(role))) for role in ("query", "positive"))
    return [_example(*both) or _example(*both[::-1]) for both in zip(query, positive, strict=True)]


def scored_pieces(model: ClipModel, texts: Sequence[str], max_sentences: int) -> Iterable[ReadText]:
    """Returns the pieces of each text that a model is given: the text itself, or where it is too long its sentences."""
    total, read = model.token_counts(texts)
    return [
        ReadText((text,), 0.0) if fits else _sentences_read(model, text, max_sentences)
        for text, fits in zip(texts, (total == read).tolist(), strict=True)
    ]


def reduce_scores(scores: np.ndarray) -> tuple[float, float, float, float]:
    """Returns SCORES of the scores of each sentence with each frame, float[sentences, frames]."""
    means, best = scores.mean(axis=1), scores.max(axis=1)
    return tuple(round(float(each), _DECIMALS) for each in (means.mean(), means.min(), best.mean(), best.min()))  # type: ignore[return-value]


def _sentences_read(model: ClipModel, text: str, max_sentences: int) -> ReadText:
    pieces = sentences(" ".join(text.split()))
    total, read = model.token_counts(pieces)
    unread = total.sum() - read[:max_sentences].sum()
    return ReadText(tuple(pieces[:max_sentences]), float(unread / max(1, total.sum())))


def _sides(sides: pa.StructArray) -> Iterator[tuple[str, tuple[bytes, ...], bool]]:
    """Yields the text of each side, its items, and whether it is a clip."""
    texts, items = sides.field("text").to_pylist(), sides.field("items").to_pylist()
    for text, ids, is_clip in zip(texts, items, sides.field("clip").is_valid().to_pylist(), strict=True):
        yield (text or "").strip(), tuple(ids or ()), is_clip


def _example(one: tuple[str, tuple[bytes, ...], bool], other: tuple[str, tuple[bytes, ...], bool]) -> Example | None:
    """Returns the pair of a side that is a text alone, and another that is pictures alone; else None."""
    text, items, _ = one
    other_text, pictures, is_clip = other
    return Example(text, pictures, is_clip) if text and not items and pictures and not other_text else None


def _batches(sides: Iterable[tuple[Pixels, ...] | str], batch_size: int) -> Iterator[list[tuple[Pixels, ...] | str]]:
    """Yields sides together, as many as have `batch_size` pictures at least."""
    batch: list[tuple[Pixels, ...] | str] = []
    pictures = 0
    for side in sides:
        batch.append(side)
        pictures += 0 if isinstance(side, str) else len(side)
        if pictures >= batch_size:
            yield batch
            batch, pictures = [], 0
    if batch:
        yield batch


def _of_norm_1(vectors: np.ndarray) -> np.ndarray:
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), np.finfo(np.float32).tiny))


def _agreed(pieces: np.ndarray, read: ReadText, pictures: np.ndarray | str) -> Agreed | str:
    """Returns the scores of a text, by the vectors of its pieces, with pictures, by those of `_picture_vectors`."""
    if isinstance(pictures, str):
        return pictures
    scores = np.einsum("sd,wfd->wsf", pieces, pictures).min(axis=0)
    if not np.isfinite(scores).all():
        return NOT_FINITE
    return Agreed(*reduce_scores(scores), len(pieces), scores.shape[1], read.unread_share)


def _counts(results: Sequence[Agreed | str]) -> dict[str, int]:
    """Counts pairs for the run's log: texts that were scored by sentence or cut, and why others have no score."""
    agreed = [result for result in results if not isinstance(result, str)]
    reasons = Counter(result for result in results if isinstance(result, str))
    return {
        "pairs": len(results),
        "by_sentence": sum(each.sentences > 1 or each.unread_share > 0 for each in agreed),
        "cut": sum(each.unread_share > 0 for each in agreed),
        **{f"without/{reason}": number for reason, number in sorted(reasons.items())},
    }


def _table(keys: Sequence[bytes], results: Sequence[Agreed | str]) -> pa.Table:
    """Builds the stage's table from the result of each row."""
    rows = [_row(key, result) for key, result in zip(keys, results, strict=True)]
    return pa.Table.from_pylist(rows, AGREEMENT_SCHEMA)


def _row(key: bytes, result: Agreed | str) -> dict[str, Any]:
    if isinstance(result, str):
        return {"unscored_reason": result}
    return {**asdict(result), "unscored_reason": "", "agreement_key": key}
