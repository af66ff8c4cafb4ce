"""Headers of image files as other programs write them: whole, cut, turned, and of every form."""

import io
import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from corpus.image.header import ImageHeader, sniff
from corpus.image.limits import reject_reason
from tests.helpers.cases import cases

WIDTH, HEIGHT = 48, 20
# Smooth, with a little noise: compresses like a photograph, so that a cut goes through the pixels.
RNG = np.random.default_rng(1)
PIXELS = np.clip(np.linspace(0, 200, WIDTH)[None, :, None] + RNG.integers(0, 50, (HEIGHT, WIDTH, 3)), 0, 255).astype(
    np.uint8
)
FORMATS = ("jpeg", "png", "webp", "gif", "bmp", "tiff", "avif")
TURNED = ("jpeg", "png", "webp", "tiff", "avif")  # the formats that can say which way is up
MAGIC = {
    "jpeg": b"\xff\xd8\xff\xe1",
    "png": b"\x89PNG\r\n\x1a\n",
    "webp": b"RIFF\x40\0\0\0WEBPVP8X",
    "gif": b"GIF89a",
    "bmp": b"BM",
    "tiff": b"II*\0\x08\0\0\0",
    "tiff_motorola": b"MM\0*\0\0\0\x08",
    "avif": b"\0\0\0\x14ftypavif\0\0\0\0avif\0\0\0\x40meta\0\0\0\0",
}


def encode(form: str, mode: str = "RGB", **options: Any) -> bytes:
    file = io.BytesIO()
    Image.fromarray(PIXELS).convert(mode).save(file, form, **options)
    return file.getvalue()


def turned(form: str, orientation: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encode(form, exif=exif)


FILES = {form: encode(form) for form in FORMATS}


@cases("form", FORMATS)
def test_a_whole_image_is_known_by_format_and_size(form: str) -> None:
    header = sniff(FILES[form])
    assert (header.format, header.width, header.height) == (form, WIDTH, HEIGHT)
    assert header.complete
    assert not header.animated
    assert header.orientation == 1
    assert Image.registered_extensions()[f".{header.ext}"] == form.upper()


@cases("form", FORMATS)
def test_an_image_that_is_cut_off_is_not_complete(form: str) -> None:
    data = FILES[form]
    last = len(data) - (1 if form == "gif" else 0)  # a GIF may do without its trailer
    cuts = {len(data) // 4, len(data) // 2, 3 * len(data) // 4, last - 3, last - 1}
    assert [cut for cut in cuts if sniff(data[:cut]).complete] == []
    assert sniff(data[: last - 1]).format == form


@cases("form", FORMATS)
def test_bytes_after_the_end_do_not_matter(form: str) -> None:
    longer = sniff(FILES[form] + bytes(100))
    assert longer == sniff(FILES[form])


@cases("form", TURNED)
@cases("orientation", range(1, 9))
def test_the_orientation_is_read_and_turns_the_size(form: str, orientation: int) -> None:
    header = sniff(turned(form, orientation))
    assert header.orientation == orientation
    assert (header.width, header.height) == (WIDTH, HEIGHT)
    assert header.upright_size == ((HEIGHT, WIDTH) if orientation >= 5 else (WIDTH, HEIGHT))


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_an_orientation_without_sense_is_upright(orientation: int) -> None:
    assert sniff(turned("jpeg", orientation)).orientation == 1


def test_exif_in_motorola_order_is_read() -> None:
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01" + struct.pack(">HHIHH", 0x0112, 3, 1, 8, 0) + bytes(4)
    assert sniff(encode("jpeg", exif=exif)).orientation == 8


def test_the_end_of_a_thumbnail_is_not_the_end_of_the_image() -> None:
    thumbnail = FILES["jpeg"]
    assert thumbnail.endswith(b"\xff\xd9")
    data = encode("jpeg", exif=b"Exif\0\0II*\0\x08\0\0\0\0\0" + bytes(4) + thumbnail)
    assert sniff(data).complete
    assert not sniff(data[:-20]).complete


def sixteen_bit(form: str) -> bytes:
    file = io.BytesIO()
    Image.fromarray(PIXELS[:, :, 0].astype(np.uint16) * 257).save(file, form)
    return file.getvalue()


@cases(
    ("data", "mode"),
    [
        (encode("jpeg", "L"), "L"),
        (encode("jpeg", "CMYK"), "CMYK"),
        (encode("jpeg", progressive=True), "RGB"),
        (encode("png", "1"), "1"),
        (encode("png", "L"), "L"),
        (encode("png", "LA"), "LA"),
        (encode("png", "P"), "P"),
        (encode("png", "P", transparency=3), "PA"),
        (encode("png", "RGB", transparency=(1, 2, 3)), "RGBA"),
        (encode("png", "RGBA"), "RGBA"),
        (sixteen_bit("png"), "L;16"),
        (sixteen_bit("tiff"), "L;16"),
        (encode("webp", "RGBA"), "RGB"),  # opaque after all: the encoder leaves the alpha out
        (encode("webp", lossless=True), "RGB"),
        (encode("gif", transparency=3), "PA"),
        (encode("bmp", "1"), "P"),
        (encode("bmp", "RGBA"), "RGB"),  # 32 bits, of which the header claims no alpha
        (encode("tiff", "CMYK"), "CMYK"),
        (encode("tiff", "RGBA"), "RGBA"),
        (encode("tiff", "P"), "P"),
        (encode("tiff", compression="tiff_lzw"), "RGB"),
        (encode("avif", "RGBA"), "RGB"),
    ],
)
def test_the_form_of_the_pixels_is_read(data: bytes, mode: str) -> None:
    header = sniff(data)
    assert header.mode == mode
    assert header.complete
    assert header.alpha == mode.endswith("A")


def see_through(form: str, **options: Any) -> bytes:
    file = io.BytesIO()
    alpha = np.arange(WIDTH * HEIGHT).reshape(HEIGHT, WIDTH, 1) % 256
    Image.fromarray(np.dstack([PIXELS, alpha.astype(np.uint8)])).save(file, form, **options)
    return file.getvalue()


@pytest.mark.parametrize(
    "data", [see_through("webp"), see_through("webp", lossless=True), see_through("avif"), see_through("png")]
)
def test_alpha_is_seen(data: bytes) -> None:
    assert sniff(data).mode == "RGBA"


@pytest.mark.parametrize("form", ["png", "webp", "gif", "tiff", "avif"])
def test_more_than_one_frame_is_seen(form: str) -> None:
    more = [Image.fromarray(np.roll(PIXELS, 5 * turn, axis=1)) for turn in (1, 2)]
    header = sniff(encode(form, save_all=True, append_images=more))
    assert header.animated
    assert header.complete
    assert (header.width, header.height) == (WIDTH, HEIGHT)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff\xd8",
        b"<html><body>not found</body></html>",
        b"<!DOCTYPE html><html><body><svg/></body></html>",
        b"\0\1\0\0\0\x11true type" + bytes(40),
        b"\0\0\1\0\x01\0 four bytes as of an icon, and a text" + bytes(40),
        b"P4ssword",
        b"BMW is a maker of cars, and this is a text of more than fifty-four bytes.",
        b"RIFF\x10\0\0\0WAVEfmt " + bytes(40),
        b"\0\0\0\x18ftypisom\0\0\x02\0isommp41" + bytes(40),
    ],
)
def test_what_is_no_image_has_no_format(data: bytes) -> None:
    assert sniff(data) == ImageHeader()
    assert (sniff(data).ext, sniff(data).mode) == ("", "")


