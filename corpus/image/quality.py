"""Statistics of grey images: sharpness, contrast, entropy, exposure. Images and video frames share this code."""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Grey = NDArray[np.uint8]  # levels 0 to 255, (height, width)

# The longest side on which an image is measured, so that the same picture measures the same at any size. Large enough
# to tell a blur of a hundredth of it from a sharp image, small enough for most JPEGs to be decoded at a quarter.
MEASURED_PX = 160
_NOISE_FIRST, _NOISE_SECOND = 3, 10  # grey levels: what codecs do to an even surface seldom reaches further
# Straight edges leave next to nothing in it, however blurred, and noise of deviation 1 leaves 6 (J. Immerkær, Fast
# Noise Variance Estimation, 1996).
_NOISE_KERNEL = np.array([1, -2, 1], np.float32)  # over rows and columns
_MEDIAN_OF_NOISE = 6 * 0.6745  # the median of the kernel's absolute response, for each level of the noise's deviation
_NOISE_FACTOR = 1.1  # grain after JPEG is not white: it has more energy in differences than the kernel finds
_FLOOR = 5.0  # energy a pixel, in squares of the deviation, of what does not stand out of the grain
_MAX_NOISE = 2.2  # grey levels; more at MEASURED_PX is texture
_WINDOW_LEVELS = 16


def measure(grey: Grey) -> dict[str, float]:
    """Measures a grey image of any size with its longest side at MEASURED_PX or less; returns statistics by name.

    sharpness (see `sharpness`); contrast, the standard deviation of the grey levels; entropy, in bits, of the histogram
    of the 256 grey levels; flatness, the largest share of the pixels within 16 neighbouring levels; brightness, the
    mean level; p1_brightness and p99_brightness, the levels below and above which 1 % of the pixels lie.
    """
    grey = _at_measured_size(grey)
    shares = cv2.calcHist([grey], [0], None, [256], [0, 256]).ravel() / grey.size
    cumulative = np.cumsum(shares)
    within = cumulative.copy()
    within[_WINDOW_LEVELS:] -= cumulative[:-_WINDOW_LEVELS]
    present = shares[shares > 0]
    mean, deviation = (float(value[0, 0]) for value in cv2.meanStdDev(grey))
    p1, p99 = np.searchsorted(cumulative, (0.01, 0.99))
    return {
        "sharpness": sharpness(grey),
        "contrast": deviation,
        "entropy": max(0.0, -float(present @ np.log2(present))),
        "flatness": float(within.max()),
        "brightness": mean,
        "p1_brightness": float(p1),
        "p99_brightness": float(p99),
    }


def sharpness(grey: Grey) -> float:
    """Returns the sharpness of an image's edges: mean squared second over mean squared first difference.

    About 1.5 to 4 for a sharp image, whatever its contrast: 2 for a clean step, 1 / (2 s²) for one that a Gaussian of
    s pixels has blurred, 0 for an image without edges. The second difference is the usual Laplacian; its variance alone
    (Pech-Pacheco et al., ICPR 2000) grows with contrast and content, and over the variance of the image it is as low
    for a sharp disc on black as for a blurred wall. Differences too small to be an edge are left out: what a codec
    leaves in blurred areas is sharp. So is a sensor's grain, which lies over blurred areas too: its deviation is
    measured, what it adds to both energies is subtracted, and edges count for little that do not stand out of it.
    `grey` has its longest side at MEASURED_PX, or less.
    """
    if min(grey.shape) < 2:
        return 0.0
    noise = _noise_deviation(grey)
    in_second, in_first = _noise_energies(noise)
    second = _energy(np.abs(cv2.Laplacian(grey, cv2.CV_16S)), _NOISE_SECOND) - in_second * grey.size
    first = _energy(cv2.absdiff(grey[:, 1:], grey[:, :-1]), _NOISE_FIRST)
    first += _energy(cv2.absdiff(grey[1:], grey[:-1]), _NOISE_FIRST) - in_first * grey.size
    floor = 0.2 + _FLOOR * noise**2  # a few lonely pixels above the noise are no edge
    return max(0.0, second) / (max(0.0, first) + floor * grey.size)


def _noise_deviation(grey: Grey) -> float:
    """Returns the standard deviation of the grain, in grey levels, as if it were white: by the median over all pixels,
    most of which lie on no edge.
    """
    responses = cv2.convertScaleAbs(cv2.sepFilter2D(grey, cv2.CV_16S, _NOISE_KERNEL, _NOISE_KERNEL))
    counts = cv2.calcHist([responses], [0], None, [256], [0, 256]).ravel()
    below = np.cumsum(counts)
    at = int(np.searchsorted(below, grey.size / 2))
    median = at + 0.5 - float(below[at] - grey.size / 2) / float(counts[at])  # within the level, as if not rounded
    return min(_MAX_NOISE, _NOISE_FACTOR * max(0.0, median) / _MEDIAN_OF_NOISE)


def _noise_energies(deviation: float) -> tuple[float, float]:
    """Returns what white noise adds to the energies of second and of first differences, of both directions, a pixel."""
    second = _energy_above(_NOISE_SECOND, math.sqrt(20) * deviation)
    return second, 2 * _energy_above(_NOISE_FIRST, math.sqrt(2) * deviation)


def _energy_above(threshold: float, deviation: float) -> float:
    """Returns the mean square of normal noise of which all that is at most `threshold` is set to 0."""
    if not deviation:
        return 0.0
    ratio = threshold / deviation
    density = math.exp(-(ratio**2) / 2) / math.sqrt(2 * math.pi)
    return deviation**2 * (2 * ratio * density + math.erfc(ratio / math.sqrt(2)))


def _energy(differences: NDArray[Any], threshold: int) -> float:
    """Returns the sum of the squares of all differences above `threshold`."""
    return float(cv2.norm(cv2.threshold(differences, threshold, 0, cv2.THRESH_TOZERO)[1], cv2.NORM_L2SQR))


def _at_measured_size(grey: Grey) -> Grey:
    """Returns the image, scaled down where its longest side is over MEASURED_PX."""
    height, width = grey.shape
    scale = max(height, width) / MEASURED_PX
    if scale <= 1:
        return grey
    size = (max(1, round(width / scale)), max(1, round(height / scale)))
    # Below 2, a mean of four neighbours leaves out no pixel either, and costs a third of the exact mean over an area.
    interpolation = cv2.INTER_LINEAR if scale < 2 else cv2.INTER_AREA
    return cv2.resize(grey, size, interpolation=interpolation).astype(np.uint8, copy=False)
