"""Faults of pictures in a given strength, for thresholds that must tell them from good pictures of any kind."""

from __future__ import annotations

import cv2
import numpy as np

from demo.images.drawing import BgrPixels


def gaussian_blurred(pixels: BgrPixels, share: float) -> BgrPixels:
    """Blurs with a Gaussian, whose standard deviation is this share of the longer side."""
    return cv2.GaussianBlur(pixels, (0, 0), share * max(pixels.shape[:2]))


def defocused(pixels: BgrPixels, share: float) -> BgrPixels:
    """Blurs as a lens out of focus does, with a disc of the standard deviation of `gaussian_blurred`."""
    radius = 2 * share * max(pixels.shape[:2])
    reach = int(np.ceil(radius)) + 1
    across = np.arange(-reach, reach + 1)
    disc = np.clip(
        radius + 0.5 - np.hypot(across, across[:, None]), 0, 1
    )  # with a soft rim: it has a fractional radius
    return cv2.filter2D(pixels, -1, disc / disc.sum(), borderType=cv2.BORDER_REFLECT_101)


def enlarged(pixels: BgrPixels, share: float) -> BgrPixels:
    """Shrinks so far that a pixel is this share of the longer side, and enlarges it again: a thumbnail as a picture."""
    height, width = pixels.shape[:2]
    factor = 1 / (share * max(height, width))
    small = cv2.resize(pixels, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)


def underexposed(pixels: BgrPixels, factor: float) -> BgrPixels:
    """Multiplies all levels by `factor`, below 1."""
    return np.round(pixels * factor).astype(np.uint8)


def overexposed(pixels: BgrPixels, factor: float) -> BgrPixels:
    """Multiplies the distances of all levels from white by `factor`, below 1."""
    return 255 - underexposed(255 - pixels, factor)


def faded(pixels: BgrPixels, factor: float) -> BgrPixels:
    """Multiplies the distances of all levels from the mean colour by `factor`, below 1."""
    mean = pixels.mean(axis=(0, 1))
    return np.round(mean + (pixels - mean) * factor).clip(0, 255).astype(np.uint8)


def grainy(pixels: BgrPixels, deviation: float, rng: np.random.Generator) -> BgrPixels:
    """Adds a sensor's grain, of this standard deviation in grey levels."""
    grain = rng.normal(0, deviation, pixels.shape) if deviation else 0.0
    return np.round(pixels + grain).clip(0, 255).astype(np.uint8)


def strip(pixels: BgrPixels, ratio: float, upright: bool = False) -> BgrPixels:
    """Cuts a strip out of the middle that is `ratio` times as long as wide."""
    height, width = pixels.shape[:2]
    wide = min(height, round(width / ratio)) if not upright else min(width, round(height / ratio))
    long = min(round(wide * ratio), height if upright else width)
    rows, columns = (long, wide) if upright else (wide, long)
    top, left = (height - rows) // 2, (width - columns) // 2
    return pixels[top : top + rows, left : left + columns]
