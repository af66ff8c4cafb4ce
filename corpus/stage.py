"""Stages: the declaration of each kind, and the shard that a stage works on.

A stage is data plus one function. It says what it reads, what it writes and what it needs, never where it runs.
Around it, once for all stages (see `corpus.execution`): reading its inputs, leaving out the rows that an earlier stage
removed, finding the row that breaks it, counting, and writing its table.
"""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, ClassVar, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from corpus.journal import Journal
from corpus.media import MediaWriter, read_contents, read_media_parts
from corpus.pool import Pool, PoolRead
from corpus.schema import PARTS_FIELD, Status
from corpus.settings import Settings
from corpus.storage import Store
from corpus.thresholds import Threshold
from corpus.workspace import split_content

# Tables that are known by their role, because each kind of source makes them in its own way.
ROWS = "rows"  # what the source says of each row: url, text, licence ...
ITEMS = "items"  # where each row's bytes lie: the table of the source's gather stage (`download`, `index` ...)
VERDICT = "verdict"  # status and reason of each row so far: the table of the last stage that filters the items
PAIRS = "pairs"  # the pairs of a dataset: the table of the stage that makes them, in a way of each kind of dataset
PAIR_VERDICT = "pair_verdict"  # status and reason of each pair so far: the table of the last stage that filters pairs
ITEM_VECTORS = "item_vectors"  # a vector of each item: item_id, vector, vector_reason, key
ITEM_NEIGHBOURS = "item_neighbours"  # the items that are near to each item by their vectors
LEAKS = "leaks"  # the items of evaluation sets that each item is near to: the table of the stage `leaks`
EVALUATION_INDEX = "evaluation_index"  # what an evaluation set is held against items and pairs by


class Gives(StrEnum):
    """The kinds of things that the rows of a source become."""

    IMAGES = "images"
    CLIPS = "clips"
    PAIRS = "pairs"


class SourcePlug(Protocol):
    """The facts about a source that its settings tell stages (`pipelines.sources.base.SourceSettings`)."""

    @property
    def gives(self) -> Gives:
        """What its rows become: images, clips or pairs."""
        ...

    @property
    def in_place(self) -> bool:
        """Whether its rows say where the images lie, so that nothing is downloaded."""
        ...

    @property
    def has_images(self) -> bool:
        """Whether its rows name images."""
        ...

    @property
    def has_labels(self) -> bool:
        """Whether its pairs have class labels."""
        ...

    @property
    def filters_images(self) -> bool:
        """Whether its images are filtered by quality and deduplicated."""
        ...


@dataclass(frozen=True)
class SourceInfo:
    """A source as a stage sees it when the run graph is built: whether the stage applies to it, and with what."""

    name: str
    plug: SourcePlug
    stages: Any  # the settings of all stages, each an attribute
    workspace: str
    tables: frozenset[str] = frozenset()  # names and roles of the tables that earlier stages write
    datasets: tuple[Any, ...] = ()  # the settings of the datasets that are made of it
    dataset: str = ""  # of a stage over pairs: their dataset
    is_evaluation: bool = False  # it is an evaluation set: measured like a source, never judged, paired or published
    evaluation: Mapping[str, Any] = field(default_factory=dict)  # the settings of all evaluation sets, by name


@dataclass(frozen=True, slots=True)
class Resources:
    """The resources of one worker of a stage. Engines turn it into processes, actors and placement."""

    cpus: float = 1.0
    gpus: float = 0.0
    holds_model: bool = False  # `setup` is expensive: keep the worker for the whole run
    in_flight: int = 1  # shards that one worker works on at once, each on a thread of its own
    waits_on_network: bool = False  # it computes next to nothing: on one machine it takes no core from other stages


