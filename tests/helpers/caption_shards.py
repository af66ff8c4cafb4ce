"""Shards of planted pictures and clips, and a captioner whose answers a test scripts."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa

from corpus.execution import MapJob, Outcome, ShardTask
from corpus.media import MediaWriter
from corpus.schema import LOCATION_FIELDS, PARTS_FIELD, item_id, table_schema
from corpus.stage import ITEMS, ROWS, VERDICT
from corpus.workspace import TableKey, Workspace
from recaption.schema import CAPTION
from recaption.settings import CaptionSettings
from recaption.stage import Caption
from serving.request import BackendError, GenerateRequest, GenerateResponse
from tests.helpers.media_columns import location_columns

SIDE_PX = 64
_STEP = 8  # levels between two numbers of frames: a JPEG changes them by less than half of that


def picture(number: int) -> bytes:
    """A PNG of one colour, which is its number."""
    pixels = np.full((SIDE_PX, SIDE_PX, 3), (number % 256, number // 256, 77), np.uint8)  # blue, green, red
    return cv2.imencode(".png", pixels)[1].tobytes()


def number_of(pixels: np.ndarray) -> int:
    """The number of a picture, read back from its RGB pixels."""
    red, green, blue = (int(level) for level in pixels[pixels.shape[0] // 2, pixels.shape[1] // 2])
    assert red == 77
    return green * 256 + blue


def frame(number: int) -> bytes:
    """A JPEG of one colour, which is its number (0 to 1023)."""
    pixels = np.full((SIDE_PX, SIDE_PX, 3), (number % 32 * _STEP, number // 32 * _STEP, 77), np.uint8)
    return cv2.imencode(".jpg", pixels)[1].tobytes()


def frame_number_of(pixels: np.ndarray) -> int:
    """The number of a frame, read back from its RGB pixels."""
    red, green, blue = (round(float(level)) for level in pixels.mean(axis=(0, 1)))
    assert abs(red - 77) < 4
    return (green + _STEP // 2) // _STEP * 32 + (blue + _STEP // 2) // _STEP


def lay_shard(root: Path, source: str, shard: str, pictures: Sequence[bytes], texts: Sequence[str | None]) -> ShardTask:
    """Media and tables of a shard whose rows are all kept so far; returns what the stage is to do."""
    workspace = Workspace(root)
    media = MediaWriter(workspace.store, f"media/{source}/{shard}.tar")
    ids = [item_id(data) for data in pictures]
    places = [media.add(each, "png", data) for each, data in zip(ids, pictures, strict=True)]
    media.commit()
    n = len(pictures)
    where = location_columns(ids, [media.path] * n, [a for a, _ in places], [b for _, b in places], ["png"] * n)
    items = pa.table(where, schema=pa.schema(LOCATION_FIELDS))
    return _lay(workspace, source, shard, pa.table({"text": pa.array(texts, pa.string())}), items)


def lay_clips(
    root: Path, source: str, shard: str, clips: Sequence[Sequence[bytes]], mp4: bytes = b"", **rows: list[str | None]
) -> ShardTask:
    """As `lay_shard`, for clips of these frames (JPEG), with an mp4 beside them where one is given.

    `rows`: columns of the source's rows; without any, there is a text that says nothing.
    """
    workspace = Workspace(root)
    media = MediaWriter(workspace.store, f"media/{source}/{shard}.tar")
    ids, parts = [], []
    for frames in clips:
        contents = [*((data, "jpg") for data in frames), *([(mp4, "mp4")] if mp4 else [])]
        ids.append(item_id(b"".join(data for data, _ in contents)))
        parts.append([])
        for data, ext in contents:
            offset, size = media.add(item_id(data), ext, data)
            where = {"media": media.path, "offset": offset, "size": size, "ext": ext}
            parts[-1].append({"item_id": item_id(data), **where})
    media.commit()
    n = len(clips)
    columns = location_columns(list(ids), *([[None] * n] * 4))
    schema = pa.schema([*LOCATION_FIELDS, PARTS_FIELD])
    items = pa.table({**columns, PARTS_FIELD.name: pa.array(parts, PARTS_FIELD.type)}, schema=schema)
    said = {name: pa.array(column, pa.string()) for name, column in (rows or {"text": [""] * n}).items()}
    return _lay(workspace, source, shard, pa.table(said), items)


def _lay(workspace: Workspace, source: str, shard: str, rows: pa.Table, items: pa.Table) -> ShardTask:
    n = len(rows)
    kept = pa.table({"status": ["kept"] * n, "reason": [""] * n})
    paths = []
    tables = {ROWS: _joined(rows, kept), ITEMS: _joined(items, kept), VERDICT: kept}
    for name, table in tables.items():
        path = f"tables/{source}/{name}/{shard}.f.parquet"
        workspace.write_table(path, table, {})
        paths.append((name, path))
    return ShardTask(source, shard, 0, tuple(paths), "", f"media/{source}/{shard}", {})


def _joined(table: pa.Table, kept: pa.Table) -> pa.Table:
    columns = {name: each.column(name) for each in (table, kept) for name in each.column_names}
    return pa.table(columns).cast(table_schema(table.schema))


def settings(**more: Any) -> CaptionSettings:
    """Settings for sources `a` and `b`, of a backend whose place a scripted captioner takes."""
    prompts = {"prompts": {"detailed": 1.0}}
    backend = {"kind": "openai", "model": "scripted", "endpoints": ["http://127.0.0.1:9/v1"]}
    return CaptionSettings.model_validate({"backend": backend, "sources": {"a": prompts, "b": prompts}, **more})


def caption(root: Path, stage: Caption, *tasks: ShardTask, generation: int = 0) -> list[Outcome]:
    """The stage over shards, one after the other, in one worker."""
    name = "f" + (f"-g{generation}" if generation else "")
    call = MapJob(stage, str(root)).open()
    outcomes = []
    for task in tasks:
        output = TableKey("tables", task.source, stage.name).path(task.shard, name)
        parts = {"settings": stage.fingerprint_inputs(), "generation": generation}
        outcomes.append(call(ShardTask(task.source, task.shard, 0, task.inputs, output, task.media, parts)))
    call.close()  # type: ignore[attr-defined]
    return outcomes


def caption_table(root: Path, task: ShardTask, generation: int = 0, stage: str = CAPTION) -> pa.Table:
    """A shard's caption table."""
    name = "f" + (f"-g{generation}" if generation else "")
    return Workspace(root).read_table(TableKey("tables", task.source, stage).path(task.shard, name))


def captions(root: Path, task: ShardTask, generation: int = 0, stage: str = CAPTION) -> list[dict[str, Any]]:
    """Its rows."""
    return caption_table(root, task, generation, stage).to_pylist()


Script = Callable[[GenerateRequest], GenerateResponse]


class Scripted:
    """A captioner that answers by a script, from several threads and so in no particular order."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.requests: list[GenerateRequest] = []
        self.closed = False
        self._lock = threading.Lock()
        self._threads = ThreadPoolExecutor(4)

    def submit(self, request: GenerateRequest) -> Future[GenerateResponse]:
        with self._lock:
            if self.closed:
                raise BackendError("closed")
            self.requests.append(request)
        return self._threads.submit(self.script, request)

    def close(self) -> None:
        self.closed = True
        self._threads.shutdown()


Use = Callable[[Script], Scripted]  # of the fixture that puts such a captioner in the place of a model
