"""What can be measured in a picture, in integers: from a grid of its pixels, not from all of them.

The grid is irregular (rows and columns are shifted by a low-discrepancy sequence), so that a regular pattern is not
mistaken for a plain surface.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from recaption.requests import Pixels

_GRID = 96  # rows, and columns, that are looked at
_STEP = 28  # a coarse change is one over the longest side divided by this
_CHANGE = 20  # grey levels
_NOISE = 3  # grey levels: what codecs do to an even surface seldom reaches further
_LEAST_PERCENT = 3  # of a colour that is worth a word

Ints = NDArray[np.int32]
Mask = NDArray[np.bool_]
Places = NDArray[np.int64]


@dataclass(frozen=True)
class Part:
    """A colour, its share of the picture, and where it lies; "" where it is all over."""

    colour: str
    percent: int
    where: str


@dataclass(frozen=True)
class Look:
    """A picture, measured."""

    aspect_percent: int  # width / height
    brightness: int  # mean of the strongest and the weakest channel, 0 to 255
    deviation: int  # standard deviation of the grey levels
    chroma: int  # mean difference between the strongest and the weakest channel
    coloured: int  # permille of pixels whose channels differ
    hues: int  # how many colours that are no grey have a share worth a word
    changes: int  # permille of neighbours, a 28th of the longest side apart, that differ in grey
    sharpness: int  # hundredths, 100 for clean edges: see `_sharpness`
    busiest: str  # where most changes are; "" if nowhere in particular
    lightest: str  # the side that is lighter than the one opposite
    mirrored: bool  # left is like right
    parts: tuple[Part, ...]  # the largest first
    grid: Ints  # the pixels that were looked at, to compare frames by


def look_at(pixels: Pixels) -> Look:
    """Measure RGB pixels (height, width, 3)."""
    height, width = pixels.shape[:2]
    rows, columns = _places(height), _places(width)
    step = max(1, max(height, width) // _STEP)
    grid = _taken(pixels, rows, columns)
    grey = _grey(grid)
    (above, below), (left, right) = _around(rows, step, height), _around(columns, step, width)
    across = _grey(_taken(pixels, rows, right)) - _grey(_taken(pixels, rows, left))
    down = _grey(_taken(pixels, below, columns)) - _grey(_taken(pixels, above, columns))
    coarse = np.stack([across, down])
    changes: Mask = np.abs(coarse).max(axis=0) > _CHANGE
    names = _colour_table()[(grid[..., 0] >> 3 << 10) | (grid[..., 1] >> 3 << 5) | grid[..., 2] >> 3]
    spread = grid.max(axis=2) - grid.min(axis=2)
    parts = _parts(names)
    deviation = math.isqrt(_energy(grey) // grey.size - (int(grey.sum()) // grey.size) ** 2)
    mirror = _grey(_taken(pixels, rows, width - 1 - columns))
    return Look(
        aspect_percent=100 * width // height,
        brightness=(int(grid.max(axis=2).sum()) + int(grid.min(axis=2).sum())) // (2 * grey.size),
        deviation=deviation,
        chroma=int(spread.sum()) // spread.size,
        coloured=_permille(spread > 24),
        hues=sum(part.colour not in _GREYS for part in parts),
        changes=_permille(changes),
        sharpness=_sharpness(pixels, rows, columns, step, coarse),
        busiest=_where(changes) if _permille(changes) >= 20 else "",
        lightest=_lightest(grey),
        mirrored=deviation >= 12 and 6 * int(np.abs(grey - mirror).sum()) < deviation * grey.size,
        parts=parts,
        grid=grid,
    )


def changed(first: Look, last: Look) -> int:
    """Percent of the places that look different in two pictures, whatever their sizes."""
    return int((np.abs(first.grid - last.grid).max(axis=2) > 2 * _CHANGE).sum()) * 100 // _GRID**2


def _places(length: int) -> Places:
    """Positions along a side, ascending, one in each of _GRID equal parts, at changing places in them."""
    parts = np.arange(_GRID, dtype=np.int64)
    shifts = parts * 40503 % 65536  # 65536ths of a part; 40503 / 65536 is the golden section
    return (parts * 65536 + shifts) * length // (_GRID * 65536)


def _around(places: Places, step: int, length: int) -> tuple[Places, Places]:
    """Places that are `step` apart, as far as the side goes, with these in their middle."""
    before = np.maximum(places - step // 2, 0)
    return before, np.minimum(before + step, length - 1)


def _taken(pixels: Pixels, rows: Places, columns: Places) -> Ints:
    return pixels[rows[:, None], columns].astype(np.int32)


def _grey(colours: Ints) -> Ints:
    """ITU-R BT.601 luma, in integers."""
    return (77 * colours[..., 0] + 150 * colours[..., 1] + 29 * colours[..., 2]) >> 8


def _permille(mask: Mask) -> int:
    return int(mask.sum()) * 1000 // mask.size


def _sharpness(pixels: Pixels, rows: Places, columns: Places, step: int, coarse: Ints) -> int:
    """Mean energy of the differences between neighbouring pixels, over that of the coarse ones, in hundredths of what
    clean steps between even areas have: for a step that takes s pixels it is 100 / s, for fine texture more than 100.

    Neighbours are looked at along whole lines, every fourth of the grid's: a single edge must not slip through it.
    """
    lines = [np.diff(_grey(pixels[rows[::4]].astype(np.int32)), axis=1)]
    lines += [np.diff(_grey(pixels[:, columns[::4]].astype(np.int32)), axis=0)]
    if not coarse.any() or not all(line.size for line in lines):
        return 0
    across, down = (_energy(np.where(np.abs(line) > _NOISE, line, 0)) for line in lines)
    fine = across * lines[1].size + down * lines[0].size
    return 100 * step * _GRID**2 * fine // (lines[0].size * lines[1].size * _energy(coarse))


def _energy(differences: Ints) -> int:
    return int((differences * differences).sum(dtype=np.int64))


def _where(mask: Mask) -> str:
    """Where most of a mask lies: at an edge or in a corner, in the middle, around it; "" for all over."""
    half, quarter, total = _GRID // 2, _GRID // 4, max(1, int(mask.sum()))
    top, left = int(mask[:half].sum()) * 100 // total, int(mask[:, :half].sum()) * 100 // total
    centre = int(mask[quarter:-quarter, quarter:-quarter].sum()) * 100 // total
    vertical = "top" if top >= 72 else "bottom" if top <= 28 else ""
    horizontal = "left" if left >= 72 else "right" if left <= 28 else ""
    if vertical or horizontal:
        return f"at the {vertical} {horizontal}".strip() if vertical else f"on the {horizontal}"
    return "in the centre" if centre >= 50 else "around the edges" if centre <= 10 else ""


def _lightest(grey: Ints) -> str:
    half, quarter = _GRID // 2, _GRID // 4
    middle = int(grey[quarter:-quarter, quarter:-quarter].sum())
    around, inside = (int(grey.sum()) - middle) // (grey.size * 3 // 4), middle // (grey.size // 4)
    downwards = (int(grey[half:].sum()) - int(grey[:half].sum())) * 2 // grey.size
    rightwards = (int(grey[:, half:].sum()) - int(grey[:, :half].sum())) * 2 // grey.size
    outwards = around - inside
    sides = (
        *((downwards, "at the bottom"), (-downwards, "at the top")),
        *((rightwards, "on the right"), (-rightwards, "on the left")),
        *((outwards, "around the edges"), (-outwards, "in the centre")),
    )
    difference, side = max(sides, key=lambda each: each[0])
    return side if difference >= 30 else ""


def _parts(names: NDArray[np.uint8]) -> tuple[Part, ...]:
    counts = np.bincount(names.ravel(), minlength=len(_COLOURS))
    order = sorted(range(len(_COLOURS)), key=lambda colour: (-counts[colour], colour))
    shares = [(colour, int(counts[colour]) * 100 // names.size) for colour in order]
    return tuple(
        Part(_COLOURS[colour], percent, _where(names == colour) if percent < 97 else "")
        for place, (colour, percent) in enumerate(shares)
        if percent >= _LEAST_PERCENT or place == 0
    )


@cache
def _colour_table() -> NDArray[np.uint8]:
    """Index into _COLOURS for the upper five bits of red, green and blue."""
    levels = [level << 3 | level >> 2 for level in range(32)]
    indexes = {name: index for index, name in enumerate(_COLOURS)}
    return np.array([indexes[_colour(r, g, b)] for r in levels for g in levels for b in levels], np.uint8)


_GREYS = ("black", "dark grey", "grey", "light grey", "white")
# By hue in degrees, up to which a colour is called so: where its strongest channel is below that level, where it is
# pale, and else.
_HUES: tuple[tuple[int, int, tuple[str, str, str]], ...] = (
    (12, 140, ("maroon", "pink", "red")),
    (42, 175, ("brown", "beige", "orange")),
    (66, 140, ("olive", "cream", "yellow")),
    (90, 140, ("olive green", "pale green", "lime green")),
    (155, 140, ("dark green", "pale green", "green")),
    (190, 140, ("teal", "pale turquoise", "turquoise")),
    (215, 140, ("slate blue", "light blue", "sky blue")),
    (255, 140, ("navy blue", "light blue", "blue")),
    (290, 140, ("dark purple", "lavender", "purple")),
    (330, 140, ("plum", "pink", "magenta")),
    (346, 140, ("burgundy", "pink", "crimson")),
    (360, 140, ("maroon", "pink", "red")),
)
_COLOURS = (*_GREYS, *dict.fromkeys(name for _, _, names in _HUES for name in names))


def _colour(red: int, green: int, blue: int) -> str:
    """The English name of a colour, each channel 0 to 255."""
    strongest, weakest = max(red, green, blue), min(red, green, blue)
    chroma, luma = strongest - weakest, (77 * red + 150 * green + 29 * blue) >> 8
    if strongest < 44:
        return "black"
    if chroma < 26 or 6 * chroma < strongest:
        return next(name for limit, name in zip((44, 100, 160, 218, 256), _GREYS, strict=True) if luma < limit)
    if strongest == red:
        hue = 60 * (green - blue) // chroma % 360
    elif strongest == green:
        hue = 120 + 60 * (blue - red) // chroma
    else:
        hue = 240 + 60 * (red - green) // chroma
    darkest, (dark, pale, plain) = next((level, names) for limit, level, names in _HUES if hue < limit)
    return dark if strongest < darkest else pale if 5 * chroma < 2 * strongest and luma >= 130 else plain