@given(st.sampled_from(sorted(MAGIC)), st.binary(max_size=300))
def test_no_bytes_after_a_magic_number_raise(name: str, rest: bytes) -> None:
    assert isinstance(sniff(MAGIC[name] + rest), ImageHeader)


@given(st.binary(max_size=100))
def test_no_bytes_at_all_raise(data: bytes) -> None:
    assert isinstance(sniff(data), ImageHeader)


@given(
    st.sampled_from(FORMATS), st.integers(0), st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=20)
)
def test_no_damage_to_an_image_raises(form: str, cut: int, damage: list[tuple[int, int]]) -> None:
    data = bytearray(FILES[form])
    for place, value in damage:
        data[place % len(data)] = value
    assert isinstance(sniff(bytes(data[: cut % (len(data) + 1)])), ImageHeader)


@pytest.mark.parametrize("form", ["tiff", "tiff_motorola", "png", "gif"])
def test_counts_beyond_all_reason_cost_nothing(form: str) -> None:
    """Fields of all ones: offsets behind the end, four billion entries."""
    assert not sniff(MAGIC[form] + b"\xff" * 200).complete


def chunks(**named: bytes) -> bytes:
    """A WebP of these chunks."""
    body = b"WEBP" + b"".join(
        name.ljust(4).encode() + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)
        for name, data in named.items()
    )
    return b"RIFF" + struct.pack("<I", len(body)) + body


def test_formats_that_are_not_read_have_a_name() -> None:
    """Those of AVIF's and JPEG's relatives; `other_formats` knows the others."""
    files = {
        "heic": b"\0\0\0\x14ftypheic\0\0\0\0heic",
        "mif1": b"\0\0\0\x14ftypmif1\0\0\0\0heic",
        "jls": b"\xff\xd8\xff\xf7\0\x0b\x08\0\x10\0\x10\1\1\x11\0",
    }
    found = {name: sniff(data).format for name, data in files.items()}
    assert found == {"heic": "heic", "mif1": "heic", "jls": "jls"}
    assert {reject_reason(ImageHeader(name), 100, 100) for name in found.values()} == {"unsupported_format"}