@dataclass(frozen=True)
class Shard:
    """The live rows of one shard: those that no table the stage reads has removed.

    `tables` holds each read table cut to the live rows; `rows` their positions in the shard, int64[n]; `ordinal` the
    shard's number among all shards of the run, so that (ordinal, row) addresses a row of the whole workspace. Tables
    with rows of another kind are in `side_inputs`, whole; tables of all shards in `pools`, unread. What the stage's
    function puts into `metrics` goes into the run's record, with the shard's counts.
    """

    source: str
    name: str
    ordinal: int
    rows: np.ndarray
    tables: Mapping[str, pa.Table]
    store: Store
    media: MediaWriter | None = field(default=None, compare=False)
    generation: int = 0  # above 0: made again although nothing that the table depends on has changed
    metrics: dict[str, Any] = field(default_factory=dict, compare=False)
    side_inputs: Mapping[str, pa.Table] = field(default_factory=dict)
    pools: Mapping[str, Pool] = field(default_factory=dict)
    journal: Journal | None = field(default=None, compare=False)  # of a stage with a `journal_schema`

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, table: str) -> pa.Table:
        return self.tables[table] if table in self.tables else self.side_inputs[table]

    @property
    def row_addresses(self) -> np.ndarray:
        """The live rows' addresses in the whole workspace, int64[n]: ordinal × 2³² + row."""
        return (np.int64(self.ordinal) << np.int64(32)) + self.rows

    def slice(self, start: int, stop: int) -> Shard:
        """Returns the same shard with live rows start:stop only."""
        tables = {name: table.slice(start, stop - start) for name, table in self.tables.items()}
        return replace(self, rows=self.rows[start:stop], tables=tables)

    def take(self, places: np.ndarray) -> Shard:
        """Returns the same shard with some of its live rows only, `places` counted within them."""
        tables = {name: table.take(places) for name, table in self.tables.items()}
        return replace(self, rows=self.rows[places], tables=tables)

    def parts(self, exts: Collection[str]) -> Iterator[tuple[int, list[bytes]]]:
        """Yields (row, contents) of every live row's item that consists of parts: those with one of the extensions."""
        return read_media_parts(self.store, self.tables[ITEMS].column(PARTS_FIELD.name), exts)

    def contents(self) -> Iterator[tuple[int, bytes]]:
        """Yields (row, bytes) of every live row's item, `row` counted within the live rows.

        In the order in which the bytes lie, not in row order: scatter by `row`. A few MiB are held at a time.
        """
        return read_contents(self.store, self.tables[ITEMS])


