from __future__ import annotations

import threading
from collections.abc import Iterator

import numpy as np
import pytest

from serving.request import BackendError, EmbedRequest, GenerateRequest, Pixels
from serving.vllm.client import VllmClient
from tests.helpers.fake_clients import WAIT_S, fake_client


@pytest.fixture
def fake() -> Iterator[VllmClient]:
    with_fake = fake_client()
    yield with_fake
    with_fake.close()


def grey(level: int) -> Pixels:
    return np.full((8, 8, 3), level, np.uint8)


def test_every_answer_belongs_to_its_own_request(fake: VllmClient) -> None:
    """Two thousand requests from four threads, with different texts and numbers of images of different sizes."""
    answered: dict[int, str] = {}

    def ask(numbers: range) -> None:
        sizes = [(number, np.full((number % 7 + 1, 5, 3), number % 251, np.uint8)) for number in numbers]
        asked = {
            number: fake.submit(GenerateRequest(f"echo {number}", (image,) * (number % 3))) for number, image in sizes
        }
        answered.update({number: future.result(WAIT_S).payload for number, future in asked.items()})

    threads = [threading.Thread(target=ask, args=(range(first, 2000, 4),)) for first in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    expected = {number: f"{number} {','.join([str(number % 251)] * (number % 3))}" for number in range(2000)}
    assert {number: text.rpartition(" ")[0] for number, text in answered.items()} == expected
    figures = fake.stats()
    assert (figures.images, figures.completion_tokens, figures.restarts) == (sum(n % 3 for n in range(2000)), 2000, 0)
    assert figures.prompt_tokens == sum(len(str(number)) for number in range(2000))
    assert figures.started_s > 0


def test_an_engine_may_answer_with_vectors(fake: VllmClient) -> None:
    """Hundreds of them among texts, each to its own request."""
    asked = [fake.submit(GenerateRequest(f"vector {n} 0.5" if n % 3 else f"echo {n}", ())) for n in range(300)]
    responses = [future.result(WAIT_S) for future in asked]
    for number, response in enumerate(responses):
        if number % 3:
            assert response.payload.dtype == np.float16 and response.payload.tolist() == [number, 0.5]
        else:
            assert response.payload.split()[0] == str(number)


def test_a_vector_that_never_comes_costs_its_own_row() -> None:
    """As vLLM's own scheduler leaves a request that has more tokens than a step: the watchdog notices."""
    with_fake = fake_client(stall_timeout_s=0.5)
    asked = [with_fake.submit(EmbedRequest("wait" if n == 7 else f"vector {n} 0.5", ())) for n in range(20)]
    answers = [future.result(WAIT_S) for future in asked]
    assert [number for number, answer in enumerate(answers) if answer.error] == [7]
    assert answers[7].error == "engine_died" and "it hung" in answers[7].detail
    assert all(answer.payload.tolist() == [number, 0.5] for number, answer in enumerate(answers) if number != 7)
    with_fake.close()


def test_images_may_be_views(fake: VllmClient) -> None:
    large = np.zeros((16, 16, 3), np.uint8)
    large[4:8, 4:8] = 200
    answer = fake.submit(GenerateRequest("echo view", (large[4:8, 4:8], large[::-1]))).result(WAIT_S)
    assert answer.payload.startswith("view 200,12")  # 16 of the 256 pixels are 200


def test_an_image_of_no_size_reaches_the_engine(fake: VllmClient) -> None:
    answer = fake.submit(GenerateRequest("refuse", (np.zeros((0, 4, 3), np.uint8), grey(1)))).result(WAIT_S)
    assert (answer.error, answer.detail) == ("refused_input", "it was told to")


def test_no_more_than_the_bound_is_in_hand() -> None:
    with_fake = fake_client(max_in_flight=3)
    held = [with_fake.submit(GenerateRequest("wait", ())) for _ in range(3)]
    came = threading.Event()

    def ask_for_a_fourth() -> None:
        try:
            with_fake.submit(GenerateRequest("echo", ()))
        except BackendError:
            came.set()

    asking = threading.Thread(target=ask_for_a_fourth)
    asking.start()
    with_fake.close()
    asking.join(WAIT_S)
    assert came.is_set()  # it waited until the captioner was closed
    for future in held:
        with pytest.raises(BackendError, match="closed"):
            future.result(WAIT_S)


def test_the_bound_is_what_the_engine_sees() -> None:
    with_fake = fake_client(max_in_flight=5)
    answers = [with_fake.submit(GenerateRequest("echo", ())) for _ in range(300)]
    assert max(int(answer.result(WAIT_S).payload.split()[-1]) for answer in answers) <= 5
    with_fake.close()


def test_what_kills_the_engine_costs_its_own_row() -> None:
    with_fake = fake_client(max_in_flight=40)
    poison = {57: "die", 58: "raise", 140: "stumble"}
    asked = [with_fake.submit(GenerateRequest(poison.get(number, f"echo {number}"), ())) for number in range(200)]
    answers = [future.result(WAIT_S) for future in asked]
    assert {number for number, answer in enumerate(answers) if answer.error} == set(poison)
    assert {answers[number].error for number in poison} == {"engine_died"}
    details = {number: answers[number].detail for number in poison}
    assert details == {
        57: "its process ended",
        58: "EngineDied: so it was told",
        140: "ZeroDivisionError: it was told to",
    }
    assert all(answer.payload.split()[0] == str(number) for number, answer in enumerate(answers) if not answer.error)
    assert 3 <= with_fake.stats().restarts <= 15
    with_fake.close()


def test_a_lone_request_that_kills_the_engine() -> None:
    with_fake = fake_client()
    assert with_fake.submit(GenerateRequest("die", ())).result(WAIT_S).error == "engine_died"
    assert with_fake.submit(GenerateRequest("echo still", ())).result(WAIT_S).payload.startswith("still")
    with_fake.close()
