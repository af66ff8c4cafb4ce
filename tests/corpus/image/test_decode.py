"""One picture in colour, however it is stored."""

import dataclasses
import io
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from corpus.image.decode import (
    Pixels,
    TruncatedError,
    UndecodableError,
    apply_orientation,
    decode_rgb,
    downscale,
    jpeg_scale,
    resize,
)
from corpus.image.header import sniff
from tests.helpers.cases import cases
from tests.helpers.orientations import TURNS

WIDTH, HEIGHT = 60, 40


def picture(width: int = WIDTH, height: int = HEIGHT) -> Pixels:
    """RGB; redder to the right and, less so, greener downwards: no turn leaves it as it is."""
    across, down = np.meshgrid(np.linspace(40, 220, width), np.linspace(20, 140, height))
    return np.dstack([across, down, np.full_like(across, 60)]).astype(np.uint8)


def encode(form: str, mode: str = "RGB", pixels: np.ndarray | None = None, **options: Any) -> bytes:
    file = io.BytesIO()
    image = Image.fromarray(picture() if pixels is None else pixels)
    image = image.quantize(256) if mode == "P" else image.convert(mode)
    if form == "jpeg":
        options = {"quality": 95, "subsampling": 0, **options} if mode != "L" else options
    image.save(file, form, **options)
    return file.getvalue()


def decode(data: bytes, **options: int) -> Pixels:
    pixels = decode_rgb(data, sniff(data), **options)
    assert pixels.dtype == np.uint8
    assert pixels.flags.c_contiguous
    return pixels


def apart(one: Pixels, other: Pixels) -> float:
    assert one.shape == other.shape
    return float(np.abs(one.astype(float) - other).mean())


@pytest.mark.parametrize("form", ["jpeg", "png", "webp", "gif", "bmp", "tiff", "avif"])
def test_every_format_gives_the_same_picture(form: str) -> None:
    assert apart(decode(encode(form)), picture()) < 4


@pytest.mark.parametrize(
    ("form", "mode", "options"),
    [
        ("jpeg", "RGB", {"progressive": True}),
        ("jpeg", "CMYK", {}),
        ("tiff", "CMYK", {}),
        ("png", "P", {}),
        ("gif", "P", {}),
        ("png", "RGBA", {}),
        ("webp", "RGB", {"lossless": True}),
    ],
)
def test_every_form_of_pixels_gives_the_same_picture(form: str, mode: str, options: dict[str, Any]) -> None:
    assert apart(decode(encode(form, mode, **options)), picture()) < 5


@pytest.mark.parametrize("form", ["jpeg", "png", "bmp", "tiff"])
def test_grey_becomes_three_equal_channels(form: str) -> None:
    pixels = decode(encode(form, "L"))
    assert apart(pixels, np.dstack([np.asarray(Image.fromarray(picture()).convert("L"))] * 3)) < 3
    assert (pixels[..., 0] == pixels[..., 2]).all()


@pytest.mark.parametrize("form", ["png", "tiff"])
def test_sixteen_bits_of_grey_become_eight(form: str) -> None:
    grey = np.asarray(Image.fromarray(picture()).convert("L"))
    file = io.BytesIO()
    Image.fromarray(grey.astype(np.uint16) * 257).save(file, form)
    assert apart(decode(file.getvalue()), np.dstack([grey] * 3)) < 1


def test_sixteen_bits_of_colour_become_eight() -> None:
    data = cv2.imencode(".png", picture()[:, :, ::-1].astype(np.uint16) * 257)[1].tobytes()
    assert apart(decode(data), picture()) < 2


