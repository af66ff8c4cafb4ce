"""Where the bytes of items lie, from 16-byte ids to ranges of media tars; and what inspection found of their pictures.

Publishing needs the places of the items that its pairs name, not of all items of the workspace, so item tables are
read one by one and only the wanted rows stay: 48 bytes an item, and a few more while they are put in order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from corpus.item_ids import find_ids, split_ids, unique_ids
from corpus.schema import LOCATION_FIELDS, PARTS_FIELD
from corpus.storage import storage_errors
from corpus.workspace import Workspace

_COLUMNS = [field.name for field in LOCATION_FIELDS]
_INSPECTED = {"phash": pa.uint64(), "rewrite": pa.bool_()}  # columns of the stage `inspect`


@dataclass(frozen=True, eq=False)
class Locations:
    """The places of n items, in ascending order of their ids."""

    ids: np.ndarray  # uint64[2, n], see `split_ids`
    media: np.ndarray  # int32[n], into `media_names`
    offset: np.ndarray  # int64[n], bytes
    size: np.ndarray  # int64[n], bytes
    ext: np.ndarray  # int16[n], into `exts`
    phash: np.ndarray  # uint64[n], of the picture that was judged; 0 where `inspected` is false
    inspected: np.ndarray  # bool[n], whether the item was judged as a picture: clips' frames were not
    rewrite: np.ndarray  # bool[n], whether it is published anew: see `corpus.image.encode`
    media_names: tuple[str, ...]  # paths inside the workspace, or full URLs
    exts: tuple[str, ...]

    def __len__(self) -> int:
        return self.ids.shape[1]

    def find(self, wanted: np.ndarray) -> np.ndarray:
        """The row of each wanted id (uint64[2, k]), int64[k]; -1 where it is not there."""
        return find_ids(self.ids, wanted)

    def take(self, rows: np.ndarray) -> Locations:
        """Only these rows, given in ascending order, and only the tars that they lie in."""
        used, media = np.unique(self.media[rows], return_inverse=True)
        names = tuple(self.media_names[code] for code in used)
        return Locations(
            np.ascontiguousarray(self.ids[:, rows]),
            media.astype(np.int32),
            self.offset[rows],
            self.size[rows],
            self.ext[rows],
            self.phash[rows],
            self.inspected[rows],
            self.rewrite[rows],
            names,
            self.exts,
        )


def known_ids(workspace: Workspace, paths: Sequence[str]) -> np.ndarray:
    """The ids of all items, and of their parts, that item tables know: uint64[2, n], ascending, each once."""
    tables = (_read_places(workspace, path, "") for path in paths)
    return unique_ids(split_ids(table.column("item_id")) for table in tables)


def read_locations(
    workspace: Workspace, paths: Sequence[str], wanted: np.ndarray, inspected: Mapping[str, str] | None = None
) -> Locations:
    """The places of the wanted ids (ascending, uint64[2, k]) that the item tables know, and the parts of their items.

    `inspected` names the table of the stage `inspect` beside each item table that has one. An item that lies in several
    tars is read from the first of them, by path and offset.
    """
    media_codes: dict[str, int] = {}
    ext_codes: dict[str, int] = {}
    kinds = (np.int64, np.int64, np.int64, np.int64, np.int64, np.uint64, np.bool_, np.bool_)
    found: list[tuple[np.ndarray, ...]] = [tuple(np.zeros(0, kind) for kind in kinds)]
    for path in paths:
        table = _read_places(workspace, path, (inspected or {}).get(path, ""))
        places = find_ids(wanted, split_ids(table.column("item_id")))
        rows = np.flatnonzero(places >= 0)
        table = table.take(rows)
        found.append(
            (
                places[rows],
                _encode(table.column("media"), media_codes),
                table.column("offset").to_numpy(),
                table.column("size").to_numpy(),
                _encode(table.column("ext"), ext_codes),
                pc.fill_null(table.column("phash"), 0).to_numpy().astype(np.uint64),
                table.column("phash").is_valid().to_numpy(),
                pc.fill_null(table.column("rewrite"), False).to_numpy(),
            )
        )
    place, media, offset, size, ext, phash, judged, rewrite = (
        np.concatenate(column) for column in zip(*found, strict=True)
    )
    names = list(media_codes)
    rank = np.empty(len(names), np.int64)
    rank[sorted(range(len(names)), key=names.__getitem__)] = np.arange(len(names))
    order = np.lexsort((offset, rank[media.astype(np.int64)], place))
    order = order[np.diff(place[order], prepend=-1) > 0]
    return Locations(
        np.ascontiguousarray(wanted[:, place[order]]),
        media[order].astype(np.int32),
        offset[order],
        size[order],
        ext[order].astype(np.int16),
        phash[order],
        judged[order],
        rewrite[order],
        tuple(names),
        tuple(ext_codes),
    )


def _read_places(workspace: Workspace, path: str, inspected: str) -> pa.Table:
    """An item table's rows that lie somewhere, and the parts of those that consist of parts (`records.PARTS_FIELD`),
    with what was found of each row; of a part nothing is known."""
    with storage_errors(workspace.store.full(path)), workspace.store.open(path) as file:
        parquet = pq.ParquetFile(file)
        has_parts = PARTS_FIELD.name in parquet.schema_arrow.names
        table = parquet.read(columns=[*_COLUMNS, PARTS_FIELD.name] if has_parts else _COLUMNS)
    found = table.select(_COLUMNS)
    beside = workspace.read_table(inspected, list(_INSPECTED)) if inspected else None
    for name, kind in _INSPECTED.items():
        found = found.append_column(name, pa.nulls(found.num_rows, kind) if beside is None else beside.column(name))
    if has_parts:
        parts = table.column(PARTS_FIELD.name).combine_chunks().flatten()
        columns = {name: parts.field(name) for name in _COLUMNS}
        columns |= {name: pa.nulls(len(parts), kind) for name, kind in _INSPECTED.items()}
        found = pa.concat_tables([found, pa.table(columns)])
    return found.filter(pc.and_(found.column("item_id").is_valid(), found.column("media").is_valid()))


def _encode(column: pa.ChunkedArray, codes: dict[str, int]) -> np.ndarray:
    """int64[n]: each string's number in `codes`, which grows by what it doesn't know."""
    encoded = column.combine_chunks().dictionary_encode()
    numbers = [codes.setdefault(name, len(codes)) for name in encoded.dictionary.to_pylist()]
    return np.array(numbers, np.int64)[encoded.indices.to_numpy(zero_copy_only=False)]
