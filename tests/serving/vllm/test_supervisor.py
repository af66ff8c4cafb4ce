"""An engine that hangs, dies or never starts is noticed, named and started again."""

from __future__ import annotations

import os
import signal

import pytest

from serving.request import BackendError, GenerateRequest
from tests.helpers.fake_clients import WAIT_S, fake_client


def test_a_wedged_engine_is_started_again() -> None:
    with_fake = fake_client(stall_timeout_s=0.5)
    asked = [with_fake.submit(GenerateRequest(prompt, ())) for prompt in ("echo 0", "hang", "echo 2")]
    answers = [future.result(WAIT_S) for future in asked]
    assert [answer.error for answer in answers] == ["", "engine_died", ""]
    assert "no token for 0.5 s" in answers[1].detail
    with_fake.close()


def test_an_engine_that_is_never_ready_is_given_up() -> None:
    with_fake = fake_client("open_hanging", start_timeout_s=0.5, max_restarts=1)
    with pytest.raises(BackendError, match=r"not ready after 0\.5 s"):
        with_fake.submit(GenerateRequest("echo", ())).result(WAIT_S)
    assert with_fake.stats().restarts == 1
    with_fake.close()


def test_restarts_are_bounded() -> None:
    """Every request kills the engine: one of them may be found out alone, which proves nothing of the others."""
    with_fake = fake_client(max_restarts=2)
    asked = [with_fake.submit(GenerateRequest("die", ())) for _ in range(20)]
    errors = [future.exception(WAIT_S) for future in asked]
    assert sum(isinstance(error, BackendError) for error in errors) >= 19
    assert 2 <= with_fake.stats().restarts <= 3
    with pytest.raises(BackendError, match=r"its process ended \(3 starts without a response\)"):
        with_fake.submit(GenerateRequest("echo", ()))
    with_fake.close()


def test_an_engine_that_crashes_at_its_start() -> None:
    with_fake = fake_client("open_crashing", max_restarts=1)
    with pytest.raises(BackendError, match="about to crash"):
        with_fake.submit(GenerateRequest("echo", ())).result(WAIT_S)
    assert with_fake.stats().restarts == 1
    with_fake.close()


def test_what_is_wrong_with_the_model_is_said_at_once() -> None:
    with_fake = fake_client("open_nothing")
    with pytest.raises(BackendError, match="ValueError: no such model: fake"):
        with_fake.submit(GenerateRequest("echo", ())).result(WAIT_S)
    assert with_fake.stats().restarts == 0
    with_fake.close()


def test_an_engine_that_dies_idle_is_started_again() -> None:
    with_fake = fake_client()
    first = with_fake.submit(GenerateRequest("pid", ())).result(WAIT_S)
    os.kill(int(first.payload.split()[0]), signal.SIGKILL)
    second = with_fake.submit(GenerateRequest("pid", ())).result(WAIT_S)
    assert second.payload.split()[0] != first.payload.split()[0]
    assert not second.error
    with_fake.close()
