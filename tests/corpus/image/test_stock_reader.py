"""What decoders raise, and what they fill up in silence."""

import errno
import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from corpus.image.header import sniff
from corpus.image.stock_reader import (
    TruncatedError,
    UndecodableError,
    decoder_errors,
    error_message,
    load_image,
    open_image,
)
from tests.helpers.gifs import gif_of, truncated_gif

WIDTH, HEIGHT = 31, 20


def test_whatever_a_decoder_raises_is_one_error_with_its_words() -> None:
    class Strange(Exception):
        pass

    for raised in (RuntimeError("no item"), OSError("broken"), Strange("x"), struct.error("short"), KeyError("k")):
        with pytest.raises(UndecodableError, match=type(raised).__name__), decoder_errors():
            raise raised


def test_a_lack_of_memory_is_not_the_images_fault() -> None:
    for raised in (MemoryError(), OSError("out of memory when reading image file"), ValueError("Insufficient memory")):
        with pytest.raises(MemoryError), decoder_errors():
            raise raised


def test_what_is_the_machines_fault_is_not_the_images() -> None:
    too_many_files = OSError(errno.EMFILE, "Too many open files")
    with pytest.raises(OSError, match="Too many open files") as caught, decoder_errors():
        raise too_many_files
    assert caught.value is too_many_files


def test_words_are_the_same_in_every_run_and_print() -> None:
    error = ValueError(f"cannot identify {io.BytesIO()!r}\n\x1b[31mred")
    assert error_message(error) == "ValueError: cannot identify the data \\x1b[31mred"
    assert error_message(UndecodableError("no size")) == "no size"


def decode(data: bytes) -> Image.Image:
    with decoder_errors():
        header = sniff(data)
        image = open_image(data, header)
        load_image(image, data, header)
    return image


def test_a_file_that_pillow_does_not_identify_has_its_words() -> None:
    good = png(8, 2, np.full((HEIGHT, WIDTH * 3), 9, np.uint8))
    bad = good[:33] + struct.pack(">I4s4sI", 4, b"tEXt", b"a\0bc", 0) + good[33:]  # a wrong checksum
    with pytest.raises(UndecodableError, match="SyntaxError: broken PNG file"):
        decode(bad)


def png(bits: int, colour: int, rows: np.ndarray, height: int = HEIGHT, interlaced: bool = False) -> bytes:
    """A PNG of raw rows (bytes), of which there may be fewer than its header says."""
    header = struct.pack(">IIBBBBB", WIDTH, height, bits, colour, 0, 0, interlaced)
    raw = b"".join(b"\0" + row.tobytes() for row in rows)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(raw)), (b"IEND", b"")]
    if colour == 3:
        chunks.insert(1, (b"PLTE", bytes(range(48))))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    )


FORMS = [(1, 0), (2, 0), (4, 0), (8, 0), (16, 0), (8, 2), (16, 2), (4, 3), (8, 4), (16, 4), (8, 6), (16, 6)]
CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}


def test_a_png_with_too_few_rows_is_truncated_in_every_form() -> None:
    for bits, colour in FORMS:
        size = (WIDTH * bits * CHANNELS[colour] + 7) // 8
        rows = np.full((HEIGHT, size), 0b00010001, np.uint8)
        assert decode(png(bits, colour, rows)).size == (WIDTH, HEIGHT), (bits, colour)
        for kept in (0, 5, HEIGHT - 1):
            with pytest.raises(TruncatedError):
                decode(png(bits, colour, rows[:kept]))


def test_a_png_that_is_black_below_is_whole() -> None:
    for bits, colour in FORMS:
        rows = np.zeros((HEIGHT, (WIDTH * bits * CHANNELS[colour] + 7) // 8), np.uint8)
        rows[:5] = 0b00010001
        assert decode(png(bits, colour, rows)).size == (WIDTH, HEIGHT), (bits, colour)


def interlaced(pixels: np.ndarray) -> np.ndarray:
    """The rows of the passes of an interlaced grey PNG, each with a filter byte, in one line."""
    steps = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
    passes = [pixels[top::down, left::across] for left, top, across, down in steps]
    return np.concatenate([np.insert(part, 0, 0, axis=1).ravel() for part in passes])


def test_an_interlaced_png_with_too_little_data_is_truncated() -> None:
    line = interlaced(np.full((HEIGHT, WIDTH), 200, np.uint8))
    black = interlaced(np.pad(np.full((9, WIDTH), 200, np.uint8), ((0, HEIGHT - 9), (0, 0))))
    whole, dark = (png(8, 0, part[None, 1:], interlaced=True) for part in (line, black))
    assert np.asarray(decode(whole)).min() == 200
    assert decode(dark).size == (WIDTH, HEIGHT)
    for share in (0.2, 0.6, 0.95):
        with pytest.raises(TruncatedError):
            decode(png(8, 0, line[None, 1 : int(len(line) * share)], interlaced=True))


def test_a_gif_with_too_few_rows_is_truncated_and_a_black_one_is_whole() -> None:
    noise = np.random.default_rng(0).integers(1, 256, (60, 80), np.uint8)
    black = np.vstack([noise, np.zeros((9, 80), np.uint8)])
    assert decode(gif_of(noise)).size == (80, 60)
    assert decode(gif_of(black)).size == (80, 69)
    for share in (0.3, 0.8):
        with pytest.raises(UndecodableError) as caught:
            decode(truncated_gif(gif_of(noise), share))
        assert caught.value.reason in ("truncated", "undecodable")
