"""How frames follow each other: at once, little by little, or by moving. All in integers, as in `recaption.looks`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from recaption.looks import Ints, Look, changed

_JUMP_PERCENT = 20  # of the picture, that changes at once
_MOST_JUMPS = 2
_CELL = 2  # places of a look's grid, in each direction, that are taken together
_REACH = 3  # a picture is looked for up to this part of its side away: a third
_DIFFERENCE = 4 * 3 * _CELL**2  # sum over the channels and places of a cell: four levels, or nothing has moved


def steps(looks: Sequence[Look]) -> list[int]:
    """Percent of the places that change from each frame to the next."""
    return [changed(before, after) for before, after in pairwise(looks)]


def jumps(changes: Sequence[int]) -> list[int]:
    """Which of the steps, one or two, change much where all others change little; [] where there are none such."""
    order = sorted(range(len(changes)), key=lambda step: (-changes[step], step))
    for count in range(1, min(_MOST_JUMPS, len(changes) - 1) + 1):
        least, rest = changes[order[count - 1]], changes[order[count]]
        if least >= _JUMP_PERCENT and 3 * rest <= least:
            return sorted(order[:count])
    return []


def drift(looks: Sequence[Look]) -> str:
    """Where most of what is seen goes from frame to frame: left, right, up or down; "" where it doesn't."""
    if len(looks) < 3:
        return ""
    frames = [_cells(look) for look in looks]
    ways = Counter(_way(before, after) for before, after in pairwise(frames))
    way, count = ways.most_common(1)[0]
    return way if 4 * count >= 3 * (len(frames) - 1) else ""


def _cells(look: Look) -> Ints:
    grey = look.grid.sum(axis=2)
    side = len(grey) // _CELL
    return grey.reshape(side, _CELL, side, _CELL).sum(axis=(1, 3)).astype(np.int32)


def _way(before: Ints, after: Ints) -> str:
    """The direction in which `before` must be shifted along a side to be like `after`: then at least twice as like."""
    still = _unlike(before, after)
    if still < _DIFFERENCE:
        return ""
    best, way = still, ""
    for shift in range(1, len(before) // _REACH + 1):
        for name, here, there in (
            ("right", before[:, :-shift], after[:, shift:]),
            ("left", before[:, shift:], after[:, :-shift]),
            ("down", before[:-shift], after[shift:]),
            ("up", before[shift:], after[:-shift]),
        ):
            unlike = _unlike(here, there)
            if unlike < best:
                best, way = unlike, name
    return way if 2 * best <= still else ""


def _unlike(one: Ints, other: Ints) -> int:
    return int(np.abs(one - other).sum()) // one.size
