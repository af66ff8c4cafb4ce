"""Results of models are expensive: each is looked up by the content of its request before it is computed.

The stage's tables in the workspace are the cache; nothing is stored twice. A request's key is a hash of all that its
result depends on besides the model (the content, the prompt as rendered), so a result is found whichever source its
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

from corpus.stage import split_generation
from corpus.storage import Store, storage_errors
from corpus.workspace import TableKey, Workspace

_READERS = 8  # tables that are read at once: on an object store it is the waiting that takes time


class ResultCache:
    """The results of a stage in a workspace that one producer (a model and how it is used) has made. Thread-safe.

    `producer` is what the stage's tables have under that name in their fingerprint; tables of others are opened once
    and left out. A row counts where its `column` is not null.
    """

    def __init__(self, store: Store, stage: str, producer: Mapping[str, Any], column: str) -> None:
        self._workspace = Workspace(store.url)
        self._stage = stage
        self._producer = json.loads(json.dumps(producer))
        self._column = column
        self._seen: set[str] = set()
        self._paths: list[str] = []
        self._heads = np.empty(0, np.uint64)  # the first half of each key, sorted
        self._places = np.empty((0, 2), np.int64)  # which table, which row of it
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._heads)

    def refresh(self) -> None:
        """Take in the tables that were published since. One listing for each source."""
        with self._lock:
            fresh = [path for path in self._listed() if path not in self._seen]
            with ThreadPoolExecutor(_READERS) as readers:
                for path, keys in zip(fresh, readers.map(self._keys, fresh), strict=True):
                    self._seen.add(path)
                    if keys is not None:
                        self._add(path, keys)

    def find(self, keys: Sequence[bytes], columns: Sequence[str]) -> tuple[np.ndarray, pa.Table | None]:
        """Which of the keys (16 bytes each) have a result, as ascending positions int64[k], and the k rows."""
        with self._lock:
            heads, places = self._heads, self._places
        wanted = _heads(pa.array(keys, pa.binary(16)))
        at = np.searchsorted(heads, wanted)
        hits = np.flatnonzero(np.append(heads, np.uint64(0))[at] == wanted) if len(heads) else np.empty(0, np.int64)
        found, rows = [], []
        for table in np.unique(places[at[hits], 0]):
            in_table = hits[places[at[hits], 0] == table]
            read = self._workspace.read_table(self._paths[table], ["key", *columns]).take(places[at[in_table], 1])
            # Half a key is equal by chance once in 10^19 pairs of them; a result of another image is not worth that.
            same = pc.equal(read.column("key"), pa.array([keys[place] for place in in_table], pa.binary(16))).to_numpy()
            found.append(in_table[same])
            rows.append(read.filter(same).select(list(columns)))
        if not found:
            return np.empty(0, np.int64), None
        positions = np.concatenate(found)
        order = np.argsort(positions)
        return positions[order], pa.concat_tables(rows).take(order)

    def _listed(self) -> list[str]:
        """Paths of all tables of the stage, later generations first: what was made again replaces what it was."""
        listed = []
        for source in self._workspace.store.names("tables"):
            table_key = TableKey("tables", source, self._stage)
            for shard, fingerprints in sorted(self._workspace.tables(table_key).items()):
                listed += [(split_generation(each)[1], table_key.path(shard, each)) for each in sorted(fingerprints)]
        return [path for _, path in sorted(listed, key=lambda entry: (-entry[0], entry[1]))]

    def _keys(self, path: str) -> tuple[np.ndarray, np.ndarray] | None:
        """Half keys and rows of a table's results; None where they are another producer's."""
        store = self._workspace.store
        with storage_errors(store.full(path)), store.open(path) as file:
            parquet = pq.ParquetFile(file)
            fingerprint_parts = json.loads((parquet.schema_arrow.metadata or {}).get(b"rzen_corpus", b"{}"))
            if fingerprint_parts.get("settings", {}).get("producer") != self._producer:
                return None
            table = parquet.read(columns=["key", self._column])
        rows = np.flatnonzero(pc.is_valid(table.column(self._column)).to_numpy())
        return _heads(table.column("key").take(rows).combine_chunks()), rows

    def _add(self, path: str, keys: tuple[np.ndarray, np.ndarray]) -> None:
        heads, rows = keys
        places = np.stack([np.full(len(rows), len(self._paths)), rows], axis=1)
        self._paths.append(path)
        heads, places = np.concatenate([self._heads, heads]), np.concatenate([self._places, places])
        self._heads, first = np.unique(heads, return_index=True)  # the first of equal ones: see `_listed`
        self._places = places[first]


def _heads(keys: pa.Array) -> np.ndarray:
    """The first 8 bytes of each 16-byte key, as numbers."""
    if not len(keys):
        return np.empty(0, np.uint64)
    whole = np.frombuffer(keys.buffers()[1], np.uint64, 2 * len(keys), 16 * keys.offset)
    return whole[::2]
