"""What one worker does with its shards' images: ask about them, screen, ask again, and put the answers in rows.

Several shards are at it at once, each on a thread of its own, all feeding one captioner: while the last captions of one
are written, the images of the next are decoded, so the captioner never runs dry.
"""

from __future__ import annotations

import hashlib
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

from corpus.stages import ROWS, Shard
from corpus.work import ShardError
from recaption.backends import open_captioner
from recaption.cache import CaptionCache
from recaption.caption import CAPTION, CAPTION_SCHEMA
from recaption.hints import clean_hint
from recaption.meter import Meter
from recaption.pictures import Decoding, known_by
from recaption.prompts import Prompt, choose, render
from recaption.requests import Answer, Captioner, CaptionerError, Pixels, Request
from recaption.screening import screen
from recaption.settings import CaptionSettings, DescribeSettings


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked about one row's images, and the key under which the answer is found again."""

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
    """The function of a captioning stage in one worker. Thread-safe. The first image that needs a model loads it.

    `prompts` are drawn from, with these weights. A request has up to `images` images. `stage` names the tables among
    which captions are looked up, `hints` the columns of the source's rows that may hold a hint: the first that says
    something counts.
    """

    def __init__(
        self,
        settings: CaptionSettings,
        prompts: Sequence[tuple[Prompt, float]],
        images: int = 1,
        stage: str = CAPTION,
        hints: Sequence[str] = ("text",),
    ) -> None:
        self._settings = settings
        self._prompts = prompts
        self._images = images
        self._stage = stage
        self._hints = hints
        self._writer = settings.writer(images)
        threads = settings.decode_threads or min(8, os.cpu_count() or 1)
        self._decoding = Decoding(threads, settings.budget(images), settings.max_source_pixels)
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
        self._decoding.close()

    @property
    def captioner(self) -> Captioner:
        """The model, loaded now if it was not before."""
        with self._lock:
            if self._captioner is None:
                self._captioner = open_captioner(self._settings, self._images)
                self._finalizer = weakref.finalize(self, self._captioner.close)
            return self._captioner

    def _asked(self, shard: Shard) -> list[Asked]:
        items, texts = known_by(shard), self._texts(shard)
        longest = max(prompt.hint_chars for prompt, _ in self._prompts)
        has_text = np.array([bool(clean_hint(text, longest)) for text in texts], bool)
        which = choose(self._prompts, items, has_text, self._settings.sampling.seed)
        asked = []
        for item, text, number in zip(items, texts, which.tolist(), strict=True):
            prompt = self._prompts[number][0]
            rendered = render(prompt, text)
            asked.append(Asked(prompt, rendered, request_key(item, rendered, prompt.json_schema)))
        return asked

    def _texts(self, shard: Shard) -> list[str]:
        """What is known of each row's images; "" for nothing."""
        rows = shard[ROWS]
        columns = [rows.column(name) for name in self._hints if name in rows.column_names]
        said = [pc.fill_null(column, "").to_pylist() for column in columns]
        return [next(filter(None, texts), "") for texts in zip(*said, strict=True)]

    def _from_cache(self, shard: Shard, asked: Sequence[Asked], written: list[Written | None]) -> int:
        """Fill in what was written before; returns how many."""
        with self._lock:
            if self._cache is None:
                self._cache = CaptionCache(shard.store, self._stage, self._writer)
                self._cache.refresh()
        places, rows = self._cache.find([each.key for each in asked], _WRITTEN)
        found = 0
        for place, row in zip(places.tolist(), rows.to_pylist() if rows is not None else (), strict=True):
            # Screened again, because the rules may have changed since.
            screened = screen(row["caption"], "stop", asked[place].prompt.text, self._settings.screening)
            if not screened.verdict:
                cut_back = row["cut_back"] or screened.cut_back
                written[place] = Written(**{**row, "caption": screened.caption, "cut_back": cut_back})
                found += 1
        return found

    def _note(self, shard: Shard, notes: Counter[str]) -> None:
        """Numbers that add up over calls, shards and workers, for the run's record."""
        figures = Counter(shard.metrics.get(CAPTION, {}))
        figures.update(notes)
        figures.update(self._meter.take())
        shard.metrics[CAPTION] = dict(figures)
        shard.metrics["replica"] = f"{os.uname().nodename}:{os.getpid()}"

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
            for number, decoded in self._writing._decoding.images(self._shard.take(np.asarray(places))):
                place = places[number]
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


def request_key(item: bytes, prompt: str, json_schema: str) -> bytes:
    """16 bytes: a hash of what is asked about what images (see `known_by`). Who is asked is the same for a table."""
    return hashlib.sha256(b"\0".join([item, prompt.encode(), json_schema.encode()])).digest()[:16]


def request_seed(key: bytes, seed: int, generation: int, attempt: int) -> int:
    """31 bits: another one for each image and prompt, for a table that is made again, and for a second try."""
    digest = hashlib.sha256(key + f"{seed}/{generation}/{attempt}".encode()).digest()
    return int.from_bytes(digest[:4], "little") >> 1
