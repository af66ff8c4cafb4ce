"""Descriptors: vectors of pictures and texts that no model is needed for, so that mining runs on any machine.

A picture is described by its colours (a coarse histogram, and the mean colour of each cell of a grid) and by its
gradients (histograms of their orientations in each cell: N. Dalal and B. Triggs, Histograms of Oriented Gradients for
Human Detection, 2005), a text by its words and their trigrams, hashed with signs (K. Weinberger and others, Feature
Hashing for Large Scale Multitask Learning, 2009). Both have numbers of their own in the vector: two pictures can be
compared, and two texts, but of a picture and a text the similarity is 0. That is no embedding: what it finds has the
same colours and shapes, or the same words. It finds
hard negatives of pictures among pictures, and of texts among texts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from corpus.hashing import hash_strings
from corpus.image.decode import Pixels
from corpus.text.keys import normalize_text
from corpus.text.words import words

_SIDE_PX = 64  # at which pictures are described
_GRID = 4  # cells of a side
_ORIENTATIONS = 8  # of gradients, over half a turn
_COLOURS = 4  # steps of each channel in the histogram
_COLOUR_WEIGHT, _LAYOUT_WEIGHT, _GRADIENT_WEIGHT = 0.5, 0.6, 0.6
_TRIGRAM_WEIGHT = 0.5  # of a word's trigrams against the word itself

IMAGE_NUMBERS = _COLOURS**3 + 3 * _GRID**2 + _ORIENTATIONS * _GRID**2
TEXT_NUMBERS = 272
DIMENSION = IMAGE_NUMBERS + TEXT_NUMBERS  # 512

Descriptor = npt.NDArray[np.float64]


def describe(images: Sequence[Pixels], text: str) -> Descriptor | None:
    """Computes the descriptor of a side: of its images, of its text or of both; float64[DIMENSION] of norm 1.

    Of several images (the frames of a clip) it is the mean. None where there is nothing to describe: neither an image
    nor a word.
    """
    parts = [np.mean([describe_image(image) for image in images], axis=0) if images else np.zeros(IMAGE_NUMBERS)]
    parts.append(describe_text(text))
    vector = np.concatenate([_unit(part) for part in parts])
    return _unit(vector) if vector.any() else None


def describe_image(pixels: Pixels) -> Descriptor:
    """Colours, their layout and gradients of an RGB picture: float64[IMAGE_NUMBERS], of norm 1.

    A picture of one colour has gradients of 0.
    """
    small = cv2.resize(pixels, (_SIDE_PX, _SIDE_PX), interpolation=cv2.INTER_AREA)
    histogram = _unit(np.sqrt(_colour_histogram(small)))
    layout = _unit(cv2.resize(small, (_GRID, _GRID), interpolation=cv2.INTER_AREA).astype(np.float64).ravel() - 127.5)
    gradients = _unit(np.sqrt(_gradient_histograms(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY))))
    parts = (_COLOUR_WEIGHT * histogram, _LAYOUT_WEIGHT * layout, _GRADIENT_WEIGHT * gradients)
    return _unit(np.concatenate(parts))


def describe_text(text: str) -> Descriptor:
    """Describes a text by its words, in the form in which texts are compared, and their trigrams:
    float64[TEXT_NUMBERS].

    Each adds or subtracts at the number that its hash names, by the logarithm of how often it is there. 0 for a text
    without words.
    """
    counts: dict[str, float] = {}
    for word in words(normalize_text(text)):
        counts[word] = counts.get(word, 0.0) + 1.0
        padded = f" {word} "
        for at in range(len(padded) - 2):
            counts[f"#{padded[at : at + 3]}"] = counts.get(f"#{padded[at : at + 3]}", 0.0) + _TRIGRAM_WEIGHT
    vector = np.zeros(TEXT_NUMBERS)
    if counts:
        hashes = hash_strings(pa.array(list(counts), pa.string()))
        signs = np.where(hashes >> np.uint64(63), 1.0, -1.0)
        np.add.at(vector, hashes % np.uint64(TEXT_NUMBERS), signs * np.log1p(np.array(list(counts.values()))))
    return _unit(vector)


def _colour_histogram(pixels: npt.NDArray[Any]) -> Descriptor:
    """Counts how many pixels have each of 4 × 4 × 4 colours."""
    steps = pixels.reshape(-1, 3).astype(np.int64) * _COLOURS // 256
    codes = (steps[:, 0] * _COLOURS + steps[:, 1]) * _COLOURS + steps[:, 2]
    return np.bincount(codes, minlength=_COLOURS**3).astype(np.float64)


def _gradient_histograms(grey: npt.NDArray[Any]) -> Descriptor:
    """Sums the strength of gradients of each orientation, cell by cell."""
    across = cv2.Sobel(grey, cv2.CV_64F, 1, 0, ksize=3)
    down = cv2.Sobel(grey, cv2.CV_64F, 0, 1, ksize=3)
    turns = (np.arctan2(down, across) / np.pi) % 1.0
    orientation = np.minimum((turns * _ORIENTATIONS).astype(np.int64), _ORIENTATIONS - 1)
    place = np.arange(_SIDE_PX) * _GRID // _SIDE_PX
    cell = place[:, None] * _GRID + place[None, :]
    strength = np.hypot(across, down)
    codes = (cell * _ORIENTATIONS + orientation).ravel()
    return np.bincount(codes, weights=strength.ravel(), minlength=_GRID**2 * _ORIENTATIONS).astype(np.float64)


def _unit(vector: Descriptor) -> Descriptor:
    """Scales a vector to a norm of 1; zeros stay."""
    norm = float(np.linalg.norm(vector))
    return vector / norm if norm > 0 else vector
