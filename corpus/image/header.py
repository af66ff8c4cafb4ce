"""Headers of image files: kind, size and form, read without decoding a pixel.

Why not Pillow's lazy `Image.open`: it doesn't say whether the end of the file is there, how many bits a channel has, or
what no decoder checks (the scans of a JPEG, a WebP's canvas, a TIFF's tiles), so that the same bytes would be walked
all the same; and damage behind the size makes them no image at all. It also costs more: of processor time for an image
of 650×650, JPEG 56 µs instead of 17 (with its EXIF 121 instead of 10), PNG 39 instead of 10 (13 ms where EXIF is asked
for, which decodes the image), WebP 256 instead of 5, TIFF 202 instead of 113; AVIF is read in 20 instead of 25, but
without its bits.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from corpus.image.other_formats import other_format

DECODED_FORMATS = frozenset({"jpeg", "png", "webp", "gif", "bmp", "tiff", "avif"})  # all others are recognised only

_EXT = {"jpeg": "jpg", "tiff": "tif"}  # the others are called what their format is


@dataclass(frozen=True, slots=True)
class ImageHeader:
    """The header of an image. Zeros and defaults where the header is cut short or says nothing."""

    format: str = (
        ""  # one of DECODED_FORMATS, or of an image that is not decoded (heic, jxl, ico, svg ...); "" for anything else
    )
    width: int = 0  # pixels, as stored: before `orientation` is applied
    height: int = 0
    orientation: int = 1  # EXIF's, 1 to 8 (TIFF 6.0, tag 274); 1 is upright
    animated: bool = False  # more than one frame or page
    complete: bool = False  # the end of the image is there
    bits: int = 0  # of a channel, or of a palette's index
    channels: int = 0  # as stored; 1 for a palette
    palette: bool = False
    alpha: bool = False
    lossless: bool = False  # its compression loses nothing
    fault: str = ""  # why it must not be decoded, in words: it claims what no encoder writes, or no decoder checks it

    @property
    def ext(self) -> str:
        """The usual file name ending, without a dot."""
        return _EXT.get(self.format, self.format)

    @property
    def mode(self) -> str:
        """1, L, LA, P, PA, RGB, RGBA or CMYK, as Pillow has them, followed by ;bits where these are more than 8."""
        if self.palette:
            name = "PA" if self.alpha else "P"
        elif self.channels < 3:
            name = "" if not self.channels else "LA" if self.alpha else "1" if self.bits == 1 else "L"
        else:
            name = "RGBA" if self.alpha else "CMYK" if self.channels == 4 else "RGB"
        return f"{name};{self.bits}" if self.bits > 8 else name

    @property
    def upright_size(self) -> tuple[int, int]:
        """Width and height as seen: with the orientation applied."""
        return (self.height, self.width) if self.orientation >= 5 else (self.width, self.height)


def sniff(data: bytes) -> ImageHeader:
    """Reads the header of an image file.

    Whatever the bytes are, this raises nothing; time is linear in their number.
    """
    for magic, at, name, parse in _PARSERS:
        if data.startswith(magic, at):
            try:
                return parse(data)
            except (struct.error, IndexError):  # a field lies behind the end
                return ImageHeader(name)
    return ImageHeader(other_format(data))


_JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # SOF0 to SOF15 without DHT, JPG and DAC
_JPEG_BARE = frozenset([0x00, 0x01, *range(0xD0, 0xD9)])  # markers without a length
_JPEG_MAX_SEGMENTS = 4096  # an honest header has far fewer
_JPEG_APP1, _JPEG_SCAN, _JPEG_END, _JPEG_LS = 0xE1, 0xDA, 0xD9, 0xF7
_JPEG_PROGRESSIVE = frozenset({0xC2, 0xC6, 0xCA, 0xCE})
_JPEG_MAX_SCANS = 200  # each goes over the whole image; encoders write a dozen


def _jpeg(data: bytes) -> ImageHeader:
    """Reads a JPEG (ITU T.81, annex B). Stray bytes between segments are passed over, as decoders do."""
    width = height = bits = channels = 0
    orientation, complete, position, fault = 1, False, 2, ""
    progressive = False
    for _ in range(_JPEG_MAX_SEGMENTS):
        position = data.find(b"\xff", position)
        if position < 0 or position + 4 > len(data) or data[position + 1] == _JPEG_END:
            break
        marker = data[position + 1]
        if marker in _JPEG_BARE or marker == 0xFF:  # 0xFF may be repeated before a marker
            position += 1 if marker == 0xFF else 2
            continue
        if marker == _JPEG_SCAN:  # only here: a thumbnail in the EXIF segment has an end of its own
            complete = data.rfind(b"\xff\xd9", position) >= 0
            if progressive or data[position + 4] < channels:
                scans = data.count(b"\xff\xda", position)  # a value of 0xFF is followed by a zero
                fault = f"a JPEG of {scans} scans" if scans > _JPEG_MAX_SCANS else ""
            break
        if marker == _JPEG_LS:
            return ImageHeader("jls")
        content, position = position + 4, position + 2 + (data[position + 2] << 8) + data[position + 3]
        if marker in _JPEG_FRAMES:
            frame = struct.unpack_from(">BHHB", data, content)
            if position - content == 6 + 3 * frame[3]:  # else it is none: what lies here is noise
                bits, height, width, channels = frame
                progressive = marker in _JPEG_PROGRESSIVE
        elif marker == _JPEG_APP1 and data.startswith(b"Exif\0\0", content):
            orientation = _exif_orientation(data[content + 6 : position])
    complete = complete and channels > 0
    return ImageHeader("jpeg", width, height, orientation, False, complete, bits, channels, fault=fault)


_PNG_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by colour type


def _png(data: bytes) -> ImageHeader:
    """Reads a PNG (third edition), with its animation and EXIF chunks."""
    width, height, bits, colour = struct.unpack_from(">IIBB", data, 16)
    orientation, frames, alpha, complete, position = 1, 1, colour in (4, 6), False, 8
    while position + 12 <= len(data) and not complete:
        length, name = struct.unpack_from(">I4s", data, position)
        content, position = position + 8, position + 12 + length
        if name == b"IEND":
            complete = True
        elif name == b"acTL":
            frames = int.from_bytes(data[content : content + 4], "big")
        elif name == b"tRNS":
            alpha = True
        elif name == b"eXIf":
            orientation = _exif_orientation(data[content : content + length])
    return ImageHeader(
        "png",
        width,
        height,
        orientation,
        frames > 1,
        complete,
        bits,
        _PNG_CHANNELS.get(colour, 0),
        colour == 3,
        alpha,
        lossless=True,
    )


def _webp(data: bytes) -> ImageHeader:
    """Reads a WebP (RFC 9649)."""
    if data[8:12] != b"WEBP":
        return ImageHeader()
    end = 8 + int.from_bytes(data[4:8], "little")
    width = height = frames = 0
    orientation, alpha, lossless, position, fault = 1, False, False, 12, ""
    while position + 8 <= min(end, len(data)):
        name, length = struct.unpack_from("<4sI", data, position)
        content, position = position + 8, position + 8 + length + (length & 1)
        if name == b"VP8X":
            alpha = bool(data[content] & 0x10)
            width = 1 + int.from_bytes(data[content + 4 : content + 7], "little")
            height = 1 + int.from_bytes(data[content + 7 : content + 10], "little")
        elif name in (b"VP8 ", b"VP8L"):
            found, transparent = _webp_frame(data, name, content)
            if width and found != (width, height):
                fault = f"a canvas of {width}×{height} pixels with a picture of {found[0]}×{found[1]}"
            (width, height), alpha, lossless = found, alpha or transparent, name == b"VP8L"
        elif name == b"ANMF":
            frames += 1
            lossless = lossless or (frames == 1 and data[content + 16 : content + 20] == b"VP8L")
        elif name == b"EXIF":
            exif = data[content : content + length]
            orientation = _exif_orientation(exif.removeprefix(b"Exif\0\0"))
    complete = len(data) >= end and width > 0
    channels = 4 if alpha else 3
    return ImageHeader(
        "webp", width, height, orientation, frames > 1, complete, 8, channels, False, alpha, lossless, fault
    )


def _webp_frame(data: bytes, name: bytes, content: int) -> tuple[tuple[int, int], bool]:
    """Returns the size of a picture, and whether it is transparent; the size is 0, 0 for what is none."""
    if name == b"VP8L":
        packed = int.from_bytes(data[content + 1 : content + 5], "little")
        size = (1 + (packed & 0x3FFF), 1 + (packed >> 14 & 0x3FFF))
        return (size, bool(packed >> 28 & 1)) if data[content] == 0x2F else ((0, 0), False)
    if data[content + 3 : content + 6] != b"\x9d\x01\x2a":
        return (0, 0), False
    width, height = struct.unpack_from("<HH", data, content + 6)
    return (width & 0x3FFF, height & 0x3FFF), False


def _gif(data: bytes) -> ImageHeader:
    """Reads a GIF (GIF89a). A file whose last block is whole is complete, though many lack the trailer after it."""
    width, height, packed = struct.unpack_from("<HHB", data, 6)
    frames, alpha, complete = 0, False, False
    position = 13 + _gif_table_bytes(packed)
    while position < len(data):
        block = data[position]
        if block == 0x2C:  # an image
            frames += 1
            if frames == 1:  # a canvas that is too small is taken to be as large as its picture
                left, top, wide, high = struct.unpack_from("<HHHH", data, position + 1)
                width, height = max(width, left + wide), max(height, top + high)
            packed = data[position + 9] if position + 9 < len(data) else 0
            position += 11 + _gif_table_bytes(packed)  # with the byte of the code size
        elif block == 0x21:  # an extension: of the graphic control, the transparency flag
            alpha = alpha or (data[position + 1 : position + 3] == b"\xf9\x04" and bool(data[position + 3] & 1))
            position += 2
        else:
            complete = block == 0x3B and frames > 0
            break
        while position < len(data) and data[position]:
            position += 1 + data[position]
        position += 1
        complete = position == len(data)
    return ImageHeader("gif", width, height, 1, frames > 1, complete, 8, 1, True, alpha, lossless=True)


def _gif_table_bytes(packed: int) -> int:
    return 3 << (packed & 7) + 1 if packed & 0x80 else 0


_BMP_HEADERS = (12, 16, 40, 52, 56, 64, 108, 124)  # sizes in bytes of the versions there are


def _bmp(data: bytes) -> ImageHeader:
    """Reads a BMP: BITMAPFILEHEADER and the DIB header after it."""
    offset, size = struct.unpack_from("<II", data, 10)
    if size not in _BMP_HEADERS:
        return ImageHeader()  # any text may begin with BM
    compression = 0
    if size == 12:
        width, height, _, bits = struct.unpack_from("<HHHH", data, 18)
    else:
        width, height, _, bits = struct.unpack_from("<iiHH", data, 18)  # a negative height: rows from the top
        width, height = abs(width), abs(height)
        compression = struct.unpack_from("<I", data, 30)[0] if size >= 40 else 0
    palette, alpha = bits <= 8, bits == 32 and size >= 56
    if compression in (0, 3, 6):  # plain rows, each padded to 4 bytes
        complete = len(data) >= offset + (width * bits + 31) // 32 * 4 * height
    else:
        complete = len(data) >= struct.unpack_from("<I", data, 2)[0]
    channels = 1 if palette else 4 if alpha else 3
    return ImageHeader("bmp", width, height, 1, False, complete, min(bits, 8), channels, palette, alpha, lossless=True)


_TIFF_CODES = {1: "B", 3: "H", 4: "I"}  # field types BYTE, SHORT, LONG
_WIDTH, _HEIGHT, _BITS, _PHOTOMETRIC, _STRIPS, _ORIENTATION, _SAMPLES = 256, 257, 258, 262, 273, 274, 277
_STRIP_BYTES, _TILES, _TILE_BYTES, _EXTRA = 279, 324, 325, 338
_COMPRESSION, _ROWS_PER_STRIP, _PLANAR, _TILE_WIDTH, _TILE_HEIGHT = 259, 278, 284, 322, 323
_TIFF_LOSSY = frozenset({6, 7, 33007, 34712, 34892, 50001, 50002})  # JPEG, JPEG 2000, WebP, JPEG XL
_TIFF_JPEG = 7
_FAX = "a TIFF with the codes of fax machines, of which nobody notices the damage; write it with others"
_TIFF_UNCHECKED = {2: _FAX, 3: _FAX, 4: _FAX, 32771: _FAX, 6: "a TIFF with the JPEGs of version 6, long withdrawn"}
_TIFF_MAX_TILE_PIXELS = 1 << 24  # of an image that is smaller than its tile


def _tiff(data: bytes) -> ImageHeader:
    """Reads the first page of a TIFF (TIFF 6.0). It is complete when strips or tiles for all its pixels lie within the
    file.
    """
    order, start, entries = _directory(data)
    found = {tag: (kind, number, value) for tag, kind, number, value in entries}

    def values(tag: int, default: int) -> tuple[int, ...]:
        kind, number, value = found.get(tag, (0, 0, b""))
        if kind not in _TIFF_CODES or not number:
            return (default,)
        form = f"{order}{number}{_TIFF_CODES[kind]}"
        if struct.calcsize(form) <= 4:
            return struct.unpack_from(form, value)
        return struct.unpack_from(form, data, struct.unpack(f"{order}I", value)[0])

    def first(tag: int, default: int) -> int:
        return values(tag, default)[0]

    width, height, channels, photometric = (
        first(_WIDTH, 0),
        first(_HEIGHT, 0),
        first(_SAMPLES, 1),
        first(_PHOTOMETRIC, 1),
    )
    tiled, compression = _TILES in found, first(_COMPRESSION, 1)
    # libtiff leaves pixels as memory was that such damage has no codes for: each decode may show another picture.
    fault = _TIFF_UNCHECKED.get(compression, "")
    starts, sizes = (_TILES, _TILE_BYTES) if tiled else (_STRIPS, _STRIP_BYTES)
    ranges = list(zip(values(starts, 0), values(sizes, len(data) + 1), strict=False))
    stops = [at + size for at, size in ranges]
    if tiled:
        wide, high = max(1, first(_TILE_WIDTH, 1)), max(1, first(_TILE_HEIGHT, 1))
        if wide * high > max(4 * width * height, _TIFF_MAX_TILE_PIXELS):
            fault = f"an image of {width}×{height} pixels with tiles of {wide}×{high}"
    else:
        wide, high = max(1, width), max(1, first(_ROWS_PER_STRIP, height))
    parts = -(-width // wide) * -(-height // high) * (channels if first(_PLANAR, 1) == 2 else 1)
    if compression == _TIFF_JPEG and max(stops) <= len(data):
        down = max(1, -(-height // high))
        heights = [high if tiled else min(high, height - number % down * high) for number in range(len(ranges))]
        if sum(size for _, size in ranges) > len(data):  # so that time stays linear in the data
            fault = "a TIFF with strips or tiles that lie on each other"
        elif any(
            _is_smaller(_jpeg(data[at : at + size]), wide, rows)
            for (at, size), rows in zip(ranges, heights, strict=True)
        ):
            fault = "a TIFF of JPEGs that are smaller than its strips or tiles"
    following = data[start + 2 + 12 * len(entries) :][:4]
    return ImageHeader(
        "tiff",
        width,
        height,
        _upright_or(first(_ORIENTATION, 1)),
        any(following),
        max(stops) <= len(data) and len(stops) >= parts,
        first(_BITS, 1),
        channels,
        photometric == 3,
        _EXTRA in found and channels in (2, 4, 5) and photometric != 5,
        compression not in _TIFF_LOSSY,
        fault,
    )


def _is_smaller(header: ImageHeader, width: int, height: int) -> bool:
    return header.width < width or header.height < height


_AVIF_BRANDS = frozenset({b"avif", b"avis"})
_HEIF_BRANDS = frozenset(
    {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"mif2", b"msf1", b"crx "}
)
_HEIF_MAX_BOXES = 4096  # in one box; an honest file has far fewer
# EXIF's orientation, by quarter turns anticlockwise and the axis of the mirroring after them: none, 0 or 1.
_HEIF_ORIENTATION = ((1, 4, 2), (8, 5, 7), (3, 2, 4), (6, 7, 5))


def _heif(data: bytes) -> ImageHeader:
    """Reads a file of ISO/IEC 23008-12, of which AVIF is a kind. The largest image in the file is taken
    for the one that is shown.
    """
    top = list(_boxes(data, 0, len(data)))
    brands = [data[at : at + 4] for at in range(8, min(top[0][2], 256), 4)] if top else []
    if not _AVIF_BRANDS.intersection(brands):
        return ImageHeader("heic" if _HEIF_BRANDS.intersection(brands) else "")  # else a video, most likely
    inside = [(start + 4, end) for kind, start, end in top if kind == b"meta"]
    for name in (b"iprp", b"ipco"):
        inside = [box[1:] for start, end in inside for box in _boxes(data, start, end) if box[0] == name]
    width = height = bits = turns = axis = 0
    alpha = False
    for kind, start, end in (box for inner in inside for box in _boxes(data, *inner)):
        if kind == b"ispe":
            width, height = max((width, height), struct.unpack_from(">II", data, start + 4))
        elif kind == b"pixi":
            bits = max(bits, data[start + 5])
        elif kind == b"irot":
            turns = data[start] & 3
        elif kind == b"imir":
            axis = 1 + (data[start] & 1)
        elif kind == b"auxC":
            alpha = alpha or b":alpha" in data[start:end]
    complete = width > 0 and top[-1][2] <= len(data)
    animated = any(kind == b"moov" for kind, _, _ in top)
    orientation = _HEIF_ORIENTATION[turns][axis]
    channels = 4 if alpha else 3
    return ImageHeader("avif", width, height, orientation, animated, complete, bits or 8, channels, False, alpha)


def _boxes(data: bytes, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Yields kind, start of the content and end of each box of ISO/IEC 14496-12; the last one may end behind `end`."""
    for _ in range(_HEIF_MAX_BOXES):
        if start + 8 > end:
            return
        size, kind = struct.unpack_from(">I4s", data, start)
        header = 8
        if size == 1:
            size, header = struct.unpack_from(">Q", data, start + 8)[0], 16
        elif size == 0:
            size = end - start
        if size < header:
            return
        yield kind, start + header, start + size
        start += size


