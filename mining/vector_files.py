"""Files of vectors with their ids: NumPy's arrays (.npy) and Parquet tables, on this machine or in a store.

Beside `NAME.npy`, a matrix with a row for each vector, `NAME.ids.txt` has the ids, one a line. A Parquet table has a
column of ids and a column of lists of numbers. Vectors are read in blocks of rows (of a Parquet file: its row groups),
of which the last few are kept, so that neighbouring rows cost one read.
"""

from __future__ import annotations

import io
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import IO, Any

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from corpus.arrays import one_array
from corpus.hashing import hash_strings
from corpus.settings import SettingsError
from corpus.storage import Store, storage_errors
from corpus.store_listing import expand_glob, has_file

_BLOCK_ROWS = 4096  # of a .npy file
_HEAD_BYTES = 1 << 16  # of a .npy file, in which its header lies
_KEPT_BYTES = 256 << 20  # of blocks
_MAX_ID_BYTES = 1024
_VERSIONS = ("ETag", "etag", "blob_id", "md5Hash", "mtime", "LastModified", "last_modified")  # of a file, in stores


@dataclass(frozen=True)
class StoredFile:
    """A file and its version, which changes when its content does."""

    fs: Any = field(compare=False, repr=False)
    path: str = ""
    size: int = 0
    version: str = ""

    @property
    def url(self) -> str:
        """The path with its scheme."""
        return str(self.fs.unstrip_protocol(self.path))

    @property
    def identity(self) -> list[Any]:
        """Name, size and version, as JSON-compatible data."""
        return [self.path.rsplit("/", 1)[-1], self.size, self.version]


def find_vector_files(patterns: Sequence[str]) -> list[StoredFile]:
    """Finds the files that paths and globs name, by name. Raises SettingsError for one that finds none, or others."""
    found: dict[str, StoredFile] = {}
    for pattern in patterns:
        with storage_errors(pattern):
            fs, path = fsspec.url_to_fs(pattern)
            named = {path: fs.info(path)} if has_file(fs, path) else _globbed(fs, path)
        if not named:
            raise SettingsError(f"files: {pattern}: no file there")
        for name, info in sorted(named.items()):
            if not name.endswith((".npy", ".parquet")):
                raise SettingsError(f"files: {name}: neither .npy nor .parquet")
            version = next((str(info[key]) for key in _VERSIONS if info.get(key)), "")
            found[name] = StoredFile(fs, name, int(info.get("size") or 0), version)
    return [found[name] for name in sorted(found)]


def _globbed(fs: Any, path: str) -> dict[str, Any]:
    """Finds the files that a glob means, by name."""
    parts = path.split("/")
    fixed = next((at for at, part in enumerate(parts) if any(each in part for each in "*?[")), len(parts))
    found = expand_glob(fs, "/".join(parts[:fixed]), "/".join(parts[fixed:])) if fixed < len(parts) else {}
    return {name: info for name, info in found.items() if _is_file(fs, name, info)}


def _is_file(fs: Any, name: str, info: dict[str, Any]) -> bool:
    return info["type"] == "file" or (info["type"] != "directory" and fs.isfile(name))  # of links, what they lead to


