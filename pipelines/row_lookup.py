"""Finds all that the tables of a workspace have about one item, one pair or one shard; runs no stage.

The rows of a shard are those of its source until a stage makes others of them (`Stage.fan_out`: images, clips, pairs).
So a row is found in one table, and the tables with the same rows behind it say what became of it.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from corpus.arrays import one_array
from corpus.execution import count
from corpus.read_ahead import read_ahead
from corpus.schema import ITEM_ID, ITEM_ID_BYTES, PARTS_FIELD, Status
from corpus.settings import SettingsError
from corpus.stage import ITEMS, PAIRS
from corpus.storage import storage_errors
from corpus.workspace import Workspace, owner_name
from pipelines.config import Config
from pipelines.plan import Plan, PlannedTable, Selection
from pipelines.status import plan_run

_MAX_PLACES = 5  # rows of one item that are shown; the others are counted
_MAX_USES = 50  # pairs that are listed
_ID = re.compile(rf"[0-9a-f]{{{2 * ITEM_ID_BYTES}}}")
_SHARD = re.compile(r"(.+)/([0-9]{1,6})")
_MAX_DIGEST_BYTES = 32  # longer values of a fixed size are vectors


@dataclass(frozen=True)
class StageRow:
    """The row of one stage's table: each column as one line, and the status with its reason."""

    stage: str
    status: str
    reason: str
    columns: dict[str, str]


@dataclass(frozen=True)
class FoundRow:
    """A row, and all that the tables of its shard have about it, in the order of the stages."""

    kind: str  # `item`, `part of an item` or `pair`
    owner: str
    shard: str
    row: int
    stages: list[StageRow]
    items: dict[str, list[str]] = field(default_factory=dict)  # of a pair, by side: ids

    @property
    def verdict(self) -> str:
        """Whether it was kept, or which stage removed it and why."""
        removed = next((each for each in self.stages if each.status != Status.KEPT), None)
        if removed is None:
            return f"kept by all {len(self.stages)} stages that are done"
        return f"{removed.status} by {removed.stage}: {removed.reason or 'no reason'}"


@dataclass(frozen=True)
class PairUse:
    """A pair that has an item, and on which side."""

    pair_id: str
    dataset: str
    shard: str
    side: str


@dataclass(frozen=True)
class ShardStage:
    """The table of one stage over a shard: its rows by "status/reason", none where it is not done."""

    stage: str
    owner: str
    state: str
    counts: dict[str, int]


@dataclass(frozen=True)
class ItemPlace:
    """The place of the bytes of an item."""

    media: str
    offset: int
    size: int
    ext: str


@dataclass
class LookupResult:
    """The rows of an item or a pair with the pairs that use it, or the tables of a shard."""

    rows: list[FoundRow] = field(default_factory=list)
    omitted_rows: int = 0
    uses: list[PairUse] = field(default_factory=list)
    omitted_uses: int = 0
    shard: list[ShardStage] = field(default_factory=list)
    place: ItemPlace | None = None  # of the bytes of the item


def find_rows(config: Config, name: str) -> LookupResult:
    """Finds an item or a pair by its id (32 hexadecimal digits), or a shard by SOURCE/SHARD.

    Raises SettingsError where there is none, or the name is neither.
    """
    lookup = _Lookup(Workspace(config.workspace), plan_run(config, Selection(), check=False))
    if _ID.fullmatch(name.lower()):
        found = lookup.by_id(bytes.fromhex(name))
        if not found.rows and not found.uses:
            raise SettingsError(f"{name}: no item and no pair of the {len(lookup.done)} tables that are done")
        return found
    shard = _SHARD.fullmatch(name)
    if shard is None:
        raise SettingsError(f"{name}: neither an id (32 hexadecimal digits) nor SOURCE/SHARD, such as laion/000000")
    stages = lookup.of_shard(shard[1], f"{int(shard[2]):06d}")
    if not stages:
        raise SettingsError(
            f"{name}: no such shard; sources that were read: {', '.join(lookup.plan.indexes) or 'none'}"
        )
    return LookupResult(shard=stages)


def write_picture(config: Config, name: str, path: Path) -> Path:
    """Writes the bytes of an item to a file, whose name gets the item's extension where it has none; returns its path.

    Raises SettingsError where no item has the id, and for one that has no bytes itself but parts.
    """
    if not _ID.fullmatch(name.lower()):
        raise SettingsError(f"--picture: {name} is not the id of an item")
    lookup = _Lookup(Workspace(config.workspace), plan_run(config, Selection(), check=False))
    place = lookup.place(bytes.fromhex(name))
    path = path if path.suffix else path.with_name(f"{path.name}.{place.ext}")
    data = read_item(config, place)
    with storage_errors(str(path)):
        path.write_bytes(data)
    return path


