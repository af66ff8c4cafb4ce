"""Encoder `openai` against a server whose vectors are known, and that misbehaves."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import numpy as np
import pytest
from aiohttp import web

from corpus.settings import SettingsError, parse_settings
from mining.embed import Embed
from mining.encoders.openai import OpenAiSettings
from mining.settings import EmbedSettings
from serving.request import BackendError, EmbedRequest
from tests.helpers.fake_endpoint import Asked, FakeEndpoint, failure, number_in, picture
from tests.helpers.mining_worlds import read_rows, run_over_pairs
from tests.helpers.small_worlds import World, image_pair

QUICK = {"backoff_s": 0.01, "max_backoff_s": 0.02, "timeout_s": 10.0, "max_outage_s": 20.0}
DIMENSION = 5

Start = Callable[..., tuple[FakeEndpoint, OpenAiSettings]]


def vector_of(text: str) -> np.ndarray:
    """The server's vector of a text, float32[DIMENSION]."""
    return np.random.default_rng(list(text.encode())).standard_normal(DIMENSION).astype(np.float32)


def embedding(vector: np.ndarray, form: str, tokens: int = 3) -> web.Response:
    encoded = base64.b64encode(vector.astype("<f4").tobytes()).decode() if form == "base64" else vector.tolist()
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return web.json_response({"object": "list", "data": [{"index": 0, "embedding": encoded}], "usage": usage})


