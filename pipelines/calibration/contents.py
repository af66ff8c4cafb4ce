"""Loads what a person sees of sampled rows: thumbnails of their images, and their texts."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from corpus.image.encode import encode_jpeg
from corpus.image.pixel_budget import PixelBudget, UndecodableError, decode_to_budget
from corpus.item_ids import split_ids, unique_ids
from corpus.item_index import read_locations
from corpus.media import read_contents
from corpus.schema import FRAME_EXT, ITEM_ID, LOCATION_FIELDS, PARTS_FIELD
from corpus.stage import ITEMS, PAIRS, ROWS
from corpus.storage import storage_errors
from corpus.thresholds import Shows
from corpus.workspace import Workspace
from pipelines.calibration.cuts import TablePaths
from pipelines.calibration.rows import Part, SampledRows

_THUMBNAIL_PX = 112  # a square of so many pixels; other shapes have the same area
_BUDGET = PixelBudget(max_pixels=_THUMBNAIL_PX**2, max_aspect_ratio=1_000)
_QUALITY = 78
_FRAMES = 3  # of a clip
_DECODED_TOGETHER = 32
_SIDES = ("query", "positive")
ITEM_COLUMNS = (*(each.name for each in LOCATION_FIELDS), PARTS_FIELD.name)

Address = tuple[int, int]  # part in `Sample.parts`, row within it
ByteRange = tuple[str, int, int]  # media, offset, size


@dataclass
class RowContent:
    """The content of a row: its texts, and the ids of its images with the places of their bytes."""

    texts: list[str] = field(default_factory=list)
    items: list[bytes] = field(default_factory=list)
    ranges: list[ByteRange] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.texts or self.items)

    @property
    def key(self) -> tuple[tuple[str, ...], tuple[bytes, ...]]:
        """What it shows: equal for rows that show the same."""
        return tuple(self.texts), tuple(self.items)


def read_contents_of(
    workspace: Workspace, paths: TablePaths, sample: SampledRows, requested: Mapping[Address, Shows]
) -> dict[Address, RowContent]:
    """Reads the texts of rows, and where their images lie. Decodes nothing."""
    rows = {address: RowContent() for address in requested}
    by_part: dict[int, list[Address]] = {}
    for address in sorted(requested):
        by_part.setdefault(address[0], []).append(address)
    for number, addresses in by_part.items():
        part = sample.parts[number]
        at = part.rows[np.array([row for _, row in addresses])]
        table = _Rows(workspace, paths, part, at)
        _fill(table, [rows[each] for each in addresses], [requested[each] for each in addresses])
    _locate(workspace, paths, [row for row in rows.values() if not row.ranges])
    return rows


@dataclass(frozen=True)
class _Rows:
    """Some rows of the tables of one shard."""

    workspace: Workspace
    paths: TablePaths
    part: Part
    at: np.ndarray

    def read(self, name: str, columns: Sequence[str]) -> list[dict[str, Any]]:
        """Returns those of the columns that the table has; no rows where there is no such table."""
        path = self.paths.path(self.part.node, self.part.shard, name)
        if path is None and name == ITEMS:  # the rows of a stage that fans out: its table has their items
            inputs = self.paths.inputs(self.part.node, self.part.shard)
            path = inputs[0] if inputs else None
        if path is None:
            return []
        with storage_errors(path), self.workspace.store.open_native(path) as file:
            table = pq.ParquetFile(file)
            present = [column for column in columns if column in table.schema_arrow.names]
            return table.read(columns=present).select(present).take(self.at).to_pylist()


def _fill(table: _Rows, rows: Sequence[RowContent], shows: Sequence[Shows]) -> None:
    """Fills in the texts and the places of the images of some rows of one shard."""
    if table.part.node.dataset:
        _fill_pairs(table.read(PAIRS, _SIDES), rows, shows)
        return
    if any(show is not Shows.TEXT for show in shows):
        for row, show, item in zip(rows, shows, table.read(ITEMS, ITEM_COLUMNS), strict=False):
            if show is not Shows.TEXT:
                add_item(row, item)
    if any(show is not Shows.ITEM for show in shows):
        for row, show, fields in zip(rows, shows, table.read(ROWS, ("text", *_SIDES)), strict=False):
            if show is not Shows.ITEM:
                row.texts += _texts(fields)


def _fill_pairs(pairs: Sequence[dict[str, Any]], rows: Sequence[RowContent], shows: Sequence[Shows]) -> None:
    for row, show, pair in zip(rows, shows, pairs, strict=False):
        sides = [pair[name] for name in _SIDES if pair[name] is not None]
        if show is not Shows.ITEM:
            row.texts += [side["text"] for side in sides if side["text"]]
        if show is not Shows.TEXT:
            row.items += [item for side in sides for item in side["items"]]


def _texts(fields: Mapping[str, Any]) -> list[str]:
    """Returns the texts of a source's row: the sides of a pair, or the text of an image."""
    sides = [fields[name]["text"] for name in _SIDES if isinstance(fields.get(name), dict)]
    return [text for text in (*sides, fields.get("text")) if text]


