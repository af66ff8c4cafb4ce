"""Runs a stage's function in processes of their own, for a shard that killed the workers that had it.

A decoder that crashes takes its process along, and no `except` catches that. Here it is one exception like another,
so the shard can be bisected to the row that does it.
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
from corpus.outages import patient_storage, storage_retry_s
from corpus.pending_file import drop_pending
from corpus.processes import ParentPipe
from corpus.stage import MapStage, Shard


class ProcessDied(RuntimeError):
    """The error of a call whose process ended: it crashed, or was killed for its memory."""


def isolate(stage: MapStage) -> Callable[[Shard], pa.Table]:
    """Returns the stage's function, each call of which runs in a new process: it costs a start and a `setup`.

    What a call adds to the shard's media goes into a tar of its own, beside the shard's; it is published before the
    table is returned, and not at all by a call that fails. A call raises ProcessDied where its process ends without a
    result, and else what the function raised.
    """

    def call(shard: Shard) -> pa.Table:
        bare = replace(shard, media=None, journal=None, metrics={})
        context = multiprocessing.get_context("spawn")
        # What the process leaves in its temporary folder when it dies, half a tar among it, goes with the folder.
        with tempfile.TemporaryDirectory(prefix="rzen-corpus-", ignore_cleanup_errors=True) as scratch:
            parent_end, child_end = context.Pipe(duplex=False)
            pipe = ParentPipe()
            arguments = (stage, bare, _media_path(shard.media), scratch, storage_retry_s(), child_end, pipe.child_end)
            process = context.Process(target=_run, args=arguments)
            process.start()
            child_end.close()
            try:
                kind, value = parent_end.recv()
            except EOFError:
                process.join()
                raise ProcessDied(f"exit code {process.exitcode}") from None
            finally:
                parent_end.close()
                process.join()
                pipe.close()
        if kind == "raised":
            raise value
        return value

    return call


def _media_path(media: MediaWriter | None) -> str | None:
    """Returns the path of one call's tar: beside the shard's, and no other call's."""
    return None if media is None else f"{media.path.removesuffix('.tar')}-{uuid.uuid4().hex[:8]}.tar"


def _run(
    stage: MapStage,
    shard: Shard,
    media_path: str | None,
    scratch: str,
    retry_s: float,
    result: Connection,
    parent: Connection,
) -> None:
    exit_with_parent(parent, drop_pending)
    tempfile.tempdir = scratch
    media = MediaWriter(shard.store, media_path) if media_path else None
    try:
        with patient_storage(retry_s):
            table = stage.setup()(replace(shard, media=media))
            if media is not None:
                media.commit()  # before the table is known: it must never name bytes that are not there
        result.send(("table", table))
    except Exception as error:  # noqa: BLE001 - it is raised again on the other side
        if media is not None:
            media.abort()
        result.send(("raised", picklable_error(error)))


def picklable_error(error: BaseException) -> BaseException:
    """Returns the error itself, or one of its text where pickle doesn't bring it over."""
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301 - it was made here
    except Exception:  # noqa: BLE001 - classes of libraries can fail in any way at being copied
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error
