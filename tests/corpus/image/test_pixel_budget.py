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

from corpus.image.pixel_budget import PixelBudget, UndecodableError, UnfitError, decode_to_budget, smart_resize
from tests.helpers.cases import cases

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


@cases(
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
    assert QWEN.size(*size) == expected


def test_sizes_of_qwen_vl_utils() -> None:
    """What `smart_resize` of qwen-vl-utils gives for (height, width), by limits, and leaves as it is."""
    limits = {"frame": (28, 1, 180 * 784), "trainer": (28, 4 * 784, 16384 * 784), "caption": (28, 224 * 224, 768 * 768)}
    table = [
        ((975, 11), (980, 28), (980, 28), (2128, 28)),
        ((11, 975), (28, 980), (28, 980), (28, 2128)),
        ((512, 512), (364, 364), (504, 504), (504, 504)),
        ((10, 10), (28, 28), (56, 56), (224, 224)),
        ((42, 42), (56, 56), (56, 56), (224, 224)),
        ((240, 320), (252, 308), (252, 308), (252, 308)),
        ((120, 160), (112, 168), (112, 168), (196, 280)),
        ((1080, 1920), (280, 476), (1092, 1932), (560, 1008)),
        ((3000, 4000), (308, 420), (2996, 4004), (644, 868)),
        ((41, 4100), (28, 4088), (28, 4088), (28, 4088)),
    ]
    found = {size: tuple(smart_resize(*size, *limit) for limit in limits.values()) for size, *_ in table}
    assert found == {size: tuple(expected) for size, *expected in table}
    for sizes, limit in zip(zip(*found.values(), strict=True), limits.values(), strict=True):
        assert [smart_resize(*size, *limit) for size in sizes] == list(sizes)
    with pytest.raises(ValueError, match="no image"):
        smart_resize(0, 5, 28, 1, 784)


def test_a_budget_without_a_lower_limit_keeps_a_strip_a_strip() -> None:
    assert PixelBudget(multiple=28).size(900, 11) == (896, 28)


def test_without_multiple_and_limits_a_size_stays() -> None:
    assert PixelBudget().size(333, 517) == (333, 517)
    assert PixelBudget().size(1, 1) == (1, 1)


SIDES = st.integers(1, 6000)
BUDGETS = st.sampled_from(
    [QWEN, PixelBudget(min_pixels=65536, max_pixels=1 << 20, multiple=32), TILES, SQUARE, PixelBudget(max_pixels=5000)]
)


@given(SIDES, SIDES, BUDGETS, st.integers(1, 40))
def test_what_fits_fits_as_it_is(height: int, width: int, budget: PixelBudget, frames: int) -> None:
    """The processor, which knows the budget of one image only, leaves an image and a frame alone."""
    assume(max(height, width) <= budget.max_aspect_ratio * min(height, width))
    high, wide = budget.size(height, width)
    assert budget.size(high, wide) == (high, wide)
    assert high % (budget.tile_px or budget.multiple) == wide % (budget.tile_px or budget.multiple) == 0
    assert budget.tile_px or budget.effective_min_pixels <= high * wide <= budget.max_pixels
    frame = budget.per_image(frames).size(height, width)
    assert budget.size(*frame) == frame


@given(SIDES, SIDES)
def test_the_shape_is_kept(height: int, width: int) -> None:
    assume(1 / 3 <= height / width <= 3 and height * width >= 200 * 200)
    high, wide = QWEN.size(height, width)
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
    assert TILES.size(*size) == (448 * grid[0], 448 * grid[1])


def test_a_fixed_input_takes_any_shape() -> None:
    for size in ((1, 1), (500, 1000), (4000, 4000), (30, 3000)):
        assert SQUARE.size(*size) == (1120, 1120)
    assert SQUARE.model_copy(update={"max_pixels": 10**8}).tiles == 1
    assert SQUARE.model_copy(update={"max_pixels": 100}).tiles == 1


def test_extreme_aspects_are_refused() -> None:
    assert QWEN.size(10, 1000)
    for size in ((10, 1001), (1001, 10)):
        with pytest.raises(UnfitError) as caught:
            QWEN.size(*size)
        assert caught.value.reason == "extreme_aspect_ratio"
    high, wide = QWEN.size(41, 4100)  # rounding makes it longer still, but not so long that the processor refuses
    assert wide / high < 200
    with pytest.raises(ValueError, match="no image"):
        QWEN.size(0, 5)


def test_a_limit_below_the_lower_one_moves_it() -> None:
    small = QWEN.model_copy(update={"max_pixels": 112 * 112})
    assert small.effective_min_pixels == 112 * 112
    assert small.size(112, 112) == (112, 112)
    assert small.size(1000, 1000) == (112, 112)


def test_frames_share_the_budget() -> None:
    for images in (1, 2, 3, 8):
        high, wide = QWEN.per_image(images).size(720, 1280)
        assert images * high * wide <= QWEN.max_pixels
    assert math.prod(QWEN.per_image(100).size(720, 1280)) >= QWEN.min_pixels
    assert [TILES.per_image(images).tiles for images in (1, 2, 4, 9)] == [4, 2, 1, 1]
    with pytest.raises(ValueError, match="0 images"):
        QWEN.per_image(0)


@cases("form", ["JPEG", "PNG"])
@cases("budget", [QWEN, TILES, SQUARE, PixelBudget(max_pixels=10_000)])
@cases("size", [(3000, 2000), (300, 200), (60, 90), (900, 100)])
def test_an_image_is_decoded_at_its_size(form: str, budget: PixelBudget, size: tuple[int, int]) -> None:
    pixels = decode_to_budget(encoded(*size, form), budget)
    assert pixels.dtype == np.uint8
    assert pixels.flags.c_contiguous
    assert pixels.shape == (*budget.size(*size[::-1]), 3)
    for part, colour in ((pixels[:, : pixels.shape[1] // 3], (220, 20, 20)), (pixels[:, -2:], (20, 20, 220))):
        assert np.abs(part.reshape(-1, 3).mean(axis=0) - colour).max() < 12


def test_an_upright_image_is_fitted_as_it_is_seen() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    pixels = decode_to_budget(encoded(600, 300, exif=exif), QWEN)
    assert pixels.shape == (588, 308, 3)
    assert pixels[10, 150, 0] > 200  # what was on the left is at the top
    assert pixels[-10, 150, 2] > 200


def reason(data: bytes, most: int = 1_000_000) -> str:
    with pytest.raises(UndecodableError) as caught:
        decode_to_budget(data, QWEN, most)
    return caught.value.reason


def test_reasons() -> None:
    broken = bytearray(encoded(90, 90, "PNG"))
    broken[len(broken) // 2] ^= 0xFF
    assert reason(bytes(broken)) == "undecodable"
    assert reason(b"no image") == "undecodable"
    assert reason(encoded(300, 300)[:-300]) == "truncated"
    assert reason(encoded(1001, 1000)) == "too_many_pixels"
    assert reason(encoded(900, 8)) == "extreme_aspect_ratio"


def test_a_pixel_bomb_is_refused_by_its_header() -> None:
    png = bytearray(encoded(8, 8, "PNG"))
    png[16:24] = (60_000).to_bytes(4, "big") * 2
    png[29:33] = zlib.crc32(png[12:29]).to_bytes(4, "big")
    with pytest.raises(UnfitError, match="60000×60000"):
        decode_to_budget(bytes(png), QWEN)


def test_the_error_survives_its_way_to_another_process() -> None:
    error = pickle.loads(pickle.dumps(UnfitError("too_many_pixels", "9×9")))  # noqa: S301
    assert (error.reason, str(error)) == ("too_many_pixels", "9×9")
