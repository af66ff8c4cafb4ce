"""Folders as img2dataset writes them, made by hand, and their rows and items in a workspace."""

from __future__ import annotations

import hashlib
import io
import tarfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from corpus.execution import MapJob, Outcome, ShardTask
from corpus.stage import ROWS
from corpus.workspace import TableKey, Workspace
from pipelines.download.img2dataset_index import IndexTars
from pipelines.sources.img2dataset import Img2datasetReader, Img2datasetSource
from pipelines.sources.source_shards import source_fingerprint, write_source_shards
from tests.helpers.downloading import rotated
from tests.helpers.small_worlds import picture

Row = dict[str, Any]


IMAGES = {"00000": picture(1), "00001": picture(2), "00004": rotated(0)}


ORIGINAL = hashlib.sha256(b"before img2dataset made it smaller").hexdigest()


def row(key: str, **more: Any) -> Row:
    """One that img2dataset was content with."""
    row = {"url": f"http://example.org/{key}", "caption": f"about {key}", "key": key, "status": "success"}
    return {**row, "error_message": None, "width": 24, "height": 16, "exif": "{}", "sha256": None, **more}


ROWS_BY_HAND = [
    row("00000", sha256=ORIGINAL, LICENSE="CC0"),
    row("00001"),
    row("00002", status="failed_to_download", error_message="HTTP Error 404: Not Found"),
    row("00003", status="failed_to_resize", error_message="Image decoding error", caption=None),
    row("00004"),
    row("00005"),  # the member is missing
    row("00006"),  # the member is no image
    row("00007"),  # the member is cut off
]


def write_tar(path: Path, images: dict[str, bytes]) -> None:
    with tarfile.open(path, "w") as archive:
        for key, data in images.items():
            for ending, content in (("jpg", data), ("json", b"{}"), ("txt", b"about it")):
                member = tarfile.TarInfo(f"{key}.{ending}")
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))


def source(folder: Path) -> Img2datasetReader:
    return Img2datasetReader(Img2datasetSource(kind="img2dataset", folder=str(folder)))


def take_in(root: str | Path, folder: str | Path, **settings: str) -> tuple[Workspace, list[Outcome], list[ShardTask]]:
    """Gather a folder into a workspace, and run the stage over each of its shards."""
    workspace = Workspace(root)
    source = Img2datasetReader(Img2datasetSource(kind="img2dataset", folder=str(folder), **settings))
    index = write_source_shards(workspace, "given", source, source_fingerprint(source))
    tasks = []
    for number, (shard, name) in enumerate(index.shards):
        rows = TableKey("tables", "given", ROWS).path(shard, name)
        output = TableKey("tables", "given", "index").path(shard, "f")
        media = workspace.media_stem("given", shard, "f")
        tasks.append(ShardTask("given", shard, number, ((ROWS, rows),), output, media, {}))
    run = MapJob(IndexTars(), workspace.store.url).open()
    return workspace, [run(task) for task in tasks], tasks


def write_folder(path: Path) -> Path:
    """Writes a folder of img2dataset's form with one shard: ROWS_BY_HAND, and most of their images."""
    path.mkdir()
    pq.write_table(pa.Table.from_pylist(ROWS_BY_HAND), path / "00000.parquet")
    write_tar(path / "00000.tar", {**IMAGES, "00006": b"<html>no</html>", "00007": picture(3)[:-40]})
    (path / "00000_stats.json").write_text("{}")
    return path
