"""The worker of a captioning stage: it chooses prompts, submits requests, screens and retries, and writes the table's
rows.

Several shards are active at once, each on a thread of its own, all for one model: while the last captions of one are
generated, the images of the next are decoded, so the model never waits.
"""

from __future__ import annotations

import json
import os
import threading
import weakref
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, fields
from functools import partial
from queue import SimpleQueue

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from corpus.bisection import ShardError
from corpus.hashing import digest
from corpus.sampling import derive_seed
from corpus.stage import ROWS, Shard
from recaption.dummy import DummyBackend
from recaption.prompts import Prompt, choose_prompts, clean_context, render_prompt
from recaption.schema import CAPTION, CAPTION_SCHEMA
from recaption.screening.screen import screen
from recaption.settings import CaptionSettings, DummySettings
from serving.backends import open_vllm_client
from serving.image_loader import ImagePrefetcher, content_keys
from serving.openai.client import OpenAiClient
from serving.openai.settings import EndpointSettings
from serving.request import BackendError, GenerateRequest, GenerateResponse, ModelClient, Pixels
from serving.result_cache import ResultCache
from serving.throughput import ThroughputMeter
from serving.vllm.settings import VllmSettings


@dataclass(frozen=True, slots=True)
class CaptionRequest:
    """The prompt for one row's images, and the key of its result in the cache."""

    prompt: Prompt
    text: str
    key: bytes


@dataclass(frozen=True, slots=True)
class CaptionResult:
    """The columns of the caption table that a row's response fills."""

    caption: str | None = None
    seed: int | None = None
    finish_reason: str | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    attempts: int = 0
    truncated: bool = False
    reject_reason: str = ""


_RESULT_COLUMNS = tuple(field.name for field in fields(CaptionResult))


