"""The layout of a workspace: where tables and media lie, and which are there.

    media/<source>/<shard>.<fingerprint>.<attempt>.tar
    tables/<source>/<stage>/<shard>.<fingerprint>.parquet
    pairs/<dataset>/<source>/<stage>/<shard>.<fingerprint>.parquet
    runs/<run id>.jsonl, <run id>.summary.json

The fingerprint is part of the name: one listing of a folder says what is done and what is stale, nothing is
overwritten by something else, and an interrupted run leaves nothing to clean up. Where a stage reads more than its own
shard, the digest of the table's content follows, `<fingerprint>-c<digest>`: what depends on such a table depends on
that digest alone, so the listing also says what a stage that ran again has changed.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from corpus.parquet_columns import FooterCache, read_columns, read_metadata
from corpus.read_ahead import AT_ONCE, read_ahead
from corpus.storage import Store, storage_errors
from corpus.storage_error import StorageError

_INGREDIENTS = b"rzen_corpus"

NAME = "[a-z0-9][a-z0-9_-]{0,99}"  # of a source, a dataset or a mixture: it becomes a part of folder and file names

_CONTENT = "-c"  # before the digest of a table's content, at the end of its name
_SUFFIX = ".parquet"

_MAX_HASH_BYTES = 32  # binary values of a fixed size up to this are hashes

Root = Literal["tables", "pairs"]


@dataclass(frozen=True, slots=True)
class TableKey:
    """All tables of one stage over one source (`tables`), or over the pairs of a dataset from one source (`pairs`)."""

    root: Root
    owner: str  # the source, or DATASET/SOURCE
    stage: str

    def path(self, shard: str, fingerprint: str) -> str:
        """Returns where the table of a shard lies; `fingerprint` may have the digest of its content behind it."""
        return f"{self.folder}/{shard}.{fingerprint}{_SUFFIX}"

    @property
    def folder(self) -> str:
        """The folder that one listing covers."""
        return f"{self.root}/{self.owner}/{self.stage}"


def owner_name(owner: str) -> str:
    """Returns the owner of tables as people read it: of DATASET/SOURCE the dataset alone, where both
    have the same name.
    """
    dataset, _, source = owner.partition("/")
    return dataset if dataset == source else owner


def with_content(path: str, digest: str) -> str:
    """Returns the path of a table with the digest of its content behind the fingerprint; for "" the path as it is."""
    return f"{path.removesuffix(_SUFFIX)}{_CONTENT}{digest}{_SUFFIX}" if digest else path


def split_content(name: str) -> tuple[str, str]:
    """Returns the fingerprint in a table's name, and the digest of the table's content; "" where the name has none."""
    found, _, digest = name.partition(_CONTENT)
    return found, digest


def identity(name: str) -> str:
    """Returns what another table depends on: the digest of the content where the name has one, or the fingerprint."""
    found, digest = split_content(name)
    return digest or found


def identity_of_path(path: str) -> str:
    """Returns the path of a table with its `identity` in place of the name."""
    stem, dot, name = path.removesuffix(_SUFFIX).rpartition(".")
    return f"{stem}{dot}{identity(name)}{_SUFFIX}"


class Workspace:
    """A folder or bucket that holds media, tables and pairs."""

    def __init__(self, url: str | os.PathLike[str]) -> None:
        self.store = Store(url)
        self._kept: FooterCache | None = None

    @contextlib.contextmanager
    def caching_footers(self) -> Iterator[Workspace]:
        """Yields the workspace for reading columns of the same tables more than once: a small one is one request."""
        found = Workspace(self.store.url)
        found._kept = FooterCache()
        try:
            yield found
        finally:
            found._kept.close()

    @staticmethod
    def media_stem(source: str, shard: str, fingerprint: str) -> str:
        """Returns where the media tar of a shard goes, without `.<attempt>.tar`. Other settings, other bytes, another
        name.
        """
        return f"media/{source}/{shard}.{fingerprint}"

    def tables(self, table_key: TableKey) -> dict[str, set[str]]:
        """Lists the fingerprints of the tables of each shard. One listing call."""
        found: dict[str, set[str]] = {}
        for name in self.store.names(table_key.folder):
            stem, dot, suffix = name.rpartition(".")
            shard, _, fingerprint = stem.rpartition(".")
            if dot and suffix == "parquet" and shard and not name.startswith("."):
                found.setdefault(shard, set()).add(fingerprint)
        return found

    def write_table(self, path: str, table: pa.Table, fingerprint_parts: Mapping[str, Any]) -> int:
        """Publishes a table, with what went into its fingerprint in the file's metadata. Returns its bytes.

        Raises ValueError where a column, or a field inside one, that must not be null is.
        """
        text = json.dumps(fingerprint_parts, sort_keys=True)
        try:
            data = to_parquet(table.replace_schema_metadata({_INGREDIENTS: text.encode()}))
        except pa.ArrowInvalid as error:
            raise ValueError(f"{path}: {error}") from error
        self.store.publish(path, data)
        return len(data)

    def read_table(self, path: str, columns: Sequence[str] | None = None) -> pa.Table:
        """Reads a table, or some of its columns in the requested order."""
        with _table_errors(self.store.full(path)):
            if columns is None:  # one request instead of one for each part of the file
                table = pq.read_table(pa.BufferReader(self.store.read(path)))
            elif self.store.is_local_path(path):
                with self.store.open_native(path) as file:
                    table = pq.read_table(file, columns=list(columns))
            else:
                table = read_columns(self.store, path, columns, kept=self._kept)
            if columns is not None:
                table = table.select(list(columns))
        return table.replace_schema_metadata(None)

    def read_present(self, path: str, columns: Sequence[str]) -> pa.Table:
        """Reads those of the columns, or fields of one (`query.text`), that a table has."""
        with _table_errors(self.store.full(path)):
            if not self.store.is_local_path(path):
                table = read_columns(self.store, path, columns, may_lack=True, kept=self._kept)
                return table.replace_schema_metadata(None)
            with self.store.open_native(path) as file:
                parquet = pq.ParquetFile(file)
                names = set(parquet.schema_arrow.names)
                present = [column for column in columns if column.partition(".")[0] in names]
                return parquet.read(columns=present, use_threads=False).replace_schema_metadata(None)

    def read_tables(
        self, paths: Iterable[str], columns: Sequence[str] | None = None, at_once: int = AT_ONCE
    ) -> Iterator[pa.Table]:
        """Yields tables, or some of their columns, in the order of the paths, while the next ones are read."""
        return read_ahead(lambda path: self.read_table(path, columns), paths, at_once)

    def read_fingerprint_parts(self, path: str) -> dict[str, Any]:
        """Reads what went into the fingerprint of a table from the end of its file."""
        with _table_errors(self.store.full(path)):
            if self.store.is_local_path(path):
                with self.store.open_native(path) as file:
                    metadata = pq.read_schema(file).metadata or {}
            else:
                metadata = read_metadata(self.store, path)
        return json.loads(metadata.get(_INGREDIENTS, b"{}"))


@contextlib.contextmanager
def _table_errors(path: str) -> Iterator[None]:
    """Turns what goes wrong into a StorageError that names the path; where the file is damaged, with a way out."""
    with storage_errors(path):
        try:
            yield
        except pa.ArrowInvalid as error:
            of_source = path.rpartition("/")[0].endswith("/rows")  # of a source's shards, which are written together
            advice = f"remove {'its folder' if of_source else 'this file'}, and the next run makes it again"
            raise StorageError(f"{path}: damaged: {error}: {advice}") from error


def to_parquet(table: pa.Table) -> bytes:
    """Writes a table as Parquet: the same rows give the same bytes, however they were put together.

    Binary values of a fixed size above 32 bytes are vectors, which no compression makes smaller: they are written as
    they are, and then read with one copy.
    """
    sink = io.BytesIO()
    options: dict[str, Any] = {"compression": "zstd", "compression_level": 3}
    leaves = [leaf for field in table.schema for leaf in _leaves(field, field.name)]
    if any(_is_wide(kind) for _, kind in leaves):
        others = [path for path, kind in leaves if not _is_wide(kind)]
        options = {
            "compression": {path: "none" if _is_wide(kind) else "zstd" for path, kind in leaves},
            "compression_level": dict.fromkeys(others, 3),
            "use_dictionary": others,
            "write_statistics": others,
        }
    # Chunks of the table would show in the file as pages.
    pq.write_table(table.combine_chunks(), sink, **options)
    return sink.getvalue()


def _leaves(field: pa.Field, path: str) -> Iterator[tuple[str, pa.DataType]]:
    """Yields the columns of a Parquet file that a field becomes, as paths, with their types."""
    kind = field.type
    if pa.types.is_struct(kind):
        for child in kind:
            yield from _leaves(child, f"{path}.{child.name}")
    elif pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        yield from _leaves(kind.value_field, f"{path}.list.element")
    else:
        yield path, kind


def _is_wide(kind: pa.DataType) -> bool:
    return pa.types.is_fixed_size_binary(kind) and kind.byte_width > _MAX_HASH_BYTES
