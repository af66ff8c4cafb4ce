"""Base of sources of existing pairs: their settings, a seeded sample of a stream of any length, shards, counts.

A source says how its files are read, pair by pair; the rest is here:

    class MySource(PairDatasetSource):                        # settings
        summary = "what the table in docs/sources.md says of it"
        kind: Literal["mine"]
        files: tuple[str, ...]

        def reader(self) -> MyReader: ...

    class MyReader(PairReader[MySource]):
        def find(self) -> list[FileInfo]: ...             # the files, for `identity`; `self.not_read` for others
        def require(self, present: set[str], file: str) -> None: ...    # SettingsError where something needed lacks
        def pairs(self) -> Iterator[SourcePair]: ...    # and `self.bad_records.append(BadRecord(...))` for each bad row

`self.readable()` gives the files with their columns, `self.records(file, columns)` what lies in one; both leave out
damaged files, and note them.

`draw_pairs(pairs, rows, seed, counts)` is the sample alone.
"""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from functools import cached_property
from typing import Any, Generic, Literal, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from corpus.hashing import Hashes, digest
from corpus.read_ahead import read_ahead
from corpus.sampling import random_numbers
from corpus.schema import Modality
from corpus.stage import Gives
from pipelines.sources.base import SourceSettings
from pipelines.sources.files import FileInfo, named_in_unicode
from pipelines.sources.images.settings import MEDIA_ENDINGS, SetImages
from pipelines.sources.json_records import BadRecords
from pipelines.sources.malformed import malformed_notes
from pipelines.sources.not_read import NotRead, UnreadableFileError
from pipelines.sources.pair_rows import PAIR_ROWS, Side, SourcePair, pairs_table
from pipelines.sources.parquet_files import rows_claimed
from pipelines.sources.parquet_records import Row
from pipelines.sources.records import is_parquet, paths_in, read_records, reject_all
from pipelines.sources.sampling import RowSample, in_tables_of

_BLOCK = 2048  # pairs that become a table at a time; with more of them Python's garbage collector is kept busy
_PAIR_URL = "pair_url"  # where a pair's URL lies while `Sample` has its columns


class PairDatasetSource(SourceSettings):
    """Settings of every source of existing pairs."""

    gives = Gives.PAIRS

    licence: str = Field("", description="The licence of pairs that name none.")
    sample_rows: int | None = Field(
        None, ge=1, description="The number of pairs that are drawn at random; null takes all, in the files' order."
    )
    seed: int = Field(0, ge=0, description="The seed of the sample, and of other random choices.")
    max_rows_per_file: int | None = Field(
        None,
        ge=1,
        description="The most rows (lines of JSON lines) that are read from the beginning of each file; null "
        "reads all.",
    )
    shard_rows: int = Field(1000, ge=1, description="The rows of a shard.")
    images: SetImages | None = Field(
        None, description="Where the images are that the pairs name; null where they name none."
    )
    image_filter: Literal["quality", "decodable"] = Field(
        "quality",
        description="Which images are kept: those that pass the stage quality, without duplicates, or all that "
        "can be decoded, such as pages, charts or frames, which look similar and are not the same.",
    )
    require_images_on: Literal["any", "query", "positive", "both"] = Field(
        "any",
        description="Which side must have images and the other none, or whether both must have them; other pairs "
        "are left out. All samples of a dataset have the same fields, so a set that mixes text → image with "
        "image → text becomes several sources.",
    )
    dedup_by_image: bool = Field(
        True,
        description="Whether only the pair with the longest text is kept of pairs text → image with the same image.",
    )

    @property
    def modality(self) -> Modality:
        return Modality.TEXT if self.images is None else Modality.IMAGE

    @property
    def has_images(self) -> bool:
        return self.images is not None

    @property
    def filters_images(self) -> bool:
        return self.image_filter == "quality"


_P = TypeVar("_P", bound=PairDatasetSource)


