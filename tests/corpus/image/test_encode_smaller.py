"""Images re-encoded as smaller JPEGs: upright, opaque, of the colours that the original shows."""

import io
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image

from corpus.image.encode import reencode
from corpus.image.stock_reader import UndecodableError
from tests.helpers.cases import cases

RED, GREEN, BLUE, YELLOW = (220, 30, 30), (30, 200, 30), (30, 30, 220), (220, 220, 30)


def corners(width=320, height=200):
    """Red, green / blue, yellow quarters."""
    pixels = np.empty((height, width, 3), np.uint8)
    half_h, half_w = height // 2, width // 2
    pixels[:half_h, :half_w], pixels[:half_h, half_w:] = RED, GREEN
    pixels[half_h:, :half_w], pixels[half_h:, half_w:] = BLUE, YELLOW
    return Image.fromarray(pixels)


def encoded(image, kind, **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def decoded(data):
    image = Image.open(io.BytesIO(data))
    assert (image.format, image.mode) == ("JPEG", "RGB")
    return np.asarray(image).astype(int)


def quarters(data):
    """The colours in the middle of the four quarters, in reading order."""
    pixels = decoded(data)
    height, width = pixels.shape[:2]
    return [pixels[y, x] for y in (height // 4, height * 3 // 4) for x in (width // 4, width * 3 // 4)]


def assert_quarters(data, *colours, within=12):
    for found, wanted in zip(quarters(data), colours, strict=True):
        assert np.abs(found - wanted).max() <= within


@cases(
    ("orientation", "size", "colours"),
    [
        (1, (160, 100), (RED, GREEN, BLUE, YELLOW)),
        (2, (160, 100), (GREEN, RED, YELLOW, BLUE)),
        (3, (160, 100), (YELLOW, BLUE, GREEN, RED)),
        (4, (160, 100), (BLUE, YELLOW, RED, GREEN)),
        (5, (100, 160), (RED, BLUE, GREEN, YELLOW)),
        (6, (100, 160), (BLUE, RED, YELLOW, GREEN)),
        (7, (100, 160), (YELLOW, GREEN, BLUE, RED)),
        (8, (100, 160), (GREEN, YELLOW, RED, BLUE)),
        (0, (160, 100), (RED, GREEN, BLUE, YELLOW)),
    ],
)
@cases("kind", ["JPEG", "PNG", "TIFF"])
def test_orientation_is_applied_once(kind, orientation, size, colours):
    exif = Image.Exif()
    exif[274] = orientation
    data, width, height = reencode(encoded(corners(), kind, exif=exif), 160, 95, orientation)
    assert (width, height) == size
    assert decoded(data).shape[:2] == (height, width)
    assert_quarters(data, *colours)
    assert not Image.open(io.BytesIO(data)).getexif()


@cases(
    ("size", "wanted", "expected"),
    [
        ((320, 200), 160, (160, 100)),
        ((200, 320), 160, (100, 160)),
        ((3200, 2000), 160, (160, 100)),
        ((641, 427), 384, (384, 256)),
        ((320, 200), 320, (320, 200)),
        ((320, 200), 4000, (320, 200)),
        ((1, 1), 100, (1, 1)),
        ((3000, 2), 100, (100, 1)),
    ],
)
@cases("kind", ["JPEG", "PNG"])
def test_sizes(kind, size, wanted, expected):
    data, *found = reencode(encoded(Image.new("RGB", size, RED), kind), wanted, 90, 1)
    assert tuple(found) == expected
    assert Image.open(io.BytesIO(data)).size == expected


def test_quality_is_heeded():
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (200, 200, 3), dtype=np.uint8))
    fine, coarse = (reencode(encoded(noise, "PNG"), 200, quality, 1)[0] for quality in (95, 30))
    assert len(fine) > 2 * len(coarse)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "PA", "P"])
def test_transparency_becomes_white(mode):
    image = corners().convert("RGBA")
    alpha = np.full((200, 320), 255, np.uint8)
    alpha[:100, :160] = 0
    image.putalpha(Image.fromarray(alpha))
    options = {}
    if mode == "P":
        image = corners().quantize(4)
        options["transparency"] = image.getpixel((0, 0))
    elif mode != "RGBA":
        image = image.convert(mode)
    kind = "TIFF" if mode == "PA" else "PNG"
    data, *_ = reencode(encoded(image, kind, **options), 320, 95, 1)
    found = quarters(data)
    assert found[0].min() >= 250
    assert found[1].min() < 200


