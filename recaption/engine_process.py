"""The process that holds an engine: it takes requests from the wire as they come, and sends back what came of them.

It is the leader of a process group of its own, and what the engine starts is in that group. Whoever started it holds
the other end of the wire; when that closes, however it came to, the whole group is killed. So no engine outlives the
run that it works for, and none goes on holding a GPU.

Any engine can be held that has the three methods of `Engine`; `recaption.engine_vllm` has the real one.
"""

from __future__ import annotations

import asyncio
import importlib
import os
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from multiprocessing import resource_tracker
from typing import Any, NoReturn, Protocol

from recaption.engine_wire import Header, WireClosed, answers_frame, read_request, receive, send
from recaption.requests import Answer, Request

HEARTBEAT_S = 1.0

# JSON: {"engine": "module:function", "settings", "sampling", "images": a request has at most, "chat_template": or "",
# "stop_token_ids"}
Config = dict[str, Any]


class EngineDied(RuntimeError):
    """An engine can't go on, and has to be started again."""


class Engine(Protocol):
    """A model that writes many captions at once."""

    def prepare(self, request: Request) -> Any:
        """What `generate` takes, or an Answer where something is wrong with the request.

        Called on a thread of its own, for one request after the other, while others are being written.
        """
        ...

    async def generate(self, prepared: Any) -> Answer:
        """Write one caption. Raises EngineDied; what else goes wrong is an Answer with an error."""
        ...

    def figures(self) -> dict[str, float]:
        """`generated_tokens`: all so far; `running`: captions being written; `busy_s`: while it had any to write."""
        ...

    def close(self) -> None:
        """Stop, and clean up."""
        ...


def main(wire_number: int) -> NoReturn:
    """Hold an engine for whoever has the other end of the wire. `wire_number` is the file descriptor of this end."""
    resource_tracker.ensure_running()  # outside of the group: it removes what a killed engine leaves in shared memory
    os.setsid()  # a group of its own, and no terminal: Ctrl-C is for the run, which closes the wire
    _leave_a_warden(wire_number)
    wire = socket.socket(fileno=wire_number)
    wire.set_inheritable(False)  # else the end of this process alone
    os.register_at_fork(after_in_child=wire.close)  # would not close the wire
    threading.Thread(target=_follow_to_the_grave, args=(os.getppid(),), name="lifeline", daemon=True).start()
    try:
        config, _ = receive(wire)
        asyncio.run(_serve(wire, config["config"]))
    except Exception:  # noqa: BLE001 - whoever reads the log learns of it
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    kill_own_group()  # an engine may have left processes and threads behind


def _leave_a_warden(wire_number: int) -> None:
    """Fork a process that outlives this one by a moment, to kill what is left of its group.

    For a leader that is killed together with whoever would miss it: Ray kills a worker and its children, but not what
    these have started. To be called while there is one thread.
    """
    leader = os.getpid()
    if os.fork():
        return
    os.close(wire_number)
    os.setsid()  # out of the group
    while os.getppid() == leader:
        time.sleep(HEARTBEAT_S)
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)
    os._exit(0)


def kill_own_group() -> NoReturn:
    """End this process and all that it has started."""
    os.killpg(os.getpgrp(), signal.SIGKILL)
    raise SystemExit  # not reached


def _follow_to_the_grave(parent: int) -> None:
    """Kill the group when the parent is gone.

    The end of the wire says so at once, save where the parent has forked processes that still hold its end of it.
    """
    while os.getppid() == parent:
        time.sleep(HEARTBEAT_S)
    kill_own_group()


async def _serve(wire: socket.socket, config: Config) -> None:
    inbox = _Inbox(wire)
    inbox.start()
    try:
        engine = _open(config)
    except Exception as error:  # noqa: BLE001 - whatever an engine may raise: it is told on the other side
        traceback.print_exc()  # first: what reads the other end kills this process
        send(wire, {"failed": f"{type(error).__name__}: {error}"})
        return
    inbox.desk = desk = _Desk(wire, engine)
    send(wire, {"ready": True})
    try:
        await desk.work()
    finally:
        engine.close()


def _open(config: Config) -> Engine:
    module, _, name = config["engine"].partition(":")
    open_engine: Callable[[Config], Engine] = getattr(importlib.import_module(module), name)
    return open_engine(config)


class _Desk:
    """Hands requests to the engine as they come, answers back as they are ready, and a sign of life every second."""

    def __init__(self, wire: socket.socket, engine: Engine) -> None:
        self.engine = engine
        self.loop = asyncio.get_running_loop()
        self._wire = wire
        self._ready: list[tuple[int, Answer]] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._end: asyncio.Future[None] = self.loop.create_future()

    async def work(self) -> None:
        """Until asked to stop. Raises what an engine must not raise."""
        try:
            while not self._end.done():
                self._send()
                await asyncio.wait([self._end], timeout=HEARTBEAT_S)
            self._end.result()
        except Exception as error:
            traceback.print_exc()  # first, as above
            send(self._wire, {"dead": f"{type(error).__name__}: {error}"})
            raise
        finally:
            for task in self._tasks:
                task.cancel()

    def take(self, number: int, prepared: Any) -> None:
        """A request has come."""
        if isinstance(prepared, Answer):
            self._answer(number, prepared)
            return
        task = self.loop.create_task(self._write(number, prepared))
        self._tasks.add(task)
        task.add_done_callback(self._written)

    def end(self, error: BaseException | None = None) -> None:
        """No more is to be done, or can be."""
        if self._end.done():
            return
        if error is None:
            self._end.set_result(None)
        else:
            self._end.set_exception(error)

    async def _write(self, number: int, prepared: Any) -> None:
        self._answer(number, await self.engine.generate(prepared))

    def _written(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.end(error)

    def _answer(self, number: int, answer: Answer) -> None:
        if not self._ready:  # those that are ready in the same turn of the loop share a frame
            self.loop.call_soon(self._send)
        self._ready.append((number, answer))

    def _send(self) -> None:
        answers, self._ready = self._ready, []
        send(self._wire, answers_frame(answers, self.engine.figures()))


class _Inbox(threading.Thread):
    """Reads the wire, from the first moment on: also while an engine loads, its end must be noticed."""

    def __init__(self, wire: socket.socket) -> None:
        super().__init__(name="inbox", daemon=True)
        self._wire = wire
        self.desk: _Desk | None = None  # before it is there, nothing is asked

    def run(self) -> None:
        try:
            while True:
                header, body = receive(self._wire)
                if self.desk is not None:
                    self._pass_on(self.desk, header, body)
                elif header.get("stop"):
                    kill_own_group()
        except WireClosed:
            kill_own_group()

    def _pass_on(self, desk: _Desk, header: Header, body: bytearray) -> None:
        if header.get("stop"):
            desk.loop.call_soon_threadsafe(desk.end)
            return
        try:
            prepared = desk.engine.prepare(read_request(header, body))
        except Exception as error:  # noqa: BLE001 - no fault of the request: then it would be an answer
            desk.loop.call_soon_threadsafe(desk.end, error)
        else:
            desk.loop.call_soon_threadsafe(desk.take, header["id"], prepared)
