"""Makes image files with defects or unusual properties. Each function encodes one file from a picture."""

from __future__ import annotations

import io
import struct
import zlib

import cv2
import numpy as np
from PIL import Image

from demo.images.drawing import BgrPixels, Picture, encode, scaled

SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="300" height="300"><circle cx="150" cy="150" r="90"/></svg>'
BOMB_SIDE = 30_000  # pixels


def plain(picture: Picture) -> bytes:
    return encode(picture.pixels)


def png(picture: Picture) -> bytes:
    return encode(picture.pixels, ".png")


def webp(picture: Picture) -> bytes:
    return encode(picture.pixels, ".webp")


def progressive(picture: Picture) -> bytes:
    return encode(picture.pixels, ".jpg", 90, cv2.IMWRITE_JPEG_PROGRESSIVE, 1)


def grey(picture: Picture) -> bytes:
    return encode(cv2.cvtColor(picture.pixels, cv2.COLOR_BGR2GRAY))


def cmyk(picture: Picture) -> bytes:
    """Returns a JPEG in the four inks of print."""
    return _save(_image(picture.pixels).convert("CMYK"), "JPEG", quality=90)


def rotated(picture: Picture) -> bytes:
    """Returns a JPEG that is rotated, with the EXIF orientation that undoes it."""
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees clockwise to view
    return _save(_image(cv2.rotate(picture.pixels, cv2.ROTATE_90_COUNTERCLOCKWISE)), "JPEG", quality=90, exif=exif)


def palette(picture: Picture) -> bytes:
    return _save(_image(picture.pixels).quantize(128), "PNG")


def sixteen_bit(picture: Picture) -> bytes:
    return encode(cv2.cvtColor(picture.pixels, cv2.COLOR_BGR2GRAY).astype(np.uint16) * 257, ".png")


def transparent(picture: Picture) -> bytes:
    """Returns a PNG with one corner cut away."""
    alpha = np.full(picture.pixels.shape[:2], 255, np.uint8)
    alpha[: picture.height // 8, : picture.width // 8] = 0
    return encode(np.dstack([picture.pixels, alpha]), ".png")


def ink(picture: Picture) -> bytes:
    """Returns a PNG that is black, and as opaque as the picture is dark: on white it shows the picture in grey."""
    grey = cv2.cvtColor(picture.pixels, cv2.COLOR_BGR2GRAY)
    return encode(np.dstack([np.zeros_like(picture.pixels), 255 - grey]), ".png")


def blurred(picture: Picture) -> bytes:
    return encode(cv2.GaussianBlur(picture.pixels, (0, 0), max(picture.width, picture.height) / 40))


def too_dark(picture: Picture) -> bytes:
    return encode(_exposed(picture.pixels, 0.04))


def too_bright(picture: Picture) -> bytes:
    return encode(255 - _exposed(255 - picture.pixels, 0.04))


def flat(picture: Picture) -> bytes:
    """Returns an image of one colour, the mean of the picture."""
    return encode(np.broadcast_to(picture.pixels.mean(axis=(0, 1)), picture.pixels.shape).astype(np.uint8))


def too_small(picture: Picture) -> bytes:
    return encode(scaled(picture.pixels, 24 / min(picture.width, picture.height)))


def single_pixel(picture: Picture) -> bytes:
    return encode(picture.pixels[:1, :1], ".png")


def extreme_aspect_ratio(picture: Picture) -> bytes:
    """Returns a strip twelve times as wide as high."""
    return encode(np.tile(cv2.resize(picture.pixels, (600, 200)), (1, 4, 1)))


def animated(picture: Picture) -> bytes:
    """Returns a GIF of four frames."""
    frames = [_image(np.roll(picture.pixels, 40 * turn, axis=1)) for turn in range(4)]
    return _save(frames[0], "GIF", save_all=True, append_images=frames[1:], duration=100)


def truncated(picture: Picture) -> bytes:
    data = encode(picture.pixels)
    return data[: int(0.6 * len(data))]


def truncated_png(picture: Picture) -> bytes:
    data = encode(picture.pixels, ".png")
    return data[: int(0.6 * len(data))]


def short_png(picture: Picture) -> bytes:
    """Returns a PNG of complete chunks with right checksums, whose pixels end after a third of the rows."""
    pixels = cv2.cvtColor(picture.pixels, cv2.COLOR_BGR2RGB)
    rows = b"".join(b"\0" + row.tobytes() for row in pixels[: picture.height // 3])
    header = struct.pack(">IIBBBBB", picture.width, picture.height, 8, 2, 0, 0, 0)
    chunks = _chunk(b"IHDR", header) + _chunk(b"IDAT", zlib.compress(rows)) + _chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def jpeg_xl(picture: Picture) -> bytes:
    """Returns noise after the signature of a JPEG XL, which is not supported."""
    return b"\0\0\0\x0cJXL \r\n\x87\n" + np.random.default_rng(picture.pixels.size).bytes(2000)


def long_strip(_: Picture) -> bytes:
    """Returns a few hundred bytes with the header of an animation of 32 × 400,000 pixels."""
    frame = encode(np.zeros((32, 32, 3), np.uint8), ".webp")[12:]
    canvas = bytes([2, 0, 0, 0]) + (31).to_bytes(3, "little") + (399_999).to_bytes(3, "little")
    placed = bytes(6) + 2 * (31).to_bytes(3, "little") + (100).to_bytes(3, "little") + b"\0" + frame
    chunks = [(b"VP8X", canvas), (b"ANIM", bytes(6)), (b"ANMF", placed), (b"ANMF", placed)]
    body = b"WEBP" + b"".join(name + struct.pack("<I", len(data)) + data for name, data in chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def garbage(picture: Picture) -> bytes:
    """Returns noise after the beginning of a JPEG."""
    return encode(picture.pixels)[:20] + np.random.default_rng(picture.pixels.size).bytes(20_000)


def svg(_: Picture) -> bytes:
    return SVG


def pixel_bomb(_: Picture) -> bytes:
    """Returns a PNG of a hundred kilobytes with 900 million pixels."""
    packer = zlib.compressobj(9)
    row = bytes(1 + BOMB_SIDE // 8)
    data = b"".join(packer.compress(row * 1000) for _ in range(BOMB_SIDE // 1000)) + packer.flush()
    header = struct.pack(">IIBBBBB", BOMB_SIDE, BOMB_SIDE, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", data) + _chunk(b"IEND", b"")


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def _exposed(pixels: BgrPixels, share: float) -> BgrPixels:
    return (pixels * share).astype(np.uint8)


def _image(pixels: BgrPixels) -> Image.Image:
    return Image.fromarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB))


def _save(image: Image.Image, form: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()
