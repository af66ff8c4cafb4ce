"""Watches over one start of an engine: takes what comes from it, and ends it when nothing does."""

from __future__ import annotations

import logging
import threading
import time
from typing import Protocol

from recaption.engine_handle import EngineHandle
from recaption.engine_wire import Header, WireClosed, read_answers
from recaption.requests import Answer
from recaption.vllm_settings import VllmSettings

_log = logging.getLogger(__name__)


class Owner(Protocol):
    """Whom the watcher tells, from its thread."""

    def at_work(self) -> bool: ...
    def ready(self, seconds: float) -> None: ...
    def answered(self, answers: list[tuple[int, Answer]]) -> None: ...
    def ended(self, watch: Watch, end: str) -> None: ...


class Watch(threading.Thread):
    """From the start of an engine's process to its end, which is `ended`, the last thing that its owner hears."""

    def __init__(self, engine: EngineHandle, settings: VllmSettings, owner: Owner) -> None:
        super().__init__(name="engine watch", daemon=True)
        self.engine = engine
        self.ready = False
        self.refused = False  # the engine said at its start why it can't: the next start would say the same
        self.busy_s = 0.0
        self.why = "its process ended"
        self._settings = settings
        self._owner = owner
        self._progress = (0.0, time.monotonic())  # tokens, and when they were seen to have grown

    def run(self) -> None:
        try:
            while True:
                header = self.engine.receive(self._tick)
                self._take(header)
                self._tick()
        except WireClosed:
            self.engine.kill()
        end = self.engine.log_end()
        self.engine.close()
        if not self.engine.stopped:
            _log.warning("the engine is gone: %s", self.why)
        self._owner.ended(self, end)

    def progressed(self) -> None:
        """From here on count the time in which nothing comes."""
        self._progress = (self._progress[0], time.monotonic())

    def _take(self, header: Header) -> None:
        if "answers" in header:
            self._advance(header["figures"], bool(header["answers"]))
            if header["answers"]:
                self._owner.answered(read_answers(header))
        elif "ready" in header:
            self.ready = True
            self._owner.ready(time.monotonic() - self.engine.started_at)
        else:
            self.why = header.get("dead") or f"it could not be started: {header['failed']}"
            self.refused = "failed" in header
            self.engine.kill()

    def _advance(self, figures: dict[str, float], answered: bool) -> None:
        self.busy_s = figures["busy_s"]
        tokens = figures["generated_tokens"]
        if answered or tokens > self._progress[0]:
            self._progress = (tokens, time.monotonic())

    def _tick(self) -> None:
        """Kill an engine that hangs: then the wire closes."""
        self.engine.trim_log()
        now = time.monotonic()
        if not self.ready:
            if now - self.engine.started_at > self._settings.start_timeout_s:
                self._give_up(f"it was not ready after {self._settings.start_timeout_s:g} s")
        elif self._owner.at_work() and now - self._progress[1] > self._settings.wedged_after_s:
            self._give_up(f"it hung: requests in hand, and no token for {self._settings.wedged_after_s:g} s")

    def _give_up(self, why: str) -> None:
        self.why = why
        self.engine.kill()
