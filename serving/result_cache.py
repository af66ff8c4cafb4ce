"""The result cache looks up results of models by the content of their requests, before they are computed again.

The stage's own tables in the workspace are the cache; nothing is stored twice. A request's key is a hash of all that
its result depends on besides the model (content, rendered prompt), so a result is found whichever source or dataset its
image came from, and whatever changed upstream.

Two workers that hold the same image at the same moment both compute its result: they don't wait for each other.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from corpus.arrays import one_array
from corpus.stage import split_generation
from corpus.storage import Store, storage_errors
from corpus.workspace import Root, TableKey, Workspace

_READERS = 8  # tables read at once: on an object store latency dominates


class ResultCache:
    """A lookup of the results of a stage that one producer (a model with its settings) has computed. Thread-safe.

    `producer` is the value of that name in the fingerprint of the stage's tables, None where they name none; tables of
    other producers are opened once and skipped. `root` is where the stage's tables lie. `places` maps each column of
    keys to the columns that hold its results, by the names under which they are found; a column without an entry has
    its own name. A column of lists of keys is read entry by entry, and so are its results. A key has a result where the
    column that is found as `column` is not null; that column is read of every table, the others of those with a result
    only.
    """

    def __init__(
        self,
        store: Store,
        stage: str,
        producer: Mapping[str, Any] | None,
        column: str,
        root: Root = "tables",
        places: Mapping[str, Mapping[str, str]] | None = None,
    ) -> None:
        self._workspace = Workspace(store.url)
        self._stage = stage
        self._root = root
        self._producer = json.loads(json.dumps(producer))
        self._column = column
        self._places = dict(places or {"key": {}})
        self._known_paths: set[str] = set()
        self._blocks: list[tuple[str, str]] = []  # path of a table, and its column of keys
        self._key_prefixes = np.empty(0, np.uint64)  # the first half of each key, sorted
        self._locations = np.empty((0, 2), np.int64)  # of each key: number of the block in `_blocks`, row
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._key_prefixes)

    def refresh(self) -> None:
        """Indexes the tables that were published since the last call. Costs one listing for each source."""
        with self._lock:
            fresh = [path for path in self._list_tables() if path not in self._known_paths]
            found = [self._key_prefixes], [self._locations]
            with ThreadPoolExecutor(_READERS) as readers:
                for path, blocks in zip(fresh, readers.map(self._keys, fresh), strict=True):
                    self._known_paths.add(path)
                    for key_column, (prefixes, rows) in blocks.items():
                        found[0].append(prefixes)
                        found[1].append(np.stack([np.full(len(rows), len(self._blocks)), rows], axis=1))
                        self._blocks.append((path, key_column))
            if len(found[0]) > 1:
                prefixes, first = np.unique(np.concatenate(found[0]), return_index=True)  # of equal ones the first
                self._key_prefixes, self._locations = prefixes, np.concatenate(found[1])[first]

    def find(self, keys: Sequence[bytes], columns: Sequence[str]) -> tuple[np.ndarray, pa.Table | None]:
        """Returns which of the keys (16 bytes each) have a result, as ascending positions int64[k], and the k rows."""
        with self._lock:
            known_prefixes, locations = self._key_prefixes, self._locations
        prefixes = _key_prefixes(pa.array(keys, pa.binary(16)))
        at = np.searchsorted(known_prefixes, prefixes)
        is_known = np.append(known_prefixes, np.uint64(0))[at] == prefixes
        hits = np.flatnonzero(is_known) if len(known_prefixes) else np.empty(0, np.int64)
        found, rows = [], []
        for block in np.unique(locations[at[hits], 0]):
            in_block = hits[locations[at[hits], 0] == block]
            path, key_column = self._blocks[int(block)]
            read = self._read(path, key_column, columns).take(locations[at[in_block], 1])
            # Two prefixes are equal by chance once in 10^19 pairs: the full keys are compared all the same.
            same = pc.equal(read.column(0), pa.array([keys[place] for place in in_block], pa.binary(16))).to_numpy()
            found.append(in_block[same])
            rows.append(read.filter(same).select(range(1, read.num_columns)))
        if not found:
            return np.empty(0, np.int64), None
        positions = np.concatenate(found)
        order = np.argsort(positions)
        return positions[order], pa.concat_tables(rows).take(order)

    def _read(self, path: str, key_column: str, columns: Sequence[str]) -> pa.Table:
        """Returns the keys of a block, and these columns of its results."""
        names = self._places[key_column]
        read = self._workspace.read_table(path, [key_column, *(names.get(name, name) for name in columns)])
        if pa.types.is_list(read.schema.types[0]):
            return pa.table([_entries(column) for column in read.columns], [key_column, *columns])
        return read.rename_columns([key_column, *columns])

    def _list_tables(self) -> list[str]:
        """Returns the paths of all tables of the stage, later generations first: they replace earlier ones."""
        store, listed = self._workspace.store, []
        owners = store.names(self._root)
        if self._root == "pairs":
            owners = [f"{owner}/{source}" for owner in owners for source in store.names(f"{self._root}/{owner}")]
        for owner in owners:
            table_key = TableKey(self._root, owner, self._stage)
            for shard, fingerprints in sorted(self._workspace.tables(table_key).items()):
                listed += [(split_generation(each)[1], table_key.path(shard, each)) for each in sorted(fingerprints)]
        return [path for _, path in sorted(listed, key=lambda entry: (-entry[0], entry[1]))]

    def _keys(self, path: str) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Returns the key prefixes and rows of a table's results, by column of keys; {} for one of another producer."""
        store = self._workspace.store
        with storage_errors(store.full(path)), store.open_native(path) as file:
            parquet = pq.ParquetFile(file)
            fingerprint_parts = json.loads((parquet.schema_arrow.metadata or {}).get(b"rzen_corpus", b"{}"))
            if fingerprint_parts.get("settings", {}).get("producer") != self._producer:
                return {}
            results = {key: names.get(self._column, self._column) for key, names in self._places.items()}
            table = parquet.read(columns=list(dict.fromkeys([*results, *results.values()])))
        found = {}
        for key_column, column in results.items():
            keys, values = _entries(table.column(key_column)), _entries(table.column(column))
            rows = np.flatnonzero(values.is_valid().to_numpy(zero_copy_only=False))
            found[key_column] = _key_prefixes(keys.take(pa.array(rows))), rows
        return found


def _entries(column: pa.ChunkedArray) -> pa.Array:
    """Returns a column as one array; of a column of lists their entries, one list after the other."""
    array = one_array(column)
    return array.flatten() if pa.types.is_list(array.type) else array


def _key_prefixes(keys: pa.Array) -> np.ndarray:
    """Returns the first 8 bytes of each 16-byte key, uint64[n]."""
    if not len(keys):
        return np.empty(0, np.uint64)
    halves = np.frombuffer(keys.buffers()[1], np.uint64, 2 * len(keys), 16 * keys.offset)
    return halves[::2]
