from __future__ import annotations

import errno
import os
import pickle
from collections.abc import Callable

import pytest

from corpus.outages import is_outage, patient_storage, storage_retry_s, wait_out
from corpus.storage import MissingError, StorageError, Store
from tests.helpers.extras import installed_or_skip
from tests.helpers.outages import FakeTime, clock, storage_outage

__all__ = ["clock"]


def caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


def system(number: int) -> OSError:
    return OSError(number, os.strerror(number))


def answered(status: int) -> Exception:
    error = RuntimeError(f"HTTP {status}")
    error.status = status  # type: ignore[attr-defined]
    return error


def test_what_passes_by_itself_is_told_from_what_no_pause_mends() -> None:
    cases = [
        (ConnectionError("reset"), True),
        (TimeoutError(), True),
        (system(errno.EBUSY), True),  # what s3fs makes of SlowDown
        (system(errno.EIO), True),
        (system(errno.ESTALE), True),
        (answered(503), True),
        (answered(429), True),
        (caused(RuntimeError("request failed"), ConnectionResetError()), True),
        (answered(400), False),
        (answered(501), False),
        (caused(PermissionError("denied"), answered(503)), False),
        (FileNotFoundError("no such bucket"), False),
        (PermissionError("denied"), False),
        (ImportError("pip install"), False),
        (system(errno.ENOSPC), False),
        (system(errno.EROFS), False),
        (system(errno.EACCES), False),
        (system(errno.EMFILE), False),
        (ValueError("no table"), False),
        (RuntimeError("unknown"), False),
    ]
    wrong = [error for error, expected in cases if is_outage(error) != expected]
    assert not wrong


def test_the_errors_of_clients_are_known() -> None:
    installed_or_skip("s3fs", "aiohttp")
    import aiohttp
    import botocore.exceptions
    from s3fs.errors import translate_boto_error

    def refused(code: str, status: int) -> Exception:
        response = {"Error": {"Code": code, "Message": ""}, "ResponseMetadata": {"HTTPStatusCode": status}}
        return botocore.exceptions.ClientError(response, "PutObject")

    cases = [
        (botocore.exceptions.EndpointConnectionError(endpoint_url="http://x"), True),
        (botocore.exceptions.ReadTimeoutError(endpoint_url="http://x"), True),
        (botocore.exceptions.ConnectionClosedError(endpoint_url="http://x"), True),
        (aiohttp.ServerDisconnectedError(), True),
        (aiohttp.ClientPayloadError(), True),
        (translate_boto_error(refused("SlowDown", 503)), True),
        (translate_boto_error(refused("InternalError", 500)), True),
        (refused("ServiceUnavailable", 503), True),
        (botocore.exceptions.NoCredentialsError(), False),
        (translate_boto_error(refused("AccessDenied", 403)), False),
        (translate_boto_error(refused("NoSuchBucket", 404)), False),
        (translate_boto_error(refused("InvalidBucketName", 400)), False),
    ]
    wrong = [repr(error) for error, expected in cases if is_outage(error) != expected]
    assert not wrong


def away_for(clock: FakeTime, seconds: float, error: Callable[[], Exception]) -> Callable[[], str]:
    start = clock.monotonic()

    def call() -> str:
        if clock.monotonic() - start < seconds:
            raise error()
        return "there"

    return call


def outage() -> StorageError:
    return StorageError.caused_by(ConnectionError(), "store: away")


def test_an_outage_costs_time_only(clock: FakeTime) -> None:
    lines: list[str] = []
    with patient_storage(300, lines.append) as waits:
        assert wait_out(away_for(clock, 60, outage), "a") == "there"
    assert 60 <= clock.passed_s <= 60 + 15
    assert clock.pauses == sorted(clock.pauses)[: len(clock.pauses)] or max(clock.pauses) <= 15
    assert waits.retries == len(clock.pauses) and waits.seconds == pytest.approx(clock.passed_s)
    assert waits.metrics() == {"storage_retries": waits.retries, "storage_wait_s": round(clock.passed_s, 1)}
    assert lines[0] == "store: away: trying again for up to 300 s"
    assert lines[1].startswith("a is back after ") and len(lines) == 2


def test_without_patience_and_for_other_faults_there_is_no_pause(clock: FakeTime) -> None:
    with pytest.raises(StorageError, match=r"store: away$"):
        wait_out(away_for(clock, 60, outage), "b")
    with patient_storage(300) as waits:
        for error in (MissingError("no bucket"), StorageError("disk full"), ValueError("bad")):
            with pytest.raises(type(error), match=str(error)):
                wait_out(away_for(clock, 60, lambda error=error: error), "b")  # type: ignore[misc]
    assert clock.pauses == []
    assert waits.metrics() == {}


def test_what_stays_away_ends_with_its_message_and_is_not_waited_for_twice(clock: FakeTime) -> None:
    with patient_storage(120):
        with pytest.raises(StorageError, match=r"store: away \(tried \d+ times in 120 s\)") as caught:
            wait_out(lambda: wait_out(away_for(clock, 1e9, outage), "c"), "c")
        assert not caught.value.outage
        assert clock.passed_s == pytest.approx(120)
        with pytest.raises(StorageError, match="store: away"):  # the next shard does not wait again
            wait_out(away_for(clock, 1e9, outage), "c")
        assert clock.passed_s == pytest.approx(120)
        assert wait_out(lambda: "there", "c") == "there"
        with pytest.raises(StorageError, match="store: away"):
            wait_out(away_for(clock, 1e9, outage), "c")
        assert clock.passed_s == pytest.approx(240)


def test_patience_is_that_of_the_most_patient_and_ends_with_its_block(clock: FakeTime) -> None:
    assert storage_retry_s() == 0
    with patient_storage(10):
        with patient_storage(60):
            assert storage_retry_s() == 60
        assert storage_retry_s() == 10
    assert storage_retry_s() == 0


def test_the_mark_of_an_outage_survives_another_process() -> None:
    assert pickle.loads(pickle.dumps(outage())).outage  # noqa: S301
    assert not pickle.loads(pickle.dumps(StorageError("disk full"))).outage  # noqa: S301


def test_every_call_of_a_store_waits(clock: FakeTime, memory_store: str) -> None:
    store = Store(memory_store)
    store.publish("a/one.bin", bytes(range(256)) * 64)
    calls: dict[str, Callable[[], object]] = {
        "read": lambda: store.read("a/one.bin")[:3],
        "read_end": lambda: store.read_end("a/one.bin", 3),
        "read_ranges": lambda: store.read_ranges([("a/one.bin", 1, 3)]),
        "exists": lambda: store.exists("a/one.bin"),
        "names": lambda: store.names("a"),
        "size": lambda: store.size("a/one.bin"),
        "publish": lambda: store.publish("a/two.bin", b"2"),
        "writer": lambda: _write(store),
        "open": lambda: _read_in_two(store),
        "remove": lambda: store.remove("a/two.bin"),
        "remove_all": lambda: store.remove_all(["a/three.bin", "a/none.bin"]),
    }
    failed = []
    for name, call in calls.items():
        expected = call()
        if name == "remove_all":
            _write(store)
        with storage_outage(clock, lambda *_: True) as planted, patient_storage(300):
            if call() != expected or planted.refused < 3:
                failed.append(name)
        with storage_outage(clock, lambda *_: True), pytest.raises(StorageError, match="planted"):
            call()
    assert not failed


def _write(store: Store) -> None:
    with store.writer("a/three.bin") as file:
        file.write(b"3")


def _read_in_two(store: Store) -> bytes:
    with store.open("a/one.bin") as file:
        return file.read(2) + file.read(2)
