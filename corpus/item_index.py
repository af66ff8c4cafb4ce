"""The index of items: from 16-byte ids to byte ranges of media tars, with the results of inspection.

Publishing needs the items of its pairs, not all items of the workspace, so item tables are read one by one, and only
the rows of these are kept: 48 bytes an item, and a few more while they are sorted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from corpus.item_ids import find_ids, split_ids, unique_ids
from corpus.read_ahead import read_ahead
from corpus.schema import LOCATION_FIELDS, PARTS_FIELD
from corpus.workspace import Workspace

_COLUMNS = [field.name for field in LOCATION_FIELDS]
_INSPECTED = {"phash": pa.uint64(), "rewrite": pa.bool_()}  # columns of the stage `image_stats`


@dataclass(frozen=True, eq=False)
class Locations:
    """The locations of n items, in ascending order of their ids."""

    ids: np.ndarray  # uint64[2, n], see `split_ids`
    media: np.ndarray  # int32[n], into `media_names`
    offset: np.ndarray  # int64[n], bytes
    size: np.ndarray  # int64[n], bytes
    ext: np.ndarray  # int16[n], into `exts`
    phash: np.ndarray  # uint64[n], of the inspected picture; 0 where `inspected` is false
    inspected: np.ndarray  # bool[n], whether the picture was inspected: the frames of clips were not
    rewrite: np.ndarray  # bool[n], whether it is re-encoded: see `corpus.image.encode`
    media_names: tuple[str, ...]  # paths inside the workspace, or full URLs
    exts: tuple[str, ...]

    def __len__(self) -> int:
        return self.ids.shape[1]

    def find(self, item_ids: np.ndarray) -> np.ndarray:
        """Returns the row of each id (uint64[2, k]): int64[k]; -1 for unknown ids."""
        return find_ids(self.ids, item_ids)

    def take(self, rows: np.ndarray) -> Locations:
        """Selects rows, which must be ascending, and the tars of these only."""
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
    """Returns the ids of all items, and of their parts, that item tables know: uint64[2, n], ascending, each once."""
    tables = read_ahead(lambda path: _read_locations(workspace, path, ""), paths)
    return unique_ids(split_ids(table.column("item_id")) for table in tables)


def read_locations(
    workspace: Workspace, paths: Sequence[str], item_ids: np.ndarray, inspected: Mapping[str, str] | None = None
) -> Locations:
    """Reads the locations of items, and of parts of items, by ids (ascending, uint64[2, k]) from item tables.

    `inspected` maps item tables to tables of the stage `image_stats`, where there is one. Of an item in several tars
    the first location counts, by path and offset. Unknown ids are left out.
    """
    media_codes: dict[str, int] = {}
    ext_codes: dict[str, int] = {}
    kinds = (np.int64, np.int64, np.int64, np.int64, np.int64, np.uint64, np.bool_, np.bool_)
    found: list[tuple[np.ndarray, ...]] = [tuple(np.zeros(0, kind) for kind in kinds)]
    for table in read_ahead(lambda path: _read_locations(workspace, path, (inspected or {}).get(path, "")), paths):
        places = find_ids(item_ids, split_ids(table.column("item_id")))
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
    place, media, offset, size, ext, phash, is_inspected, rewrite = (
        np.concatenate(column) for column in zip(*found, strict=True)
    )
    names = list(media_codes)
    rank = np.empty(len(names), np.int64)
    rank[sorted(range(len(names)), key=names.__getitem__)] = np.arange(len(names))
    order = np.lexsort((offset, rank[media.astype(np.int64)], place))
    order = order[np.diff(place[order], prepend=-1) > 0]
    return Locations(
        np.ascontiguousarray(item_ids[:, place[order]]),
        media[order].astype(np.int32),
        offset[order],
        size[order],
        ext[order].astype(np.int16),
        phash[order],
        is_inspected[order],
        rewrite[order],
        tuple(names),
        tuple(ext_codes),
    )


def _read_locations(workspace: Workspace, path: str, inspected: str) -> pa.Table:
    """Reads the rows of an item table that have a location, and the parts (`corpus.schema.PARTS_FIELD`) of its rows.

    Each row has the results of its inspection; of parts they are null.
    """
    table = workspace.read_present(path, [*_COLUMNS, PARTS_FIELD.name])
    has_parts = PARTS_FIELD.name in table.column_names
    found = table.select(_COLUMNS)
    inspection = workspace.read_table(inspected, list(_INSPECTED)) if inspected else None
    for name, kind in _INSPECTED.items():
        found = found.append_column(
            name, pa.nulls(found.num_rows, kind) if inspection is None else inspection.column(name)
        )
    if has_parts:
        parts = table.column(PARTS_FIELD.name).combine_chunks().flatten()
        columns = {name: parts.field(name) for name in _COLUMNS}
        columns |= {name: pa.nulls(len(parts), kind) for name, kind in _INSPECTED.items()}
        found = pa.concat_tables([found, pa.table(columns)])
    return found.filter(pc.and_(found.column("item_id").is_valid(), found.column("media").is_valid()))


def _encode(column: pa.ChunkedArray, codes: dict[str, int]) -> np.ndarray:
    """Returns the number of each string in `codes`, to which new strings are added: int64[n]."""
    encoded = column.combine_chunks().dictionary_encode()
    numbers = [codes.setdefault(name, len(codes)) for name in encoded.dictionary.to_pylist()]
    return np.array(numbers, np.int64)[encoded.indices.to_numpy(zero_copy_only=False)]
