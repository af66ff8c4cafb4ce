"""A folder or bucket: reads, ranged reads, listings, and writes that are whole or absent.

Works on a local folder and on any fsspec object store. A local write goes to a file without a name, where the system
has such, else to a temporary name in the same folder; whole, it gets its name. An object store gets one upload, which
is atomic there.
"""

from __future__ import annotations

import contextlib
import functools
import io
import itertools
import operator
import os
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any, Concatenate, ParamSpec, TypeVar

import fsspec

from corpus.outages import wait_out
from corpus.pending_file import PendingFile
from corpus.remote_file import RemoteFile
from corpus.storage_error import MissingError, StorageError, storage_errors, try_storage

CONNECTIONS = 64  # to a store, of a process
_S3_PROTOCOLS = ("s3", "s3a")
_EXTRAS = {"s3": "s3", "s3a": "s3", "hf": "hf"}  # protocol -> the extra that brings it

_P = ParamSpec("_P")
_T = TypeVar("_T")


def _waits(method: Callable[Concatenate[Store, _P], _T]) -> Callable[Concatenate[Store, _P], _T]:
    """Has a method of a Store wait for storage that is away, where the process has such patience."""

    @functools.wraps(method)
    def call(self: Store, *args: _P.args, **kwargs: _P.kwargs) -> _T:
        path = args[0] if args and isinstance(args[0], str) else ""
        return wait_out(lambda: method(self, *args, **kwargs), self.root_of(path))

    return call


