"""Readers of images: headers, inspection, decoding for captions, re-encoding."""

from __future__ import annotations

import contextlib
import io
import struct
import warnings
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from PIL import Image

from corpus.image.decode import UndecodableError
from corpus.image.encode import JPEG_QUALITY
from corpus.image.header import sniff
from corpus.image.pixel_budget import PixelBudget, decode_to_budget
from corpus.media import MediaWriter
from corpus.schema import Status, table_schema
from filters.image.stats import ImageStats, ImageStatsSettings, inspect_image
from pipelines.download.images import DownloadSettings, ReencodeSettings, items_table, store_image
from pipelines.publish.images import matches_inspection, rewrite_image, same_picture, stock_hash, stock_pixels

from ..formats import box_size, png_checksums
from ..target import Reader, Target, Unexpected

_SIDE_PX = 48


def image_seeds() -> list[bytes]:
    """Small images: every format that is read, in several modes, and some that are not."""
    warnings.simplefilter("ignore")
    rng = np.random.default_rng(5)
    smooth = np.add.outer(np.arange(_SIDE_PX) * 3, np.arange(_SIDE_PX) * 2)[..., None] + np.array([0, 40, 80])
    pixels = (smooth + rng.integers(0, 8, smooth.shape)).clip(0, 255).astype(np.uint8)
    rgb = Image.fromarray(pixels)
    rgba, grey, palette = rgb.convert("RGBA"), rgb.convert("L"), rgb.quantize(16)
    rgba.putalpha(grey)
    deep = Image.fromarray(pixels[..., 0].astype(np.uint16) * 257)
    frames: dict[str, Any] = {"save_all": True, "append_images": [rgb.rotate(90)], "duration": 50}
    exif = Image.Exif()
    exif[274] = 6
    turned: dict[str, Any] = {"exif": exif.tobytes()}
    tables = [
        (rgb, "JPEG", {}),
        (rgb, "JPEG", {"progressive": True, **turned}),
        (grey, "JPEG", {"restart_marker_rows": 1}),
        (rgb.convert("CMYK"), "JPEG", {}),
        (rgb, "PNG", turned),
        (rgba, "PNG", {}),
        (palette, "PNG", {"transparency": 3}),
        (grey.convert("1"), "PNG", {}),
        (deep, "PNG", {}),
        (rgb, "PNG", frames),
        (rgb, "WEBP", {}),
        (rgba, "WEBP", {"lossless": True, **turned}),
        (rgb, "WEBP", frames),
        (palette, "GIF", {"transparency": 1}),
        (palette, "GIF", frames),
        (rgb, "BMP", {}),
        (palette, "BMP", {}),
        (rgba, "BMP", {}),
        (rgb, "TIFF", turned),
        (rgba, "TIFF", {"compression": "tiff_lzw"}),
        (rgb, "TIFF", {"compression": "tiff_adobe_deflate", **frames}),
        (rgb, "TIFF", {"compression": "jpeg"}),
        (grey.convert("1"), "TIFF", {"compression": "group4"}),
        (deep, "TIFF", {}),
        (rgb.convert("F"), "TIFF", {}),
        (rgb, "AVIF", {}),
        (rgba, "AVIF", turned),
        (rgba, "ICO", {}),
        (rgb, "JPEG2000", {}),
    ]
    return [_encoded(*each) for each in tables if each[1] in _writable()] + [_mpo(rgb), _jxl()]


def _writable() -> set[str]:
    Image.init()
    return set(Image.SAVE)


def _encoded(image: Image.Image, kind: str, options: dict[str, Any]) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def _mpo(image: Image.Image) -> bytes:
    """Two JPEGs in one file, as cameras with two lenses write them."""
    return _encoded(image, "MPO", {"save_all": True, "append_images": [image.rotate(180)]})


def _jxl() -> bytes:
    """The beginning of a JPEG XL container."""
    return struct.pack(">I4s4s", 12, b"JXL ", b"\r\n\x87\n") + struct.pack(">I8s", 20, b"ftypjxl ") + bytes(64)


def large_seeds() -> list[bytes]:
    """Images of a few kilobytes that are as large as may be, or a little larger: in all, or along one side."""
    found = [_black_png(*size) for size in ((7_000, 7_000), (1, 20_000_000), (29_000, 1_700), (13_400, 13_400))]
    found += [_encoded(Image.new("P", size), "GIF", {}) for size in ((65_535, 500), (4_000, 4_000))]
    found += [_encoded(Image.new("RGB", (5_000, 4_000)), "TIFF", {"compression": "tiff_adobe_deflate"})]
    found += [_encoded(Image.new("1", (100_000, 1_700)), "TIFF", {"compression": "group4"})]
    found += [_encoded(Image.new("RGB", size), "WEBP", {"lossless": True}) for size in ((16_383, 16), (4_000, 4_000))]
    found += [_encoded(Image.new("RGB", (65_500, 64)), "JPEG", {}), _canvas(32, 3_276_824), _canvas(7_000, 7_000)]
    return found


