"""Readers of models' answers: those of endpoints, and frames of an engine's wire."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import numpy as np

from serving.openai.chat import read_response
from serving.openai.exchange import classify_status
from serving.request import GenerateRequest, GenerateResponse, ModelResponse
from serving.vllm.protocol import (
    ConnectionClosed,
    read_request,
    read_responses,
    receive,
    request_frame,
    responses_frame,
    send,
)

from ..formats import JSON
from ..target import Reader, Target


def _endpoint(folder: Path) -> Reader:
    choice = {"index": 0, "message": {"role": "assistant", "content": "A dog."}, "finish_reason": "stop"}
    answer = {"choices": [choice], "usage": {"prompt_tokens": 12, "completion_tokens": 3}}
    errors = [
        {"error": {"message": "too long", "code": 400}},
        {"detail": [{"loc": ["body"], "msg": "x"}]},
        {"message": "no"},
    ]
    seeds = [json.dumps(each).encode() for each in (answer, *errors)] + [b"<html>502 Bad Gateway</html>"]

    def read(data: bytes) -> object:
        found = read_response(data)
        found.__repr__().encode()  # whatever it holds can be written
        if isinstance(found, ModelResponse):
            (found.payload or "").encode(), found.detail.encode()
        return found, classify_status(200 + len(data) % 400, data.decode("latin-1"), 0.0)

    return Reader(read, seeds, (), JSON)


def _frames(folder: Path) -> Reader:
    """A frame of requests or of answers, as an engine that went wrong may write it."""
    request = GenerateRequest("Describe it.", (np.zeros((2, 3, 3), np.uint8),), 7, "", 0.5)
    seeds = []
    for frame in (
        request_frame(1, request),
        responses_frame([(1, GenerateResponse("A dog."))], {"busy_s": 1.0}),
    ):
        near, far = socket.socketpair()
        with near, far:
            send(near, *frame)
            seeds.append(far.recv(1 << 16))

    def read(data: bytes) -> object:
        near, far = socket.socketpair()
        with near:
            with far:
                far.sendall(data[: 1 << 16])
            header, body = receive(near)
            return read_request(header, body) if "shapes" in header else read_responses(header, body)

    return Reader(read, seeds, (ConnectionClosed,), JSON)


TARGETS = (
    Target("answers.endpoint", 40_000, _endpoint),
    Target("answers.engine_frames", 20_000, _frames),
)
