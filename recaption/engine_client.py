"""The captioner `vllm`: feeds an engine in a process of its own, and starts it again when it dies or hangs.

Two threads work for it: the keeper starts the engine and sends it requests, the watcher of each engine takes what comes
back and ends the engine when nothing does. What was in hand then is sent again (see `recaption.engine_jobs`).
"""

from __future__ import annotations

import atexit
import itertools
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace

from recaption.engine_handle import EngineHandle
from recaption.engine_jobs import Job, Jobs
from recaption.engine_process import Config
from recaption.engine_watch import Watch
from recaption.requests import Answer, CaptionerError, Request, Sampling
from recaption.vllm_settings import VllmSettings

VLLM = "recaption.engine_vllm:open_engine"


@dataclass(frozen=True, slots=True)
class EngineFigures:
    """What a captioner has done so far, over all starts of its engine."""

    images: int = 0  # described: of requests with a text
    prompt_tokens: int = 0
    completion_tokens: int = 0
    busy_s: float = 0.0  # in which the engine had captions to write, as it reports every second
    started_s: float = 0.0  # that all starts took, from an empty process to a loaded model
    restarts: int = 0


class VllmCaptioner:
    """A `Captioner`: one replica of a model, on the GPUs that this process sees. Starts with the first request.

    `settings.model` is what vLLM loads: a repository or a folder. `images`: how many a request may have, at most.
    `chat_template` (Jinja) and `stop_token_ids` are for a model that is published without; the latter add to its own.
    """

    def __init__(
        self,
        settings: VllmSettings,
        sampling: Sampling,
        *,
        images: int = 1,
        chat_template: str = "",
        stop_token_ids: Sequence[int] = (),
        engine: str = VLLM,
    ) -> None:
        self._settings = settings
        self._config: Config = {
            "engine": engine,
            "settings": settings.model_dump(mode="json"),
            "sampling": sampling.model_dump(mode="json"),
            "images": images,
            "chat_template": chat_template,
            "stop_token_ids": list(stop_token_ids),
        }
        self._changed = threading.Condition()  # its lock guards all that follows
        self._jobs = Jobs()
        self._numbers = itertools.count()
        self._over = ""  # why no more requests are taken
        self._keeper: threading.Thread | None = None
        self._watch: Watch | None = None  # of the engine, from its start to its end
        self._fruitless = 0  # starts since the last answer
        self._found = False  # a request that killed the engine, since then
        self._proven = False  # it did start once
        self._done = EngineFigures(restarts=-1)  # of engines that are gone; the first start makes it 0
        atexit.register(self.close)

    def submit(self, request: Request) -> Future[Answer]:
        with self._changed:
            self._changed.wait_for(lambda: self._over or len(self._jobs) < self._settings.in_hand)
            if self._over:
                raise CaptionerError(self._over)
            job = Job(next(self._numbers), request)
            job.future.set_running_or_notify_cancel()  # it is under way: nobody can cancel it
            self._jobs.add(job)
            if self._keeper is None:
                self._keeper = threading.Thread(target=self._keep, name="engine keeper", daemon=True)
                self._keeper.start()
            self._changed.notify_all()
        return job.future

    def figures(self) -> EngineFigures:
        with self._changed:
            busy_s = self._done.busy_s + (self._watch.busy_s if self._watch else 0.0)
            return replace(self._done, busy_s=busy_s, restarts=max(0, self._done.restarts))

    @property
    def process_group(self) -> int | None:
        """The group of all processes of the engine; None while there is none."""
        watch = self._watch
        return watch.engine.group if watch else None

    def close(self) -> None:
        self._end("the captioner was closed")
        for thread in (self._keeper, self._watch):
            if thread is not None and thread is not threading.current_thread():
                thread.join()
        atexit.unregister(self.close)

    def _end(self, why: str) -> None:
        """Take no more requests, give up those in hand, stop the engine."""
        with self._changed:
            self._over = self._over or why
            jobs, watch = self._jobs.clear(), self._watch
            self._changed.notify_all()
        for job in jobs:
            job.future.set_exception(CaptionerError(self._over))
        if watch is not None:
            watch.engine.stop()

    def _keep(self) -> None:
        """The keeper's work: an engine where there is work for one, and work where there is an engine."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._over or self._can_start() or self._can_send())
                if self._over:
                    return
                watch, job = self._watch, self._jobs.send_next() if self._watch else None
                if watch is not None and len(self._jobs.sent) == 1:
                    watch.progressed()  # the time in which it had nothing to do is no hanging
                fault = "" if watch else self._start()
            if watch is not None and job is not None:
                watch.engine.submit(job.number, job.request)
            elif fault:
                self._end(fault)

    def _can_start(self) -> bool:
        return self._watch is None and bool(self._jobs.waiting)

    def _can_send(self) -> bool:
        return self._watch is not None and self._watch.ready and self._jobs.can_send

    def _start(self) -> str:
        """Start an engine; "", or why there can be none."""
        self._fruitless += 1
        self._done = replace(self._done, restarts=self._done.restarts + 1)
        try:
            engine = EngineHandle(self._config)
        except OSError as error:
            return f"vLLM: no process could be started: {error}"
        self._watch = Watch(engine, self._settings, self)
        self._watch.start()
        return ""

    # What the watcher tells.

    def at_work(self) -> bool:
        """Whether the engine has any request in hand."""
        return bool(self._jobs.sent)

    def ready(self, seconds: float) -> None:
        """The engine has loaded its model."""
        with self._changed:
            self._proven = True
            self._done = replace(self._done, started_s=self._done.started_s + seconds)
            self._changed.notify_all()

    def answered(self, answers: list[tuple[int, Answer]]) -> None:
        """Some captions are written."""
        with self._changed:
            came = [(self._jobs.sent.pop(number, None), answer) for number, answer in answers]
            done = [(job, answer) for job, answer in came if job is not None]  # None: given up meanwhile
            self._fruitless, self._found = 0, False
            self._done = replace(
                self._done,
                images=self._done.images + sum(len(job.request.images) for job, answer in done if not answer.error),
                prompt_tokens=self._done.prompt_tokens + sum(answer.prompt_tokens for _, answer in done),
                completion_tokens=self._done.completion_tokens + sum(answer.completion_tokens for _, answer in done),
            )
            self._changed.notify_all()
        for job, answer in done:
            job.future.set_result(answer)

    def ended(self, watch: Watch, log_end: str) -> None:
        """The engine is gone, and all its processes with it."""
        with self._changed:
            self._watch = None
            self._done = replace(self._done, busy_s=self._done.busy_s + watch.busy_s)
            culprit = self._jobs.died() if watch.ready else None
            if culprit is not None and not self._found:
                self._found = True
                self._fruitless = min(self._fruitless, self._settings.restarts)  # the next start shows if it was alone
            hopeless = self._fruitless > self._settings.restarts or (watch.refused and not self._proven)
            self._changed.notify_all()
        if culprit is not None:
            culprit.future.set_result(Answer(error="engine_died", detail=watch.why))
        if hopeless:
            starts = f"{self._fruitless} starts without an answer" if self._proven else "it never started"
            self._end(f"vLLM: {watch.why} ({starts}). Its log ends with:\n{log_end}")