async def answer(asked: Asked) -> web.Response:
    """The vector of a text; of images that of their numbers and the text after them."""
    body = asked.body
    if "messages" not in body:
        return embedding(vector_of(body["input"]), body["encoding_format"], len(body["input"]))
    texts = [str(number_in(pixels)) for _, pixels in asked.images]
    texts += [part["text"] for part in asked.parts if part["type"] == "text"]
    return embedding(vector_of(" ".join(texts)), body["encoding_format"])


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts a server, and gives the settings of an encoder that uses it."""
    with ExitStack() as stack:

        def started(behave: Any = answer, **changes: Any) -> tuple[FakeEndpoint, OpenAiSettings]:
            server = FakeEndpoint(behave)
            stack.callback(server.stop)
            values = QUICK | {"kind": "openai", "model": "m", "endpoints": [server.url], "dimension": DIMENSION}
            return server, OpenAiSettings(**(values | changes))

        yield started


def responses(settings: OpenAiSettings, *requests: EmbedRequest) -> list[Any]:
    client = settings.encoder().open()
    try:
        return [future.result(20) for future in [client.submit(request) for request in requests]]
    finally:
        client.close()


def test_vectors_are_the_servers_whatever_their_order_and_form(start: Start) -> None:
    requests = [EmbedRequest(f"text {number}", (), "Find: ") for number in range(40)]
    for form in ("base64", "float"):
        server, settings = start(encoding_format=form, concurrency_per_endpoint=7)
        found = [response.payload for response in responses(settings, *requests[::-1])][::-1]
        assert all(np.array_equal(vector, vector_of(f"Find: text {number}")) for number, vector in enumerate(found)), (
            form
        )
        assert server.peak <= 7
        assert {(asked.body["model"], asked.body["encoding_format"]) for asked in server.asked} == {("m", form)}


def test_images_go_as_messages_before_the_text(start: Start) -> None:
    _, settings = start(images="messages", image_format="png")
    shown = (picture(17), picture(4711))
    [both, alone] = responses(settings, EmbedRequest("which?", shown, "Find: "), EmbedRequest("", shown[:1]))
    assert np.array_equal(both.payload, vector_of("17 4711 Find: which?"))
    assert np.array_equal(alone.payload, vector_of("17"))
    assert settings.encoder().reads_images and not start()[1].encoder().reads_images


def test_a_shortened_vector_is_requested(start: Start) -> None:
    server, settings = start(send_dimension=True, extra_body={"priority": 1})
    responses(settings, EmbedRequest("a", ()))
    assert server.asked[0].body == {
        "model": "m",
        "input": "a",
        "encoding_format": "base64",
        "dimensions": DIMENSION,
        "priority": 1,
    }


def test_what_has_no_vector_has_a_reason(start: Start) -> None:
    long = "This model's maximum context length is 8 tokens, however you requested 9 tokens"

    async def behave(asked: Asked) -> web.Response:
        text = asked.body["input"]
        planted = {
            "long": failure(400, long),
            "refused": failure(422, "no"),
            "broken": failure(500),
            "list": web.json_response({"data": []}),
            "words": web.json_response({"data": [{"embedding": ["a"]}]}),
            "base": web.json_response({"data": [{"embedding": "@@@"}]}),
        }
        return planted[text] if text in planted else await answer(asked)

    _, settings = start(behave, max_attempts=2, max_tokens=20)
    names = ("long", "refused", "broken", "list", "words", "base", "x" * 20, "x" * 19)
    found = [response.error for response in responses(settings, *(EmbedRequest(name, ()) for name in names))]
    reasons = ["too_long", "refused_input", "server_error", *["bad_answer"] * 3, "too_long", ""]
    assert found == reasons


def test_a_vector_of_another_dimension_ends_the_run(start: Start) -> None:
    _, settings = start(dimension=8)
    with pytest.raises(BackendError, match=r"vectors have 5 numbers, not 8: set `dimension`"):
        responses(settings, EmbedRequest("a", ()))


def test_sides_are_embedded_with_their_instructions_or_have_a_reason(start: Start, tmp_path: Any) -> None:
    async def behave(asked: Asked) -> web.Response:
        zero = asked.body["input"].endswith("nothing")
        return embedding(np.zeros(DIMENSION), "base64") if zero else await answer(asked)

    server, settings = start(behave)
    world = World(str(tmp_path))
    [image] = world.pictures(1)
    rows = [image_pair("shapes", text, image) for text in ("a cat", "nothing", "a cat")]
    for row in rows:
        row["query"]["instruction"] = "Find: "
    [path] = world.write_pairs("shapes", rows, 1)
    stage = Embed(EmbedSettings(encoder=settings))
    found = read_rows(world, run_over_pairs(world, stage, [[("pairs", path)]]))
    expected = vector_of("Find: a cat").astype(np.float64)
    expected = (expected / np.linalg.norm(expected)).astype(np.float16)
    assert [row["query_reason"] for row in found] == ["", "not_finite", ""]
    assert [row["positive_reason"] for row in found] == ["images_not_read"] * 3
    assert found[0]["query_vector"] == found[2]["query_vector"] == expected.tobytes()
    assert len(server.asked) == 2, "equal sides are sent once"


def test_where_servers_are_is_not_in_fingerprints_and_what_they_run_is(start: Start) -> None:
    one, other = start()[1], start(max_attempts=7, concurrency_per_endpoint=3)[1]
    assert one.encoder().producer == other.encoder().producer
    changes = ({"model": "n"}, {"revision": "2"}, {"dimension": 4}, {"max_tokens": 9}, {"extra_body": {"a": 1}})
    producers = [str(start(**change)[1].encoder().producer) for change in changes]
    assert len({str(one.encoder().producer), *producers}) == len(changes) + 1


def test_settings_that_cannot_be(start: Start) -> None:
    values = {"kind": "openai", "model": "m", "endpoints": ["http://host:8000/v1"], "dimension": 4}
    for change, message in (
        ({"extra_body": {"input": "x"}}, "input: set elsewhere"),
        ({"endpoints": ["http://host:8000/v1/embeddings"]}, "leave out /embeddings"),
        ({"dimension": 0}, "greater than or equal to 1"),
    ):
        with pytest.raises(SettingsError, match=message):
            parse_settings({"encoder": values | change}, EmbedSettings)
