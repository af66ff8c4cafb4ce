"""Shards of videos as the stages of clips are given them: tables made by hand, and the work done as an engine does."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pyarrow as pa

from corpus.execution import MapJob, Outcome, ShardTask
from corpus.schema import LOCATION_FIELDS, SHA256, table_schema
from corpus.stage import ITEMS, ROWS, MapStage
from corpus.storage import Store
from corpus.workspace import Workspace
from tests.helpers.videos import number_on

_ANNOTATION = pa.struct(
    [("start_s", pa.float64()), ("end_s", pa.float64())] + [(n, pa.string()) for n in ("text", "question", "answer")]
)
_VIDEO = pa.schema(
    [
        ("url", pa.string()),
        ("video", pa.string()),
        ("segment_start_s", pa.float64()),
        ("segment_end_s", pa.float64()),
        ("text", pa.string()),
        ("annotations", pa.list_(_ANNOTATION)),
        ("timed", pa.bool_()),
        ("home_shard", pa.int32()),
        ("segments", pa.int32()),
        ("first_frame_s", pa.float64()),
        ("start_time_s", pa.float64()),
        ("duration_s", pa.float64()),
        ("licence", pa.string()),
    ]
)
_PLACE = pa.schema([*LOCATION_FIELDS, ("downloaded_sha256", SHA256)])


def video_row(path: Path | str, **said: Any) -> dict[str, Any]:
    """A row of the source, of which nothing is known but where it lies and what is given here."""
    plain = {"url": str(path), "video": Path(path).name, "segment_start_s": 0.0, "text": "", "timed": False}
    return {
        **plain,
        "annotations": [],
        "home_shard": 0,
        "segments": 1,
        "licence": "CC0",
        "start_time_s": said.get("first_frame_s"),
        **said,
    }


def moment(
    start_s: float | None, end_s: float | None = None, text: str = "", question: str = "", answer: str = ""
) -> dict[str, Any]:
    return {"start_s": start_s, "end_s": end_s, "text": text, "question": question, "answer": answer}


def in_place(path: Path | str) -> dict[str, Any]:
    """Where a video lies that was not downloaded."""
    folder, _, name = str(path).rpartition("/")
    return {"media": str(path), "offset": 0, "size": Store(folder or ".").size(name)}


def run_clips(
    root: Path,
    stage: MapStage,
    videos: Sequence[Mapping[str, Any]],
    places: Sequence[Mapping[str, Any]] | None = None,
    shard: str = "000000",
) -> list[dict[str, Any]]:
    """Rows of the table that the stage makes of these rows."""
    places = places or [in_place(video["url"]) for video in videos]
    tables = {
        ROWS: pa.Table.from_pylist([{**video, **_KEPT} for video in videos], table_schema(_VIDEO)),
        ITEMS: pa.Table.from_pylist([{**place, **_KEPT} for place in places], table_schema(_PLACE)),
    }
    return done(root, stage, [tables], shard)


def run_on(
    root: Path, stage: MapStage, tables: Sequence[Mapping[str, Sequence[Mapping[str, Any]]]], shard: str, **types: Any
) -> list[dict[str, Any]]:
    """The same for any stage: rows by table, of its shard and of those after it; `types` are the tables' columns."""
    typed = [
        {name: pa.Table.from_pylist(list(rows), table_schema(types[name])) for name, rows in each.items()}
        for each in tables
    ]
    return done(root, stage, typed, shard)


def done(root: Path, stage: MapStage, tables: Sequence[Mapping[str, pa.Table]], shard: str) -> list[dict[str, Any]]:
    outcome = outcome_of(root, stage, tables, shard)
    assert not outcome.error, outcome.error
    table = Workspace(root).read_table(f"out/{stage.name}/{shard}.f.parquet")
    assert table.schema == table_schema(stage.schema)
    return table.to_pylist()


def outcome_of(root: Path, stage: MapStage, tables: Sequence[Mapping[str, pa.Table]], shard: str) -> Outcome:
    workspace = Workspace(root)
    inputs = []
    for after, each in enumerate(tables):
        for name, table in each.items():
            inputs.append((name, f"in/{stage.name}/{name}.{int(shard) + after:06d}.f.parquet"))
            workspace.write_table(inputs[-1][1], table, {})
    output = f"out/{stage.name}/{shard}.f.parquet"
    media = f"media/films/{stage.name}.{shard}"
    return MapJob(stage, str(root)).open()(ShardTask("films", shard, int(shard), tuple(inputs), output, media, {}))


def contents(root: Path, row: Mapping[str, Any], ext: str) -> list[bytes]:
    """Of the parts of a row that have this extension."""
    parts = [part for part in row["parts"] or [] if part["ext"] == ext]
    return Store(root).read_ranges([(part["media"], part["offset"], part["size"]) for part in parts])


def jpeg_numbers(root: Path, row: Mapping[str, Any]) -> list[int]:
    """The numbers that the frames of a row carry."""
    decoded = (cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) for data in contents(root, row, "jpg"))
    return [number_on(frame) for frame in decoded]


def mp4_numbers(root: Path, row: Mapping[str, Any]) -> list[int]:
    """The numbers of the frames in the mp4 of a row."""
    (data,) = contents(root, row, "mp4")
    with av.open(io.BytesIO(data)) as container:
        return [number_on(picture.to_ndarray(format="rgb24")) for picture in container.decode(video=0)]


_KEPT = {"status": "kept", "reason": ""}
