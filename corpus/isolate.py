"""A stage's function in a process of its own, for a shard that killed the workers it was given to.

A decoder that crashes takes its process along, and no `except` catches that. Here it is one exception like another,
so the shard can be halved down to the row that does it.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from dataclasses import replace
from multiprocessing.connection import Connection

import pyarrow as pa

from corpus.stages import MapStage, Shard


class ProcessDied(RuntimeError):
    """The process in which a stage's function ran is gone: it crashed, or was killed for its memory."""


def isolated(stage: MapStage) -> Callable[[Shard], pa.Table]:
    """The stage's function, each call in a new process. Costs a start and an `open` for each call.

    Raises ProcessDied for a call whose process ends without an answer, and else what the function raised. Not for
    stages that write media: the tar is open in this process.
    """

    def call(shard: Shard) -> pa.Table:
        bare = replace(shard, media=None, notes={})
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe(duplex=False)
        process = context.Process(target=_run, args=(stage, bare, theirs))
        process.start()
        theirs.close()
        try:
            kind, answer = ours.recv()
        except EOFError:
            process.join()
            raise ProcessDied(f"exit code {process.exitcode}") from None
        finally:
            ours.close()
            process.join()
        if kind == "raised":
            raise answer
        return answer

    return call


def _run(stage: MapStage, shard: Shard, answer: Connection) -> None:
    try:
        answer.send(("table", stage.open()(shard)))
    except Exception as error:  # noqa: BLE001 - it is raised again on the other side
        answer.send(("raised", error))
