"""How large a model sees an image."""

import io
import math
import pickle
import zlib

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from PIL import Image

from recaption.pixels import PixelBudget, UndecodableError, UnfitError, decode_for, fitted, frames_budget

QWEN = PixelBudget(min_pixels=224 * 224, max_pixels=768 * 768, multiple=28)
TILES = PixelBudget(max_pixels=4 * 448 * 448, tile_px=448)
SQUARE = PixelBudget(max_pixels=1120 * 1120, tile_px=1120, max_tiles=1)


def encoded(width: int, height: int, form: str = "JPEG", **options: object) -> bytes:
    """Left half red, right half blue."""
    pixels = np.empty((height, width, 3), np.uint8)
    pixels[:, : width // 2], pixels[:, width // 2 :] = (220, 20, 20), (20, 20, 220)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, form, **options)
    return file.getvalue()


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((512, 512), (504, 504)),  # 18.3 steps: the nearest multiple
        ((504, 504), (504, 504)),
        ((500, 640), (504, 644)),
        ((518, 518), (504, 504)),  # 18.5 steps: to the even one
        ((546, 546), (560, 560)),  # 19.5 steps: to the even one
        ((768, 768), (756, 756)),  # 27.4 steps
        ((1000, 1000), (756, 756)),
        ((3000, 4000), (644, 868)),
        ((4000, 3000), (868, 644)),
        ((100, 100), (224, 224)),
        ((60, 120), (168, 336)),
        ((1, 1), (224, 224)),
        ((10, 900), (28, 2128)),
    ],
)
def test_planted_sizes(size: tuple[int, int], expected: tuple[int, int]) -> None:
    assert fitted(*size, QWEN) == expected


def test_without_multiple_and_limits_a_size_stays() -> None:
    assert fitted(333, 517, PixelBudget()) == (333, 517)
    assert fitted(1, 1, PixelBudget()) == (1, 1)


SIDES = st.integers(1, 6000)
BUDGETS = st.sampled_from(
    [QWEN, PixelBudget(min_pixels=65536, max_pixels=1 << 20, multiple=32), TILES, SQUARE, PixelBudget(max_pixels=5000)]
)


@given(SIDES, SIDES, BUDGETS, st.integers(1, 40))
def test_what_fits_fits_as_it_is(height: int, width: int, budget: PixelBudget, frames: int) -> None:
    """The processor, which knows the budget of one image only, leaves an image and a frame alone."""
    assume(max(height, width) <= budget.max_aspect * min(height, width))
    high, wide = fitted(height, width, budget)
    assert fitted(high, wide, budget) == (high, wide)
    assert high % (budget.tile_px or budget.multiple) == wide % (budget.tile_px or budget.multiple) == 0
    assert budget.tile_px or budget.least_pixels <= high * wide <= budget.max_pixels
    frame = fitted(height, width, frames_budget(budget, frames))
    assert fitted(*frame, budget) == frame


@given(SIDES, SIDES)
def test_the_shape_is_kept(height: int, width: int) -> None:
    assume(1 / 3 <= height / width <= 3 and height * width >= 200 * 200)
    high, wide = fitted(height, width, QWEN)
    assert 0.75 < (high / wide) / (height / width) < 1.35  # a step of 28 in sides of 130 and more


@pytest.mark.parametrize(
    ("size", "grid"),
    [
        ((448, 448), (1, 1)),
        ((500, 640), (1, 1)),
        ((300, 300), (1, 1)),
        ((640, 640), (2, 2)),  # more than half of four tiles
        ((633, 633), (1, 1)),  # less
        ((500, 1000), (1, 2)),
        ((1000, 500), (2, 1)),
        ((400, 1600), (1, 4)),
        ((600, 800), (2, 2)),
        ((30, 3000), (1, 4)),
    ],
)
def test_tiles(size: tuple[int, int], grid: tuple[int, int]) -> None:
    assert fitted(*size, TILES) == (448 * grid[0], 448 * grid[1])


