"""Source `laion`: rows of LAION-style metadata (URL, text, scores) from Parquet parts, filtered and sampled.

Releases differ in the names, the case and the types of their columns; here they get one name and one type each
(COLUMNS). The parts are streamed once, whatever their size; memory depends on the sample's.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pydantic import Field, field_validator

from corpus.settings import Settings, SettingsError
from corpus.storage import StorageError
from pipelines.sources.expressions import RowFilter
from pipelines.sources.sampling import Sample, in_tables_of

COLUMNS = pa.schema(
    [
        pa.field("url", pa.string()),
        pa.field("text", pa.string()),
        pa.field("sample_id", pa.string()),
        pa.field("width", pa.int32()),  # pixels, as the release says
        pa.field("height", pa.int32()),
        pa.field("similarity", pa.float64()),  # CLIP, of image and text
        pa.field("punsafe", pa.float64()),
        pa.field("pwatermark", pa.float64()),
        pa.field("nsfw", pa.string()),
        pa.field("licence", pa.string()),
    ]
)
ALIASES = {"caption": "text", "license": "licence", "key": "sample_id", "hash": "sample_id"}
UNKNOWN_LICENCES = ("", "?")  # how releases say that they don't know

_BATCH_ROWS = 65_536
_EXTRAS = {"s3": "s3", "s3a": "s3", "hf": "hf"}  # protocol -> the extra that brings it


class LaionSource(Settings):
    """Which rows of which metadata."""

    kind: Literal["laion"]
    parts: tuple[str, ...] = Field(
        min_length=1, description="Parquet files, folders of them or globs: local paths or fsspec URLs (s3://, hf://)"
    )
    filter: str = Field("", description='which rows, such as "similarity > 0.28 and punsafe < 0.5"; empty: all')
    sample_rows: int | None = Field(None, ge=1, description="rows drawn at random; null: all, in the parts' order")
    seed: int = Field(0, ge=0, description="of the sample")
    shard_rows: int = Field(1000, ge=1)
    licence: str = Field("", description="of rows whose metadata names none")

    @field_validator("filter")
    @classmethod
    def _filter_parses(cls, text: str) -> str:
        if text:
            RowFilter(text, ALIASES)
        return text


@dataclass(frozen=True)
class Part:
    """One Parquet file. `version` changes when its content does, as far as its file system can tell."""

    url: str
    size: int
    version: str

    @property
    def is_local(self) -> bool:
        return "://" not in self.url or self.url.startswith("file://")

    def open(self) -> Any:
        """A binary file."""
        fs, path = fsspec.url_to_fs(self.url)
        return fs.open(path, "rb", **({} if self.is_local else {"cache_type": "none"}))


class LaionRows:
    """The rows of a source in shards, and counts: rows read, and rows left out by reason.

    no_url, filtered_by_expression; bad_text, a URL or text that is not Unicode; of a sample also not_sampled, and
    duplicate_row: same URL and text as one that is in it. Without a sample, rows that repeat are left for the
    duplicates stage to find.
    """

    def __init__(self, settings: LaionSource) -> None:
        self._settings = settings
        self.counts: dict[str, int] = {}

    @cached_property
    def parts(self) -> tuple[Part, ...]:
        """The files, in order. Raises SettingsError where there are none."""
        return find_parts(self._settings.parts)

    def identity(self) -> dict[str, Any]:
        """The settings, and name, size and version of each part."""
        files = [(part.url, part.size, part.version) for part in self.parts]
        return {**self._settings.canonical(), "files": files}

    def shards(self) -> Iterator[pa.Table]:
        """Tables of `shard_rows` rows with COLUMNS; url, text and licence are never null."""
        settings = self._settings
        self.counts = {}
        row_filter = RowFilter(settings.filter, ALIASES) if settings.filter else None
        rows = read_parts(self.parts, row_filter, self.counts)
        if settings.sample_rows is not None:
            sample = Sample(rows, settings.sample_rows, settings.seed)
            self.counts |= {
                "duplicate_row": sample.repeated,
                "not_sampled": sample.seen - sample.repeated - len(sample),
            }
            rows = sample.tables()
        for shard in in_tables_of(rows, settings.shard_rows):
            yield _with_licence(shard, settings.licence)


def find_parts(patterns: Sequence[str]) -> tuple[Part, ...]:
    """The files that paths, folders and globs stand for, each once. Raises SettingsError for one that finds none."""
    found: dict[str, Part] = {}
    for pattern in patterns:
        protocol = pattern.partition("://")[0] if "://" in pattern else ""
        try:
            fs, path = fsspec.url_to_fs(pattern)
            if not fs.isdir(path):
                infos = fs.glob(path, detail=True)
            else:
                infos = fs.glob(f"{path.rstrip('/')}/*.parquet", detail=True)
        except ImportError as error:
            extra = _EXTRAS.get(protocol)
            advice = f"pip install 'rzen-corpus[{extra}]'" if extra else str(error)
            raise SettingsError(f"parts: {pattern}: nothing here reads {protocol}://: {advice}") from error
        except ValueError as error:  # an unknown protocol
            raise SettingsError(f"parts: {pattern}: {error}") from error
        except OSError as error:
            raise StorageError(f"{pattern}: {error}") from error
        files = {name: info for name, info in infos.items() if info["type"] == "file"}
        if not files:
            raise SettingsError(f"parts: {pattern}: no Parquet files there")
        for name, info in sorted(files.items()):
            url = str(fs.unstrip_protocol(name)) if protocol else name
            found.setdefault(url, Part(url, int(info["size"]), _version(info)))
    return tuple(found.values())


def read_parts(parts: Sequence[Part], row_filter: RowFilter | None, counts: dict[str, int]) -> Iterator[pa.Table]:
    """The rows of the parts that have a URL and pass the filter, in tables of at most some ten thousand (COLUMNS).

    Columns are matched without case; what a part lacks is null; a text is never null. Adds to `counts` what was read
    and what was left out. Raises SettingsError for a part that is no Parquet file, has no URLs, or lacks a column of
    the filter, StorageError for one that cannot be read.
    """
    counts |= dict.fromkeys(("read", "no_url", "filtered_by_expression"), 0)
    judged = sorted(row_filter.names) if row_filter else []
    for part in parts:
        for table in _one_ahead(_batches(part, judged)):
            counts["read"] += table.num_rows
            named = table.filter(pc.not_equal(table.column("url"), ""))  # and null, which compares with nothing
            counts["no_url"] += table.num_rows - named.num_rows
            # Only what the filter looks at is brought to its type before: most rows may go.
            good = row_filter.apply(_typed(named, judged, part.url)) if row_filter else named
            counts["filtered_by_expression"] += named.num_rows - good.num_rows
            typed = _typed(good.select(COLUMNS.names), COLUMNS.names, part.url)
            readable = _unicode_only(typed)
            if lost := typed.num_rows - readable.num_rows:
                counts["bad_text"] = counts.get("bad_text", 0) + lost
            yield _without_null_texts(readable)


def _batches(part: Part, extra: Collection[str]) -> Iterator[pa.Table]:
    """All rows of a part with COLUMNS and those of the `extra` columns that it has, types as they lie there."""
    try:
        with part.open() as file:
            # Local parts are read page by page; of remote ones the columns of a row group are asked for at once.
            parquet = pq.ParquetFile(file, **({"buffer_size": 2**20} if part.is_local else {"pre_buffer": True}))
            names = _match(parquet.schema_arrow.names, {*COLUMNS.names, *extra}, part.url)
            for batch in parquet.iter_batches(_BATCH_ROWS, columns=[*names.values()]):
                columns = {ours: batch.column(name) for ours, name in names.items()}
                absent = [field for field in COLUMNS if field.name not in names]
                yield pa.table(columns | {field.name: pa.nulls(batch.num_rows, field.type) for field in absent})
    except pa.ArrowInvalid as error:
        raise SettingsError(f"{part.url}: not a Parquet file that can be read: {error}") from error
    except OSError as error:
        raise StorageError(f"{part.url}: {error}") from error


def _one_ahead(tables: Iterator[pa.Table]) -> Iterator[pa.Table]:
    """The same tables; the next one is read while the last one is worked on."""
    with ThreadPoolExecutor(1) as thread:
        following = thread.submit(next, tables, None)
        while (table := following.result()) is not None:
            following = thread.submit(next, tables, None)
            yield table


def _match(present: Sequence[str], wanted: Collection[str], part: str) -> Mapping[str, str]:
    """Our name -> the part's name of each wanted column that it has."""
    found: dict[str, str] = {}
    for name in present:
        lower = name.lower()
        ours = ALIASES.get(lower, lower)
        if ours in wanted and (ours not in found or lower == ours):
            found[ours] = name
    if "url" not in found:
        raise SettingsError(f"{part}: no column URL; there are {', '.join(present)}")
    return found


