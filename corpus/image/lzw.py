"""Counts the pixels that the data of a GIF's first picture holds: decoders fill up what is missing and say nothing."""

from __future__ import annotations

import struct

_MAX_CODES = 1 << 12


def decoded_values(data: bytes) -> tuple[int, int]:
    """Returns how many pixels the data of a GIF's first picture are, and how many the picture has (GIF89a, appendix F).

    Pixels behind a damaged code are not counted. 0, 0 for a file without a picture.
    """
    position = _first_picture(data)
    if position < 0:
        return 0, 0
    width, height, packed = struct.unpack_from("<HHB", data, position + 5)
    position += 10 + (3 << (packed & 7) + 1 if packed & 0x80 else 0)
    size, stream = data[position], bytearray()
    position += 1
    while position < len(data) and data[position]:
        stream += data[position + 1 : position + 1 + data[position]]
        position += 1 + data[position]
    return min(_count(bytes(stream), size), width * height), width * height


def _first_picture(data: bytes) -> int:
    """Returns where the descriptor of the first picture lies; -1: nowhere."""
    packed = data[10] if len(data) > 10 else 0
    position = 13 + (3 << (packed & 7) + 1 if packed & 0x80 else 0)
    while position < len(data) and data[position] == 0x21:
        position += 2
        while position < len(data) and data[position]:
            position += 1 + data[position]
        position += 1
    return position if position + 11 < len(data) and data[position] == 0x2C else -1


def _count(stream: bytes, size: int) -> int:
    """Returns how many values the codes of an LZW stream stand for; `size` is the width of a value in bits."""
    if not 1 <= size <= 11:
        return 0
    clear, end = 1 << size, (1 << size) + 1
    lengths = [1] * clear + [0, 0]
    width, previous, total = size + 1, 0, 0  # `previous`: the length of the code before, 0 after a clear code
    held = bits = 0
    for byte in stream:
        held |= byte << bits
        bits += 8
        while bits >= width:
            code = held & ((1 << width) - 1)
            held >>= width
            bits -= width
            if code == clear:
                del lengths[end + 1 :]
                width, previous = size + 1, 0
                continue
            if code == end or code > len(lengths) or (code == len(lengths) and not previous):
                return total
            length = lengths[code] if code < len(lengths) else previous + 1
            if previous and len(lengths) < _MAX_CODES:
                lengths.append(previous + 1)
                if len(lengths) == 1 << width and width < 12:
                    width += 1
            total += length
            previous = length
    return total