def read_item(config: Config, place: ItemPlace) -> bytes:
    """Returns the bytes of an item."""
    [data] = Workspace(config.workspace).store.read_ranges([(place.media, place.offset, place.size)])
    return data


class _Lookup:
    """The tables of a plan that are done, and which of them have the same rows."""

    def __init__(self, workspace: Workspace, plan: Plan) -> None:
        self.workspace = workspace
        self.plan = plan
        tables = [each for _, planned in plan.steps for each in planned]
        self.done = {each.task.output: each for each in tables if each.state == "done"}

    def by_id(self, requested: bytes) -> LookupResult:
        """Finds the rows of an id, and the pairs that use it as an item."""
        found = LookupResult()
        for table, kind, row in self._places(requested):
            if len(found.rows) < _MAX_PLACES:
                found.rows.append(self._row(table, kind, row))
            else:
                found.omitted_rows += 1
            if kind != "pair" and found.place is None:
                found.place, _ = self._place_and_parts(table, row, requested)
        for use in self._uses(requested):
            if len(found.uses) < _MAX_USES:
                found.uses.append(use)
            else:
                found.omitted_uses += 1
        return found

    def of_shard(self, source: str, shard: str) -> list[ShardStage]:
        """Returns the tables of all stages over a shard of a source."""
        tables = [
            table
            for _, planned in self.plan.steps
            for table in planned
            if table.node.source == source and table.task.shard == shard
        ]
        return [
            ShardStage(table.node.stage.name, owner_name(table.node.table_key.owner), table.state, counts)
            for table, counts in zip(tables, read_ahead(self._counts, tables), strict=True)
        ]

    def place(self, item: bytes) -> ItemPlace:
        """Returns where the bytes of an item lie. Raises SettingsError."""
        for table, kind, row in self._places(item):
            if kind == "pair":
                continue
            place, parts = self._place_and_parts(table, row, item)
            if place is not None:
                return place
            if parts:
                ids = ", ".join(part.hex() for part in parts)
                raise SettingsError(f"{item.hex()} has no bytes itself, it consists of parts: name one of {ids}")
        raise SettingsError(f"--picture: no item {item.hex()} has bytes in the {len(self.done)} tables that are done")

    def _place_and_parts(self, table: PlannedTable, row: int, item: bytes) -> tuple[ItemPlace | None, list[bytes]]:
        """Returns where the bytes of an item of a row lie, and the ids of the parts that the row consists of."""
        columns = ["item_id", "media", "offset", "size", "ext", PARTS_FIELD.name]
        fields = self.workspace.read_present(table.task.output, columns).slice(row, 1).to_pylist()[0]
        parts = fields.get(PARTS_FIELD.name) or []
        places = (
            ItemPlace(part["media"], part["offset"], part["size"], part["ext"])
            for part in (fields, *parts)
            if part["item_id"] == item and part["media"] is not None
        )
        return next(places, None), [part["item_id"] for part in parts]

    def _counts(self, table: PlannedTable) -> dict[str, int]:
        if table.task.output not in self.done:
            return {}
        return dict(sorted(count(self.workspace.read_table(table.task.output, ["status", "reason"])).items()))

    def _places(self, requested: bytes) -> Iterator[tuple[PlannedTable, str, int]]:
        """Yields the table, the kind and the row of each item, part of an item, or pair with an id."""
        items = {path for each in self.done.values() for name, path in each.task.inputs if name == ITEMS}
        tables = [each for path, each in self.done.items() if path in items or each.node.stage.name == PAIRS]
        for table, found in zip(tables, read_ahead(partial(self._rows_of, requested), tables), strict=True):
            yield from ((table, kind, row) for kind, row in found)

    def _rows_of(self, requested: bytes, table: PlannedTable) -> list[tuple[str, int]]:
        is_pairs = table.node.stage.name == PAIRS
        column = "pair_id" if is_pairs else "item_id"
        read = self.workspace.read_present(table.task.output, [column, *(() if is_pairs else (PARTS_FIELD.name,))])
        rows = np.flatnonzero(_is_id(read.column(column), requested))
        found = [("pair" if is_pairs else "item", int(row)) for row in rows]
        if PARTS_FIELD.name in read.column_names:
            lists = one_array(read.column(PARTS_FIELD.name))
            ids, parents = pc.list_flatten(lists).field("item_id"), pc.list_parent_indices(lists)
            found += [
                ("part of an item", int(row)) for row in np.unique(parents.filter(_mask(ids, requested)).to_numpy())
            ]
        return found

    def _uses(self, item: bytes) -> Iterator[PairUse]:
        """Yields the pairs that have an item, also as a negative of any stage, each side once."""
        tables = [
            table
            for table in self.done.values()
            if table.node.dataset and (table.node.stage.name == PAIRS or "negatives" in table.node.stage.schema.names)
        ]
        for table, found in zip(tables, read_ahead(partial(self._uses_of, item), tables), strict=True):
            if not found:
                continue
            pairs = self._pair_ids(table)
            for side, row in found:
                yield PairUse(pairs[row].as_py().hex(), table.node.dataset, table.task.shard, side)

    def _uses_of(self, item: bytes, table: PlannedTable) -> list[tuple[str, int]]:
        columns = ["query", "positive", "negatives"] if table.node.stage.name == PAIRS else ["negatives"]
        read = self.workspace.read_present(table.task.output, columns)
        found: list[tuple[str, int]] = []
        for side in read.column_names:
            column = one_array(read.column(side))
            parents = None
            if side == "negatives":
                parents = pc.list_parent_indices(column).to_numpy()
                column = pc.list_flatten(column)
            if not pa.types.is_struct(column.type):
                continue
            lists = pc.struct_field(column, "items")
            at = pc.list_parent_indices(lists).filter(_mask(pc.list_flatten(lists), item)).to_numpy()
            rows = np.unique(at if parents is None else parents[at])
            name = "negative" if side == "negatives" else side
            found += [(name, int(row)) for row in rows]
        return found

    def _pair_ids(self, table: PlannedTable) -> pa.ChunkedArray:
        first = self.done[self._first(table.task.output)]
        return self.workspace.read_table(first.task.output, ["pair_id"]).column("pair_id")

    def _row(self, table: PlannedTable, kind: str, row: int) -> FoundRow:
        paths = self._same_rows(table)
        tables = read_ahead(lambda path: self.workspace.read_table(path).slice(row, 1), paths)
        stages = [_stage_row(self._stage(path), read) for path, read in zip(paths, tables, strict=True)]
        key = table.node.table_key
        items = {}
        if kind == "pair":
            columns = ["query", "positive", "negatives"]
            fields = self.workspace.read_present(table.task.output, columns).slice(row, 1).to_pylist()[0]
            items = {side: _items(fields[side]) for side in columns if side in fields}
        return FoundRow(kind, owner_name(key.owner), table.task.shard, row, stages, items)

    def _same_rows(self, table: PlannedTable) -> list[str]:
        """Returns the paths of the tables with the same rows as a table, in the order of the stages."""
        first = self._first(table.task.output)
        others = [path for path in self.done if path != first and self._first(path) == first]
        return [first, *others]

    def _first(self, path: str) -> str:
        """Returns the first of the tables with the same rows as one: of a stage with `fan_out`, or of the source."""
        table = self.done.get(path)
        while table is not None and not table.node.stage.fan_out:
            stage, shard = table.node.stage, f"/{table.task.shard}."
            inputs = [each for name, each in table.task.inputs if name not in stage.side_inputs and shard in each]
            if not inputs:
                break
            path = inputs[0]
            table = self.done.get(path)
        return path

    def _stage(self, path: str) -> str:
        table = self.done.get(path)
        return table.node.stage.name if table is not None else path.split("/")[-2]


