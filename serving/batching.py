"""A client of a model that runs in this process, over several requests at a time."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Generic, TypeVar

from serving.request import BackendError, ModelResponse, PayloadT

RequestT = TypeVar("RequestT")

MODEL_ERROR = "model_error"
_MAX_FAILURES = 20  # requests in a row, each alone, that the model fails on: then the model is broken, not the requests
_BATCHES_WAITING = 4  # requests that wait while a batch is computed, in batches


class BatchClient(Generic[RequestT, PayloadT]):
    """A `ModelClient` whose model runs on a thread of this process, over the requests that wait, `batch_size` at once.

    `run` computes the responses of a batch, in its order. A batch on which it raises is computed request by request:
    one that fails alone has the error `model_error`. When many in a row do, or for a BackendError, all requests end
    with BackendError.
    """

    def __init__(self, run: Callable[[Sequence[RequestT]], Sequence[ModelResponse[PayloadT]]], batch_size: int) -> None:
        self._run: Callable[[Sequence[RequestT]], Sequence[ModelResponse[PayloadT]]] = run
        self._batch_size = batch_size
        self._changed = threading.Condition()  # guards the two below
        self._waiting: deque[tuple[RequestT, Future[ModelResponse[PayloadT]]]] = deque()
        self._close_reason = ""
        self._failures = 0  # used by the thread alone
        self._thread = threading.Thread(target=self._work, name="model", daemon=True)
        self._thread.start()

    def submit(self, request: RequestT) -> Future[ModelResponse[PayloadT]]:
        """Enqueues a request, and waits while some batches of them wait. Raises BackendError once it has ended."""
        future: Future[ModelResponse[PayloadT]] = Future()
        with self._changed:
            capacity = _BATCHES_WAITING * self._batch_size
            self._changed.wait_for(lambda: self._close_reason or len(self._waiting) < capacity)
            if self._close_reason:
                raise BackendError(self._close_reason)
            self._waiting.append((request, future))
            self._changed.notify_all()
        return future

    def close(self) -> None:
        """Ends the thread after the batch that it computes. Requests that wait end with BackendError."""
        self._end("the client was closed")
        if self._thread is not threading.current_thread():
            self._thread.join()

    def _work(self) -> None:
        while batch := self._next_batch():
            try:
                self._compute(batch)
            except BackendError as error:
                self._end(str(error))
                for _, future in batch:
                    if not future.done():
                        future.set_exception(error)

    def _next_batch(self) -> list[tuple[RequestT, Future[ModelResponse[PayloadT]]]]:
        """Waits for requests; returns none once the client has ended."""
        with self._changed:
            self._changed.wait_for(lambda: self._close_reason or self._waiting)
            if self._close_reason:
                return []
            size = min(self._batch_size, len(self._waiting))
            batch = [self._waiting.popleft() for _ in range(size)]
            self._changed.notify_all()
        return [entry for entry in batch if entry[1].set_running_or_notify_cancel()] or self._next_batch()

    def _compute(self, batch: Sequence[tuple[RequestT, Future[ModelResponse[PayloadT]]]]) -> None:
        try:
            responses = self._run([request for request, _ in batch])
        except BackendError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever a model raises
            if len(batch) == 1:
                batch[0][1].set_result(self._failed(error))
                return
            for entry in batch:
                self._compute([entry])
            return
        self._failures = 0
        for (_, future), response in zip(batch, responses, strict=True):
            future.set_result(response)

    def _failed(self, error: Exception) -> ModelResponse[PayloadT]:
        """Returns the response to a request on which the model fails alone. Raises BackendError after many in a row."""
        message = f"{type(error).__name__}: {error}"[:500]
        self._failures += 1
        if self._failures >= _MAX_FAILURES:
            failures = f"the model failed on {self._failures} requests in a row"
            raise BackendError(f"{failures}; the last: {message}") from error
        return ModelResponse(error=MODEL_ERROR, detail=message)

    def _end(self, reason: str) -> None:
        with self._changed:
            self._close_reason = self._close_reason or reason
            waiting = list(self._waiting)
            self._waiting.clear()
            self._changed.notify_all()
        for _, future in waiting:
            if future.set_running_or_notify_cancel():
                future.set_exception(BackendError(self._close_reason))
