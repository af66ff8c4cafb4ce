"""The engine's process: receives requests from its client, runs them on an engine, and sends back the responses.

It leads a process group of its own, which includes all that the engine starts, and which ends with the process that
started it (`corpus.processes`). So no engine outlives its run, or keeps a GPU.

It runs any `InferenceEngine`, with any payload of responses; `serving.vllm.engine` has vLLM's.
"""

from __future__ import annotations

import asyncio
import importlib
import os
import socket
import sys
import threading
import traceback
from collections.abc import Callable
from multiprocessing import resource_tracker
from typing import Any, NoReturn, Protocol

from corpus.child_process import kill_this_group
from serving.request import ModelRequest, ModelResponse
from serving.vllm.protocol import ConnectionClosed, Header, read_request, receive, responses_frame, send

HEARTBEAT_S = 1.0

# JSON: {"engine": "module:function", "settings", "sampling", "images": maximum in a request, "chat_template": "": the
# model's, "stop_token_ids"}
EngineConfig = dict[str, Any]


class EngineDied(RuntimeError):
    """An engine cannot go on, and has to be restarted."""


class InferenceEngine(Protocol):
    """A loaded model that runs many requests at once."""

    def prepare(self, request: ModelRequest) -> Any:
        """Converts a request into the argument of `run`, or into a ModelResponse with an error.

        Called on a thread of its own, for one request after the other, while others run.
        """
        ...

    async def run(self, prepared: Any) -> ModelResponse[Any]:
        """Runs one request. Raises EngineDied; any other fault is a response with an error."""
        ...

    def stats(self) -> dict[str, float]:
        """Returns `steps`: tokens or vectors so far; `running`: requests; `busy_s`: time with requests."""
        ...

    def close(self) -> None:
        """Stops the engine and frees what it holds."""
        ...


def run_server(descriptor: int) -> NoReturn:
    """Runs an engine for the client at the other end of the connection with the file descriptor `descriptor`."""
    resource_tracker.ensure_running()  # outside of the group: it frees the shared memory of a killed engine
    os.setsid()  # a group of its own, and no terminal: Ctrl-C is for the run, which closes the connection
    connection = socket.socket(fileno=descriptor)
    # No child may hold the connection open after this process has ended.
    connection.set_inheritable(False)
    os.register_at_fork(after_in_child=connection.close)
    try:
        config, _ = receive(connection)
        asyncio.run(_serve(connection, config["config"]))
    except Exception:  # noqa: BLE001 - it is in the log
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    kill_this_group()  # an engine may have left processes and threads behind


async def _serve(connection: socket.socket, config: EngineConfig) -> None:
    receiver = _Receiver(connection)
    receiver.start()
    try:
        engine = _open(config)
    except Exception as error:  # noqa: BLE001 - whatever an engine raises: the client reports it
        traceback.print_exc()  # before it is sent: the client then kills this process
        send(connection, {"failed": f"{type(error).__name__}: {error}"})
        return
    receiver.responder = responder = _Responder(connection, engine)
    send(connection, {"ready": True})
    try:
        await responder.work()
    finally:
        engine.close()


def _open(config: EngineConfig) -> InferenceEngine:
    module, _, name = config["engine"].partition(":")
    open_function: Callable[[EngineConfig], InferenceEngine] = getattr(importlib.import_module(module), name)
    return open_function(config)


class _Responder:
    """A loop that runs requests on the engine as they come, and sends responses as they are ready and a heartbeat every
    second.
    """

    def __init__(self, connection: socket.socket, engine: InferenceEngine) -> None:
        self.engine = engine
        self.loop = asyncio.get_running_loop()
        self._connection = connection
        self._ready: list[tuple[int, ModelResponse[Any]]] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopped: asyncio.Future[None] = self.loop.create_future()

    async def work(self) -> None:
        """Runs until `stop`. Raises errors of the engine."""
        try:
            while not self._stopped.done():
                self._send()
                await asyncio.wait([self._stopped], timeout=HEARTBEAT_S)
            self._stopped.result()
        except Exception as error:
            traceback.print_exc()  # before it is sent, as above
            send(self._connection, {"dead": f"{type(error).__name__}: {error}"})
            raise
        finally:
            for task in self._tasks:
                task.cancel()

    def start(self, number: int, prepared: Any) -> None:
        """Starts a prepared request, or responds with the error of `prepare`."""
        if isinstance(prepared, ModelResponse):
            self._respond(number, prepared)
            return
        task = self.loop.create_task(self._run(number, prepared))
        self._tasks.add(task)
        task.add_done_callback(self._finished)

    def stop(self, error: BaseException | None = None) -> None:
        """Ends `work`, with an error if there is one."""
        if self._stopped.done():
            return
        if error is None:
            self._stopped.set_result(None)
        else:
            self._stopped.set_exception(error)

    async def _run(self, number: int, prepared: Any) -> None:
        self._respond(number, await self.engine.run(prepared))

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.stop(error)

    def _respond(self, number: int, response: ModelResponse[Any]) -> None:
        if not self._ready:  # responses of one iteration of the loop share a frame
            self.loop.call_soon(self._send)
        self._ready.append((number, response))

    def _send(self) -> None:
        responses, self._ready = self._ready, []
        send(self._connection, *responses_frame(responses, self.engine.stats()))


class _Receiver(threading.Thread):
    """A thread that reads the connection from the start: its end must be noticed while the engine loads, too."""

    def __init__(self, connection: socket.socket) -> None:
        super().__init__(name="receiver", daemon=True)
        self._connection = connection
        self.responder: _Responder | None = None  # set before the first request comes

    def run(self) -> None:
        try:
            while True:
                header, body = receive(self._connection)
                if self.responder is not None:
                    self._dispatch(self.responder, header, body)
                elif header.get("stop"):
                    kill_this_group()
        except ConnectionClosed:
            kill_this_group()

    def _dispatch(self, responder: _Responder, header: Header, body: bytearray) -> None:
        if header.get("stop"):
            responder.loop.call_soon_threadsafe(responder.stop)
            return
        try:
            prepared = responder.engine.prepare(read_request(header, body))
        except Exception as error:  # noqa: BLE001 - no fault of the request: then it would be a response
            responder.loop.call_soon_threadsafe(responder.stop, error)
        else:
            responder.loop.call_soon_threadsafe(responder.start, header["id"], prepared)