def _black_png(width: int, height: int) -> bytes:
    """One bit a pixel, all of them 0."""
    packer, row = zlib.compressobj(1), bytes(1 + (width + 7) // 8) * max(1, (1 << 20) // width)
    rows = -(-height * (1 + (width + 7) // 8) // len(row))
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)),
        (b"IDAT", b"".join(packer.compress(row) for _ in range(rows)) + packer.flush()),
        (b"IEND", b""),
    ]
    whole = b"".join(len(data).to_bytes(4, "big") + name + data + bytes(4) for name, data in chunks)
    return png_checksums(b"\x89PNG\r\n\x1a\n" + whole)


def _canvas(width: int, height: int) -> bytes:
    """A WebP with a canvas of any size, and one small frame on it."""
    frames = [Image.new("RGB", (16, 16)), Image.new("RGB", (16, 16), "white")]
    data = bytearray(_encoded(frames[0], "WEBP", {"save_all": True, "append_images": frames[1:], "lossless": True}))
    at = data.index(b"VP8X") + 12
    data[at : at + 6] = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return bytes(data)


class _Nowhere(MediaWriter):
    """In the place of the media tar: what is stored is dropped."""

    def __init__(self) -> None:
        self.path = "media.tar"

    def add(self, item: bytes, ext: str, data: bytes) -> tuple[int, int]:
        return 0, len(data)


def _reader(read: Any, refusals: tuple[type[Exception], ...] = ()) -> Reader:
    return Reader(
        read, image_seeds(), refusals, (box_size,), lambda data: png_checksums(data) if data[:1] == b"\x89" else data
    )


def _sniff(folder: Path) -> Reader:
    def read(data: bytes) -> object:
        header = sniff(data)
        return header.ext, header.mode, header.upright_size

    return _reader(read)


def _inspect(folder: Path) -> Reader:
    most, schema = ImageStatsSettings().max_pixels, table_schema(ImageStats.schema)
    return _reader(lambda data: pa.Table.from_pylist([inspect_image(data, most)], schema))


def _decode(folder: Path) -> Reader:
    budget, most = PixelBudget(max_pixels=512 * 512), ImageStatsSettings().max_pixels  # of more, nothing is captioned
    return _reader(lambda data: decode_to_budget(data, budget, most), (UndecodableError,))


def _reencode(folder: Path) -> Reader:
    settings = DownloadSettings(reencode=ReencodeSettings())
    media = _Nowhere()
    return _reader(lambda data: items_table([store_image(data, settings, media, {})]))


def _published(folder: Path) -> Reader:
    """An image that is kept is published, as it is or anew, and a stock reader shows the picture that was judged."""
    settings = ImageStatsSettings()

    def read(data: bytes) -> object:
        row = inspect_image(data, settings.max_pixels, settings.max_side_px)
        if row["status"] != Status.KEPT:
            return row["reason"]
        made = rewrite_image(data, row["phash"], JPEG_QUALITY) if row["rewrite"] else data
        if not same_picture(stock_hash(stock_pixels(made)), row["phash"]) and not matches_inspection(
            made, row["phash"]
        ):
            raise Unexpected(f"{row['format']} {row['mode']}: a stock reader shows another picture")
        return len(made)

    return _reader(read)


def _large(folder: Path) -> Reader:
    """What a corpus does with an image that it keeps; few inputs, for each may cost a second."""
    settings = ImageStatsSettings()
    readers = [each(folder) for each in (_published, _decode, _reencode)]

    def read(data: bytes) -> str:
        row = inspect_image(data, settings.max_pixels, settings.max_side_px)
        for reader in readers if row["status"] == Status.KEPT else ():
            with contextlib.suppress(*reader.refusals):
                reader.read(data)
        return str(row["reason"])

    return Reader(read, large_seeds(), (), (box_size,), readers[0].repair)


TARGETS = (
    Target("images.sniff", 250_000, _sniff),
    Target("images.stats", 60_000, _inspect),
    Target("images.decode_to_budget", 40_000, _decode),
    Target("images.reencode", 30_000, _reencode),
    Target("images.published", 30_000, _published),
    Target("images.large", 150, _large),
)