def _is_id(column: pa.ChunkedArray, requested: bytes) -> np.ndarray:
    return _mask(column, requested).to_numpy(zero_copy_only=False)


def _mask(ids: pa.Array | pa.ChunkedArray, requested: bytes) -> pa.Array:
    return pc.fill_null(pc.equal(one_array(ids), pa.scalar(requested, ITEM_ID)), False)


def _items(side: Any) -> list[str]:
    """Returns the ids of the items of a side, or of all negatives."""
    sides: Sequence[Mapping[str, Any]] = side if isinstance(side, list) else [side] if side else []
    return [item.hex() for each in sides for item in each["items"]]


def _stage_row(stage: str, row: pa.Table) -> StageRow:
    columns = {
        name: column_line(row.column(name)[0].as_py(), row.schema.field(name).type)
        for name in row.column_names
        if name not in ("status", "reason")
    }
    fields = row.select([name for name in ("status", "reason") if name in row.column_names]).to_pylist()[0]
    return StageRow(stage, fields.get("status", str(Status.KEPT)), fields.get("reason", ""), columns)


def column_line(value: Any, kind: pa.DataType) -> str:
    """Returns a value as one line: bytes as hexadecimal digits, vectors as their length and norm."""
    if isinstance(value, bytes) and pa.types.is_fixed_size_binary(kind) and kind.byte_width > _MAX_DIGEST_BYTES:
        return _vector_line(np.frombuffer(value, np.float16).astype(np.float64))
    if isinstance(value, list) and value and all(isinstance(each, float) for each in value):
        return _vector_line(np.array(value))
    if isinstance(value, str):
        return value
    return json.dumps(value, default=lambda each: each.hex() if isinstance(each, bytes) else str(each))


def _vector_line(vector: np.ndarray) -> str:
    return f"vector of {len(vector)}, norm {math.sqrt(float(vector @ vector)):.4f}"
