"""Opens Parquet files of unknown origin, so that a damaged one is an error that names it.

Arrow ends the whole process on some damaged footers, but only where the metadata of a column chunk is asked for in
Python (`metadata.row_group(i).column(j)`, and all that is built on it, statistics of datasets among it). Nothing here
asks for it; what a footer states of its column chunks is read by `pipelines.sources.parquet_footer`.
"""

from __future__ import annotations

import contextlib
import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from corpus.settings import SettingsError
from corpus.storage import StorageError, Store, storage_errors
from pipelines.sources.files import FileInfo
from pipelines.sources.not_read import UnreadableFileError


@contextlib.contextmanager
def open_parquet(file: FileInfo | str) -> Iterator[pq.ParquetFile]:
    """Opens a file for reading.

    Inside, what Arrow raises is an UnreadableFileError, what its storage does a StorageError.
    """
    url = file if isinstance(file, str) else file.url
    opened = _FaultTrackingFile(url)
    with opened, naming_damage(url, opened):
        # Local files are read page by page; of remote ones the columns of a row group are requested at once.
        yield pq.ParquetFile(opened, **({"pre_buffer": True} if "://" in url else {"buffer_size": 2**20}))


def rows_claimed(file: FileInfo) -> int:
    """Reads how many rows a file claims to have; 0 where not even that can be read."""
    try:
        with open_parquet(file) as parquet:
            return max(0, int(parquet.metadata.num_rows))
    except UnreadableFileError:
        return 0


@contextlib.contextmanager
def naming_damage(url: str, opened: _FaultTrackingFile | None = None) -> Iterator[None]:
    """Turns Arrow's errors inside into an UnreadableFileError that names the file; only Arrow is to be called there."""
    try:
        yield
    except pa.ArrowMemoryError as error:
        size = re.search("alloc of size ([0-9]+)", str(error))
        if opened is None or size is None or int(size[1]) <= _MAX_EXPANSION * opened.size():
            raise
        raise UnreadableFileError(url, f"a page that claims {size[1]} bytes, in a file of {opened.size()}") from error
    except (StorageError, SettingsError, MemoryError):
        raise
    except (pa.ArrowException, OSError, UnicodeDecodeError, OverflowError) as error:
        fault = getattr(opened, "fault", None)
        if fault is not None:
            raise fault from error
        detail = f"a name that is not UTF-8: {error.object!r}" if isinstance(error, UnicodeDecodeError) else str(error)
        raise UnreadableFileError(url, f"not a Parquet file that can be read: {' '.join(detail.split())}") from error


_MAX_EXPANSION = 10_000  # bytes in memory for each of a file, beyond which the file is at fault if memory runs out


class _FaultTrackingFile:
    """A binary file that Arrow reads, which keeps in `fault` the StorageError of a read that failed."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.fault: StorageError | None = None
        self._file = Store(".").open(url, read_ahead=False)  # Arrow says what it will read

    def read(self, size: int = -1) -> bytes:
        return self._track(self._file.read, size)

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._track(self._file.seek, offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def size(self) -> int:
        position = self.tell()
        end = self.seek(0, 2)
        self.seek(position)
        return end

    @property
    def closed(self) -> bool:
        return self._file.closed

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def writable(self) -> bool:
        return False

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> _FaultTrackingFile:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _track(self, call: Any, *values: Any) -> Any:
        try:
            with storage_errors(self._url):
                return call(*values)
        except StorageError as error:
            self.fault = error
            raise


def column_names(schema: pa.Schema, url: str) -> list[str]:
    """Lists the names of a file's columns. Raises UnreadableFileError for one that is not UTF-8."""
    with naming_damage(url):
        return list(schema.names)


def require_single(names: Sequence[str], requested: Collection[str], url: str, any_case: bool = False) -> None:
    """Raises SettingsError where one of the requested columns stands twice in a file, by its letters or in any case."""
    fold = str.lower if any_case else str
    count = Counter(fold(name) for name in names)
    for name in sorted({fold(each) for each in requested}):
        if count[name] > 1:
            repeated = [each for each in names if fold(each) == name]
            raise SettingsError(
                f"{url}: column {name!r} stands there {len(repeated)} times ({', '.join(repeated)}), and it is not "
                "clear which is meant; write the file with one of them"
            )
