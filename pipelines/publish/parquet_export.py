"""Writes a published corpus as one Parquet file, a row for each sample, for those who train from Parquet.

The columns are the keys of a sample's JSON. In place of the names of media, `media` holds the media themselves, as
structs of bytes and path, which Hugging Face `datasets` reads as images: the file's metadata says so.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from corpus.schema import Modality
from corpus.storage import Store
from corpus.tars import TarReader
from pipelines.publish.manifest import MANIFEST, read_manifest
from pipelines.publish.mixture import PublishError
from pipelines.publish.sample_schema import clip_sides, sample_shape

_ADVICE = "see `rzen-corpus verify`"
_GROUP_BYTES = 64 << 20  # of media in a row group, about
_MAX_MEMBER_BYTES = 1 << 31
_PLAIN = {str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_()}
_MEDIA = pa.list_(pa.struct([("bytes", pa.binary()), ("path", pa.string())]))


@dataclass(frozen=True)
class TableExport:
    """The result of an export: the file, its rows and bytes."""

    path: str
    rows: int
    bytes: int


def export_table(corpus: str, out: str, progress: Callable[[int, int], None] | None = None) -> TableExport:
    """Writes all samples of a corpus to a Parquet file (a path or URL), dataset by dataset, in the order of the tars.

    What only clips have (`video`, `start_s`, `end_s`) is null in other datasets. `progress` is called with the tars
    that are done, and all tars. Raises PublishError for what is no corpus, or has damaged tars.
    """
    store = Store(corpus)
    manifest = read_manifest(store)
    if manifest is None:
        raise PublishError(f"{store.url}: no {MANIFEST}: there is no corpus, or it was not finished")
    shapes = [
        sample_shape(clip_sides(entry["fields"][1:]) if entry["modality"] == Modality.CLIP else ())
        for entry in manifest["datasets"].values()
    ]
    videos = any(field.endswith(".mp4") for entry in manifest["datasets"].values() for field in entry["fields"])
    schema = pa.unify_schemas([pa.schema(list(_arrow(shape))) for shape in shapes], promote_options="permissive")
    if not videos:
        schema = schema.with_metadata({"huggingface": json.dumps({"info": {"features": _features(schema)}})})
    tars = [f"{name}/{shard['name']}" for name, entry in manifest["datasets"].items() for shard in entry["shards"]]
    folder, _, name = out.replace("\\", "/").rpartition("/")
    target = Store(folder or ".")
    target.check_bucket()
    rows = 0
    with target.writer(name) as file, pq.ParquetWriter(file, schema, compression="zstd") as writer:
        group: list[dict[str, Any]] = []
        held = 0
        for number, tar in enumerate(tars):
            for sample, size in _samples(store, tar):
                group.append(sample)
                held += size
                if held > _GROUP_BYTES:
                    writer.write_table(pa.Table.from_pylist(group, schema))
                    group, held = [], 0
                rows += 1
            if progress is not None:
                progress(number + 1, len(tars))
        if group:
            writer.write_table(pa.Table.from_pylist(group, schema))
    return TableExport(target.full(name), rows, target.size(name))


def _arrow(shape: Mapping[str, Any]) -> Iterator[pa.Field]:
    """Yields the columns of a shape of a sample's JSON."""
    for name, inner in shape.items():
        yield pa.field(name, _MEDIA if name == "media" else _type(inner))


def _type(shape: Any) -> pa.DataType:
    if isinstance(shape, dict):
        return pa.struct(list(_arrow(shape)))
    return pa.list_(_type(shape[0])) if isinstance(shape, list) else _PLAIN[shape]


def _features(schema: pa.Schema) -> dict[str, Any]:
    """Returns the columns as `datasets` describes them."""
    return {field.name: _feature(field.type) for field in schema}


def _feature(kind: pa.DataType) -> dict[str, Any]:
    if kind == _MEDIA:
        return {"feature": {"_type": "Image"}, "_type": "List"}
    if pa.types.is_list(kind):
        return {"feature": _feature(kind.value_type), "_type": "List"}
    if pa.types.is_struct(kind):
        return {field.name: _feature(field.type) for field in kind}
    return {"dtype": {"double": "float64"}.get(str(kind), str(kind)), "_type": "Value"}


def _samples(store: Store, path: str) -> Iterator[tuple[dict[str, Any], int]]:
    """Yields the samples of a tar as rows, each with the bytes of its media."""
    try:
        opened = store.open(path)
    except FileNotFoundError as error:
        raise PublishError(f"{store.full(path)}: the manifest lists it, and it is not there: {_ADVICE}") from error
    with opened as file:
        size = file.seek(0, 2)
        file.seek(0)
        tar = TarReader(file, size)
        current, members = "", dict[str, bytes]()
        for member in tar:
            key, _, name = member.name.partition(".")
            if key != current and members:
                yield _row(store.full(path), current, members)
                members = {}
            if member.fault or member.size > _MAX_MEMBER_BYTES:
                raise PublishError(f"{store.full(path)}: {member.name}: {member.fault or 'too large'}: {_ADVICE}")
            current = key
            members[name] = tar.content(member)
        if members:
            yield _row(store.full(path), current, members)
        if tar.fault:
            raise PublishError(f"{store.full(path)}: not a complete tar: {tar.fault}: {_ADVICE}")


def _row(path: str, key: str, members: Mapping[str, bytes]) -> tuple[dict[str, Any], int]:
    try:
        sample = json.loads(members["json"])
        for side in (sample["query"], sample["positive"], *sample["negatives"]):
            side["media"] = [{"bytes": members[name], "path": f"{key}.{name}"} for name in side["media"]]
    except (ValueError, KeyError, TypeError) as error:
        raise PublishError(f"{path}: {key}: not a sample of a corpus: {error}: {_ADVICE}") from error
    return sample, sum(map(len, members.values()))