class PairReader(ABC, Generic[_P]):
    """The reader of a source of existing pairs: rows of PAIR_ROWS.

    counts: `read`, and rows left out: a malformed one by its own reason; `unreadable_rows`, those of a damaged
    Parquet file from where the damage begins; `over_row_limit`, records after the first `max_rows_per_file`;
    `image_side_mismatch`, see `require_images_on`; of a sample also `not_sampled`, and `duplicate_row`, the same pair
    as one that is in it. read = rows + the others.
    Without a sample, pairs that repeat are left for the duplicates stage to find.
    """

    def __init__(self, settings: _P) -> None:
        self.settings = settings
        self.counts: dict[str, int] = {}
        self.bad_records = BadRecords()
        self.not_read = NotRead()
        self._unreadable: dict[str, UnreadableFileError] = {}

    @abstractmethod
    def find(self) -> list[FileInfo]:
        """Finds the files that are read, in order. Raises SettingsError where there are none."""

    @abstractmethod
    def pairs(self) -> Iterator[SourcePair]:
        """Reads the pairs of the files, in order.

        Adds to `bad_records` what is malformed; may count other rows in `counts`.
        """

    def require(self, present: set[str], file: str) -> None:
        """Raises SettingsError for a file whose paths (`column_mapping`) lack one that is needed."""

    def check(self) -> None:
        """Checks the columns of all files. Raises SettingsError for what `shards` would raise because of them."""
        for file, paths in zip(self.files, read_ahead(paths_or_damage, self.files), strict=True):
            self._checked_paths(file, paths)
        self._raise_if_none_is_readable()

    def readable(self, files: Iterable[FileInfo] | None = None) -> Iterator[tuple[FileInfo, set[str]]]:
        """Selects the files that can be read, by their beginning or footer, with their paths.

        The others are noted; whatever lies in a file without any object is a bad record. Raises as `require`.
        """
        for file in self.files if files is None else files:
            present = self._paths_of(file)
            if present:
                yield file, present
            elif present is not None:
                reject_all(file, self.bad_records)

    def _paths_of(self, file: FileInfo) -> set[str] | None:
        """Lists the paths in a file that has what is needed; None for one that cannot be read, which is noted."""
        return self._checked_paths(file, paths_or_damage(file))

    def _checked_paths(self, file: FileInfo, present: set[str] | UnreadableFileError) -> set[str] | None:
        if isinstance(present, UnreadableFileError):
            self._leave_out(present)
            return None
        if present:
            self.require(present, file.url)
        return present

    def records(
        self, file: FileInfo, columns: Collection[str], images: Collection[str] = ()
    ) -> Iterator[tuple[int, Row]]:
        """Reads as `read_records`, up to `max_rows_per_file`; where a file is damaged it ends, and that is noted."""
        records, before = 0, self.bad_records.counts.total()
        try:
            for line, record in read_records(file, self.bad_records, columns, images):
                records += 1
                if self.settings.max_rows_per_file is None or line <= self.settings.max_rows_per_file:
                    yield line, record
                else:
                    self.counts["over_row_limit"] = self.counts.get("over_row_limit", 0) + 1
        except UnreadableFileError as error:
            readable_rows = records + self.bad_records.counts.total() - before
            unreadable = max(0, rows_claimed(file) - readable_rows) if is_parquet(file) else 0
            if unreadable:
                self.counts["unreadable_rows"] = self.counts.get("unreadable_rows", 0) + unreadable
            self._leave_out(error, f"; {readable_rows} rows before the damage were read" if readable_rows else "")

    def _leave_out(self, error: UnreadableFileError, more: str = "") -> None:
        self._unreadable[error.url] = error
        self.not_read.add_file("unreadable_file", error.url, error.detail + more)

    def _raise_if_none_is_readable(self) -> None:
        if self._unreadable and len(self._unreadable) == len(self.files):
            raise next(iter(self._unreadable.values()))

    @cached_property
    def files(self) -> list[FileInfo]:
        """The files of `find`, which is called once. A file that several patterns match is one."""
        files = named_in_unicode(self.find(), self.not_read)
        if self.settings.images is not None:
            self.not_read.forget_others(MEDIA_ENDINGS)
        return list({file.url: file for file in files}.values())

    def identity(self) -> dict[str, Any]:
        """Returns the settings, and name, size and version of each file. Raises SettingsError where there are none."""
        settings = self.settings.canonical()
        for name in ("images", "image_filter", "dedup_by_image"):
            del settings[name]  # which are resolved later, by the names in the rows
        return {**settings, "files": [(file.url, file.size, file.version) for file in self.files]}

    def shards(self) -> Iterator[pa.Table]:
        """Makes tables of `shard_rows` rows with PAIR_ROWS, the last one may be shorter; nothing in them is null."""
        settings = self.settings
        self.counts, self.bad_records, self._unreadable = {}, BadRecords(), {}
        pairs_read = other = 0

        def counted() -> Iterator[SourcePair]:
            nonlocal pairs_read, other
            for pair in self.pairs():
                pairs_read += 1
                if settings.require_images_on in ("any", require_images_on(pair)):
                    yield pair
                else:
                    other += 1

        drawn: dict[str, int] = {}
        rows = draw_pairs(counted(), settings.sample_rows, settings.seed, drawn)
        for shard in in_tables_of(rows, settings.shard_rows):
            yield _with_licence(shard, settings.licence)
        if not pairs_read:
            self._raise_if_none_is_readable()
        skipped = Counter(self.counts) + self.bad_records.counts
        if settings.require_images_on != "any":
            drawn["image_side_mismatch"] = other
        self.counts = {"read": pairs_read + skipped.total(), **skipped, **drawn}

    @property
    def notes(self) -> dict[str, Any]:
        """The rows that are malformed and the files that were not read, for people."""
        return malformed_notes(self.bad_records) | self.not_read.notes()