class Stage(ABC):
    """The declaration that all stages share. Subclasses set class attributes and take settings in `__init__`."""

    name: ClassVar[str]
    version: ClassVar[int] = 1  # raise it when the same settings give other results: its tables become stale
    reads: tuple[str, ...]  # tables of the same shard; a row removed in any of them is not live
    side_inputs: tuple[str, ...] = ()  # which of these have rows of another kind (the images of pairs): given whole
    pools: tuple[PoolRead, ...] = ()  # tables of all shards that it reads besides; of a map stage only
    settings_key: ClassVar[str] = ""  # where its settings are under `stages:`; "": it has none there
    settings_type: ClassVar[type[Settings]] = Settings
    over: ClassVar[frozenset[Gives]] = frozenset()  # the kinds of sources that it may apply to
    summary: ClassVar[str] = ""  # what its table holds of each row, for the table in docs/stages.md
    reasons: ClassVar[Mapping[str, str]] = {}  # that its rows may have besides those of `thresholds`: what each means
    optional_reads: ClassVar[tuple[str, ...]] = ()  # tables that some of its instances read besides
    roles: ClassVar[tuple[str, ...]] = ()  # that its table has from then on, for later stages
    over_pairs: ClassVar[bool] = False  # over the pairs of datasets, not over the rows of sources
    branch: ClassVar[str] = ""  # its rows, and those of later stages of the branch, are others than the source's items
    filters_rows: ClassVar[bool] = True  # its table has the status of the source's rows: the funnel counts it
    over_evaluation: ClassVar[bool] = False  # over evaluation sets as well: it measures, and removes nothing
    schema: pa.Schema  # its own columns, nullable (a removed row has nulls); `status`, `reason` are added
    resources: Resources = Resources()
    nondeterministic: ClassVar[bool] = False  # not a function of its settings (a download): has generations
    writes_media: ClassVar[bool] = False  # adds items to `Shard.media`
    # The columns of what it notes of a shard that it works on, so that a killed download goes on inside the shard.
    journal_schema: ClassVar[pa.Schema | None] = None
    fan_out: ClassVar[bool] = False  # makes any number of rows from a row: its table starts a new run of rows
    # Of a stage that is a function of its settings: reasons of rows that failed for want of time or memory, so that
    # another attempt may succeed. Rows that raised (`error:...`) always are among these.
    transient_reasons: ClassVar[frozenset[str]] = frozenset()
    # Of a stage with `fan_out`: columns of its table that tell where a row came from, and the columns of ROWS that they
    # are taken from. A row that raises keeps these, and nothing else.
    origin_columns: ClassVar[Mapping[str, str]] = {}
    # It is given, after its own shard, the shards in which the rows that begin in its own go on
    # (`SourceIndex.continues_in`), and its table has the rows that are at home in its shard (column `home`). A row is
    # wrong without its neighbours, so the shard is not bisected when the stage raises.
    lookahead_shards: ClassVar[bool] = False
    include_removed: ClassVar[bool] = False  # it is given all rows, those that were removed among them
    thresholds: ClassVar[tuple[Threshold, ...]] = ()  # those of its settings that decide about rows by a number
    # Columns that address rows by their numbers in one run, which change when sources are added. No stage reads them,
    # and they are no part of the digest of the table's content.
    address_columns: ClassVar[tuple[str, ...]] = ()

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    @classmethod
    def applies_to(cls, source: SourceInfo) -> bool:
        """Returns whether the stage runs over a source."""
        return source.plug.gives in cls.over

    @classmethod
    def create(cls, source: SourceInfo) -> Stage:
        """Returns the stage over a source that it applies to."""
        return cls(cls.settings_of(source))

    @classmethod
    def conflicts(cls, sources: Mapping[str, SourcePlug], stages: Any) -> Iterator[str]:
        """Lists `stages.key: what is wrong` where its settings do not go with the sources, or with other stages'
        settings.
        """
        return iter(())

    @classmethod
    def settings_of(cls, source: SourceInfo) -> Any:
        """Returns its settings in a configuration."""
        return getattr(source.stages, cls.settings_key) if cls.settings_key else Settings()

    def active_thresholds(self) -> tuple[Threshold, ...]:
        """Returns `thresholds` as its own settings have them: which column decides may be a setting."""
        return self.thresholds

    @classmethod
    def settings_path(cls, dataset: str) -> str:
        """Returns where the settings of an instance are in a settings file; `dataset` of a stage over pairs."""
        return f"stages.{cls.settings_key}"

    @property
    def has_early_cutoff(self) -> bool:
        """Whether later stages depend on the content of its tables, not on all that these were made from.

        True where a table depends on more than its own shard: there, most of what changes elsewhere changes no row.
        """
        return self.lookahead_shards or any(pool.fingerprinted for pool in self.pools)

    def fingerprint_inputs(self) -> dict[str, Any]:
        """Returns all that the stage's tables depend on besides its version and the tables it reads."""
        return self.settings.canonical()

    def retryable_reasons(self, table: pa.Table) -> pa.ChunkedArray:
        """Returns why each row of one of its tables may be worth another try; "" for a row that isn't (string[n])."""
        reason = table.column("reason")
        failed = pc.equal(table.column("status"), str(Status.FAILED))
        if not self.nondeterministic:
            transient = pc.is_in(reason, pa.array(sorted(self.transient_reasons), pa.string()))
            failed = pc.and_(failed, pc.or_(transient, pc.starts_with(reason, "error:")))
        return pc.if_else(failed, reason, "")


