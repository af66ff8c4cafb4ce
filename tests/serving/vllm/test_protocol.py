from __future__ import annotations

import struct
import threading

import numpy as np
import pytest

from serving.request import GenerateRequest, GenerateResponse, ModelResponse
from serving.vllm.protocol import (
    ConnectionClosed,
    read_request,
    read_responses,
    receive,
    request_frame,
    responses_frame,
    send,
    socket_pair,
    tick_every,
)


def test_a_request_comes_out_as_it_went_in() -> None:
    """Larger than what the kernel holds at once, with images of several sizes, views, and one of no size."""
    rng = np.random.default_rng(0)
    large = rng.integers(0, 256, (1500, 1700, 3), dtype=np.uint8)
    images = (large, large[10:20, ::2], large[::-1], np.zeros((0, 7, 3), np.uint8), large[:1, :1])
    request = GenerateRequest("Bäume 🌳\0", images, seed=2**62, json_schema="{}", temperature=0.7)
    ours, theirs = socket_pair()
    sending = threading.Thread(target=lambda: send(ours, *request_frame(7, request)))
    sending.start()
    header, body = receive(theirs)
    sending.join()
    came = read_request(header, body)
    assert header["id"] == 7
    assert (came.prompt, came.seed, came.json_schema) == (request.prompt, request.seed, request.json_schema)
    assert len(came.images) == len(images)
    for image, original in zip(came.images, images, strict=True):
        np.testing.assert_array_equal(image, original)


def test_answers_come_out_as_they_went_in() -> None:
    answers = [
        (3, GenerateResponse("a fox", "stop", 10, 3)),
        (1, GenerateResponse(error="refused_input", detail="“no”")),
    ]
    ours, theirs = socket_pair()
    send(ours, *responses_frame(answers, {"busy_s": 0.5}))
    header, body = receive(theirs)
    assert read_responses(header) == answers
    assert (header["stats"], body) == ({"busy_s": 0.5}, b"")


@pytest.mark.parametrize("length", [0, 5, 40])
def test_the_end_of_the_other_side_is_noticed(length: int) -> None:
    """Between two frames, in the middle of a header, in the middle of a body."""
    ours, theirs = socket_pair()
    frame, end = socket_pair()
    send(frame, {"id": 1}, [bytes(100)])
    ours.sendall(end.recv(1000)[:length])
    ours.close()
    with pytest.raises(ConnectionClosed):
        receive(theirs)
    with pytest.raises(ConnectionClosed):
        send(theirs, {"id": 1}, [bytes(10_000_000)])


def test_what_is_no_frame_is_an_end() -> None:
    """A header that is no JSON object, lengths of what never comes, fields that are missing or of another type."""
    lengths = struct.Struct("<IQ")
    for header, body_length in [
        (b"{", 0),
        (b"[1]", 0),
        (b"\xff\xfe", 0),
        (b"[" * 100_000, 0),
        (b"{}", 1 << 60),
    ]:
        ours, theirs = socket_pair()
        ours.sendall(lengths.pack(len(header), body_length) + header)
        ours.close()
        with pytest.raises(ConnectionClosed):
            receive(theirs)
    fields = {"prompt": "", "seed": 0, "json_schema": "", "temperature": 0.0}
    good = {"id": 1, "task": "generate", "fields": fields, "shapes": [[1, 1, 3]]}
    assert read_request(good, bytearray(4)).prompt == ""
    for key, values in {
        "shapes": (None, [[10**30]], [[2, 2, 2]], [["a"]], [[-1, 3, 3]]),
        "fields": (None, {}, {**fields, "other": 1}, [1]),
        "task": (None, "fly", ["generate"]),
    }.items():
        for value in values:
            with pytest.raises(ConnectionClosed):
                read_request({**good, key: value}, bytearray(4))
    arrays = (["<f4", [2]], ["<f4", [-1]], ["<f4", [10**30]], ["O", [1]], ["no type", [1]], ["<f4", None], [1], 7)
    for responses in (
        None,
        [1],
        [[1, {"test": "a"}, None]],
        [[1, None, None]],
        *([[1, {}, array]] for array in arrays),
    ):
        with pytest.raises(ConnectionClosed):
            read_responses({"responses": responses}, bytearray(4))
    with pytest.raises(ConnectionClosed):
        read_responses({})


def test_vectors_come_out_as_they_went_in() -> None:
    """Among texts and errors, of several types and lengths, and not contiguous."""
    rng = np.random.default_rng(1)
    vectors = [rng.normal(size=7).astype(np.float32), rng.normal(size=(4, 6)).astype(np.float16)[::2, ::3]]
    responses = [
        ModelResponse(vectors[0], prompt_tokens=9),
        GenerateResponse("a fox", "stop"),
        ModelResponse(vectors[1]),
    ]
    ours, theirs = socket_pair()
    send(ours, *responses_frame(enumerate(responses), {}))
    came = read_responses(*receive(theirs))
    assert [number for number, _ in came] == [0, 1, 2]
    assert (came[0][1].prompt_tokens, came[1][1]) == (9, responses[1])
    for place, vector in ((0, vectors[0]), (2, vectors[1])):
        payload = came[place][1].payload
        assert payload.dtype == vector.dtype
        np.testing.assert_array_equal(payload, vector)


def test_a_tick_while_nothing_comes() -> None:
    ours, theirs = socket_pair()
    tick_every(theirs, 0.01)
    ticks = 0

    def tick() -> None:
        nonlocal ticks
        ticks += 1
        if ticks == 3:
            send(ours, {"at": "last"})

    assert receive(theirs, tick)[0] == {"at": "last"}
    assert ticks == 3
