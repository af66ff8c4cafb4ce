"""The captioner `openai` against a server that misbehaves."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future
from contextlib import ExitStack
from typing import Any

import pytest
from aiohttp import web

from serving.openai.client import EndpointSettings, OpenAiClient, OpenAiYesNo
from serving.request import BackendError, GenerateRequest, GenerateResponse, SamplingSettings, YesNoRequest
from tests.helpers.fake_endpoint import (
    Asked,
    Behave,
    FakeEndpoint,
    caption_of,
    completion,
    failure,
    picture,
    refusing_port,
)

QUICK = {"backoff_s": 0.01, "max_backoff_s": 0.02, "timeout_s": 10.0, "max_outage_s": 20.0}
KEY = "sk-planted-4711"

Serve = Callable[..., FakeEndpoint]
Open = Callable[..., OpenAiClient]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Starts a server that behaves as told."""
    with ExitStack() as stack:

        def start(behave: Behave | None = None) -> FakeEndpoint:
            server = FakeEndpoint(behave)
            stack.callback(server.stop)
            return server

        yield start


@pytest.fixture
def open_on() -> Iterator[Open]:
    """Opens a captioner on servers or URLs."""
    with ExitStack() as stack:

        def start(*servers: FakeEndpoint | str, **changes: Any) -> OpenAiClient:
            urls = [server if isinstance(server, str) else server.url for server in servers]
            settings = EndpointSettings(**(QUICK | {"kind": "openai", "model": "m", "endpoints": urls} | changes))
            captioner = OpenAiClient(settings, SamplingSettings())
            stack.callback(captioner.close)
            return captioner

        yield start


def ask(number: int, *others: int) -> GenerateRequest:
    return GenerateRequest("Which numbers?", tuple(picture(each) for each in (number, *others)))


def answer_to(captioner: OpenAiClient, number: int = 7) -> GenerateResponse:
    return captioner.submit(ask(number)).result(20)


def answers_to(captioner: OpenAiClient, numbers: range) -> list[GenerateResponse]:
    return [future.result(20) for future in [captioner.submit(ask(number)) for number in numbers]]


def always(response: Callable[[], web.StreamResponse]) -> Behave:
    async def behave(asked: Asked) -> web.StreamResponse:
        return response()

    return behave


async def hang(asked: Asked) -> None:
    await asyncio.Event().wait()


async def hang_up(asked: Asked) -> None:
    assert asked.http.transport is not None
    asked.http.transport.abort()


