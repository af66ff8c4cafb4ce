"""A server that answers questions by Yes or No, with the probability that a table has for a phrase in the question."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from aiohttp import web

from tests.helpers.fake_endpoint import Asked, FakeEndpoint


@contextmanager
def serve_judge(yes: Mapping[str, float], otherwise: float = 0.02) -> Iterator[FakeEndpoint]:
    """Serves a judge: the first phrase that is in a question decides."""

    async def behave(asked: Asked) -> web.StreamResponse:
        question = asked.parts[-1]["text"]
        share = next((share for phrase, share in yes.items() if phrase in question), otherwise)
        likely = [
            {"token": token, "logprob": math.log(value)}
            for token, value in (("Yes", share), ("No", 1 - share))
            if value
        ]
        return web.json_response({"choices": [{"logprobs": {"content": [{"top_logprobs": likely}]}}]})

    server = FakeEndpoint(behave)
    try:
        yield server
    finally:
        server.stop()