class CaptionWorker:
    """The function of a captioning stage in one worker. Thread-safe. The first image without a cached caption loads the
    model.

    A row's prompt is chosen among `prompts` by their weights. A request has up to `images` images. `stage` names the
    tables that are the cache, `context_columns` the columns of the source's rows that may hold an alt-text: the first
    that is not empty is used.
    """

    def __init__(
        self,
        settings: CaptionSettings,
        prompts: Sequence[tuple[Prompt, float]],
        images: int = 1,
        stage: str = CAPTION,
        context_columns: Sequence[str] = ("text",),
    ) -> None:
        self._settings = settings
        self._prompts = prompts
        self._images = images
        self._stage = stage
        self._context_columns = context_columns
        self._producer = settings.producer(images)
        threads = settings.decode_threads or min(8, os.cpu_count() or 1)
        self._prefetcher = ImagePrefetcher(threads, settings.budget(images), settings.max_source_pixels)
        self._meter = ThroughputMeter()
        self._lock = threading.Lock()
        self._cache: ResultCache | None = None
        self._client: ModelClient[GenerateRequest, str] | None = None
        self._finalizer: weakref.finalize | None = None

    def table(self, shard: Shard) -> pa.Table:
        """Returns the shard's captions, with the columns of CAPTION_SCHEMA."""
        requests = self._requests(shard)
        results: list[CaptionResult | None] = [None] * len(shard)
        first: dict[bytes, int] = {}
        for place, each in enumerate(requests):
            first.setdefault(each.key, place)
        metrics: Counter[str] = Counter(rows=len(shard))
        if not shard.generation:
            metrics["from_cache"] += self._from_cache(shard, requests, results)
        missing = [place for place in first.values() if results[place] is None]
        if missing:
            try:
                _ShardRun(self, shard, requests, results, metrics).run(missing)
            except BackendError as error:  # no row is the cause: bisecting the shard would not find one
                raise ShardError(str(error)) from error
        for place, each in enumerate(requests):
            results[place] = results[place] or results[first[each.key]]
        done = [each or CaptionResult(reject_reason="lost") for each in results]
        metrics.update(f"rejected/{each.reject_reason}" for each in done if each.reject_reason)
        self._add_metrics(shard, metrics)
        return self._rows(requests, done)

    def close(self) -> None:
        """Stops the model, if it was started."""
        if self._finalizer is not None:
            self._finalizer()
        self._prefetcher.close()

    @property
    def client(self) -> ModelClient[GenerateRequest, str]:
        """The client of the model, opened on first use."""
        with self._lock:
            if self._client is None:
                self._client = open_client(self._settings, self._images)
                self._finalizer = weakref.finalize(self, self._client.close)
            return self._client

    def _requests(self, shard: Shard) -> list[CaptionRequest]:
        items, texts = content_keys(shard), self._texts(shard)
        longest = max(prompt.max_context_chars for prompt, _ in self._prompts)
        has_text = np.array([bool(clean_context(text, longest)) for text in texts], bool)
        which = choose_prompts(self._prompts, items, has_text, self._settings.sampling.seed)
        requests = []
        for item, text, number in zip(items, texts, which.tolist(), strict=True):
            prompt = self._prompts[number][0]
            rendered = render_prompt(prompt, text)
            requests.append(CaptionRequest(prompt, rendered, request_key(item, rendered, prompt.json_schema)))
        return requests

    def _texts(self, shard: Shard) -> list[str]:
        """Returns the alt-text of each row's images; "" for none."""
        rows = shard[ROWS]
        columns = [rows.column(name) for name in self._context_columns if name in rows.column_names]
        columns_of_texts = [pc.fill_null(column, "").to_pylist() for column in columns]
        return [next(filter(None, texts), "") for texts in zip(*columns_of_texts, strict=True)]

    def _from_cache(self, shard: Shard, requests: Sequence[CaptionRequest], results: list[CaptionResult | None]) -> int:
        """Fills in the cached results; returns how many there are."""
        with self._lock:
            if self._cache is None:
                self._cache = ResultCache(shard.store, self._stage, self._producer, "caption")
                self._cache.refresh()
        places, rows = self._cache.find([each.key for each in requests], _RESULT_COLUMNS)
        found = 0
        for place, row in zip(places.tolist(), rows.to_pylist() if rows is not None else (), strict=True):
            # The caption is screened again, because the rules may have changed since.
            screened = screen(row["caption"], "stop", requests[place].prompt.text, self._settings.screening)
            if not screened.reject_reason:
                truncated = row["truncated"] or screened.truncated
                results[place] = CaptionResult(**{**row, "caption": screened.caption, "truncated": truncated})
                found += 1
        return found

    def _add_metrics(self, shard: Shard, metrics: Counter[str]) -> None:
        """Adds to the shard's metrics, which are summed over calls, shards and workers."""
        total = Counter(shard.metrics.get(CAPTION, {}))
        total.update(metrics)
        total.update(self._meter.snapshot())
        shard.metrics[CAPTION] = dict(total)
        shard.metrics["replica"] = f"{os.uname().nodename}:{os.getpid()}"

    def _rows(self, requests: Sequence[CaptionRequest], results: Sequence[CaptionResult]) -> pa.Table:
        columns = {name: [getattr(each, name) for each in results] for name in _RESULT_COLUMNS}
        sampling = json.dumps(self._producer["sampling"], sort_keys=True)
        same = {
            "caption_model": self._producer["model"],
            "caption_revision": self._producer["revision"],
            "sampling": sampling,
        }
        columns |= {name: [value] * len(requests) for name, value in same.items()}
        prompted = not isinstance(self._settings.backend, DummySettings)  # it reads no prompt
        columns["prompt"] = [each.prompt.id if prompted else "" for each in requests]
        columns["key"] = [each.key for each in requests]
        return pa.table({field.name: pa.array(columns[field.name], field.type) for field in CAPTION_SCHEMA})


@dataclass(slots=True)
class _Attempt:
    images: tuple[Pixels, ...]
    number: int
    seed: int


