"""Source `laion`: rows of LAION-style metadata (URL, text, scores) from Parquet parts, filtered and sampled.

Releases differ in the names, the case and the types of their columns; here they get one name and one type each
(COLUMNS). The parts are streamed once, whatever their size; memory depends on the sample's.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property, partial
from typing import Any, Literal

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, field_validator

from corpus.settings import SettingsError
from corpus.stage import Gives
from pipelines.sources.base import SourceSettings
from pipelines.sources.files import NO_DATA, FileInfo, find_files, named_in_unicode
from pipelines.sources.lenient_casts import (
    Cast,
    UncastableError,
    all_failed,
    cast_leniently,
    comparable_values,
    stored_values,
)
from pipelines.sources.not_read import NotRead, UnreadableFileError
from pipelines.sources.parquet_files import column_names, open_parquet, require_single, rows_claimed
from pipelines.sources.row_filter import RowFilter
from pipelines.sources.sampling import RowSample, in_tables_of

INDEX_COLUMNS = pa.schema(
    [
        pa.field("url", pa.string()),
        pa.field("text", pa.string()),
        pa.field("sample_id", pa.string()),
        pa.field("width", pa.int32()),  # pixels, as the release says
        pa.field("height", pa.int32()),
        pa.field("similarity", pa.float64()),  # CLIP, of image and text
        pa.field("punsafe", pa.float64()),
        pa.field("pwatermark", pa.float64()),
        pa.field("aesthetic", pa.float64()),
        pa.field("nsfw", pa.string()),
        pa.field("licence", pa.string()),
    ]
)
ALIASES = {
    "caption": "text",
    "license": "licence",
    "key": "sample_id",
    "hash": "sample_id",
    "aesthetic_score": "aesthetic",
}
UNKNOWN_LICENCES = ("", "?")  # how releases mark one

_TEXTS = ("url", "text", "licence")  # a value that is no text there costs its row; elsewhere it is null
_BATCH_ROWS = 65_536
_CHECK_THREADS = 8


class LaionSource(SourceSettings):
    """Settings of LAION-style metadata: its files, and which rows of them."""

    gives = Gives.IMAGES
    summary = "LAION-style metadata in Parquet: URLs, texts and scores, filtered by an expression and sampled"

    kind: Literal["laion"] = Field(description="LAION-style metadata of images in Parquet.")
    files: tuple[str, ...] = Field(
        min_length=1,
        description="Parquet files with the metadata: paths, folders (with those below), globs or fsspec URLs "
        "(s3://, hf://).",
    )
    filter: str = Field(
        "",
        description='The expression that selects rows, such as "similarity > 0.28 and punsafe < 0.5"; empty takes all.',
    )
    sample_rows: int | None = Field(
        None, ge=1, description="The number of rows that are drawn at random; null takes all, in the files' order."
    )
    seed: int = Field(0, ge=0, description="The seed of the sample.")
    shard_rows: int = Field(1000, ge=1, description="The rows of a shard.")
    licence: str = Field("", description="The licence of rows whose metadata names none.")

    @field_validator("filter")
    @classmethod
    def _filter_parses(cls, text: str) -> str:
        if text:
            RowFilter(text, ALIASES)
        return text

    def reader(self) -> LaionReader:
        return LaionReader(self)


class LaionReader:
    """Reads the rows of a source in shards, and counts them: rows read, and rows left out by reason.

    no_url, filtered_by_expression; bad_text, a URL, text or licence that is not UTF-8; unreadable_rows, those of a
    damaged part from where the damage begins; of a sample also not_sampled, and duplicate_row: same URL and text as
    one that is in it. Without a sample, rows that repeat are left for the duplicates stage to find. The notes name
    files that were not read, and count values that could not be.
    """

    def __init__(self, settings: LaionSource) -> None:
        self._settings = settings
        self._not_read = NotRead()
        self.counts: dict[str, int] = {}

    @cached_property
    def files(self) -> tuple[FileInfo, ...]:
        """The files, in order. Raises SettingsError where there are none."""
        return find_parts(self._settings.files, self._not_read)

    def identity(self) -> dict[str, Any]:
        """Returns the settings, and name, size and version of each part."""
        files = [(part.url, part.size, part.version) for part in self.files]
        return {**self._settings.canonical(), "files": files}

    def check(self) -> None:
        """Checks each part's columns. Raises SettingsError for what `shards` would raise because of them."""
        with ThreadPoolExecutor(_CHECK_THREADS) as pool:
            errors = list(pool.map(partial(_damage, self._filter()), self.files))
        damaged = [error for error in errors if error is not None]
        for error in damaged:
            self._not_read.add_file("unreadable_file", error.url, error.detail)
        if len(damaged) == len(errors):
            raise damaged[0]

    def shards(self) -> Iterator[pa.Table]:
        """Yields tables of `shard_rows` rows with COLUMNS; url, text and licence are never null."""
        settings = self._settings
        self.counts = {}
        self._not_read.values.clear()
        rows = read_index_parts(self.files, self._filter(), self.counts, self._not_read)
        if settings.sample_rows is not None:
            sample = RowSample(rows, settings.sample_rows, settings.seed)
            self.counts |= {
                "duplicate_row": sample.repeated,
                "not_sampled": sample.rows_read - sample.repeated - len(sample),
            }
            rows = sample.tables()
        for shard in in_tables_of(rows, settings.shard_rows):
            yield _with_licence(shard, settings.licence)

    @property
    def notes(self) -> dict[str, Any]:
        """The files and values that were not read, for people."""
        return self._not_read.notes()

    def _filter(self) -> RowFilter | None:
        return RowFilter(self._settings.filter, ALIASES) if self._settings.filter else None


