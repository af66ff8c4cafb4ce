"""The protocol between a client and its engine's process: frames over a pair of sockets.

A frame is a header (JSON) and a body (bytes). Pixels and vectors are sent as they lie in memory: no encoding, no
pickle, and one copy on each side of the kernel, because an image of 768 pixels is 1.7 MB and a GPU takes a hundred of
them in a second.

    client -> engine    {"config": ...} first; {"id", "task", "fields", "shapes"} + pixels; {"stop"}
    engine -> client    {"ready"} or {"failed": why}; then {"responses": [[id, fields, array], ...], "stats": {...}} +
                        vectors, as responses come and every second; {"dead": why} before it exits
"""

from __future__ import annotations

import contextlib
import json
import math
import socket
import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import fields
from typing import Any

import numpy as np

from serving.request import REQUEST_TYPES, ModelRequest, ModelResponse

Header = dict[str, Any]
AnyResponse = ModelResponse[Any]

_LENGTHS = struct.Struct("<IQ")  # of the header, of the body; bytes
_BLOCK_BYTES = 64 << 20  # allocated at a time
_BUFFER_BYTES = 4 << 20  # requested of the kernel, which may grant less


class ConnectionClosed(ConnectionError):
    """The peer has closed the connection, or sent something that is no frame."""


def socket_pair() -> tuple[socket.socket, socket.socket]:
    """Returns both ends of a connection. Child processes inherit neither, unless they are passed it."""
    pair = socket.socketpair()
    for end in pair:
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER_BYTES)
    return pair


def send(connection: socket.socket, header: Header, body: Iterable[memoryview | bytes] = ()) -> None:
    """Sends one frame, and waits while the peer doesn't read. Raises ConnectionClosed. Not thread-safe."""
    text = json.dumps(header, separators=(",", ":")).encode()
    parts = [memoryview(part).cast("B") for part in body if len(part)]
    lengths = _LENGTHS.pack(len(text), sum(len(part) for part in parts))
    try:
        connection.sendall(lengths + text)
        for part in parts:
            connection.sendall(part)
    except OSError as error:  # a closed socket included: then the file descriptor is bad
        raise ConnectionClosed(str(error)) from error


def tick_every(connection: socket.socket, seconds: float) -> None:
    """Makes `receive` call its `tick` whenever nothing has come for so many seconds. Sending has no timeout."""
    full_seconds = int(seconds)
    timeout = struct.pack("ll", full_seconds, int((seconds - full_seconds) * 1e6))
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, timeout)


def receive(connection: socket.socket, tick: Callable[[], None] = lambda: None) -> tuple[Header, bytearray]:
    """Waits for the next frame. Raises ConnectionClosed when the peer is gone, also in the middle of a frame."""
    header_length, body_length = _LENGTHS.unpack(_receive_exactly(connection, _LENGTHS.size, tick))
    with _frame_errors():
        header = json.loads(_receive_exactly(connection, header_length, tick))
        if not isinstance(header, dict):
            raise TypeError(f"a header of type {type(header).__name__}")
    return header, _receive_exactly(connection, body_length, tick)


@contextlib.contextmanager
def _frame_errors() -> Iterator[None]:
    """Turns errors of parsing a frame (missing keys, wrong types) into ConnectionClosed."""
    try:
        yield
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
        raise ConnectionClosed(f"not a frame: {type(error).__name__}: {error}") from error


def _receive_exactly(connection: socket.socket, length: int, tick: Callable[[], None]) -> bytearray:
    """Receives so many bytes. Memory is allocated for what has come, not for what a header claims."""
    data = _block(connection, min(length, _BLOCK_BYTES), tick)
    while len(data) < length:
        data += _block(connection, min(length - len(data), _BLOCK_BYTES), tick)
    return data


def _block(connection: socket.socket, length: int, tick: Callable[[], None]) -> bytearray:
    data = bytearray(length)
    remaining = memoryview(data)
    while remaining:
        try:
            count = connection.recv_into(remaining)
        except BlockingIOError:
            tick()
            continue
        except OSError as error:
            raise ConnectionClosed(str(error)) from error
        if count == 0:
            raise ConnectionClosed("end of the stream")
        remaining = remaining[count:]
    return data


def request_frame(number: int, request: ModelRequest) -> tuple[Header, list[memoryview]]:
    """Returns a request as a header and a body. Images that are not contiguous are copied."""
    images = [np.ascontiguousarray(image, dtype=np.uint8) for image in request.images]
    header = {
        "id": number,
        "task": request.task,
        "fields": {each.name: getattr(request, each.name) for each in fields(request) if each.name != "images"},
        "shapes": [image.shape for image in images],
    }
    return header, [image.reshape(-1).data for image in images]


def read_request(header: Header, body: bytearray) -> ModelRequest:
    """Parses the request of a frame; its images are views of `body`. Raises ConnectionClosed for any other frame."""
    images, offset = [], 0
    with _frame_errors():
        for shape in header["shapes"]:
            size = math.prod(shape)
            images.append(np.frombuffer(body, np.uint8, size, offset).reshape(shape))
            offset += size
        return REQUEST_TYPES[header["task"]](images=tuple(images), **header["fields"])


def responses_frame(responses: Iterable[tuple[int, AnyResponse]], stats: Header) -> tuple[Header, list[memoryview]]:
    """Returns responses by their requests' numbers, and the engine's statistics, as a header and a body."""
    entries: list[Any] = []
    body: list[memoryview] = []
    for number, response in responses:
        values = {each.name: getattr(response, each.name) for each in fields(response)}
        array = values["payload"]
        if isinstance(array, np.ndarray):
            array = np.ascontiguousarray(array)
            body.append(array.reshape(-1).view(np.uint8).data)
            values["payload"] = None
            entries.append([number, values, [array.dtype.str, array.shape]])
        else:
            entries.append([number, values, None])
    return {"responses": entries, "stats": stats}, body


def read_responses(header: Header, body: bytes | bytearray = b"") -> list[tuple[int, AnyResponse]]:
    """Parses the responses of a frame; vectors are views of `body`. Raises ConnectionClosed for any other frame."""
    offset = 0
    responses: list[tuple[int, AnyResponse]] = []
    with _frame_errors():
        for number, values, array in header["responses"]:
            if array is not None:
                kind, shape = np.dtype(array[0]), _shape(array[1])
                values = {**values, "payload": np.frombuffer(body, kind, math.prod(shape), offset).reshape(shape)}
                offset += math.prod(shape) * kind.itemsize
            responses.append((number, ModelResponse(**values)))
    return responses


def _shape(sides: Sequence[int]) -> tuple[int, ...]:
    if any(side < 0 for side in sides):
        raise ValueError(f"a shape of {sides}")
    return tuple(sides)