@pytest.mark.parametrize(("form", "mode"), [("png", "RGBA"), ("png", "LA"), ("webp", "RGBA")])
def test_transparency_is_white(form: str, mode: str) -> None:
    alpha = np.full((HEIGHT, WIDTH), 255, np.uint8)
    alpha[:, : WIDTH // 2] = 0
    pixels = decode(encode(form, mode, np.dstack([np.zeros((HEIGHT, WIDTH, len(mode) - 1), np.uint8), alpha])))
    assert pixels[:, : WIDTH // 2 - 4].min() > 250
    assert pixels[:, WIDTH // 2 + 4 :].max() < 5


def test_a_transparent_colour_of_a_palette_is_white() -> None:
    image = Image.new("P", (WIDTH, HEIGHT), 0)
    image.putpalette([0, 0, 0, 200, 0, 0])
    image.paste(1, (0, 0, 10, HEIGHT))
    for form in ("png", "gif"):
        file = io.BytesIO()
        image.save(file, form, transparency=0)
        pixels = decode(file.getvalue())
        assert pixels[:, 20:].min() == 255
        assert (pixels[:, :10] == (200, 0, 0)).all()


@cases("form", ["jpeg", "png", "webp", "tiff", "avif"])
@cases("orientation", sorted(TURNS))
def test_the_orientation_is_applied_once(form: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    turn, stored = TURNS[orientation], Image.fromarray(picture())
    seen = stored if turn is None else stored.transpose(turn)
    assert apart(decode(encode(form, exif=exif)), np.asarray(seen)) < 4
    assert (apply_orientation(picture()[..., 0], orientation) == np.asarray(seen)[..., 0]).all()


def test_an_orientation_that_does_not_exist_is_upright() -> None:
    for orientation in (0, 9, -1):
        assert (apply_orientation(picture(), orientation) == picture()).all()


@pytest.mark.parametrize("form", ["gif", "webp", "png", "tiff"])
def test_the_first_frame_stands_for_all(form: str) -> None:
    more = [Image.fromarray(255 - picture())]
    assert apart(decode(encode(form, save_all=True, append_images=more)), picture()) < 6


@pytest.mark.parametrize(
    ("longest", "shortest", "size"),
    [
        (0, 0, (431, 650)),
        (651, 0, (431, 650)),
        (326, 0, (431, 650)),
        (325, 215, (216, 325)),
        (325, 216, (431, 650)),
        (162, 0, (108, 163)),
        (1, 1, (54, 82)),
    ],
)
def test_a_jpeg_is_decoded_at_the_least_scale_that_is_large_enough(
    longest: int, shortest: int, size: tuple[int, int]
) -> None:
    large = picture(650, 431)
    found = decode(encode("jpeg", pixels=large), longest_px=longest, shortest_px=shortest)
    assert found.shape[:2] == size
    assert apart(found, cv2.resize(large, size[::-1], interpolation=cv2.INTER_AREA)) < 3
    assert decode(encode("png", pixels=large), longest_px=longest, shortest_px=shortest).shape[:2] == (431, 650)


def test_only_the_longest_side_may_be_asked_for() -> None:
    assert jpeg_scale(4000, 10, 500) == 8
    assert jpeg_scale(4000, 10, 500, 2) == 4


@pytest.mark.parametrize("form", ["jpeg", "png", "bmp", "tiff"])
def test_a_single_pixel_is_an_image(form: str) -> None:
    assert decode(encode(form, "L", np.full((1, 1, 3), 77, np.uint8))).tolist() == [[[77, 77, 77]]]


@pytest.mark.parametrize("form", ["jpeg", "png", "webp", "gif", "tiff", "avif", "bmp"])
def test_what_is_cut_off_is_undecodable(form: str) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (90, 90, 3)).astype(np.uint8)
    data = encode(form, pixels=noise)
    with pytest.raises(UndecodableError) as caught:
        decode(data[: len(data) // 2])
    assert caught.value.reason == "truncated"


def test_a_jpeg_that_was_cut_and_closed_again_is_truncated() -> None:
    data = encode("jpeg", pixels=picture(320, 320))
    closed = data[: 2 * len(data) // 3] + b"\xff\xd9"
    assert sniff(closed).complete
    for longest in (0, 40, 160):
        with pytest.raises(TruncatedError):
            decode(closed, longest_px=longest)


def test_a_checksum_that_is_wrong_is_undecodable() -> None:
    data = bytearray(encode("png"))
    data[len(data) // 2] ^= 0xFF
    with pytest.raises(UndecodableError) as caught:
        decode(bytes(data))
    assert caught.value.reason == "undecodable"


def test_what_has_no_size_is_not_decoded() -> None:
    for data in (b"", b"no image", b"\xff\xd8\xff\xe0" + bytes(50)):
        with pytest.raises(UndecodableError, match="no size"):
            decode(data)


def test_a_size_other_than_the_header_says_is_not_decoded() -> None:
    data = encode("gif")
    with pytest.raises(UndecodableError, match="the header has"):
        decode_rgb(data, dataclasses.replace(sniff(data), width=6, height=4))


def test_pixels_without_a_white_are_undecodable() -> None:
    file = io.BytesIO()
    Image.fromarray(np.ones((8, 8), np.float32)).save(file, "TIFF")
    with pytest.raises(UndecodableError, match="no defined white"):
        decode(file.getvalue())


@pytest.mark.parametrize("size", [(431, 650), (200, 300), (60, 640), (800, 600), (900, 300), (300, 900), (1, 1)])
def test_resizing_keeps_the_picture(size: tuple[int, int]) -> None:
    found = resize(picture(650, 431), *size)
    assert found.shape == (*size, 3)
    assert apart(found, picture(*size[::-1])) < (2 if min(size) > 1 else 60)


def test_shrinking_averages_areas() -> None:
    noise = np.random.default_rng(3).integers(0, 256, (650, 650, 3), dtype=np.uint8)
    texture = cv2.GaussianBlur(noise, (0, 0), 3)
    for side in (640, 384, 300, 100):
        assert (
            cv2.PSNR(downscale(texture, side, side), cv2.resize(texture, (side, side), interpolation=cv2.INTER_AREA))
            > 45
        )


def test_a_size_that_is_right_already_is_not_touched() -> None:
    assert (resize(picture(), HEIGHT, WIDTH) == picture()).all()