def _typed(table: pa.Table, names: Sequence[str], part: str) -> pa.Table:
    """The table with those of the named columns that are in COLUMNS in their type there."""
    for name in names:
        at = COLUMNS.get_field_index(name)
        column = table.column(name) if name in table.column_names else None
        if at < 0 or column is None or column.type == COLUMNS.field(at).type:
            continue
        try:
            typed = _cast(column, COLUMNS.field(at).type)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise SettingsError(f"{part}: column {name} holds {column.type}: {error}") from error
        table = table.set_column(table.column_names.index(name), COLUMNS.field(at), typed)
    return table


def _cast(column: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    """The column as `kind`. Whole numbers may have become floats, with NaN for null; what does not fit is null."""
    floating = pa.types.is_floating(column.type)
    if kind == pa.int32() and (floating or pa.types.is_int64(column.type)):
        column = pc.if_else(pc.less_equal(pc.abs(column), 2**31 - 1), column, None)
        return (pc.round(column) if floating else column).cast(kind)
    if kind == pa.string() and floating:  # an id; beyond 2**53 it has lost digits
        return pc.if_else(pc.less_equal(pc.abs(column), 2**53), column, None).cast(pa.int64()).cast(kind)
    return column.cast(kind)


def _unicode_only(table: pa.Table) -> pa.Table:
    """The rows that have only strings which are Unicode: Parquet files say so, and nobody has looked."""
    good = None  # all, as nearly always
    for name in ("url", "text", "sample_id", "nsfw", "licence"):
        data = table.column(name).cast(pa.binary())
        try:
            data.cast(pa.string())  # looks at the bytes, which a string column's are believed to be
        except pa.ArrowInvalid:
            found = np.array([value is None or _decodes(value) for value in data.to_pylist()])
            good = found if good is None else good & found
    return table if good is None else table.filter(pa.array(good))


def _decodes(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _without_null_texts(table: pa.Table) -> pa.Table:
    at = COLUMNS.get_field_index("text")
    return table.set_column(at, COLUMNS.field(at), pc.fill_null(table.column(at), ""))


def _with_licence(table: pa.Table, default: str) -> pa.Table:
    at = COLUMNS.get_field_index("licence")
    licence = pc.fill_null(table.column(at), "")
    unknown = pc.is_in(licence, pa.array(UNKNOWN_LICENCES))
    return table.set_column(at, COLUMNS.field(at), pc.if_else(unknown, default, licence))


def _version(info: Mapping[str, Any]) -> str:
    """What a file system says of a file's content, the digest of an object store before a time of change."""
    for key in ("ETag", "etag", "blob_id", "md5Hash", "mtime", "LastModified", "last_modified"):
        if info.get(key):
            return str(info[key])
    return ""
