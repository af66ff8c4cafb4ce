"""A workspace with the clips of small films: real frames and mp4 files, their table, and the pairs made of them."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa

from corpus.execution import MapJob, ShardTask
from corpus.media import TarWriter
from corpus.schema import Modality, item_id, table_schema
from corpus.stage import ITEMS, ROWS, VERDICT
from corpus.workspace import Workspace
from pipelines.pairs.clips import ClipPairs, ClipPairSettings
from pipelines.publish.mixture import DatasetInput, PublishInput
from tests.helpers.small_worlds import picture
from tests.helpers.videos import Shot, make_video
from video.schema import GROUPS_SCHEMA


@cache
def _film() -> bytes:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "film.mp4"
        make_video(path, [Shot(frames=4)], size=(160, 120))
        return path.read_bytes()


def small_mp4(number: int) -> bytes:
    """A playable mp4 of four frames, other bytes for each number: they are in a box that no player looks at."""
    return _film() + struct.pack(">I4sQ", 16, b"free", number)


@dataclass
class ClipWorld:
    """Films of so many clips each. A clip says `clip 3 of film 2`, and has two frames and an mp4."""

    url: str
    films: Sequence[int]
    shards: int = 3
    frames: int = 2
    contents: dict[bytes, bytes] = field(default_factory=dict)  # item id -> bytes, of all parts
    items: list[str] = field(default_factory=list)
    datasets: list[DatasetInput] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.workspace = Workspace(self.url)
        for shard in range(self.shards):
            self._write_shard(shard)

    def _write_shard(self, shard: int) -> None:
        media = f"media/films/{shard:06d}.0123456789abcdef.0.tar"
        rows = [{"url": "broken.mp4", "status": "failed", "reason": "broken"}]
        with self.workspace.store.writer(media) as file:
            tar = TarWriter(file)
            for film in range(shard, len(self.films), self.shards):
                rows += [self._clip(tar, media, film, clip) for clip in range(self.films[film])]
            tar.close()
        self.items.append(f"tables/films/groups/{shard:06d}.0123456789abcdef.parquet")
        self.workspace.write_table(self.items[-1], pa.Table.from_pylist(rows, table_schema(GROUPS_SCHEMA)), {})

    def _clip(self, tar: TarWriter, media: str, film: int, clip: int) -> dict[str, Any]:
        number = 1000 * film + clip
        contents = [(picture(10 * number + frame), "jpg") for frame in range(self.frames)]
        contents.append((small_mp4(number), "mp4"))
        parts = []
        for data, ext in contents:
            item = item_id(data)
            self.contents[item] = data
            place = {"media": media, "offset": tar.add(f"{item.hex()}.{ext}", data), "size": len(data), "ext": ext}
            parts.append({"item_id": item, **place})
        return {
            "item_id": item_id(b"".join(data for data, _ in contents)),
            "parts": parts,
            "url": f"http://example.com/film-{film}.mp4",
            "kind": "scenes",
            "start_s": 5.0 * clip,
            "end_s": 5.0 * clip + 5,
            "text": f"clip {clip} of film {film}",
            "questions": [{"question": "Which is it?", "answer": f"clip {clip}"}],
            "group": f"film {film}" if self.films[film] > 1 else "",
            "status": "kept",
            "reason": "",
        }

    def dataset(self, name: str, **settings: Any) -> DatasetInput:
        """The pairs of all shards, as the stage makes them."""
        made = ClipPairSettings.model_validate({"kind": "clips", "source": "films", **settings})
        stage, paths = ClipPairs(name, made), []
        job = MapJob(stage, self.url).open()
        for shard, table in enumerate(self.items):
            paths.append(f"pairs/{name}/pairs/{shard:06d}.0123456789abcdef.parquet")
            inputs = tuple((role, table) for role in (ROWS, ITEMS, VERDICT))
            outcome = job(ShardTask("films", f"{shard:06d}", shard, inputs, paths[-1], "m", {}))
            assert outcome.error == ""
        given = DatasetInput(name, made.task, made.stage, Modality.CLIP, "CC0", ("films",), tuple(paths))
        self.datasets.append(given)
        return given

    def pairs(self, name: str) -> dict[str, dict[str, Any]]:
        """The kept pairs of a dataset, by key."""
        [given] = [given for given in self.datasets if given.name == name]
        rows = [row for path in given.pairs for row in self.workspace.read_table(path).to_pylist()]
        return {row["pair_id"].hex(): row for row in rows if row["status"] == "kept"}

    def given(self) -> PublishInput:
        """Everything that is in the workspace, to be published."""
        funnel = {"films": {"rows_in": 3, "kept": 0, "removed": {"failed": {"broken": 3}}}}
        return PublishInput("films", tuple(self.datasets), tuple(self.items), funnel, {"rzen-corpus": "0.1.0"})