class _ShardRun:
    """The captioning of one shard."""

    def __init__(
        self,
        worker: CaptionWorker,
        shard: Shard,
        requests: Sequence[CaptionRequest],
        results: list[CaptionResult | None],
        metrics: Counter[str],
    ) -> None:
        self._worker = worker
        self._settings = worker._settings
        self._shard = shard
        self._requests = requests
        self._results = results
        self._metrics = metrics
        self._running: dict[int, _Attempt] = {}
        self._finished: SimpleQueue[tuple[int, Future[GenerateResponse]]] = SimpleQueue()

    def run(self, places: Sequence[int]) -> None:
        """Captions these rows of the shard."""
        client, meter = self._worker.client, self._worker._meter
        meter.shard_started()
        try:
            for number, decoded in self._worker._prefetcher.images(self._shard.take(np.asarray(places))):
                place = places[number]
                if isinstance(decoded, str):
                    self._results[place] = CaptionResult(reject_reason=decoded)
                else:
                    self._submit(client, place, decoded, 1)
                while not self._finished.empty():
                    self._receive(client, *self._finished.get())
        finally:
            meter.shard_finished()
        while self._running:
            self._receive(client, *self._finished.get())

    def _submit(
        self, client: ModelClient[GenerateRequest, str], place: int, images: tuple[Pixels, ...], number: int
    ) -> None:
        request, settings = self._requests[place], self._settings
        seed = request_seed(request.key, settings.sampling.seed, self._shard.generation, number)
        temperature = None if number == 1 else max(settings.sampling.temperature, settings.retry_temperature)
        self._running[place] = _Attempt(images, number, seed)
        self._worker._meter.submitted()
        try:
            call = client.submit(GenerateRequest(request.text, images, seed, request.prompt.json_schema, temperature))
        except BackendError:
            self._worker._meter.completed(0, 0)
            raise
        call.add_done_callback(partial(self._completed, place))

    def _completed(self, place: int, call: Future[GenerateResponse]) -> None:
        """Passes a completed call to the shard's thread. Runs on the client's thread, so it does no more."""
        response = None if call.cancelled() or call.exception() else call.result()
        tokens = (response.prompt_tokens, response.completion_tokens) if response else (0, 0)
        self._worker._meter.completed(*tokens)
        self._finished.put((place, call))

    def _receive(self, client: ModelClient[GenerateRequest, str], place: int, call: Future[GenerateResponse]) -> None:
        response = call.result()
        attempt, settings = self._running.pop(place), self._settings
        if response.error:
            self._results[place] = CaptionResult(
                seed=attempt.seed, attempts=attempt.number, reject_reason=response.error
            )
            return
        prompt, text = self._requests[place].prompt, response.payload or ""
        screened = screen(text, response.finish_reason, prompt.text, settings.screening, prompt.caption_field)
        if screened.reject_reason and attempt.number < settings.max_attempts:
            self._metrics["retried"] += 1
            self._submit(client, place, attempt.images, attempt.number + 1)
            return
        self._results[place] = CaptionResult(
            caption=None if screened.reject_reason else screened.caption,
            seed=attempt.seed,
            finish_reason=response.finish_reason,
            prompt_tokens=response.prompt_tokens,
            completion_tokens=response.completion_tokens,
            attempts=attempt.number,
            truncated=screened.truncated,
            reject_reason=screened.reject_reason,
        )


def request_key(item: bytes, prompt: str, json_schema: str) -> bytes:
    """Hashes the images (see `content_keys`), the prompt and the schema to 16 bytes; the model is in the table's
    fingerprint.
    """
    return digest(item, prompt, json_schema)


def request_seed(key: bytes, seed: int, generation: int, attempt: int) -> int:
    """Returns a seed of 31 bits: each image and prompt, each generation of a table and each attempt has its own."""
    return derive_seed(seed, key, generation, attempt) >> 33


def open_client(settings: CaptionSettings, images: int = 1) -> ModelClient[GenerateRequest, str]:
    """Opens a client of this worker's own, for requests of at most so many images.

    The model is loaded now or at the first request; that may take minutes.
    """
    backend = settings.backend
    if isinstance(backend, VllmSettings):
        return open_vllm_client(backend, settings.sampling, settings.budget(images), images)
    if isinstance(backend, EndpointSettings):
        return OpenAiClient(backend, settings.sampling)
    return DummyBackend()
