"""What is the machine's fault, and what is the data's."""

from __future__ import annotations

import errno
import io

import cv2
import numpy as np
import pyarrow as pa
import pytest
from PIL import Image, UnidentifiedImageError

from corpus.faults import fault_location, is_machine_fault, is_out_of_memory
from corpus.storage import MissingError, StorageError
from tests.helpers.extras import installed_or_skip


def test_faults_of_the_machine_are_told_from_those_of_data() -> None:
    cases = [
        (OSError(errno.ENOSPC, "No space left on device"), True),
        (OSError(errno.EMFILE, "Too many open files"), True),
        (OSError(errno.EIO, "Input/output error", "/a"), True),
        (FileNotFoundError(errno.ENOENT, "No such file", "/a"), True),
        (TimeoutError(), True),
        (ConnectionResetError("by peer"), True),
        (StorageError("bucket: 503"), True),
        (MissingError("bucket: 404"), True),
        (ImportError("pip install"), True),
        (OSError("image file is truncated"), False),
        (UnidentifiedImageError("cannot identify image file"), False),
        (ValueError("bad"), False),
        (RuntimeError("avif"), False),
        (MemoryError(), False),
    ]
    wrong = [error for error, expected in cases if is_machine_fault(error) != expected]
    assert not wrong


def test_what_decoders_raise_for_damaged_bytes_is_the_datas() -> None:
    whole = io.BytesIO()
    Image.new("RGB", (64, 64), "red").save(whole, "JPEG")
    with pytest.raises(OSError) as caught, Image.open(io.BytesIO(whole.getvalue()[:400])) as image:
        image.load()
    assert not is_machine_fault(caught.value)


def test_libavs_errors_are_the_datas() -> None:
    installed_or_skip("av")
    import av

    with pytest.raises(av.error.FFmpegError) as caught:
        av.open(io.BytesIO(b"no video at all" * 100), "r")
    assert not is_machine_fault(caught.value)


def test_memory_that_runs_out_has_several_names() -> None:
    assert is_out_of_memory(MemoryError())
    assert is_out_of_memory(pa.ArrowMemoryError("malloc of size 1 failed"))
    with pytest.raises(MemoryError) as caught:
        np.empty(1 << 60, np.uint8)
    assert is_out_of_memory(caught.value)
    with pytest.raises(cv2.error) as wrong:
        cv2.resize(np.zeros((0, 0), np.uint8), (1, 1))
    assert not is_out_of_memory(wrong.value)
    wrong.value.code = -4  # cv::Error::StsNoMem
    assert is_out_of_memory(wrong.value)
    assert not is_out_of_memory(ValueError())


def test_only_a_full_disk_without_a_file_tells_where_temporary_files_lie() -> None:
    assert "TMPDIR" in fault_location(OSError(errno.ENOSPC, "No space left on device"))
    assert fault_location(OSError(errno.ENOSPC, "No space left on device", "/data/x")) == ""
    assert fault_location(OSError(errno.EIO, "Input/output error")) == ""
    assert fault_location(ValueError("No space left on device")) == ""
