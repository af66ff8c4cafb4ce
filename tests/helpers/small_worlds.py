"""Small workspaces made by hand, and an engine that runs in this process and in a shuffled order."""

from __future__ import annotations

import io
import pickle
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
from PIL import Image

from corpus.execution import Job, Outcome
from corpus.image.limits import PILLOW_MAX_PIXELS
from corpus.media import TarWriter
from corpus.schema import LOCATION_FIELDS, PAIR_SCHEMA, STATUS_FIELDS, Modality, Task, item_id, pair_id, table_schema
from corpus.workspace import Workspace
from filters.image.stats import ImageStats, inspect_image
from pipelines.engines import Reduce
from pipelines.publish.mixture import DatasetInput, MixtureSettings, PublishInput

ITEM_SCHEMA = pa.schema([*LOCATION_FIELDS, *STATUS_FIELDS])


class InlineEngine:
    """Runs items in a drawn order and hands rows over in a drawn order: what comes out must not depend on it."""

    def __init__(self, seed: int = 0) -> None:
        self._random = random.Random(seed)
        self.partitions = 0

    def map(self, job: Job[Any, Outcome], items: Sequence[Any]) -> Iterator[Outcome]:
        raise NotImplementedError

    def map_reduce(
        self, job: Job[Any, pa.Table], items: Sequence[Any], reduce: Reduce, partitions: int
    ) -> Iterator[pa.Table]:
        self.partitions = partitions
        job, items, reduce = pickle.loads(pickle.dumps((job, list(items), reduce)))  # noqa: S301
        self._random.shuffle(items)
        emit = job.open()
        rows = pa.concat_tables([emit(item) for item in items])
        rows = rows.take(self._random.sample(range(rows.num_rows), rows.num_rows))
        partition = rows.column("key").to_numpy() % np.uint64(partitions)
        numbers = np.unique(partition).tolist()
        self._random.shuffle(numbers)
        for number in numbers:
            yield reduce(rows.filter(pa.array(partition == number)))

    def close(self) -> None: ...


def picture(seed: int, kind: str = "JPEG", size: tuple[int, int] = (24, 16)) -> bytes:
    """The bytes of a small image, another one for each seed."""
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind, **({"lossless": True} if kind == "WEBP" else {}))
    return file.getvalue()


def image_pair(dataset: str, text: str, image: bytes, **columns: Any) -> dict[str, Any]:
    """A row of a pairs table: caption -> image (its id)."""
    row = {
        "pair_id": pair_id(dataset, text, image),
        "query": {"instruction": "", "text": text, "items": []},
        "positive": {"instruction": "", "text": "", "items": [image]},
        "negatives": [],
        "positive_score": 0.83,
        "group": "",
        "label": "",
        "in_batch_negatives": True,
        "caption_origin": "original",
        "caption_model": "",
        "caption_prompt": "",
        "source_url": f"http://example.com/{text}.jpg",
        "source_sha256": bytes(range(32)),
        "licence": "cc-by",
        "status": "kept",
        "reason": "",
    }
    return row | columns


@dataclass
class World:
    """A workspace that is filled by hand, and what was put into it."""

    url: str
    contents: dict[bytes, bytes] = field(default_factory=dict)  # item id -> bytes
    items: list[str] = field(default_factory=list)
    inspected: dict[str, str] = field(default_factory=dict)  # path of an item table -> of what was found of its images
    datasets: list[DatasetInput] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.workspace = Workspace(self.url)

    def store(self, contents: Sequence[bytes], ext: str = "jpg") -> list[bytes]:
        """Put bytes into a media tar of their own; returns their item ids."""
        number = len(self.items)
        media = f"media/web/{number:06d}.0123456789abcdef.0.tar"
        rows = []
        with self.workspace.store.writer(media) as file:
            tar = TarWriter(file)
            for data in contents:
                item = item_id(data)
                place = {"media": media, "offset": tar.add(f"{item.hex()}.{ext}", data), "size": len(data), "ext": ext}
                rows.append({"item_id": item, **place, "status": "kept", "reason": ""})
                self.contents[item] = data
            tar.close()
        rows.append(dict.fromkeys(ITEM_SCHEMA.names) | {"status": "failed", "reason": "http_404"})
        path = f"tables/web/download/{number:06d}.0123456789abcdef.parquet"
        self.workspace.write_table(path, pa.Table.from_pylist(rows, ITEM_SCHEMA), {})
        self.items.append(path)
        self.inspected[path] = path.replace("download", "image_stats")
        found = [
            *(inspect_image(data, PILLOW_MAX_PIXELS) for data in contents),
            {"status": "failed", "reason": "http_404"},
        ]
        table = pa.Table.from_pylist(found, table_schema(ImageStats.schema))
        self.workspace.write_table(self.inspected[path], table, {})
        return [item_id(data) for data in contents]

    def pictures(self, count: int, seed: int = 0) -> list[bytes]:
        """Store so many small JPEGs; returns their item ids."""
        return self.store([picture(seed * 1_000_000 + number) for number in range(count)])

    def write_pairs(self, name: str, rows: Sequence[dict[str, Any]], tables: int = 3) -> tuple[str, ...]:
        """Write rows as so many pairs tables; returns their paths."""
        paths = []
        for number in range(tables):
            table = pa.Table.from_pylist(list(rows[number::tables]), table_schema(PAIR_SCHEMA))
            paths.append(f"pairs/{name}/pairs/{number:06d}.{tables:016x}.parquet")
            self.workspace.write_table(paths[-1], table, {})
        return tuple(paths)

    def dataset(self, name: str, rows: Sequence[dict[str, Any]], tables: int = 3) -> DatasetInput:
        """Write rows as a dataset's pairs tables."""
        paths = self.write_pairs(name, rows, tables)
        given = DatasetInput(name, Task.IMAGE_RETRIEVAL, 1, Modality.IMAGE, "CC-BY-4.0", ("web",), paths)
        self.datasets.append(given)
        return given

    def captions(self, name: str, count: int, tables: int = 3, **columns: Any) -> DatasetInput:
        """A dataset of so many captioned pictures."""
        seed = 1 + len(self.datasets)
        images = self.pictures(count, seed)
        rows = [image_pair(name, f"{name} {number}", image, **columns) for number, image in enumerate(images)]
        return self.dataset(name, rows, tables)

    def given(self) -> PublishInput:
        """Everything that is in the workspace, to be published."""
        funnel = {
            "web": {"rows_in": 10, "kept": 6, "removed": {"download": {"http_404": 3}, "quality": {"blurred": 1}}}
        }
        versions = {"rzen-corpus": "0.1.0"}
        return PublishInput("tiny", tuple(self.datasets), tuple(self.items), funnel, versions, self.inspected)


def mixture(corpus: object, datasets: dict[str, dict[str, Any]], **settings: Any) -> MixtureSettings:
    """Settings of a small mixture."""
    return MixtureSettings.model_validate(
        {"corpus": str(corpus), "datasets": datasets, "pairs_per_shard": 4} | settings
    )
