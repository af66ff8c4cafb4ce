"""A stage's function in a process of its own, for a shard that killed the workers it was given to.

A decoder that crashes takes its process along, and no `except` catches that. Here it is one exception like another,
so the shard can be halved down to the row that does it.
"""

from __future__ import annotations

import multiprocessing
import pickle
import tempfile
import uuid
from collections.abc import Callable
from dataclasses import replace
from multiprocessing.connection import Connection

import pyarrow as pa

from corpus.child_process import exit_with_parent
from corpus.media import MediaWriter
from corpus.processes import ParentPipe
from corpus.stage import MapStage, Shard
from corpus.storage import drop_pending


class ProcessDied(RuntimeError):
    """The process in which a stage's function ran is gone: it crashed, or was killed for its memory."""


def isolated(stage: MapStage) -> Callable[[Shard], pa.Table]:
    """The stage's function, each call in a new process. Costs a start and a `setup` for each call.

    What a call adds to the shard's media goes into a tar of its own, beside the shard's; it is published before the
    table is answered, and not at all by a call that fails. Raises ProcessDied for a call whose process ends without
    an answer, and else what the function raised.
    """

    def call(shard: Shard) -> pa.Table:
        bare = replace(shard, media=None, metrics={})
        context = multiprocessing.get_context("spawn")
        # What the process leaves in its temporary folder when it dies, half a tar among it, goes with the folder.
        with tempfile.TemporaryDirectory(prefix="rzen-corpus-", ignore_cleanup_errors=True) as scratch:
            parent_end, child_end = context.Pipe(duplex=False)
            pipe = ParentPipe()
            arguments = (stage, bare, _media_path(shard.media), scratch, child_end, pipe.child_end)
            process = context.Process(target=_run, args=arguments)
            process.start()
            child_end.close()
            try:
                kind, answer = parent_end.recv()
            except EOFError:
                process.join()
                raise ProcessDied(f"exit code {process.exitcode}") from None
            finally:
                parent_end.close()
                process.join()
                pipe.close()
        if kind == "raised":
            raise answer
        return answer

    return call


def _media_path(media: MediaWriter | None) -> str | None:
    """Where one call's tar goes: a name beside the shard's that no other call has."""
    return None if media is None else f"{media.path.removesuffix('.tar')}-{uuid.uuid4().hex[:8]}.tar"


def _run(
    stage: MapStage, shard: Shard, media_path: str | None, scratch: str, answer: Connection, parent: Connection
) -> None:
    exit_with_parent(parent, drop_pending)
    tempfile.tempdir = scratch
    media = MediaWriter(shard.store, media_path) if media_path else None
    try:
        table = stage.setup()(replace(shard, media=media))
        if media is not None:
            media.commit()  # before the table is known: it must never name bytes that are not there
        answer.send(("table", table))
    except Exception as error:  # noqa: BLE001 - it is raised again on the other side
        if media is not None:
            media.abort()
        answer.send(("raised", _sendable(error)))


def _sendable(error: Exception) -> Exception:
    """The error itself, or its text where pickle doesn't bring it over."""
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301 - it was made here
    except Exception:  # noqa: BLE001 - classes of libraries can fail in any way at being copied
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error