def test_a_fixed_input_takes_any_shape() -> None:
    for size in ((1, 1), (500, 1000), (4000, 4000), (30, 3000)):
        assert fitted(*size, SQUARE) == (1120, 1120)
    assert SQUARE.model_copy(update={"max_pixels": 10**8}).tiles == 1
    assert SQUARE.model_copy(update={"max_pixels": 100}).tiles == 1


def test_extreme_aspects_are_refused() -> None:
    assert fitted(10, 1000, QWEN)
    for size in ((10, 1001), (1001, 10)):
        with pytest.raises(UnfitError) as caught:
            fitted(*size, QWEN)
        assert caught.value.reason == "extreme_aspect"
    high, wide = fitted(41, 4100, QWEN)  # rounding makes it longer still, but not so long that the processor refuses
    assert wide / high < 200
    with pytest.raises(ValueError, match="no image"):
        fitted(0, 5, QWEN)


def test_a_limit_below_the_lower_one_moves_it() -> None:
    small = QWEN.model_copy(update={"max_pixels": 112 * 112})
    assert small.least_pixels == 112 * 112
    assert fitted(112, 112, small) == (112, 112)
    assert fitted(1000, 1000, small) == (112, 112)


def test_frames_share_the_budget() -> None:
    for images in (1, 2, 3, 8):
        high, wide = fitted(720, 1280, frames_budget(QWEN, images))
        assert images * high * wide <= QWEN.max_pixels
    assert math.prod(fitted(720, 1280, frames_budget(QWEN, 100))) >= QWEN.min_pixels
    assert [frames_budget(TILES, images).tiles for images in (1, 2, 4, 9)] == [4, 2, 1, 1]
    with pytest.raises(ValueError, match="0 images"):
        frames_budget(QWEN, 0)


@pytest.mark.parametrize("form", ["JPEG", "PNG"])
@pytest.mark.parametrize("budget", [QWEN, TILES, SQUARE, PixelBudget(max_pixels=10_000)])
@pytest.mark.parametrize("size", [(3000, 2000), (300, 200), (60, 90), (900, 100)])
def test_an_image_is_decoded_at_its_size(form: str, budget: PixelBudget, size: tuple[int, int]) -> None:
    pixels = decode_for(encoded(*size, form), budget)
    assert pixels.dtype == np.uint8
    assert pixels.flags.c_contiguous
    assert pixels.shape == (*fitted(*size[::-1], budget), 3)
    for part, colour in ((pixels[:, : pixels.shape[1] // 3], (220, 20, 20)), (pixels[:, -2:], (20, 20, 220))):
        assert np.abs(part.reshape(-1, 3).mean(axis=0) - colour).max() < 12


def test_an_upright_image_is_fitted_as_it_is_seen() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    pixels = decode_for(encoded(600, 300, exif=exif), QWEN)
    assert pixels.shape == (588, 308, 3)
    assert pixels[10, 150, 0] > 200  # what was on the left is at the top
    assert pixels[-10, 150, 2] > 200


def reason(data: bytes, most: int = 1_000_000) -> str:
    with pytest.raises(UndecodableError) as caught:
        decode_for(data, QWEN, most)
    return caught.value.reason


def test_reasons() -> None:
    broken = bytearray(encoded(90, 90, "PNG"))
    broken[len(broken) // 2] ^= 0xFF
    assert reason(bytes(broken)) == "undecodable"
    assert reason(b"no image") == "undecodable"
    assert reason(encoded(300, 300)[:-300]) == "truncated"
    assert reason(encoded(1001, 1000)) == "too_many_pixels"
    assert reason(encoded(900, 8)) == "extreme_aspect"


def test_a_pixel_bomb_is_refused_by_its_header() -> None:
    png = bytearray(encoded(8, 8, "PNG"))
    png[16:24] = (60_000).to_bytes(4, "big") * 2
    png[29:33] = zlib.crc32(png[12:29]).to_bytes(4, "big")
    with pytest.raises(UnfitError, match="60000×60000"):
        decode_for(bytes(png), QWEN)


def test_the_error_survives_its_way_to_another_process() -> None:
    error = pickle.loads(pickle.dumps(UnfitError("too_many_pixels", "9×9")))  # noqa: S301
    assert (error.reason, str(error)) == ("too_many_pixels", "9×9")
