"""Tells a fault of the machine (disk, memory, network, installation) from a fault of the data.

A row whose bytes can't be used gets a status and a reason. A full disk, too many open files or a server that is away
say nothing about any row: the shard is run again. Libraries raise OSError for both, so its type alone doesn't decide.
"""

from __future__ import annotations

import errno
import tempfile

from corpus.storage_error import DISK_FULL, StorageError

# Errors of the system that say that this machine has no room for one more file, socket or byte.
NO_ROOM = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS, *DISK_FULL})
_OPENCV_NO_MEMORY = -4  # cv::Error::StsNoMem


def is_machine_fault(error: BaseException) -> bool:
    """Returns whether an exception says something about the machine and nothing about the row that was worked on.

    An OSError does if the operating system raised it: it has a number then, or is one of Python's own subclasses
    (TimeoutError, ConnectionError ...). Without either, a decoder has used the class for a damaged file, as Pillow
    does. Memory that runs out is neither: see `is_out_of_memory`.
    """
    if is_out_of_memory(error):
        return False
    if isinstance(error, (StorageError, ImportError)):
        return True
    module = type(error).__module__.partition(".")[0]
    if not isinstance(error, OSError) or module == "av":  # libav gives its own findings the system's numbers
        return False
    return error.errno is not None or (module == "builtins" and type(error) is not OSError)


def is_out_of_memory(error: BaseException) -> bool:
    """Returns whether an exception says that memory ran out. One hostile row can do that, and so can too small a
    machine.
    """
    if isinstance(error, MemoryError):
        return True
    return type(error).__module__ == "cv2" and getattr(error, "code", None) == _OPENCV_NO_MEMORY


def fault_location(error: BaseException) -> str:
    """Returns where temporary files lie, for an error of a full disk that names no file; else ""."""
    if isinstance(error, OSError) and error.errno in DISK_FULL and error.filename is None:
        return f"temporary files lie in {tempfile.gettempdir()} (TMPDIR)"
    return ""
