"""The result cache looks up results of models by the content of their requests, before they are computed again.

The stage's own tables in the workspace are the cache; nothing is stored twice. A request's key is a hash of all that
its result depends on besides the model (content, rendered prompt), so a result is found whichever source its image came
from, and whatever changed upstream.

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

from corpus.stage import split_generation
from corpus.storage import Store, storage_errors
from corpus.workspace import TableKey, Workspace

_READERS = 8  # tables read at once: on an object store latency dominates


class ResultCache:
    """A lookup of the results of a stage that one producer (a model with its settings) has computed. Thread-safe.

    `producer` is the value of that name in the fingerprint of the stage's tables; tables of other producers are opened
    once and skipped. A row is a result where its `column` is not null.
    """

    def __init__(self, store: Store, stage: str, producer: Mapping[str, Any], column: str) -> None:
        self._workspace = Workspace(store.url)
        self._stage = stage
        self._producer = json.loads(json.dumps(producer))
        self._column = column
        self._known_paths: set[str] = set()
        self._paths: list[str] = []
        self._key_prefixes = np.empty(0, np.uint64)  # the first half of each key, sorted
        self._locations = np.empty((0, 2), np.int64)  # of each key: number of the table in `_paths`, row
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._key_prefixes)

    def refresh(self) -> None:
        """Indexes the tables that were published since the last call. Costs one listing for each source."""
        with self._lock:
            fresh = [path for path in self._list_tables() if path not in self._known_paths]
            with ThreadPoolExecutor(_READERS) as readers:
                for path, keys in zip(fresh, readers.map(self._keys, fresh), strict=True):
                    self._known_paths.add(path)
                    if keys is not None:
                        self._add(path, keys)

    def find(self, keys: Sequence[bytes], columns: Sequence[str]) -> tuple[np.ndarray, pa.Table | None]:
        """Returns which of the keys (16 bytes each) have a result, as ascending positions int64[k], and the k rows."""
        with self._lock:
            known_prefixes, locations = self._key_prefixes, self._locations
        prefixes = _key_prefixes(pa.array(keys, pa.binary(16)))
        at = np.searchsorted(known_prefixes, prefixes)
        is_known = np.append(known_prefixes, np.uint64(0))[at] == prefixes
        hits = np.flatnonzero(is_known) if len(known_prefixes) else np.empty(0, np.int64)
        found, rows = [], []
        for table in np.unique(locations[at[hits], 0]):
            in_table = hits[locations[at[hits], 0] == table]
            read = self._workspace.read_table(self._paths[table], ["key", *columns]).take(locations[at[in_table], 1])
            # Two prefixes are equal by chance once in 10^19 pairs: the full keys are compared all the same.
            same = pc.equal(read.column("key"), pa.array([keys[place] for place in in_table], pa.binary(16))).to_numpy()
            found.append(in_table[same])
            rows.append(read.filter(same).select(list(columns)))
        if not found:
            return np.empty(0, np.int64), None
        positions = np.concatenate(found)
        order = np.argsort(positions)
        return positions[order], pa.concat_tables(rows).take(order)

    def _list_tables(self) -> list[str]:
        """Returns the paths of all tables of the stage, later generations first: they replace earlier ones."""
        listed = []
        for source in self._workspace.store.names("tables"):
            table_key = TableKey("tables", source, self._stage)
            for shard, fingerprints in sorted(self._workspace.tables(table_key).items()):
                listed += [(split_generation(each)[1], table_key.path(shard, each)) for each in sorted(fingerprints)]
        return [path for _, path in sorted(listed, key=lambda entry: (-entry[0], entry[1]))]

    def _keys(self, path: str) -> tuple[np.ndarray, np.ndarray] | None:
        """Returns the key prefixes and rows of a table's results; None for a table of another producer."""
        store = self._workspace.store
        with storage_errors(store.full(path)), store.open(path) as file:
            parquet = pq.ParquetFile(file)
            fingerprint_parts = json.loads((parquet.schema_arrow.metadata or {}).get(b"rzen_corpus", b"{}"))
            if fingerprint_parts.get("settings", {}).get("producer") != self._producer:
                return None
            table = parquet.read(columns=["key", self._column])
        rows = np.flatnonzero(pc.is_valid(table.column(self._column)).to_numpy())
        return _key_prefixes(table.column("key").take(rows).combine_chunks()), rows

    def _add(self, path: str, keys: tuple[np.ndarray, np.ndarray]) -> None:
        prefixes, rows = keys
        locations = np.stack([np.full(len(rows), len(self._paths)), rows], axis=1)
        self._paths.append(path)
        prefixes = np.concatenate([self._key_prefixes, prefixes])
        self._key_prefixes, first = np.unique(prefixes, return_index=True)  # of equal ones the first
        self._locations = np.concatenate([self._locations, locations])[first]


def _key_prefixes(keys: pa.Array) -> np.ndarray:
    """Returns the first 8 bytes of each 16-byte key, uint64[n]."""
    if not len(keys):
        return np.empty(0, np.uint64)
    halves = np.frombuffer(keys.buffers()[1], np.uint64, 2 * len(keys), 16 * keys.offset)
    return halves[::2]