class Store:
    """One root (local path or fsspec URL) and the paths below it, written with forward slashes.

    A root is all that a Store takes, so that a command line, a worker and a pickle can hand it on. Credentials and
    the rest come from the environment, as the file system's own documentation says. For a store that speaks S3 but
    is not Amazon's, set `AWS_ENDPOINT_URL` (or `endpoint_url` in ~/.aws/config, or `FSSPEC_S3_ENDPOINT_URL`) in
    every process; s3fs honours all three, and `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and `AWS_PROFILE`.

    Methods raise MissingError (a FileNotFoundError) for what is not there and StorageError for any other failure; for
    an outage inside `outages.patient_storage` not before they have tried again for a while.
    An absolute path or a full URL in the place of a path is read where it lies, by its own file system.
    """

    def __init__(self, url: str | os.PathLike[str]) -> None:
        text = os.fspath(url)
        root = _without_local_scheme(text)
        self.is_local = "://" not in root
        if self.is_local:
            self.url = str(Path(root).expanduser().absolute())
        else:
            scheme, mark, rest = text.partition("://")
            self.url = scheme + mark + rest.rstrip("/")
        self._fs: Any = None

    def __reduce__(self) -> tuple[type[Store], tuple[str]]:
        return (Store, (self.url,))  # file systems hold sockets and loops: each process opens its own

    @property
    def fs(self) -> Any:
        """The fsspec file system of the root, opened on first use."""
        if self._fs is None:
            self._fs = _open_file_system(self.url)
        return self._fs

    def full(self, path: str) -> str:
        """Returns the path as the file system wants it. Absolute paths and full URLs are left as they are."""
        return path if is_absolute(path) else f"{self.url}/{path}" if path else self.url

    def root_of(self, path: str) -> str:
        """Returns the store that a path lies in: scheme and bucket or host; "" for a local one."""
        full = self.full(path)
        return "/".join(full.split("/", 3)[:3]) if "://" in full else ""

    def check_bucket(self) -> None:
        """Raises MissingError where the root lies in a bucket of S3 that does not exist.

        Else what is missing looks like an empty folder. Who may not ask for a bucket finds out when it is read.
        """
        if self.url.partition("://")[0] not in _S3_PROTOCOLS:
            return
        bucket = self.root_of("")
        try:
            self.fs.info(bucket)
        except FileNotFoundError as error:
            raise MissingError(f"{bucket}: no such bucket: make it, or correct its name") from error
        except Exception:  # noqa: BLE001 - clients raise more than OSError; whoever reads next says what it is
            return

    @_waits
    def read(self, path: str) -> bytes:
        """Reads all bytes of a file."""
        with storage_errors(self.full(path)):
            local = self._local(path)
            return local.read_bytes() if local else self._fs_for(path).cat_file(self.full(path))

    def read_bounded(self, path: str, max_bytes: int) -> bytes:
        """Reads all bytes of a file that others wrote. Raises ValueError for more than `max_bytes`, unread."""
        with self.open(path) as file:
            data = file.read(max_bytes + 1)
        if len(data) > max_bytes:
            raise ValueError(f"more than {max_bytes:,} bytes")
        return data

    @_waits
    def read_end(self, path: str, size: int) -> bytes:
        """Reads the last `size` bytes of a file in an object store, or all of a smaller one: one request."""
        with storage_errors(self.full(path)):
            return self._fs_for(path).cat_file(self.full(path), start=-size)

    @_waits
    def read_ranges(self, ranges: Sequence[tuple[str, int, int]]) -> list[bytes]:
        """Yields the bytes of each (path, offset, size), in their order; concurrent on object stores.

        StorageError also when a file ends before a range does.
        """
        found: list[Any] = [b""] * len(ranges)
        local: list[tuple[str, int, int, int]] = []  # path, offset, size, place in `ranges`
        remote: dict[Any, list[int]] = {}
        for at, (path, offset, size) in enumerate(ranges):
            if not size:  # HTTP has no empty range: S3 would answer with the whole object
                continue
            if here := self._local(path):
                local.append((str(here), offset, size, at))
            else:
                remote.setdefault(self._fs_for(path), []).append(at)
        _read_local_ranges(local, found)
        for fs, places in remote.items():
            starts = [ranges[at][1] for at in places]
            stops = [ranges[at][1] + ranges[at][2] for at in places]
            with storage_errors(self.full(ranges[places[0]][0])):
                data = fs.cat_ranges([self.full(ranges[at][0]) for at in places], starts, stops, on_error="return")
            for at, content in zip(places, data, strict=True):
                found[at] = content
        for (path, offset, size), content in zip(ranges, found, strict=True):
            if isinstance(content, Exception):
                with storage_errors(self.full(path)):
                    raise content
            if len(content) != size:
                raise StorageError(f"{self.full(path)}: wanted {size} bytes at {offset}, got {len(content)}")
        return [bytes(content) for content in found]

    @_waits
    def open(self, path: str, read_ahead: bool = True) -> IO[bytes]:
        """Opens a file as a seekable binary file for reading; closing it is the caller's.

        Without `read_ahead` what is read of a remote one is requested, and no more: for who knows what comes next.
        """
        with storage_errors(self.full(path)):
            local = self._local(path)
            if local:
                return local.open("rb")
            options = {} if read_ahead else {"cache_type": "none"}
            remote = self._fs_for(path).open(self.full(path), "rb", **options)
        return io.BufferedReader(
            RemoteFile(remote, lambda read: try_storage(read, self.full(path), self.root_of(path)))
        )

    def open_native(self, path: str) -> Any:
        """Opens a file for Arrow, which reads local ones itself.

        Arrow calls Python's files from threads of its own. One that still holds such a file when the interpreter has
        ended aborts the process.
        """
        local = self._local(path)
        if local is None:
            return self.open(path)
        import pyarrow as pa

        with storage_errors(self.full(path)):
            return pa.OSFile(str(local))

    def is_local_path(self, path: str) -> bool:
        """Tells whether a file lies on a local file system."""
        return self._local(path) is not None

    @_waits
    def exists(self, path: str) -> bool:
        """Returns whether there is a file or folder of that name."""
        with storage_errors(self.full(path)):
            local = self._local(path)
            if local:
                return local.exists()
            try:  # what `exists` of some file systems says of a server that is away is "no"
                self._fs_for(path).info(self.full(path))
            except FileNotFoundError:
                return False
            return True

    @_waits
    def names(self, folder: str) -> list[str]:
        """Returns sorted names of what lies directly in a folder; an absent folder is empty. One listing call.

        What a killed writer left behind (`.NAME.*.tmp`) is not listed.
        """
        with storage_errors(self.full(folder)):
            local = self._local(folder)
            try:
                found = [entry.name for entry in os.scandir(local)] if local else self._listed(folder)
            except FileNotFoundError:
                return []
        return sorted(name for name in found if not (name.startswith(".") and name.endswith(".tmp")))

    @_waits
    def size(self, path: str) -> int:
        """Returns the size of a file in bytes."""
        with storage_errors(self.full(path)):
            local = self._local(path)
            return local.stat().st_size if local else int(self._fs_for(path).size(self.full(path)))

    @_waits
    def remove(self, path: str) -> None:
        """Removes one file; absent is fine."""
        with storage_errors(self.full(path)), contextlib.suppress(FileNotFoundError):
            local = self._local(path)
            if local:
                local.unlink()
            else:
                self._fs_for(path).rm_file(self.full(path))

    @_waits
    def remove_all(self, paths: Sequence[str]) -> None:
        """Removes files; absent ones are fine. One request for many on an object store that has such."""
        if not paths:
            return
        if self.is_local or len(paths) == 1:
            for path in paths:
                self.remove(path)
            return
        try:
            with storage_errors(self.url):
                self.fs.rm([self.full(path) for path in paths])
        except MissingError:  # of one of them, and then some may be left
            for path in paths:
                self.remove(path)

    def remove_folder(self, folder: str) -> None:
        """Removes the files that lie directly in a folder; a local folder too, and those around it that are empty."""
        self.remove_all([f"{folder}/{name}" for name in self.names(folder)])
        local, root = self._local(folder), Path(self.url)
        with contextlib.suppress(OSError):
            for parent in [local, *local.parents] if local else []:
                if root in parent.parents:
                    parent.rmdir()

    @_waits
    def publish(self, path: str, data: bytes, durable: bool = True) -> None:
        """Writes a complete file: readers see all of it or nothing.

        Without `durable` a local file may be damaged when the machine goes down: what is checked when it is read.
        """
        if self._local(path):
            with self.writer(path, durable) as file:
                file.write(data)
        else:
            with storage_errors(self.full(path)):
                self._fs_for(path).pipe_file(self.full(path), data)

    @contextlib.contextmanager
    def writer(self, path: str, durable: bool = True) -> Iterator[IO[bytes]]:
        """Yields a binary file that appears under `path`, whole, when the block ends without an error."""
        pending = self.create(path)
        pending.durable = durable
        try:
            yield pending.file
            pending.commit()
        finally:
            pending.abort()  # after a commit there is nothing left to drop

    def create(self, path: str) -> PendingFile:
        """Opens a file as `writer` does, for those who don't write in one block."""
        local = self._local(path)
        if local:
            return PendingFile(str(local), None)
        return PendingFile(self.full(path), self._fs_for(path), self.root_of(path))

    def _local(self, path: str) -> Path | None:
        full = _without_local_scheme(self.full(path))
        return None if "://" in full else Path(full)

    def _fs_for(self, path: str) -> Any:
        if is_absolute(path) and not path.startswith(self.url):
            return _open_file_system(path)
        return self.fs

    def _listed(self, folder: str) -> list[str]:
        fs = self._fs_for(folder)
        full = self.full(folder)
        stripped = fs._strip_protocol(full).rstrip("/")
        paths = [found.rstrip("/") for found in fs.ls(full, detail=False)]
        return [
            found.rpartition("/")[2] for found in paths if found != stripped
        ]  # some list a folder's marker inside it