def add_item(row: RowContent, item: Mapping[str, Any], max_frames: int = _FRAMES) -> None:
    """Adds the place of an item's bytes; of a clip, those of some of its frames, evenly spread."""
    parts = [item] if item.get("item_id") is not None else []
    if item.get("media") is None:
        frames = [part for part in item.get(PARTS_FIELD.name) or () if part["ext"] == FRAME_EXT]
        places = np.linspace(0, len(frames) - 1, min(max_frames, len(frames))).round().astype(int)
        parts = [frames[at] for at in places]
    row.items += [part["item_id"] for part in parts]
    row.ranges += [(part["media"], part["offset"], part["size"]) for part in parts]


def read_candidates(
    workspace: Workspace, paths: TablePaths, sample: SampledRows, column: str, places: Mapping[Address, Collection[int]]
) -> dict[tuple[Address, int], RowContent]:
    """Reads the items, positives or names that are candidates of rows, by the row's address and the candidate's place
    in its list. `column` is that of `Threshold.candidate_ids`.
    """
    name, _, field_name = column.partition(".")
    fields: dict[tuple[Address, int], Any] = {}
    datasets: dict[Any, str] = {}
    for (number, row), chosen in places.items():
        part = sample.parts[number]
        entries = next(table for table in part.tables.values() if name in table.column_names).column(name)[row].as_py()
        for place in chosen:
            fields[(number, row), place] = entries[place][field_name]
            datasets[entries[place][field_name]] = part.node.dataset
    if field_name == "pair_id":
        found = _positives(workspace, paths, datasets)
    else:
        is_item = field_name == "item_id"
        found = {each: RowContent(items=[each]) if is_item else RowContent([str(each)]) for each in datasets}
    contents = {at: found[each] for at, each in fields.items() if each in found}
    _locate(workspace, paths, list({id(row): row for row in contents.values()}.values()))
    return contents


def _positives(workspace: Workspace, paths: TablePaths, datasets: Mapping[bytes, str]) -> dict[bytes, RowContent]:
    """Reads the positives of pairs by their ids; of tables without any of them only the ids."""
    listed = pa.array(list(datasets), ITEM_ID)
    found: dict[bytes, RowContent] = {}
    for path in paths.pair_tables(set(datasets.values())):
        at = np.flatnonzero(np.asarray(pc.is_in(workspace.read_table(path, ["pair_id"]).column(0), listed)))
        if not len(at):
            continue
        for pair in workspace.read_table(path, ["pair_id", "positive"]).take(at).to_pylist():
            side = pair["positive"] or {"text": "", "items": []}  # a removed pair has none
            found[pair["pair_id"]] = RowContent([side["text"]] if side["text"] else [], list(side["items"]))
    return found


def _locate(workspace: Workspace, paths: TablePaths, rows: Sequence[RowContent]) -> None:
    """Finds where the items of pairs lie, in the item tables of all sources."""
    rows = [row for row in rows if row.items]
    if not rows:
        return
    ids = unique_ids([split_ids(pa.array([item for row in rows for item in row.items], ITEM_ID))])
    locations = read_locations(workspace, paths.all(ITEMS), ids)
    for row in rows:
        for at in locations.find(split_ids(pa.array(row.items, ITEM_ID))).tolist():
            if at >= 0:
                media = locations.media_names[locations.media[at]]
                row.ranges.append((media, int(locations.offset[at]), int(locations.size[at])))


def thumbnails(workspace: Workspace, ranges: Iterable[ByteRange]) -> dict[ByteRange, bytes]:
    """Returns small JPEGs of images, without those that do not decode. A few are read at a time, each once."""
    ordered = sorted(set(ranges))
    if not ordered:
        return {}
    media, offsets, sizes = zip(*ordered, strict=True)
    contents = read_contents(
        workspace.store, pa.table({"media": pa.array(media, pa.string()), "offset": offsets, "size": sizes})
    )
    found: dict[ByteRange, bytes] = {}
    with ThreadPoolExecutor() as pool:
        while together := list(islice(contents, _DECODED_TOGETHER)):
            decoded = pool.map(_thumbnail, [data for _, data in together])
            found.update({ordered[at]: data for (at, _), data in zip(together, decoded, strict=True) if data})
    return found


def _thumbnail(data: bytes) -> bytes:
    """Returns a small JPEG of an image, empty where it does not decode."""
    try:
        return encode_jpeg(decode_to_budget(data, _BUDGET), _QUALITY, full_colours=False)
    except UndecodableError:
        return b""
