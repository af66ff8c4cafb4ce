"""What one worker does with its shards' images: decode, ask, screen, ask again, and put the answers in rows.

Several shards are at it at once, each on a thread of its own, all feeding one captioner: while the last captions of one
are written, the images of the next are decoded, so the captioner never runs dry.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
import weakref
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, fields
from functools import partial
from queue import SimpleQueue

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from corpus.stages import ITEMS, ROWS, Shard
from corpus.work import ShardError
from recaption.backends import open_captioner
from recaption.cache import CaptionCache
from recaption.caption import CAPTION, CAPTION_SCHEMA
from recaption.hints import clean_hint
from recaption.meter import Meter
from recaption.pixels import PixelBudget, UndecodableError, decode_for
from recaption.prompts import Prompt, PromptChoice, choose, chosen_prompts, render
from recaption.requests import Answer, Captioner, CaptionerError, Pixels, Request
from recaption.screening import screen
from recaption.settings import CaptionSettings, DescribeSettings


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked about one image, and the key under which the answer is found again."""

    prompt: Prompt
    text: str
    key: bytes


@dataclass(frozen=True, slots=True)
class Written:
    """What came of it: a row's own columns."""

    caption: str | None = None
    seed: int | None = None
    finish_reason: str | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    tries: int = 0
    cut_back: bool = False
    verdict: str = ""


_WRITTEN = tuple(field.name for field in fields(Written))


class Writing:
    """The function of the stage `caption` in one worker. Thread-safe. The first image that needs a model loads it."""

    def __init__(self, settings: CaptionSettings, choice: PromptChoice) -> None:
        self._settings = settings
        self._prompts = chosen_prompts(choice)
        self._writer = settings.writer()
        self._budget = settings.budget()
        threads = settings.decode_threads or min(8, os.cpu_count() or 1)
        self._decoders = ThreadPoolExecutor(threads, "decode")
        self._ahead = 4 * threads  # images that are decoded before they are asked for
        self._meter = Meter()
        self._lock = threading.Lock()
        self._cache: CaptionCache | None = None
        self._captioner: Captioner | None = None
        self._finalizer: weakref.finalize | None = None

    def table(self, shard: Shard) -> pa.Table:
        """The shard's captions, with the columns of CAPTION_SCHEMA."""
        asked = self._asked(shard)
        written: list[Written | None] = [None] * len(shard)
        first: dict[bytes, int] = {}
        for place, each in enumerate(asked):
            first.setdefault(each.key, place)
        notes: Counter[str] = Counter(rows=len(shard))
        if not shard.generation:
            notes["from_cache"] += self._from_cache(shard, asked, written)
        missing = [place for place in first.values() if written[place] is None]
        if missing:
            try:
                _Feed(self, shard, asked, written, notes).write(missing)
            except CaptionerError as error:  # no row's fault: halving the shard would not find one
                raise ShardError(str(error)) from error
        for place, each in enumerate(asked):
            written[place] = written[place] or written[first[each.key]]
        done = [each or Written(verdict="lost") for each in written]
        notes.update(f"verdict/{each.verdict}" for each in done if each.verdict)
        self._note(shard, notes)
        return self._rows(asked, done)

    def close(self) -> None:
        """Stop the captioner, if it was started."""
        if self._finalizer is not None:
            self._finalizer()
        self._decoders.shutdown(wait=False, cancel_futures=True)

    @property
    def captioner(self) -> Captioner:
        """The model, loaded now if it was not before."""
        with self._lock:
            if self._captioner is None:
                self._captioner = open_captioner(self._settings)
                self._finalizer = weakref.finalize(self, self._captioner.close)
            return self._captioner

    def _asked(self, shard: Shard) -> list[Asked]:
        items = shard[ITEMS].column("item_id").to_pylist()
        texts = pc.fill_null(shard[ROWS].column("text"), "").to_pylist()
        has_text = np.array([bool(clean_hint(text)) for text in texts], bool)
        which = choose(self._prompts, items, has_text, self._settings.sampling.seed)
        asked = []
        for item, text, number in zip(items, texts, which.tolist(), strict=True):
            prompt = self._prompts[number][0]
            rendered = render(prompt, text)
            asked.append(Asked(prompt, rendered, request_key(item, rendered, prompt.json_schema)))
        return asked

    def _from_cache(self, shard: Shard, asked: Sequence[Asked], written: list[Written | None]) -> int:
        """Fill in what was written before; returns how many."""
        with self._lock:
            if self._cache is None:
                self._cache = CaptionCache(shard.store, CAPTION, self._writer)
                self._cache.refresh()
        places, rows = self._cache.find([each.key for each in asked], _WRITTEN)
        found = 0
        for place, row in zip(places.tolist(), rows.to_pylist() if rows is not None else (), strict=True):
            # Screened again, because the rules may have changed since.
            screened = screen(row["caption"], "stop", asked[place].prompt.text, self._settings.screening)
            if not screened.verdict:
                written[place] = Written(**{**row, "caption": screened.caption})
                found += 1
        return found

    def _note(self, shard: Shard, notes: Counter[str]) -> None:
        """Numbers that add up over calls, shards and workers, for the run's record."""
        figures = Counter(shard.notes.get(CAPTION, {}))
        figures.update(notes)
        figures.update(self._meter.take())
        shard.notes[CAPTION] = dict(figures)
        shard.notes["replica"] = f"{os.uname().nodename}:{os.getpid()}"

    def _rows(self, asked: Sequence[Asked], written: Sequence[Written]) -> pa.Table:
        columns = {name: [getattr(each, name) for each in written] for name in _WRITTEN}
        sampling = json.dumps(self._writer["sampling"], sort_keys=True)
        same = {
            "caption_model": self._writer["model"],
            "caption_revision": self._writer["revision"],
            "sampling": sampling,
        }
        columns |= {name: [value] * len(asked) for name, value in same.items()}
        prompted = not isinstance(self._settings.backend, DescribeSettings)  # that measures, and reads no prompt
        columns["prompt"] = [each.prompt.id if prompted else "" for each in asked]
        columns["key"] = [each.key for each in asked]
        return pa.table({field.name: pa.array(columns[field.name], field.type) for field in CAPTION_SCHEMA})