def paths_or_damage(file: FileInfo) -> set[str] | UnreadableFileError:
    """Lists the paths in a file, as `paths_in`; or the error of one that can't be read."""
    try:
        return paths_in(file)
    except UnreadableFileError as error:
        return error


def draw_pairs(pairs: Iterable[SourcePair], rows: int | None, seed: int, counts: dict[str, int]) -> Iterator[pa.Table]:
    """Draws `rows` pairs at random, as PAIR_ROWS in the order drawn; gives all pairs in order if `rows` is None.

    In one pass and bounded memory: at most 1.25 times `rows` pairs are kept, as Arrow tables. A pair's place is the
    hash of its content under the seed (query, positive, instruction, label; not file, line or negatives), so the
    sample depends neither on the files' order nor on their names, and that of N pairs is the beginning of that of 2N.
    Equal pairs are one, the first. Strings must be Unicode (`json_records.text_of` sees to it). Adds
    `not_sampled` and `duplicate_row` to `counts` where it draws.
    """
    if rows is None:
        yield from map(pairs_table, _blocks(pairs))
        return
    candidates = _Candidates(rows, seed)
    sample = RowSample((candidates.table(block) for block in _blocks(pairs)), rows, seed)
    counts["duplicate_row"] = counts.get("duplicate_row", 0) + sample.repeated
    counts["not_sampled"] = (
        counts.get("not_sampled", 0) + candidates.skipped + sample.rows_read - sample.repeated - len(sample)
    )
    for table in sample.tables():
        yield table.drop_columns(["url", "text"]).rename_columns({_PAIR_URL: "url"}).select(PAIR_ROWS.names)


def require_images_on(pair: SourcePair) -> str:
    """Tells which sides of a pair have images: query, positive, both, or none."""
    if pair.query.images:
        return "both" if pair.positive.images else "query"
    return "positive" if pair.positive.images else "none"


def content_digest(pair: SourcePair) -> bytes:
    """Hashes the content of a pair to 16 bytes: query, positive, instruction and label."""
    return digest(*_parts(pair.query), *_parts(pair.positive), pair.instruction, pair.label)


def _parts(side: Side) -> tuple[str, ...]:
    return (str(len(side.images)), side.text, *side.images)


def _blocks(pairs: Iterable[SourcePair]) -> Iterator[list[SourcePair]]:
    stream = iter(pairs)
    return iter(lambda: list(itertools.islice(stream, _BLOCK)), [])


class _Candidates:
    """Makes tables for `Sample` of those pairs that can still be in it: most of a long stream never are."""

    def __init__(self, rows: int, seed: int) -> None:
        self._rows, self._seed = rows, seed
        self._last = np.uint64(2**64 - 1)  # no pair whose place comes after this one can be in the sample
        self._best = np.empty(0, np.uint64)  # places of the first pairs so far
        self._fresh: list[Hashes] = []
        self.skipped = 0

    def table(self, pairs: list[SourcePair]) -> pa.Table:
        """Makes PAIR_ROWS with the columns `url` and `text` of `Sample`: the halves of each pair's digest."""
        digests = [content_digest(pair) for pair in pairs]
        places = random_numbers(pa.array([each[:8] for each in digests], pa.binary()), self._seed)
        possible = np.flatnonzero(places <= self._last).tolist()
        self.skipped += len(pairs) - len(possible)
        self._fresh.append(places[possible])
        if sum(map(len, self._fresh)) > max(self._rows // 4, _BLOCK):
            self._best = np.unique(np.concatenate([self._best, *self._fresh]))[: self._rows]
            self._fresh = []
            self._last = self._best[-1] if len(self._best) == self._rows else self._last
        table = pairs_table([pairs[at] for at in possible]).rename_columns({"url": _PAIR_URL})
        for name, half in (("url", slice(8)), ("text", slice(8, 16))):
            table = table.append_column(name, pa.array([digests[at][half] for at in possible], pa.binary()))
        return table


def _with_licence(table: pa.Table, default: str) -> pa.Table:
    at = PAIR_ROWS.get_field_index("licence")
    licence = table.column(at)
    return table.set_column(at, PAIR_ROWS.field(at), pc.if_else(pc.equal(licence, ""), default, licence))