def test_what_loses_nothing_is_known() -> None:
    files = {
        "png": encode("png"),
        "gif": encode("gif"),
        "bmp": encode("bmp"),
        "lossless webp": encode("webp", lossless=True),
        "lossless animation": encode("webp", lossless=True, save_all=True, append_images=[Image.new("RGB", (48, 20))]),
        "tiff": encode("tiff", compression="tiff_lzw"),
        "jpeg": encode("jpeg"),
        "webp": encode("webp"),
        "jpeg in tiff": encode("tiff", compression="jpeg"),
        "avif": encode("avif"),
    }
    lossless = {name for name, data in files.items() if sniff(data).lossless}
    assert lossless == {"png", "gif", "bmp", "lossless webp", "lossless animation", "tiff"}


def test_a_canvas_with_a_picture_of_another_size_is_a_fault() -> None:
    picture = encode("webp")[20:]
    canvas = bytes(4) + (99).to_bytes(3, "little") * 2
    header = sniff(chunks(VP8X=canvas, VP8=picture))
    assert header.fault == "a canvas of 100×100 pixels with a picture of 48×20"
    assert not sniff(chunks(VP8X=bytes(4) + bytes([47, 0, 0, 19, 0, 0]), VP8=picture)).fault


def test_a_jpeg_of_very_many_scans_is_a_fault() -> None:
    data = encode("jpeg", progressive=True)
    assert sniff(data).fault == ""
    scan = data[data.rindex(b"\xff\xda") : -2]
    assert sniff(data[:-2] + 300 * scan + data[-2:]).fault == f"a JPEG of {300 + data.count(scan[:2])} scans"


def tiff(width: int, height: int, **tags: int) -> bytes:
    """The directory of a grey TIFF with one strip or tile of ten bytes; `tags` by number, after a t."""
    entries = {256: width, 257: height, 258: 8, 259: 1, 262: 1, 277: 1}
    entries |= {int(name[1:]): value for name, value in tags.items()}
    entries |= {324: 8, 325: 10} if 322 in entries else {273: 8, 279: 10}
    directory = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in sorted(entries.items()))
    return b"II*\0" + struct.pack("<I", 18) + bytes(10) + struct.pack("<H", len(entries)) + directory + bytes(4)


def test_a_tiff_with_fewer_strips_than_rows_is_not_complete() -> None:
    assert sniff(tiff(2, 5, t278=5)).complete
    assert sniff(tiff(2, 5)).complete
    assert not sniff(tiff(2, 6, t278=5)).complete
    assert sniff(tiff(16, 16, t322=16, t323=16)).complete
    assert not sniff(tiff(17, 16, t322=16, t323=16)).complete


def test_fax_codes_in_a_tiff_are_a_fault() -> None:
    """A damaged one would show other pixels each time it is decoded."""
    faults = {}
    for compression in ("group3", "group4", "tiff_ccitt", "tiff_lzw", "packbits"):
        file = io.BytesIO()
        Image.new("1", (64, 64)).save(file, "TIFF", compression=compression)
        faults[compression] = "fax" in sniff(file.getvalue()).fault
    assert faults == {"group3": True, "group4": True, "tiff_ccitt": True, "tiff_lzw": False, "packbits": False}


def test_a_jpeg_smaller_than_its_strip_is_a_fault() -> None:
    """What it leaves of the strip would be other pixels each time."""
    file = io.BytesIO()
    Image.fromarray(RNG.integers(0, 255, (70, 90, 3), np.uint8)).save(file, "TIFF", compression="jpeg")
    data = file.getvalue()
    assert not sniff(data).fault
    width = struct.pack("<HHII", 256, 4, 1, 90)  # tag, LONG, one of them
    if width not in data:
        width = struct.pack("<HHIHH", 256, 3, 1, 90, 0)
    assert data.count(width) == 1
    wider = data.replace(width, width[:8] + struct.pack("<I", 91))
    assert (sniff(wider).width, sniff(wider).fault) == (91, "a TIFF of JPEGs that are smaller than its strips or tiles")
    height = struct.pack("<HHI", 257, struct.unpack_from("<H", width, 2)[0], 1)
    at = data.index(height) + len(height)
    assert sniff(data[:at] + bytes(4) + data[at + 4 :]).height == 0


def test_a_tile_far_larger_than_its_image_is_a_fault() -> None:
    assert sniff(tiff(64, 64, t322=65_536, t323=65_536)).fault
    assert not sniff(tiff(64, 64, t322=512, t323=512)).fault


def test_the_canvas_of_a_gif_holds_its_first_picture() -> None:
    data = bytearray(FILES["gif"])
    data[6:10] = struct.pack("<HH", 5, 300)
    assert (sniff(bytes(data)).width, sniff(bytes(data)).height) == (WIDTH, 300)