def test_half_transparent_is_mixed_with_white():
    data, *_ = reencode(encoded(Image.new("RGBA", (64, 64), (0, 0, 0, 128)), "PNG"), 64, 95, 1)
    assert np.abs(decoded(data) - 127).max() <= 3


def test_sixteen_bits_keep_their_brightness():
    grey = np.full((64, 64), 40_000, np.uint16)
    for data in (encoded(Image.fromarray(grey), "PNG"), encoded(Image.fromarray(grey), "TIFF")):
        assert np.abs(decoded(reencode(data, 64, 95, 1)[0]) - 40_000 // 256).max() <= 2
    colour = cv2.imencode(".png", np.full((64, 64, 3), (10_000, 30_000, 60_000), np.uint16))[1].tobytes()
    found = decoded(reencode(colour, 64, 95, 1)[0])
    assert np.abs(found - [60_000 // 256, 30_000 // 256, 10_000 // 256]).max() <= 6


@pytest.mark.parametrize(
    ("mode", "kind"),
    [("CMYK", "JPEG"), ("CMYK", "TIFF"), ("P", "GIF"), ("RGB", "WEBP"), ("RGB", "BMP"), ("RGB", "TIFF")],
)
def test_other_modes_and_formats_keep_their_colours(mode, kind):
    image = corners().quantize(4) if mode == "P" else corners().convert(mode)
    data, width, height = reencode(encoded(image, kind), 160, 95, 1)
    assert (width, height) == (160, 100)
    assert_quarters(data, RED, GREEN, BLUE, YELLOW, within=20)


@pytest.mark.parametrize("mode", ["L", "1"])
def test_grey_becomes_three_equal_channels(mode):
    for kind in ("JPEG", "PNG") if mode == "L" else ("PNG",):
        found = decoded(reencode(encoded(Image.new(mode, (64, 64), 255), kind), 64, 95, 1)[0])
        assert found.min() >= 254


def test_shrinking_averages_areas():
    """Close to exact area averaging on a natural-looking texture, whichever way it was decoded and shrunk."""
    noise = np.random.default_rng(3).integers(0, 256, (1300, 1300), dtype=np.uint8)
    texture = cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 4), None, 0, 255, cv2.NORM_MINMAX)
    texture = cv2.cvtColor(texture, cv2.COLOR_GRAY2BGR)
    data = cv2.imencode(".png", texture)[1].tobytes(), cv2.imencode(".jpg", texture, [1, 98])[1].tobytes()
    for wanted in (384, 640, 1000):
        exact = cv2.resize(texture, (wanted, wanted), interpolation=cv2.INTER_AREA)
        for source in data:
            found = cv2.imdecode(np.frombuffer(reencode(source, wanted, 100, 1)[0], np.uint8), cv2.IMREAD_COLOR)
            assert cv2.PSNR(found, exact) > 45


def test_what_is_no_whole_image_is_refused():
    photo = encoded(Image.fromarray(np.random.default_rng(1).integers(0, 256, (200, 300, 3), dtype=np.uint8)), "JPEG")
    png = encoded(corners(), "PNG")
    floats = encoded(Image.fromarray(np.ones((8, 8), np.float32)), "TIFF")
    for broken in (b"", b"<html>", photo[:20], photo[: len(photo) // 2], photo[:-500], png[: len(png) // 2], floats):
        with pytest.raises(UndecodableError):
            reencode(broken, 100, 90, 1)


def test_a_jpeg_with_data_behind_its_end_is_whole():
    data, *_ = reencode(encoded(corners(), "JPEG", quality=95) + bytes(5000), 320, 95, 1)
    assert_quarters(data, RED, GREEN, BLUE, YELLOW)


def test_a_pixel_bomb_is_refused_by_its_header():
    png = bytearray(encoded(Image.new("1", (8, 8)), "PNG"))
    png[16:24] = (60_000).to_bytes(4, "big") * 2
    png[29:33] = zlib.crc32(png[12:29]).to_bytes(4, "big")
    with pytest.raises(UndecodableError, match=r"DecompressionBomb|MAX_IMAGE_PIXELS"):
        reencode(bytes(png), 100, 90, 1)