def test_a_thousand_answers_belong_to_their_images(serve: Serve, open_on: Open) -> None:
    servers = [serve(), serve()]
    captioner = open_on(*servers, concurrency_per_endpoint=8)
    answers: dict[int, Future[GenerateResponse]] = {}

    def feed(numbers: range) -> None:
        answers.update({number: captioner.submit(ask(number)) for number in numbers})

    threads = [threading.Thread(target=feed, args=(range(start, 1000, 4),)) for start in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    expected = {number: GenerateResponse(caption_of(number), "stop", 70, 5) for number in range(1000)}
    assert {number: future.result(20) for number, future in answers.items()} == expected
    assert sum(len(server.asked) for server in servers) == 1000
    assert all(server.asked and server.peak <= 8 for server in servers)


def test_no_more_is_in_flight_or_in_hand_than_set(serve: Serve, open_on: Open) -> None:
    full = asyncio.Event()

    async def wait(asked: Asked) -> None:
        await full.wait()

    server = serve(wait)
    captioner = open_on(server, concurrency_per_endpoint=5)
    futures: list[Future[GenerateResponse]] = []
    feeder = threading.Thread(target=lambda: futures.extend(captioner.submit(ask(number)) for number in range(60)))
    feeder.start()
    server.wait_until(lambda: server.in_flight == 5)
    assert len(futures) <= 5  # the sixth call of `submit` cannot have returned
    server.soon(full.set)
    feeder.join()
    assert [future.result(20).payload for future in futures] == [caption_of(number) for number in range(60)]
    assert server.peak == 5


def test_several_images_keep_their_order(serve: Serve, open_on: Open) -> None:
    server = serve()
    assert open_on(server).submit(ask(3, 1, 4, 1, 5)).result(20).payload == caption_of(3, 1, 4, 1, 5)
    assert [part["type"] for part in server.asked[0].parts] == ["image_url"] * 5 + ["text"]


def test_a_busy_server_is_left_alone_as_long_as_it_asks(serve: Serve, open_on: Open) -> None:
    times: list[float] = []

    async def busy_once(asked: Asked) -> web.StreamResponse | None:
        times.append(asyncio.get_running_loop().time())
        return failure(429, Retry_After="0.3") if asked.nth == 1 else None

    server = serve(busy_once)
    captioner = open_on(server, max_attempts=1)  # being sent away is not an attempt
    first = captioner.submit(ask(1))
    server.wait_until(lambda: len(server.asked) == 1 and not server.in_flight)
    assert first.result(20).payload == caption_of(1)
    assert times[1] - times[0] >= 0.29


def test_a_server_that_recovers_costs_no_row(serve: Serve, open_on: Open) -> None:
    async def starting(asked: Asked) -> web.StreamResponse | None:
        return failure(503) if asked.nth <= 40 else None

    answers = answers_to(open_on(serve(starting), concurrency_per_endpoint=4), range(20))
    assert [answer.payload for answer in answers] == [caption_of(number) for number in range(20)]


def test_a_dead_endpoint_beside_a_good_one_costs_nothing(serve: Serve, open_on: Open) -> None:
    good = serve()
    with refusing_port() as dead:
        answers = answers_to(open_on(dead, good, concurrency_per_endpoint=4, max_attempts=1), range(100))
    assert [answer.payload for answer in answers] == [caption_of(number) for number in range(100)]


def test_an_endpoint_that_rests_is_tried_again(serve: Serve, open_on: Open) -> None:
    well = threading.Event()

    async def ill(asked: Asked) -> web.StreamResponse | None:
        return None if well.is_set() else failure(500)

    sick, good = serve(ill), serve()
    captioner = open_on(sick, good)
    assert all(not answer.error for answer in answers_to(captioner, range(50)))
    asked_while_ill = len(sick.asked)
    well.set()
    tries = 0
    while len(sick.asked) == asked_while_ill and tries < 20_000:
        assert not answer_to(captioner).error
        tries += 1
    assert len(sick.asked) > asked_while_ill


def test_a_second_try_goes_elsewhere(serve: Serve, open_on: Open) -> None:
    async def hang_on_13(asked: Asked) -> None:
        if asked.numbers == (13,):
            await hang(asked)

    sick, good = serve(always(lambda: failure(500))), serve(hang_on_13)
    captioner = open_on(sick, good, max_attempts=2)
    captioner.submit(ask(13))
    good.wait_until(lambda: good.in_flight == 1)  # so the sick one has fewer in flight
    assert answer_to(captioner).payload == caption_of(7)
    assert (7,) in [asked.numbers for asked in sick.asked]


def test_when_nobody_answers_all_ends_with_what_each_said(serve: Serve, open_on: Open) -> None:
    server = serve(always(lambda: failure(503, "loading the weights")))
    with refusing_port() as dead:
        captioner = open_on(dead, server, concurrency_per_endpoint=2, timeout_s=1.0, max_outage_s=1.5)
        futures = [captioner.submit(ask(number)) for number in range(4)]
        for future in futures:
            with pytest.raises(BackendError, match="no endpoint has responded for") as ended:
                future.result(20)
            assert f"{server.url}: 503: loading the weights" in str(ended.value)
            assert f"{dead}: cannot connect" in str(ended.value)
        with pytest.raises(BackendError, match="no endpoint has responded"):
            captioner.submit(ask(1))


def test_a_request_that_hangs_ends_as_timeout(serve: Serve, open_on: Open) -> None:
    async def hang_on_13(asked: Asked) -> None:
        if asked.numbers == (13,):
            await hang(asked)

    server = serve(hang_on_13)
    answers = answers_to(open_on(server, timeout_s=0.6, max_attempts=2), range(20))
    assert [number for number, answer in enumerate(answers) if answer.error] == [13]
    assert answers[13] == GenerateResponse(error="timeout", detail="no answer in 0.6 s")
    assert [asked.numbers for asked in server.asked].count((13,)) == 2


def test_a_hanging_endpoint_beside_a_good_one(serve: Serve, open_on: Open) -> None:
    answers = answers_to(open_on(serve(hang), serve(), concurrency_per_endpoint=4, timeout_s=0.6), range(40))
    assert [answer.payload for answer in answers] == [caption_of(number) for number in range(40)]


def test_a_silent_body_runs_into_the_deadline_too(serve: Serve, open_on: Open) -> None:
    async def begin(asked: Asked) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(asked.http)
        await response.write(b'{"choices"')
        await asyncio.Event().wait()
        return response

    assert answer_to(open_on(serve(begin), timeout_s=0.2, max_attempts=1)).error == "timeout"


def test_an_endless_body_is_cut_off(serve: Serve, open_on: Open) -> None:
    hung_up = threading.Event()

    async def endless(asked: Asked) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(asked.http)
        try:
            while True:
                await response.write(b" " * 4096)
        finally:
            hung_up.set()

    answer = answer_to(open_on(serve(endless), max_attempts=1, max_response_bytes=100_000))
    assert answer == GenerateResponse(error="bad_answer", detail="more than 100000 bytes")
    assert hung_up.wait(20)


@pytest.mark.parametrize(
    ("behave", "error", "detail", "asked"),
    [
        (always(lambda: web.Response(text="<html>")), "bad_answer", "not JSON", 2),
        (always(lambda: web.Response(text="[" * 100_000)), "bad_answer", "not JSON", 2),
        (always(lambda: web.json_response({"error": "no\x07\nGPU"})), "bad_answer", "no choices: no\\x07 GPU", 1),
        (always(lambda: completion(None)), "bad_answer", "no text in the message", 1),
        (always(lambda: completion("internal error", "error")), "server_error", "finish_reason: error", 2),
        (always(lambda: failure(500, "CUDA")), "server_error", "500: CUDA", 2),
        (always(lambda: failure(408, "slow")), "timeout", "408: slow", 2),
        (hang_up, "connection_lost", "connection lost: ServerDisconnectedError", 2),
    ],
)
def test_what_keeps_going_wrong_costs_the_row(
    serve: Serve, open_on: Open, behave: Behave, error: str, detail: str, asked: int
) -> None:
    server = serve(behave)
    answer = answer_to(open_on(server, max_attempts=2))
    assert (answer.payload, answer.error) == (None, error)
    assert answer.detail.startswith(detail)
    assert len(server.asked) == asked


def test_a_503_for_one_request_while_others_are_answered_costs_one_row(serve: Serve, open_on: Open) -> None:
    others = asyncio.Event()

    async def poisoned(asked: Asked) -> web.StreamResponse | None:
        if asked.numbers != (13,):
            others.set()
            return None
        others.clear()
        await others.wait()  # until another request has come while this one is tried
        return failure(503)

    captioner = open_on(serve(poisoned), concurrency_per_endpoint=4, max_attempts=3)
    poison = captioner.submit(ask(13))
    while not poison.done():
        assert answer_to(captioner).payload == caption_of(7)
    assert poison.result() == GenerateResponse(error="server_error", detail="503: planted")


def test_a_refused_image_costs_one_row(serve: Serve, open_on: Open) -> None:
    async def refuse_13(asked: Asked) -> web.StreamResponse | None:
        return failure(400, "image too\nwide" + "!" * 500) if asked.numbers == (13,) else None

    server = serve(refuse_13)
    answers = answers_to(open_on(server), range(30))
    assert [number for number, answer in enumerate(answers) if answer.error] == [13]
    assert answers[13] == GenerateResponse(error="refused_input", detail=("image too wide" + "!" * 500)[:199] + "…")
    assert len(server.asked) == 30  # it is not tried again


def test_when_everything_is_refused_it_is_not_the_images(serve: Serve, open_on: Open) -> None:
    captioner = open_on(serve(always(lambda: failure(400, "max_tokens: unknown"))))
    refused = 0
    with pytest.raises(BackendError, match="all of the first 100 requests were refused: max_tokens: unknown"):
        for number in range(101):
            refused += answer_to(captioner, number).error == "refused_input"
    assert refused == 99


def test_after_an_answer_any_number_may_be_refused(serve: Serve, open_on: Open) -> None:
    async def refuse(asked: Asked) -> web.StreamResponse | None:
        return failure(400) if asked.numbers[0] else None

    answers = answers_to(open_on(serve(refuse), concurrency_per_endpoint=1), range(120))
    assert [answer.error for answer in answers] == ["", *["refused_input"] * 119]


@pytest.mark.parametrize("status", [401, 403, 404, 307])
def test_a_wrong_key_or_url_ends_all_and_keeps_the_key(
    serve: Serve, open_on: Open, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    monkeypatch.setenv("PLANTED_KEY", KEY)
    elsewhere = serve()
    server = serve(always(lambda: failure(status, f"{'x' * 150} no entry with {KEY}", Location=elsewhere.url)))
    captioner = open_on(server, api_key_env="PLANTED_KEY")
    with pytest.raises(BackendError) as ended:
        answer_to(captioner)
    assert server.asked[0].headers["Authorization"] == f"Bearer {KEY}"
    said = str(ended.value)
    assert said.startswith(f"{server.url}: {status}: xxx") and "no entry with ***" in said
    assert KEY not in repr(ended.getrepr(chain=True)) and "sk-" not in said
    advice = "environment variable PLANTED_KEY" if status in (401, 403) else "endpoints"
    assert advice in said
    with pytest.raises(BackendError, match=str(status)):
        captioner.submit(ask(1))
    assert not elsewhere.asked


def test_a_key_that_is_not_there_is_said_at_once(open_on: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PLANTED_KEY", raising=False)
    with pytest.raises(BackendError, match="PLANTED_KEY is not set"):
        open_on("http://127.0.0.1:1/v1", api_key_env="PLANTED_KEY")
    monkeypatch.setenv("PLANTED_KEY", f"{KEY}\nX-Planted: 1")
    with pytest.raises(BackendError, match="more than a key") as ended:
        open_on("http://127.0.0.1:1/v1", api_key_env="PLANTED_KEY")
    assert KEY not in str(ended.value)


def test_what_cannot_be_sent_is_its_own_fault(serve: Serve, open_on: Open) -> None:
    server = serve()
    captioner = open_on(server)
    empty = picture(1)[:0]
    assert captioner.submit(GenerateRequest("?", (empty,))).result(20).error == "unencodable"
    assert captioner.submit(GenerateRequest("?", (picture(1),), json_schema="{")).result(20).error == "unencodable"
    assert answer_to(captioner).payload == caption_of(7)
    assert len(server.asked) == 1


def test_closing_ends_what_is_in_hand_and_who_waits(serve: Serve, open_on: Open) -> None:
    server = serve(hang)
    captioner = open_on(server, concurrency_per_endpoint=3)
    futures = [captioner.submit(ask(number)) for number in range(3)]
    refused: list[str] = []

    def one_too_many() -> None:
        try:
            captioner.submit(ask(4))
        except BackendError as error:
            refused.append(str(error))

    waiting = [threading.Thread(target=one_too_many) for _ in range(8)]
    for thread in waiting:
        thread.start()
    server.wait_until(lambda: len(server.asked) == 3)
    captioner.close()
    for thread in waiting:
        thread.join(20)
    assert refused == ["the client was closed"] * 8
    for future in futures:
        with pytest.raises(BackendError, match="closed"):
            future.result(0)
    with pytest.raises(BackendError, match="closed"):
        captioner.submit(ask(1))
    captioner.close()
    server.wait_until(lambda: not server.in_flight)  # the connections are gone, too


def test_a_cancelled_future_gives_its_place_to_another(serve: Serve, open_on: Open) -> None:
    async def hang_on_13(asked: Asked) -> None:
        if asked.numbers == (13,):
            await hang(asked)

    server = serve(hang_on_13)
    captioner = open_on(server, concurrency_per_endpoint=1)
    future = captioner.submit(ask(13))
    server.wait_until(lambda: len(server.asked) == 1)
    assert future.cancel()
    assert answer_to(captioner).payload == caption_of(7)  # would wait for ever if the place were still taken
    with pytest.raises(CancelledError):
        future.result(0)


def test_questions_are_judged_by_the_same_client(serve: Serve) -> None:
    async def behave(asked: Asked) -> web.StreamResponse:
        likely = [{"token": "Yes", "logprob": -0.1 * asked.numbers[0]}, {"token": "No", "logprob": -0.1}]
        choice = {"logprobs": {"content": [{"top_logprobs": likely}]}}
        return web.json_response({"choices": [choice]})

    server = serve(behave)
    client = OpenAiYesNo(EndpointSettings(**(QUICK | {"kind": "openai", "model": "m", "endpoints": [server.url]})))
    payloads = [client.submit(YesNoRequest("?", (picture(number),))).result(20).payload for number in (1, 30)]
    client.close()
    even, doubtful = (float(each[0]) for each in payloads if each is not None)
    assert even == pytest.approx(0.5) and doubtful == pytest.approx(0.052, abs=0.001)
