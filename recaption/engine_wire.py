"""How a captioner and the process that holds its engine talk: frames over a pair of sockets.

A frame is a header (JSON) and a body (bytes). Pixels travel as they lie in memory: no encoding, no pickle, and one copy
on each side of the kernel, because an image of 768 pixels is 1.7 MB and a GPU reads a hundred of them in a second.

    captioner -> engine    {"config": ...} first, {"id", "prompt", "seed", ..., "shapes"} + pixels, {"stop"}
    engine -> captioner    {"ready"}, or {"failed": why}; then {"answers": [[id, answer], ...], "figures": {...}},
                           as answers come and every second; {"dead": why} before it goes
"""

from __future__ import annotations

import contextlib
import json
import math
import socket
import struct
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from typing import Any

import numpy as np

from recaption.requests import Answer, Request

Header = dict[str, Any]

_LENGTHS = struct.Struct("<IQ")  # of the header, of the body; bytes
_BLOCK_BYTES = 64 << 20  # that are taken for what is to come
_BUFFER_BYTES = 4 << 20  # asked of the kernel, which grants what it is configured for


class WireClosed(ConnectionError):
    """The other side is gone, or sends what is no frame: nothing more can be expected of it."""


def socket_pair() -> tuple[socket.socket, socket.socket]:
    """Both ends of a wire. Neither is inherited by programs that are started, unless they are given it."""
    ends = socket.socketpair()
    for end in ends:
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER_BYTES)
    return ends


def send(wire: socket.socket, header: Header, body: Iterable[memoryview | bytes] = ()) -> None:
    """Send one frame, waiting while the other side doesn't read. Raises WireClosed. One thread at a time."""
    text = json.dumps(header, separators=(",", ":")).encode()
    parts = [memoryview(part).cast("B") for part in body if len(part)]
    lengths = _LENGTHS.pack(len(text), sum(len(part) for part in parts))
    try:
        wire.sendall(lengths + text)
        for part in parts:
            wire.sendall(part)
    except OSError as error:  # a closed socket included: then the file descriptor is bad
        raise WireClosed(str(error)) from error


def tick_every(wire: socket.socket, seconds: float) -> None:
    """Let `receive` call its `tick` whenever nothing has come for so long. Sending still waits as long as it takes."""
    whole = int(seconds)
    wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", whole, int((seconds - whole) * 1e6)))


def receive(wire: socket.socket, tick: Callable[[], None] = lambda: None) -> tuple[Header, bytearray]:
    """Wait for the next frame. Raises WireClosed when the other side is gone, in the middle of a frame too."""
    header_length, body_length = _LENGTHS.unpack(_exactly(wire, _LENGTHS.size, tick))
    with _frame_errors():
        header = json.loads(_exactly(wire, header_length, tick))
        if not isinstance(header, dict):
            raise TypeError(f"a header of type {type(header).__name__}")
    return header, _exactly(wire, body_length, tick)


@contextlib.contextmanager
def _frame_errors() -> Iterator[None]:
    """Inside, a frame is read: what is missing in it, or of another type, becomes a WireClosed."""
    try:
        yield
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
        raise WireClosed(f"not a frame: {type(error).__name__}: {error}") from error


def _exactly(wire: socket.socket, length: int, tick: Callable[[], None]) -> bytearray:
    """So many bytes. Memory is taken for what has come, not for what a length says."""
    data = _block(wire, min(length, _BLOCK_BYTES), tick)
    while len(data) < length:
        data += _block(wire, min(length - len(data), _BLOCK_BYTES), tick)
    return data


def _block(wire: socket.socket, length: int, tick: Callable[[], None]) -> bytearray:
    data = bytearray(length)
    rest = memoryview(data)
    while rest:
        try:
            count = wire.recv_into(rest)
        except BlockingIOError:
            tick()
            continue
        except OSError as error:
            raise WireClosed(str(error)) from error
        if count == 0:
            raise WireClosed("end of the stream")
        rest = rest[count:]
    return data


def request_frame(number: int, request: Request) -> tuple[Header, list[memoryview]]:
    """A request as a header and a body. Its images may be views of larger ones; those are copied."""
    images = [np.ascontiguousarray(image, dtype=np.uint8) for image in request.images]
    header = {
        "id": number,
        "prompt": request.prompt,
        "seed": request.seed,
        "json_schema": request.json_schema,
        "temperature": request.temperature,
        "shapes": [image.shape for image in images],
    }
    return header, [image.reshape(-1).data for image in images]


def read_request(header: Header, body: bytearray) -> Request:
    """The request of a frame. Its images are views of `body`. Raises WireClosed for a frame that holds none."""
    images, offset = [], 0
    with _frame_errors():
        for shape in header["shapes"]:
            size = math.prod(shape)
            images.append(np.frombuffer(body, np.uint8, size, offset).reshape(shape))
            offset += size
        return Request(header["prompt"], tuple(images), header["seed"], header["json_schema"], header["temperature"])


def answers_frame(answers: Iterable[tuple[int, Answer]], figures: Header) -> Header:
    """What came back, and how the engine does."""
    return {"answers": [[number, asdict(answer)] for number, answer in answers], "figures": figures}


def read_answers(header: Header) -> list[tuple[int, Answer]]:
    """The answers of a frame, by the numbers of their requests. Raises WireClosed for a frame that holds none."""
    with _frame_errors():
        return [(number, Answer(**answer)) for number, answer in header["answers"]]
