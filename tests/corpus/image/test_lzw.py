"""How many pixels the data of a GIF holds, of GIFs that another program wrote."""

import numpy as np

from corpus.image.lzw import decoded_values
from tests.helpers.gifs import gif_of, truncated_gif


def pictures() -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    return {
        "noise": random.integers(0, 256, (90, 120), np.uint8),
        "two greys": random.integers(0, 2, (50, 70), np.uint8) * 255,
        "flat": np.zeros((200, 300), np.uint8),
        "stripes": np.repeat(np.arange(200, dtype=np.uint8), 300).reshape(200, 300),
        "a pixel": np.zeros((1, 1), np.uint8),
    }


def test_a_whole_gif_holds_all_its_pixels() -> None:
    for name, pixels in pictures().items():
        for options in ({}, {"interlace": 0}, {"comment": b"before the picture"}):
            assert decoded_values(gif_of(pixels, **options)) == (pixels.size, pixels.size), (name, options)


def test_a_short_one_holds_about_its_share() -> None:
    pixels = pictures()["noise"]
    for share in (0.2, 0.5, 0.9):
        found, wanted = decoded_values(truncated_gif(gif_of(pixels), share))
        assert wanted == pixels.size
        assert abs(found / wanted - share) < 0.06, share


def test_what_is_no_gif_holds_nothing() -> None:
    for data in (b"", b"GIF89a", b"GIF89a" + bytes(7) + b"\x21\xf9", b"GIF89a" + bytes(7) + b"\x2c" + bytes(12)):
        assert decoded_values(data)[0] == 0
