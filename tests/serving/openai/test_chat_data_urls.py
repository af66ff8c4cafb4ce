"""Images as data URLs."""

from __future__ import annotations

import base64

import cv2
import numpy as np
import pytest

from serving.openai.chat import EncodeError, data_url

NOISE = np.random.default_rng(5).integers(0, 256, (40, 60, 3), np.uint8)


def decoded(url: str, media_type: str) -> np.ndarray:
    head, _, data = url.partition(",")
    assert head == f"data:{media_type};base64"
    pixels = cv2.imdecode(np.frombuffer(base64.b64decode(data, validate=True), np.uint8), cv2.IMREAD_COLOR_RGB)
    assert pixels is not None
    return pixels


def test_png_keeps_every_pixel() -> None:
    np.testing.assert_array_equal(decoded(data_url(NOISE, "png", 95), "image/png"), NOISE)


def test_a_view_is_sent_as_it_is_seen() -> None:
    turned = NOISE[::-1, ::2]
    np.testing.assert_array_equal(decoded(data_url(turned, "png", 95), "image/png"), turned)


def test_jpeg_has_the_quality_that_is_set() -> None:
    smooth = cv2.GaussianBlur(NOISE, (0, 0), 4).astype(np.uint8)
    fine, coarse = (data_url(smooth, "jpeg", quality) for quality in (95, 20))
    assert len(coarse) < len(fine)
    errors = [np.abs(decoded(url, "image/jpeg").astype(int) - smooth).mean() for url in (fine, coarse)]
    assert errors[0] < 2 < errors[1]


def test_the_same_pixels_give_the_same_text() -> None:
    for image_format in ("jpeg", "png"):
        assert data_url(NOISE, image_format, 90) == data_url(NOISE.copy(order="F"), image_format, 90)


@pytest.mark.parametrize(
    "pixels",
    [NOISE[..., 0], NOISE[..., :2], NOISE[:0], NOISE.astype(np.float32), np.zeros((1, 70_000, 3), np.uint8)],
    ids=["grey", "two channels", "empty", "float", "too wide for JPEG"],
)
def test_what_is_no_image_is_refused(pixels: np.ndarray) -> None:
    with pytest.raises(EncodeError):
        data_url(pixels, "jpeg", 95)