@dataclass(slots=True)
class _Try:
    images: tuple[Pixels, ...]
    number: int
    seed: int


class _Feed:
    """One shard's images on their way through the captioner."""

    def __init__(
        self, writing: Writing, shard: Shard, asked: Sequence[Asked], written: list[Written | None], notes: Counter[str]
    ) -> None:
        self._writing = writing
        self._settings = writing._settings
        self._shard = shard
        self._asked = asked
        self._written = written
        self._notes = notes
        self._running: dict[int, _Try] = {}
        self._finished: SimpleQueue[tuple[int, Future[Answer]]] = SimpleQueue()

    def write(self, places: Sequence[int]) -> None:
        """Have captions written for these rows of the shard."""
        captioner, meter = self._writing.captioner, self._writing._meter
        meter.feeding()
        try:
            for place, decoded in self._decoded(np.asarray(places)):
                if isinstance(decoded, str):
                    self._written[place] = Written(verdict=decoded)
                else:
                    self._ask(captioner, place, decoded, 1)
                while not self._finished.empty():
                    self._take(captioner, *self._finished.get())
        finally:
            meter.fed()
        while self._running:
            self._take(captioner, *self._finished.get())

    def _decoded(self, places: np.ndarray) -> Iterator[tuple[int, tuple[Pixels, ...] | str]]:
        """(row, images, or why there are none), decoded ahead of being asked for."""
        waiting: deque[tuple[int, Future[tuple[Pixels, ...] | str]]] = deque()
        for row, data in self._shard.take(places).contents():
            call = self._writing._decoders.submit(
                _decode, data, self._writing._budget, self._settings.max_source_pixels
            )
            waiting.append((int(places[row]), call))
            if len(waiting) > self._writing._ahead:
                place, call = waiting.popleft()
                yield place, call.result()
        for place, call in waiting:
            yield place, call.result()

    def _ask(self, captioner: Captioner, place: int, images: tuple[Pixels, ...], number: int) -> None:
        asked, settings = self._asked[place], self._settings
        seed = request_seed(asked.key, settings.sampling.seed, self._shard.generation, number)
        warmer = None if number == 1 else max(settings.sampling.temperature, settings.retry_temperature)
        self._running[place] = _Try(images, number, seed)
        self._writing._meter.asked()
        try:
            call = captioner.submit(Request(asked.text, images, seed, asked.prompt.json_schema, warmer))
        except CaptionerError:
            self._writing._meter.answered(0, 0)
            raise
        call.add_done_callback(partial(self._answered, place))

    def _answered(self, place: int, call: Future[Answer]) -> None:
        """On the captioner's thread: hand over, and no more."""
        answer = None if call.cancelled() or call.exception() else call.result()
        tokens = (answer.prompt_tokens, answer.completion_tokens) if answer else (0, 0)
        self._writing._meter.answered(*tokens)
        self._finished.put((place, call))

    def _take(self, captioner: Captioner, place: int, call: Future[Answer]) -> None:
        answer = call.result()
        attempt, asked, settings = self._running.pop(place), self._asked[place], self._settings
        if answer.error:
            self._written[place] = Written(seed=attempt.seed, tries=attempt.number, verdict=answer.error)
            return
        prompt = asked.prompt
        screened = screen(answer.text, answer.finish_reason, prompt.text, settings.screening, prompt.caption_field)
        if screened.verdict and attempt.number < settings.tries:
            self._notes["tried_again"] += 1
            self._ask(captioner, place, attempt.images, attempt.number + 1)
            return
        self._written[place] = Written(
            caption=None if screened.verdict else screened.caption,
            seed=attempt.seed,
            finish_reason=answer.finish_reason,
            prompt_tokens=answer.prompt_tokens,
            completion_tokens=answer.completion_tokens,
            tries=attempt.number,
            cut_back=screened.cut_back,
            verdict=screened.verdict,
        )


def _decode(data: bytes, budget: PixelBudget, most: int) -> tuple[Pixels, ...] | str:
    try:
        return (decode_for(data, budget, most),)
    except UndecodableError as error:
        return error.reason


def request_key(item: bytes, prompt: str, json_schema: str) -> bytes:
    """16 bytes: a hash of what is asked about an image. Who is asked is the same for a whole table."""
    return hashlib.sha256(b"\0".join([item, prompt.encode(), json_schema.encode()])).digest()[:16]


def request_seed(key: bytes, seed: int, generation: int, attempt: int) -> int:
    """31 bits: another one for each image and prompt, for a table that is made again, and for a second try."""
    digest = hashlib.sha256(key + f"{seed}/{generation}/{attempt}".encode()).digest()
    return int.from_bytes(digest[:4], "little") >> 1
