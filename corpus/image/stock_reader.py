"""Images as a stock reader opens them: by Pillow, with everything that it raises turned into one error.

Trainers read images with Pillow, so what Pillow can't read is not kept, and what it makes of a file is what is judged.
Pillow is imported where it is used: settings, plans and the command line don't need it.
"""

from __future__ import annotations

import io
import re
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from corpus.faults import is_machine_fault, is_out_of_memory
from corpus.image.header import ImageHeader
from corpus.image.lzw import decoded_values
from corpus.printable import printable

if TYPE_CHECKING:
    from PIL import Image

_NO_MEMORY = ("out of memory", "insufficient memory", "failed to allocate")  # in the messages of decoders
_ADDRESS = re.compile(r"<_io\.BytesIO object at 0x[0-9a-f]+>")  # in messages: another one in every run
# The passes of an interlaced PNG: first column and row, and how far the next ones are.
_ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))


class UndecodableError(ValueError):
    """The bytes are no image that can be decoded whole."""

    reason = "undecodable"  # in a table


class TruncatedError(UndecodableError):
    """The data ends before the lower edge."""

    reason = "truncated"


@contextmanager
def decoder_errors() -> Iterator[None]:
    """Turns whatever a decoder raises on an image's bytes into UndecodableError, with the decoder's words.

    A lack of memory is MemoryError, for that may be the machine's; what says nothing of the bytes (`corpus.faults`;
    when no file can be opened, no plugin can be loaded) is raised as it is.
    """
    try:
        yield
    except (UndecodableError, MemoryError):
        raise
    except Exception as error:
        if is_machine_fault(error):
            raise
        text = str(error)
        if is_out_of_memory(error) or any(words in text.lower() for words in _NO_MEMORY):
            raise MemoryError(text) from error
        if text.startswith("image file is truncated"):
            raise TruncatedError(error_message(error)) from error
        raise UndecodableError(error_message(error)) from error


def error_message(error: Exception) -> str:
    """Returns a decoder's error in one printable line, the same in every run."""
    name = "" if isinstance(error, UndecodableError) else f"{type(error).__name__}: "
    text = _ADDRESS.sub("the data", f"{name}{error}")
    return printable(" ".join(text.split()))


def check_header(header: ImageHeader) -> None:
    """Raises UndecodableError for what must not be decoded, whatever its size is."""
    if header.fault:
        raise UndecodableError(header.fault)
    if not header.width or not header.height:
        raise UndecodableError(f"{header.format or 'unknown format'}: no size in the header")
    if not header.complete:
        raise TruncatedError("the end of the file is missing")


def open_image(data: bytes, header: ImageHeader) -> Image.Image:
    """Returns the image, opened by Pillow and not decoded yet. `header` is what `corpus.image.header.sniff` says of the
    data.

    Raises UndecodableError where the header has no size or claims what no encoder writes, where Pillow refuses the
    file, and where it sees another size than the header, by which the caller judged the memory. To be called within
    `decoder_errors`.
    """
    from PIL import Image, UnidentifiedImageError

    check_header(header)
    _silence_pillow()
    form = header.format.upper()
    try:
        image = Image.open(io.BytesIO(data), formats=(form,))
    except UnidentifiedImageError:
        if form in Image.OPEN:
            Image.OPEN[form][0](io.BytesIO(data), "")  # which says what is wrong with the file
        raise
    if sorted(image.size) != sorted((header.width, header.height)):  # Pillow may have turned it
        raise UndecodableError(f"{image.size} pixels, where the header has {header.width, header.height}")
    return image


@cache
def _silence_pillow() -> None:
    """Silences Pillow's warnings, once in a process: what it says of strangers' EXIF would fill the logs of workers."""
    warnings.filterwarnings("ignore", module=r"PIL\.")


def load_image(image: Image.Image, data: bytes, header: ImageHeader) -> None:
    """Decodes an opened image. Raises what Pillow raises, and TruncatedError for rows that it has only filled up.

    UndecodableError where Pillow calls a PNG truncated whose data is all there, and is damaged.
    """
    fill = image.info.get("transparency", 0) if header.format == "gif" else 0
    try:
        image.load()
    except OSError as error:
        if header.format == "png" and _is_damaged(data):
            raise UndecodableError(error_message(error)) from error
        raise
    if header.format not in ("png", "gif"):
        return
    lowest = np.asarray(image.crop((0, max(0, image.height - 2), image.width, image.height)))
    if (lowest == fill).reshape(len(lowest), -1).all(axis=1).any():
        found, expected = (
            decoded_values(data) if header.format == "gif" else (_inflated(data), _png_bytes(data, header))
        )
        _refuse_missing(found, expected)


def _refuse_missing(found: int, expected: int) -> None:
    if found < expected:
        raise TruncatedError(f"data for {found} of {expected} bytes of pixels")


def _is_damaged(data: bytes) -> bool:
    """Returns whether a chunk of a PNG's pixels is not the one that its checksum was made of."""
    return any(
        zlib.crc32(data[at + 4 : at + 8 + length]) != _number(data, at + 8 + length) for at, length in _idat(data)
    )


def _idat(data: bytes) -> Iterator[tuple[int, int]]:
    """Yields where each chunk of a PNG's pixels begins, and the length of its content."""
    position = 8
    while position + 12 <= len(data):
        length = _number(data, position)
        if data[position + 4 : position + 8] == b"IDAT":
            yield position, length
        position += 12 + length


def _number(data: bytes, position: int) -> int:
    return int.from_bytes(data[position : position + 4], "big")


def _inflated(data: bytes) -> int:
    """Returns how many bytes the pixels of a PNG are, unpacked."""
    unpack, found = zlib.decompressobj(), 0
    for position, length in _idat(data):
        rest = data[position + 8 : position + 8 + length]
        while rest and not unpack.eof:
            found += len(unpack.decompress(rest, 1 << 20))
            rest = unpack.unconsumed_tail
    return found


def _png_bytes(data: bytes, header: ImageHeader) -> int:
    """Returns how many bytes the pixels of a whole PNG are, unpacked: rows of whole bytes, with a byte before each."""
    bits = header.bits * (1 if header.palette else header.channels)
    total = 0
    for rest, top, across, down in _ADAM7 if data[28] else ((0, 0, 1, 1),):
        width, height = -(-(header.width - rest) // across), -(-(header.height - top) // down)
        total += height * (1 + (width * bits + 7) // 8) if width > 0 and height > 0 else 0
    return total