class MapStage(Stage):
    """A function from a shard to a table."""

    def prepare(self) -> None:
        """Prepares what all workers will read: once, where the run is started, before shards are handed out."""

    @abstractmethod
    def setup(self) -> Callable[[Shard], pa.Table]:
        """Sets a worker up, once: loads the model, starts the pool. Returns the stage's function.

        The function gives one row for each live row, in order (unless it has `fan_out`), with the columns of
        `schema` and, where it filters or fails rows, `status` and `reason`. It need not care for rows that raise:
        the shard is then bisected to them. With `resources.in_flight` > 1 it is called from several threads. If it has
        a method `close`, that is called when the worker is done with the stage.
        """


class ShuffleStage(Stage):
    """A function over rows that share a key, wherever in the workspace they lie.

    map -> shuffle by `key` -> reduce -> finalize. The results must not depend on how rows are spread over shards,
    partitions and workers: sort before anything that depends on order.
    """

    # Columns of what `map` returns that address rows, and how many numbers a row takes in them (with 2, a row has the
    # numbers 2 × address and 2 × address + 1).
    emitted_addresses: ClassVar[Mapping[str, int]] = {}
    # Columns of what `reduce` returns that make each row an edge, by addresses: from the row itself to one that it was
    # joined with. What `finalize` returns of a component's rows depends on these alone then, so that it may be called
    # with some whole components at a time (`pipelines.shuffle_results`).
    edge_columns: ClassVar[tuple[str, str] | None] = None
    keeps_emitted: bool = False  # what `map` returned is kept, shard by shard, for its next run (`corpus.emitted`)

    @property
    def has_early_cutoff(self) -> bool:
        """True: its tables depend on the rows of all shards."""
        return True

    @abstractmethod
    def map(self, shard: Shard) -> pa.Table:
        """Returns rows with a uint64 `key` column, and whatever `reduce` needs; `shard.row_addresses`
        addresses rows.
        """

    @abstractmethod
    def reduce(self, rows: pa.Table) -> pa.Table:
        """Reduces all rows of some keys to narrow rows (say, edges)."""

    @abstractmethod
    def finalize(self, reduced: pa.Table) -> pa.Table:
        """Turns all reduced rows into results by row: `row_address` (int64), the columns of `schema`, `status`,
        `reason`.

        A row that is not mentioned keeps its status and has null in the columns of `schema`.
        """


def unknown_sources(where: str, named: Collection[str], known: Collection[str], what: str) -> Iterator[str]:
    """Yields what is wrong with settings that name sources, where `what` (a source of images, say) has no such name."""
    for name in named:
        if name not in known:
            yield f"{where}: no {what} {name!r}; there is {', '.join(sorted(known)) or 'none'}"


def fingerprint_parts(stage: Stage, inputs: Mapping[str, str], generation: int = 0) -> dict[str, Any]:
    """Returns all that goes into a fingerprint, as JSON-compatible data; `inputs` maps table names to fingerprints."""
    return {
        "stage": stage.name,
        "version": stage.version,
        "settings": stage.fingerprint_inputs(),
        "inputs": dict(inputs),
        "generation": generation,
    }


def fingerprint(parts: Mapping[str, Any]) -> str:
    """Returns the name of a table's content: 16 hex digits, and `-gN` for a generation N above 0."""
    hashed = {key: value for key, value in parts.items() if key != "generation"}
    text = json.dumps(hashed, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    generation = parts.get("generation", 0)
    return hashlib.sha256(text.encode()).hexdigest()[:16] + (f"-g{generation}" if generation else "")


def split_generation(name: str) -> tuple[str, int]:
    """Returns the hash and the generation number of the fingerprint in a table's name."""
    base, _, generation = split_content(name)[0].partition("-g")
    return base, int(generation or 0)