def _exif_orientation(exif: bytes) -> int:
    """Returns the orientation in a block of EXIF, which is a TIFF file without pixels; 1 if there is
    none, or no sense.
    """
    try:
        order, _, entries = _directory(exif)
    except struct.error:
        return 1
    for tag, kind, _, value in entries:
        if tag == _ORIENTATION and kind == 3:
            return _upright_or(struct.unpack_from(f"{order}H", value)[0])
    return 1


def _upright_or(orientation: int) -> int:
    return orientation if 1 <= orientation <= 8 else 1


def _directory(data: bytes) -> tuple[str, int, list[tuple[int, int, int, bytes]]]:
    """Returns byte order, position and entries (tag, type, count, 4 bytes of value) of a TIFF file's
    first directory.
    """
    order = ">" if data[:2] == b"MM" else "<"
    start = struct.unpack_from(f"{order}I", data, 4)[0]
    number = struct.unpack_from(f"{order}H", data, start)[0]
    return order, start, list(struct.iter_unpack(f"{order}HHI4s", data[start + 2 : start + 2 + 12 * number]))


_PARSERS: tuple[tuple[bytes, int, str, Callable[[bytes], ImageHeader]], ...] = (
    (b"\xff\xd8\xff", 0, "jpeg", _jpeg),
    (b"\x89PNG\r\n\x1a\n", 0, "png", _png),
    (b"RIFF", 0, "webp", _webp),
    (b"GIF87a", 0, "gif", _gif),
    (b"GIF89a", 0, "gif", _gif),
    (b"II*\0", 0, "tiff", _tiff),
    (b"MM\0*", 0, "tiff", _tiff),
    (b"BM", 0, "bmp", _bmp),
    (b"ftyp", 4, "", _heif),
)
