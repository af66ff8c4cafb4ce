"""One grey picture, however it is stored."""

import dataclasses
import io
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from corpus.image.decode import jpeg_scale
from corpus.image.header import sniff
from corpus.image.stock_reader import TruncatedError, UndecodableError
from filters.image.grey import Grey, decode_grey
from tests.helpers.cases import cases
from tests.helpers.orientations import TURNS

WIDTH, HEIGHT = 60, 40


def picture(width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    """RGB; brighter to the right and, less so, downwards: no turn leaves it as it is."""
    across, down = np.meshgrid(np.linspace(40, 160, width), np.linspace(0, 60, height))
    return np.dstack([across + down, across + down, across + down - 20]).astype(np.uint8)


def encode(form: str, mode: str = "RGB", pixels: np.ndarray | None = None, **options: Any) -> bytes:
    file = io.BytesIO()
    image = Image.fromarray(picture() if pixels is None else pixels)
    image = image.quantize(128) if mode == "P" else image.convert(mode)
    image.save(file, form, **options)
    return file.getvalue()


def decode(data: bytes, **options: int) -> Grey:
    return decode_grey(data, sniff(data), **options)


def apart(one: Grey, other: Grey) -> float:
    assert one.shape == other.shape
    return float(np.abs(one.astype(float) - other).mean())


TRUE = np.asarray(Image.fromarray(picture()).convert("L"))


@pytest.mark.parametrize("form", ["jpeg", "png", "webp", "gif", "bmp", "tiff", "avif"])
def test_every_format_gives_the_same_picture(form: str) -> None:
    grey = decode(encode(form))
    assert grey.dtype == np.uint8
    assert apart(grey, TRUE) < 3


@cases(
    ("form", "mode", "options"),
    [
        ("jpeg", "L", {}),
        ("jpeg", "CMYK", {}),
        ("jpeg", "RGB", {"progressive": True}),
        ("png", "L", {}),
        ("png", "LA", {}),
        ("png", "P", {}),
        ("png", "RGBA", {}),
        ("webp", "RGB", {"lossless": True}),
        ("bmp", "L", {}),
        ("tiff", "CMYK", {}),
        ("tiff", "L", {"compression": "tiff_lzw"}),
    ],
)
def test_every_form_of_pixels_gives_the_same_picture(form: str, mode: str, options: dict[str, Any]) -> None:
    assert apart(decode(encode(form, mode, **options)), TRUE) < 3


@pytest.mark.parametrize("form", ["png", "tiff"])
def test_sixteen_bits_become_eight(form: str) -> None:
    file = io.BytesIO()
    Image.fromarray(TRUE.astype(np.uint16) * 257).save(file, form)
    assert apart(decode(file.getvalue()), TRUE) < 1


def test_sixteen_bits_of_colour_become_eight() -> None:
    data = cv2.imencode(".png", picture()[:, :, ::-1].astype(np.uint16) * 257)[1].tobytes()
    assert apart(decode(data), TRUE) < 2


def see_through(mode: str) -> np.ndarray:
    """Black, with the left half transparent."""
    alpha = np.full((HEIGHT, WIDTH), 255, np.uint8)
    alpha[:, : WIDTH // 2] = 0
    black = np.zeros((HEIGHT, WIDTH, len(mode) - 1), np.uint8)
    return np.dstack([black, alpha])


@pytest.mark.parametrize(("form", "mode"), [("png", "RGBA"), ("png", "LA"), ("webp", "RGBA")])
def test_transparency_is_white(form: str, mode: str) -> None:
    grey = decode(encode(form, mode, see_through(mode)))
    assert grey[:, : WIDTH // 2 - 4].min() > 250
    assert grey[:, WIDTH // 2 + 4 :].max() < 5


def test_a_transparent_colour_of_a_palette_is_white() -> None:
    image = Image.new("P", (WIDTH, HEIGHT), 0)
    image.putpalette([0, 0, 0, 200, 0, 0])
    image.paste(1, (0, 0, 10, HEIGHT))
    for form in ("png", "gif"):
        file = io.BytesIO()
        image.save(file, form, transparency=0)
        grey = decode(file.getvalue())
        assert grey[:, 20:].min() == 255
        assert grey[:, :10].max() < 100


@cases("form", ["jpeg", "png", "webp", "tiff", "avif"])
@cases("orientation", sorted(TURNS))
def test_the_orientation_is_applied_once(form: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    turn = TURNS[orientation]
    upright = Image.fromarray(TRUE) if turn is None else Image.fromarray(TRUE).transpose(turn)
    assert apart(decode(encode(form, exif=exif)), np.asarray(upright)) < 3


@pytest.mark.parametrize("form", ["gif", "webp", "png", "tiff"])
def test_the_first_frame_stands_for_all(form: str) -> None:
    more = [Image.fromarray(255 - picture())]
    assert apart(decode(encode(form, save_all=True, append_images=more)), TRUE) < 5


@pytest.mark.parametrize(
    ("size", "factor"),
    [
        ((127, 127), 1),
        ((255, 255), 1),
        ((256, 256), 2),
        ((650, 650), 4),
        ((4000, 3000), 8),
        ((4000, 70), 2),
        ((9, 9), 1),
    ],
)
def test_the_reduction_leaves_enough_of_both_sides(size: tuple[int, int], factor: int) -> None:
    assert jpeg_scale(*size, longest_px=128, shortest_px=32) == factor
    assert jpeg_scale(*size[::-1], longest_px=128, shortest_px=32) == factor


@pytest.mark.parametrize("form", ["jpeg", "png", "webp", "tiff"])
def test_large_images_come_back_reduced(form: str) -> None:
    large = picture(650, 431)
    grey = decode(encode(form, pixels=large))
    assert grey.shape == (108, 163)
    full = np.asarray(Image.fromarray(large).convert("L").resize((163, 108), Image.Resampling.BOX))
    assert apart(grey, full) < 3


def test_the_reduction_follows_from_what_is_asked_for() -> None:
    data = encode("jpeg", pixels=picture(650, 431))
    assert decode(data, longest_px=300).shape == (216, 325)
    assert decode(data, longest_px=600).shape == (431, 650)


@pytest.mark.parametrize("form", ["jpeg", "png", "bmp", "tiff"])
def test_a_single_pixel_is_an_image(form: str) -> None:
    assert decode(encode(form, "L", np.full((1, 1, 3), 77, np.uint8))).tolist() == [[77]]


@pytest.mark.parametrize("form", ["jpeg", "png", "webp", "gif", "tiff", "avif"])
def test_what_is_cut_off_is_undecodable(form: str) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (90, 90, 3)).astype(np.uint8)
    data = encode(form, pixels=noise)
    with pytest.raises(UndecodableError):
        decode(data[: len(data) // 2])


@pytest.mark.parametrize("longest_px", [20, 40, 160])
def test_a_jpeg_that_was_cut_and_closed_again_is_truncated(longest_px: int) -> None:
    """An end marker makes the file look whole; decoders fill it up with grey and say nothing."""
    data = encode("jpeg", pixels=picture(320, 320), quality=95)
    closed = data[: 2 * len(data) // 3] + b"\xff\xd9"
    assert sniff(closed).complete
    with pytest.raises(TruncatedError):
        decode(closed, longest_px=longest_px)


@pytest.mark.parametrize("rows", [slice(None), slice(0, 5), slice(40, 80)])
def test_grey_that_was_drawn_is_no_fill(rows: slice) -> None:
    """All of it grey, a grey margin all around, a grey band in the middle."""
    pixels = np.full((160, 160, 3), 128, np.uint8)
    if rows != slice(None):
        pixels[20:140, 20:140] = picture(120, 120)
        pixels[rows] = 128
    assert decode(encode("jpeg", pixels=pixels, quality=95)).shape == (160, 160)


def test_a_size_other_than_the_header_says_is_not_decoded() -> None:
    data = encode("gif")
    small = dataclasses.replace(sniff(data), width=6, height=4)
    with pytest.raises(UndecodableError, match="the header has"):
        decode_grey(data, small)


def test_a_checksum_that_is_wrong_is_undecodable() -> None:
    data = bytearray(encode("png"))
    data[len(data) // 2] ^= 0xFF
    with pytest.raises(UndecodableError):
        decode(bytes(data))


@pytest.mark.parametrize("data", [b"", b"no image", b"\xff\xd8\xff\xe0" + bytes(50)])
def test_what_has_no_size_is_not_decoded(data: bytes) -> None:
    with pytest.raises(UndecodableError, match="no size"):
        decode(data)


def test_pixels_without_a_white_are_undecodable() -> None:
    file = io.BytesIO()
    Image.fromarray(TRUE.astype(np.float32)).save(file, "TIFF")
    with pytest.raises(UndecodableError, match="no defined white"):
        decode(file.getvalue())


FILES = {form: encode(form) for form in ("jpeg", "png", "webp", "gif", "bmp", "tiff")}


@given(st.sampled_from(sorted(FILES)), st.lists(st.tuples(st.integers(2), st.integers(0, 255)), min_size=1, max_size=8))
def test_damage_gives_a_picture_or_the_one_error(form: str, damage: list[tuple[int, int]]) -> None:
    data = bytearray(FILES[form])
    for place, value in damage:
        data[place % len(data)] = value
    header = sniff(bytes(data))
    if header.width * header.height > 1_000_000:  # the caller's to refuse
        return
    try:
        grey = decode_grey(bytes(data), header)
    except UndecodableError:
        return
    assert grey.dtype == np.uint8
    assert grey.ndim == 2