def find_parts(patterns: Sequence[str], not_read: NotRead | None = None) -> tuple[FileInfo, ...]:
    """Finds the files that paths, folders and globs stand for, each once. Raises SettingsError where there are none."""
    files = named_in_unicode(find_files(patterns, [".parquet"], "files", not_read, NO_DATA), not_read)
    return tuple({part.url: part for part in files}.values())


def read_index_parts(
    parts: Sequence[FileInfo], row_filter: RowFilter | None, counts: dict[str, int], not_read: NotRead | None = None
) -> Iterator[pa.Table]:
    """Reads the rows of the parts that have a URL and pass the filter, as tables of COLUMNS.

    Columns are matched without case; what a part lacks is null; a text is never null. Adds to `counts` what was read
    and what was left out, to `not_read` damaged parts and values that are null because they could not be cast. Raises
    SettingsError for a part that has no URLs, or lacks a column of the filter, and where no part can be read;
    StorageError for one that its storage does not give.
    """
    not_read = not_read if not_read is not None else NotRead()
    counts |= dict.fromkeys(("read", "no_url", "filtered_by_expression"), 0)
    unreadable = []
    for part in parts:
        before = counts["read"]
        try:
            yield from _read_part(part, row_filter, counts, not_read)
        except UnreadableFileError as error:
            unreadable_rows = max(0, rows_claimed(part) - (counts["read"] - before))
            if unreadable_rows:
                _add(counts, "unreadable_rows", unreadable_rows)
                counts["read"] += unreadable_rows
            after = f"; {counts['read'] - before - unreadable_rows} rows before the damage were read"
            not_read.add_file("unreadable_file", part.url, error.detail + after)
            unreadable.append(error)
    if unreadable and len(unreadable) == len(parts) and counts["read"] == counts.get("unreadable_rows", 0):
        raise unreadable[0]


def _read_part(
    part: FileInfo, row_filter: RowFilter | None, counts: dict[str, int], not_read: NotRead
) -> Iterator[pa.Table]:
    filter_columns = sorted(row_filter.names) if row_filter else []
    caster = _Caster(part.url, not_read)
    for table in _prefetch(_batches(part, filter_columns)):
        counts["read"] += table.num_rows
        # Compared as they are stored: URLs that are not UTF-8 are found below, in the few rows that pass.
        texts = caster.cast(table, ["url"], unless=(pa.string(), pa.large_string()))
        named = texts.filter(pc.not_equal(texts.column("url"), ""))  # and null, which compares with nothing
        counts["no_url"] += texts.num_rows - named.num_rows
        # Only the columns of the filter are cast before: most rows may go.
        passed = row_filter.apply(caster.cast(named, filter_columns)) if row_filter else named
        counts["filtered_by_expression"] += named.num_rows - passed.num_rows
        readable = caster.cast(passed.select(INDEX_COLUMNS.names), INDEX_COLUMNS.names)
        if caster.bad_texts:
            _add(counts, "bad_text", caster.bad_texts)
            caster.bad_texts = 0
        yield _without_null_texts(readable)


def _add(counts: dict[str, int], reason: str, rows: int) -> None:
    counts[reason] = counts.get(reason, 0) + rows


def _damage(row_filter: RowFilter | None, part: FileInfo) -> UnreadableFileError | None:
    """Tells why a part cannot be read. Raises SettingsError for one that lacks what is needed, or has it twice."""
    filter_columns = sorted(row_filter.names) if row_filter else []
    try:
        with open_parquet(part) as parquet:
            schema = parquet.schema_arrow
            names = _match(column_names(schema, part.url), {*INDEX_COLUMNS.names, *filter_columns}, part.url)
    except UnreadableFileError as error:
        return error
    columns = {column: stored_values(pa.chunked_array([], schema.field(name).type)) for column, name in names.items()}
    caster = _Caster(part.url, NotRead())
    table = caster.cast(_with_all_columns(columns, 0, part), [*_TEXTS, *filter_columns])
    if row_filter:
        row_filter.apply(table)
    return None


