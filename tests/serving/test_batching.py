"""Requests that wait are computed together; a request that breaks the model fails alone."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from serving.batching import BatchClient
from serving.request import BackendError, EmbedRequest, ModelResponse


class Model:
    """Gives the number in a text as a vector; it fails on texts without a number, and waits until it is opened."""

    def __init__(self, opened: bool = True) -> None:
        self.batches: list[int] = []
        self.gate = threading.Event()
        if opened:
            self.gate.set()

    def run(self, requests: Sequence[EmbedRequest]) -> list[ModelResponse[Any]]:
        assert self.gate.wait(20)
        self.batches.append(len(requests))
        return [ModelResponse(np.array([float(request.prompt)])) for request in requests]


def requests(*texts: object) -> list[EmbedRequest]:
    return [EmbedRequest(str(text), ()) for text in texts]


def test_responses_belong_to_their_requests_and_come_in_batches() -> None:
    model = Model(opened=False)
    client = BatchClient(model.run, 8)
    with ThreadPoolExecutor(4) as threads:
        parts = [threads.submit(lambda n=n: [client.submit(r) for r in requests(*range(n, 100, 4))]) for n in range(4)]
        model.gate.set()
        found = {n: [future.result(20).payload[0] for future in part.result(20)] for n, part in enumerate(parts)}
    client.close()
    assert found == {n: [float(number) for number in range(n, 100, 4)] for n in range(4)}
    assert sum(model.batches) == 100 and max(model.batches) == 8


def test_a_request_that_breaks_the_model_fails_alone() -> None:
    model = Model(opened=False)
    client = BatchClient(model.run, 4)
    futures = [client.submit(request) for request in requests(1, 2, "three", 4, 5)]
    model.gate.set()
    responses = [future.result(20) for future in futures]
    client.close()
    assert [response.error for response in responses] == ["", "", "model_error", "", ""]
    assert "could not convert string to float: 'three'" in responses[2].detail
    assert [response.payload[0] for response in responses if not response.error] == [1, 2, 4, 5]


def test_a_model_that_fails_on_everything_ends_the_run() -> None:
    model = Model()
    client = BatchClient(model.run, 4)
    futures = [client.submit(request) for request in requests(*["word"] * 15)]
    with pytest.raises(BackendError, match="the model failed on 20 requests in a row; the last: ValueError"):
        for request in requests(*["word"] * 15):
            client.submit(request).result(20)
    with pytest.raises(BackendError):
        client.submit(EmbedRequest("1", ()))
    client.close()
    assert all(future.done() for future in futures)


def test_what_waits_when_it_is_closed_ends() -> None:
    model = Model(opened=False)
    client = BatchClient(model.run, 2)
    futures = [client.submit(request) for request in requests(1, 2, 3, 4)]
    with ThreadPoolExecutor(1) as threads:
        closed = threads.submit(client.close)
        with pytest.raises(BackendError, match="the client was closed"):
            futures[-1].result(20)
        model.gate.set()
        closed.result(20)
    with pytest.raises(BackendError, match="the client was closed"):
        client.submit(EmbedRequest("1", ()))
    assert all(future.done() for future in futures)