class VectorFile:
    """A file of n vectors. Raises SettingsError where it is none."""

    dimension: int

    def __init__(self, file: StoredFile) -> None:
        self.file = file

    def ids(self) -> pa.Array:
        """Reads the ids, string[n]."""
        raise NotImplementedError

    def blocks(self) -> np.ndarray:
        """Returns the rows at which blocks begin, and at last n, int64[blocks + 1]."""
        raise NotImplementedError

    def read_block(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Reads the vectors of a block, [rows, dimension], and which rows have one, bool[rows]."""
        raise NotImplementedError

    def fault(self, message: str) -> SettingsError:
        """Returns an error that names the file."""
        return SettingsError(f"{self.file.path}: {message}")

    def _open(self) -> IO[bytes]:
        return Store(".").open(self.file.url)


class NumpyFile(VectorFile):
    """A matrix in a .npy file, with its ids beside it."""

    def __init__(self, file: StoredFile) -> None:
        super().__init__(file)
        with storage_errors(file.path), self._open() as opened:
            head = io.BytesIO(opened.read(_HEAD_BYTES))
        try:
            first = np.lib.format.read_magic(head) == (1, 0)
            read_header = np.lib.format.read_array_header_1_0 if first else np.lib.format.read_array_header_2_0
            shape, by_columns, self._dtype = read_header(head)
        except ValueError as error:
            raise self.fault(f"no .npy file: {error}") from error
        self._start = head.tell()
        if len(shape) != 2 or by_columns or self._dtype.kind != "f":
            raise self.fault(f"no matrix of numbers, row after row, but {self._dtype} of shape {shape}")
        self._rows, self.dimension = shape

    def ids(self) -> pa.Array:
        path = f"{self.file.url.removesuffix('.npy')}.ids.txt"
        try:
            data = Store(".").read_bounded(path, _MAX_ID_BYTES * (self._rows + 1))
            ids = pa.array(data.decode("utf-8").splitlines(), pa.string())
        except UnicodeDecodeError as error:
            raise self.fault(f"the ids in {path} are not UTF-8: {error}") from error
        except ValueError as error:
            raise self.fault(
                f"ids of up to {_MAX_ID_BYTES} bytes, one a line, are expected in {path}: {error}"
            ) from error
        if len(ids) != self._rows:
            raise self.fault(f"{self._rows:,} vectors, but {len(ids):,} ids in {path}")
        return ids

    def blocks(self) -> np.ndarray:
        return np.append(np.arange(0, self._rows, _BLOCK_ROWS), self._rows)

    def read_block(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        first, last = self.blocks()[number : number + 2].tolist()
        row_bytes = self.dimension * self._dtype.itemsize
        with storage_errors(self.file.path), self._open() as opened:
            opened.seek(self._start + first * row_bytes)
            data = opened.read((last - first) * row_bytes)
        return np.frombuffer(data, self._dtype).reshape(last - first, self.dimension), np.ones(last - first, np.bool_)


class ParquetFile(VectorFile):
    """A Parquet table with columns of ids and of vectors."""

    def __init__(self, file: StoredFile, id_column: str, vector_column: str) -> None:
        super().__init__(file)
        self._id, self._vector = id_column, vector_column
        with storage_errors(file.path), self._open() as opened:
            parquet = pq.ParquetFile(opened)
            schema = parquet.schema_arrow
            groups = [parquet.metadata.row_group(number).num_rows for number in range(parquet.num_row_groups)]
            kind = schema.field(vector_column).type if vector_column in schema.names else pa.null()
            self.dimension = _longest(parquet, vector_column) if _is_list(kind) else 0
        for name in (id_column, vector_column):
            if name not in schema.names:
                raise self.fault(f"no column {name!r}; there is {', '.join(schema.names)}")
        if not _is_list(kind) or not pa.types.is_floating(kind.value_type):
            raise self.fault(f"column {vector_column!r} holds {kind}, not lists of float numbers")
        if not self.dimension:
            raise self.fault("no vector in it")
        self._blocks = np.cumsum([0, *groups])

    def ids(self) -> pa.Array:
        with storage_errors(self.file.path), self._open() as opened:
            ids = one_array(pq.read_table(opened, columns=[self._id]).column(0))
        return ids.cast(pa.string()) if not pa.types.is_fixed_size_binary(ids.type) else _hexadecimal(ids)

    def blocks(self) -> np.ndarray:
        return self._blocks

    def read_block(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        with storage_errors(self.file.path), self._open() as opened:
            column = one_array(pq.ParquetFile(opened).read_row_group(number, columns=[self._vector]).column(0))
        column = column.cast(pa.list_(column.type.value_type))
        valid = pc.fill_null(pc.equal(pc.list_value_length(column), self.dimension), False)
        numbers = column.filter(valid).flatten()
        is_valid = np.asarray(valid.to_numpy(zero_copy_only=False), np.bool_)
        vectors = np.zeros((len(column), self.dimension), np.float32)
        vectors[is_valid] = numbers.to_numpy(zero_copy_only=False).reshape(-1, self.dimension)
        return vectors, is_valid


def _longest(parquet: pq.ParquetFile, column: str) -> int:
    """Returns the length of the longest list in the first rows that have any; 0 for none."""
    for batch in parquet.iter_batches(columns=[column]):
        length = pc.max(pc.list_value_length(batch.column(0))).as_py()
        if length:
            return int(length)
    return 0


def open_vector_file(file: StoredFile, id_column: str, vector_column: str) -> VectorFile:
    """Reads what a file says of itself, not its vectors."""
    return NumpyFile(file) if file.path.endswith(".npy") else ParquetFile(file, id_column, vector_column)


class VectorLookup:
    """The vectors of several files by their ids. Thread-safe. Raises SettingsError for an id that is there twice."""

    def __init__(self, files: Sequence[VectorFile]) -> None:
        self._files = files
        parts = [file.ids() for file in files]
        self._ids = pa.concat_arrays([part.cast(pa.large_string()) for part in parts])
        self._starts = np.cumsum([0, *map(len, parts)])
        hashes = hash_strings(self._ids)
        self._order = np.argsort(hashes, kind="stable")
        self._hashes = hashes[self._order]
        self._refuse_repeated()
        self._blocks: OrderedDict[tuple[int, int], tuple[np.ndarray, np.ndarray]] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._ids)

    def find(self, name: str) -> np.ndarray | None:
        """Returns the vector of an id, [dimension]; None for one that is not there, or whose row has no such vector."""
        [query] = hash_strings(pa.array([name], pa.string()))
        at = int(np.searchsorted(self._hashes, query))
        while at < len(self._hashes) and self._hashes[at] == query:
            row = int(self._order[at])
            if self._ids[row].as_py() == name:
                return self._vector(row)
            at += 1
        return None

    def _vector(self, row: int) -> np.ndarray | None:
        number = int(np.searchsorted(self._starts, row, "right")) - 1
        row -= int(self._starts[number])
        first_rows = self._files[number].blocks()
        block = int(np.searchsorted(first_rows, row, "right")) - 1
        vectors, valid = self._block(number, block)
        place = row - int(first_rows[block])
        return vectors[place] if valid[place] else None

    def _block(self, number: int, block: int) -> tuple[np.ndarray, np.ndarray]:
        with self._lock:
            if (number, block) not in self._blocks:
                self._blocks[number, block] = self._files[number].read_block(block)
            self._blocks.move_to_end((number, block))
            found = self._blocks[number, block]
            while len(self._blocks) > 1 and sum(vectors.nbytes for vectors, _ in self._blocks.values()) > _KEPT_BYTES:
                self._blocks.popitem(last=False)
            return found

    def _refuse_repeated(self) -> None:
        for at in np.flatnonzero(self._hashes[1:] == self._hashes[:-1]).tolist():
            names = [self._ids[int(row)].as_py() for row in self._order[at : at + 2]]
            if names[0] == names[1]:
                raise SettingsError(f"files: the id {names[0]!r} has two vectors: there must be one")


def _is_list(kind: pa.DataType) -> bool:
    return pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)


def _hexadecimal(ids: pa.Array) -> pa.Array:
    return pa.array([each.hex() if each is not None else None for each in ids.to_pylist()], pa.string())
