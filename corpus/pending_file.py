"""A file that is being written, and appears under its name when it is whole."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import shutil
import tempfile
import uuid
from pathlib import Path
from typing import IO, Any

from corpus.storage_error import StorageError, error_reason, storage_errors, try_storage

_spools: set[Path] = set()  # of this process: what lies about while files are being written


def drop_pending() -> None:
    """Removes what unfinished files have written so far. For a process that is about to end without unwinding."""
    for spool in list(_spools):
        with contextlib.suppress(OSError):
            spool.unlink(missing_ok=True)


class _Spool(io.FileIO):
    """The temporary file of a pending one. An error of the disk names the file that was to be written."""

    where = ""

    def write(self, data: Any) -> int:
        try:
            return super().write(data)
        except OSError as error:
            raise StorageError.caused_by(error, f"{self.where}: cannot be written: {error_reason(error)}") from error


class PendingFile:
    """A file that is being written: `commit` makes it appear under its name, whole; `abort` leaves nothing behind.

    On its way to an object store it lies in the temporary folder (TMPDIR), which needs room for it.
    """

    file: IO[bytes]
    durable = True  # a local file is on the disk when it gets its name

    def __init__(self, target: str, fs: Any | None, store: str = "") -> None:
        self._target = target
        self._fs = fs  # None: local
        self._store = store
        with storage_errors(target):
            if fs is None:  # in the same folder, so that the rename stays inside one file system
                path = Path(target)
                path.parent.mkdir(parents=True, exist_ok=True)
                if path.exists() and not (path.is_file() or path.is_dir()):  # a rename would replace a device or a pipe
                    raise FileExistsError(errno.EEXIST, "is no file, and is not replaced", target)
                self._spool = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.tmp")
                _spools.add(self._spool)
                handle = _unnamed_file(path.parent)
                self._named = handle is None
                raw = _Spool(str(self._spool) if handle is None else handle, "x+" if handle is None else "w+")
                raw.where = target
            else:
                handle, name = tempfile.mkstemp(prefix="rzen-corpus-")
                self._spool = Path(name)
                _spools.add(self._spool)
                raw = _Spool(handle, "w+")
                raw.where = f"{target}: its temporary file {name} (TMPDIR)"
            self.file = io.BufferedRandom(raw)

    def commit(self) -> None:
        """Publishes what was written. It stays unpublished if this raises; `abort` is still due."""
        fs = self._fs
        with storage_errors(self._target):
            if fs is None:
                self.file.flush()
                if self.durable:
                    os.fsync(self.file.fileno())  # a rename must not outlive the bytes it names
                if not self._named:  # a link can't replace a file, a rename can
                    self._name_spool()
                self.file.close()
                self._spool.replace(self._target)
                if self.durable:
                    _sync_folder(self._spool.parent)  # nor may a later file that names this one outlive the rename
            else:
                self.file.close()
                try_storage(lambda: fs.put_file(str(self._spool), self._target), self._target, self._store)
                self._spool.unlink()
        _spools.discard(self._spool)

    def link(self, path: str) -> bool:
        """Gives what is written, and will be, a second name in a local folder; tells whether that can be had.

        For what is to survive a kill: who takes the second name away does the file no harm.
        """
        if self._fs is not None:
            return False
        source = str(self._spool) if self._named else f"/proc/self/fd/{self.file.fileno()}"
        handle = None if self._named else self.file.fileno()
        try:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            os.link(source, path, src_dir_fd=handle, follow_symlinks=handle is not None)
        except OSError:  # another disk, or a file system without links
            return False
        return True

    def _name_spool(self) -> None:
        """Gives a file without a name that of the temporary file."""
        handle = self.file.fileno()  # given twice: without a folder, Python's link would not follow
        source = f"/proc/self/fd/{handle}"
        try:
            os.link(source, self._spool, src_dir_fd=handle, follow_symlinks=True)
        except FileNotFoundError:  # it had a second name, which was taken away: the system makes no third one
            with Path(source).open("rb") as written, self._spool.open("xb") as copy:
                shutil.copyfileobj(written, copy, 1 << 20)
                copy.flush()
                os.fsync(copy.fileno())

    def abort(self) -> None:
        """Drops what was not committed."""
        with contextlib.suppress(OSError):  # closing writes what is buffered, and the disk may be full
            self.file.close()
        self._spool.unlink(missing_ok=True)
        _spools.discard(self._spool)


def _unnamed_file(folder: Path) -> int | None:
    """Returns a file without a name, of which a kill leaves nothing behind; None where the system has no such files."""
    flag = getattr(os, "O_TMPFILE", None)
    if flag is None or not Path("/proc/self/fd").is_dir():
        return None
    try:
        return os.open(folder, flag | os.O_RDWR, 0o666)
    except OSError as error:
        if error.errno in (errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL, errno.ENOENT):  # as file systems say it
            return None
        raise


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # some network file systems cannot
            os.fsync(handle)
    finally:
        os.close(handle)
