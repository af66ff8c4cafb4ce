"""The process that holds an engine: it takes requests from its client as they come, and sends back the responses.

It is the leader of a process group of its own, and what the engine starts is in that group, which ends with the process
that started it (`corpus.processes`). So no engine outlives the run that it works for, and none goes on holding a GPU.

It holds any `Engine`, whatever it answers with; `serving.vllm.engine` has vLLM's.
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

from corpus.child_process import kill_own_group
from serving.request import ModelRequest, ModelResponse
from serving.vllm.protocol import ConnectionClosed, Header, read_request, receive, responses_frame, send

HEARTBEAT_S = 1.0

# JSON: {"engine": "module:function", "settings", "sampling", "images": a request has at most, "chat_template": or "",
# "stop_token_ids"}
Config = dict[str, Any]


class EngineDied(RuntimeError):
    """An engine can't go on, and has to be started again."""


class Engine(Protocol):
    """A model that works on many requests at once."""

    def prepare(self, request: ModelRequest) -> Any:
        """Make of a request what `run` takes, or a ModelResponse where something is wrong with it.

        Called on a thread of its own, for one request after the other, while others are under way.
        """
        ...

    async def run(self, prepared: Any) -> ModelResponse[Any]:
        """Answer one request. Raises EngineDied; what else goes wrong is a response with an error."""
        ...

    def stats(self) -> dict[str, float]:
        """`steps`: tokens or vectors so far, in all; `running`: requests under way; `busy_s`: while it had any."""
        ...

    def close(self) -> None:
        """Stop, and clean up."""
        ...


def main(descriptor: int) -> NoReturn:
    """Hold an engine for whoever has the other end of the connection, whose file descriptor here is `descriptor`."""
    resource_tracker.ensure_running()  # outside of the group: it removes what a killed engine leaves in shared memory
    os.setsid()  # a group of its own, and no terminal: Ctrl-C is for the run, which closes the connection
    connection = socket.socket(fileno=descriptor)
    connection.set_inheritable(False)  # else the end of this process alone
    os.register_at_fork(after_in_child=connection.close)  # would not close the connection
    try:
        config, _ = receive(connection)
        asyncio.run(_serve(connection, config["config"]))
    except Exception:  # noqa: BLE001 - it is in the log
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    kill_own_group()  # an engine may have left processes and threads behind


async def _serve(connection: socket.socket, config: Config) -> None:
    receiver = _Receiver(connection)
    receiver.start()
    try:
        engine = _open(config)
    except Exception as error:  # noqa: BLE001 - whatever an engine may raise: the client reports it
        traceback.print_exc()  # first: what reads the other end kills this process
        send(connection, {"failed": f"{type(error).__name__}: {error}"})
        return
    receiver.responder = responder = _Responder(connection, engine)
    send(connection, {"ready": True})
    try:
        await responder.work()
    finally:
        engine.close()


def _open(config: Config) -> Engine:
    module, _, name = config["engine"].partition(":")
    open_engine: Callable[[Config], Engine] = getattr(importlib.import_module(module), name)
    return open_engine(config)


class _Responder:
    """Hands requests to the engine as they come, responses back as they are ready, and a heartbeat every second."""

    def __init__(self, connection: socket.socket, engine: Engine) -> None:
        self.engine = engine
        self.loop = asyncio.get_running_loop()
        self._connection = connection
        self._ready: list[tuple[int, ModelResponse[Any]]] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._end: asyncio.Future[None] = self.loop.create_future()

    async def work(self) -> None:
        """Run until `end`. Raises what an engine must not raise."""
        try:
            while not self._end.done():
                self._send()
                await asyncio.wait([self._end], timeout=HEARTBEAT_S)
            self._end.result()
        except Exception as error:
            traceback.print_exc()  # first, as above
            send(self._connection, {"dead": f"{type(error).__name__}: {error}"})
            raise
        finally:
            for task in self._tasks:
                task.cancel()

    def begin(self, number: int, prepared: Any) -> None:
        """Run a request that has come, or answer it with what `prepare` found wrong."""
        if isinstance(prepared, ModelResponse):
            self._respond(number, prepared)
            return
        task = self.loop.create_task(self._run(number, prepared))
        self._tasks.add(task)
        task.add_done_callback(self._finished)

    def end(self, error: BaseException | None = None) -> None:
        """Nothing more is to be done, or can be."""
        if self._end.done():
            return
        if error is None:
            self._end.set_result(None)
        else:
            self._end.set_exception(error)

    async def _run(self, number: int, prepared: Any) -> None:
        self._respond(number, await self.engine.run(prepared))

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.end(error)

    def _respond(self, number: int, response: ModelResponse[Any]) -> None:
        if not self._ready:  # those that are ready in the same turn of the loop share a frame
            self.loop.call_soon(self._send)
        self._ready.append((number, response))

    def _send(self) -> None:
        responses, self._ready = self._ready, []
        send(self._connection, *responses_frame(responses, self.engine.stats()))


class _Receiver(threading.Thread):
    """Reads the connection from the first moment on: also while an engine loads, its end must be noticed."""

    def __init__(self, connection: socket.socket) -> None:
        super().__init__(name="receiver", daemon=True)
        self._connection = connection
        self.responder: _Responder | None = None  # no request comes before it is there

    def run(self) -> None:
        try:
            while True:
                header, body = receive(self._connection)
                if self.responder is not None:
                    self._pass_on(self.responder, header, body)
                elif header.get("stop"):
                    kill_own_group()
        except ConnectionClosed:
            kill_own_group()

    def _pass_on(self, responder: _Responder, header: Header, body: bytearray) -> None:
        if header.get("stop"):
            responder.loop.call_soon_threadsafe(responder.end)
            return
        try:
            prepared = responder.engine.prepare(read_request(header, body))
        except Exception as error:  # noqa: BLE001 - no fault of the request: then it would be a response
            responder.loop.call_soon_threadsafe(responder.end, error)
        else:
            responder.loop.call_soon_threadsafe(responder.begin, header["id"], prepared)