def _batches(part: FileInfo, extra: Collection[str]) -> Iterator[pa.Table]:
    """Reads all rows of a part, with COLUMNS and those of the `extra` columns that it has, as they are stored."""
    with open_parquet(part) as parquet:
        names = _match(column_names(parquet.schema_arrow, part.url), {*INDEX_COLUMNS.names, *extra}, part.url)
        for batch in parquet.iter_batches(_BATCH_ROWS, columns=[*names.values()]):
            columns = {column: stored_values(pa.chunked_array([batch.column(name)])) for column, name in names.items()}
            yield _with_all_columns(columns, batch.num_rows, part)


def _with_all_columns(columns: Mapping[str, pa.ChunkedArray], rows: int, part: FileInfo) -> pa.Table:
    """Completes the columns of a part by those that its folders give a value, and by nulls for others of COLUMNS."""
    partition = {ALIASES.get(name.lower(), name.lower()): value for name, value in part.partition.items()}
    more = {name: pa.repeat(pa.scalar(value, pa.string()), rows) for name, value in partition.items()}
    absent = {field.name: pa.nulls(rows, field.type) for field in INDEX_COLUMNS}
    return pa.table({**absent, **more, **columns})


def _prefetch(tables: Iterator[pa.Table]) -> Iterator[pa.Table]:
    """Reads the next table while the last one is processed."""
    with ThreadPoolExecutor(1) as thread:
        following = thread.submit(next, tables, None)
        while (table := following.result()) is not None:
            following = thread.submit(next, tables, None)
            yield table


def _match(present: Sequence[str], requested: Collection[str], part: str) -> Mapping[str, str]:
    """Matches columns without case: name in COLUMNS -> the part's name. Raises SettingsError for one that is twice."""
    matches: dict[str, str] = {}
    for name in present:
        lower = name.lower()
        column = ALIASES.get(lower, lower)
        if column in requested and (column not in matches or lower == column):
            matches[column] = name
    if "url" not in matches:
        raise SettingsError(f"{part}: no column URL; there are {', '.join(present)}")
    require_single(present, matches.values(), part, any_case=True)
    return matches


class _Caster:
    """Casts the columns of a part to their types. Counts in `bad_texts` the rows that it leaves out."""

    def __init__(self, url: str, not_read: NotRead) -> None:
        self._url, self._not_read = url, not_read
        self.bad_texts = 0

    def cast(self, table: pa.Table, names: Sequence[str], unless: Collection[pa.DataType] = ()) -> pa.Table:
        """Casts the named columns to their types, `unless` they have one of some, and drops rows of bad texts.

        Raises SettingsError for a URL or text of a type that holds no texts.
        """
        bad = None
        for name in names:
            at = INDEX_COLUMNS.get_field_index(name)
            column = table.column(name) if name in table.column_names else None
            if column is None or column.type in unless:
                continue
            # Columns that are not in COLUMNS are the filter's.
            cast = self._one(name, column, INDEX_COLUMNS.field(at).type) if at >= 0 else Cast(comparable_values(column))
            if cast.values is not column:
                table = table.set_column(table.column_names.index(name), name, cast.values)
            if cast.failed is not None and name in _TEXTS:
                bad = cast.failed if bad is None else pc.or_(bad, cast.failed)
            elif cast.failed is not None:
                self._not_read.add_values(name, cast.failed_count)
        if bad is None:
            return table
        good = table.filter(pc.invert(bad))
        self.bad_texts += table.num_rows - good.num_rows
        return good

    def _one(self, name: str, column: pa.ChunkedArray, kind: pa.DataType) -> Cast:
        try:
            return cast_leniently(column, kind)
        except UncastableError as error:
            if name in _TEXTS:
                raise SettingsError(f"{self._url}: column {name}: {error}") from error
            return all_failed(column, kind)


def _without_null_texts(table: pa.Table) -> pa.Table:
    at = INDEX_COLUMNS.get_field_index("text")
    return table.set_column(at, INDEX_COLUMNS.field(at), pc.fill_null(table.column(at), ""))


def _with_licence(table: pa.Table, default: str) -> pa.Table:
    at = INDEX_COLUMNS.get_field_index("licence")
    licence = pc.fill_null(table.column(at), "")
    unknown = pc.is_in(licence, pa.array(UNKNOWN_LICENCES))
    return table.set_column(at, INDEX_COLUMNS.field(at), pc.if_else(unknown, default, licence))