def is_absolute(path: str) -> bool:
    """Returns whether a path names its own root (a local absolute path or a URL) instead of lying in a store."""
    return path.startswith("/") or "://" in path


def _without_local_scheme(url: str) -> str:
    return re.sub("^(file|local)://", "", url)


def _open_file_system(url: str) -> Any:
    options: dict[str, Any] = {"use_listings_cache": False}  # listings must see what other processes wrote a moment ago
    protocol = url.partition("://")[0]
    if protocol in _S3_PROTOCOLS:  # whose client keeps ten connections, however many threads ask
        configured = fsspec.config.conf.get(protocol, {}).get("config_kwargs", {})
        options["config_kwargs"] = {"max_pool_connections": CONNECTIONS, **configured}
    try:
        return fsspec.url_to_fs(url, **options)[0]
    except ImportError as error:
        raise ImportError(f"{url}: nothing here reads {protocol}://: {missing_package(protocol, error)}") from error


def missing_package(protocol: str, error: ImportError) -> str:
    """Returns what to install for a file system that cannot be imported."""
    extra = _EXTRAS.get(protocol)
    return f"pip install 'rzen-corpus[{extra}]'" if extra else str(error)


def _read_local_ranges(requests: list[tuple[str, int, int, int]], found: list[Any]) -> None:
    # In file order, each file opened once: neighbours on disk are read as neighbours.
    for path, group in itertools.groupby(sorted(requests), key=operator.itemgetter(0)):
        with storage_errors(path), Path(path).open("rb", buffering=0) as file:
            for _, offset, size, at in group:
                found[at] = os.pread(file.fileno(), size, offset)
