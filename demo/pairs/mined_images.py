"""Builds the demo's postcards: captions and pictures, among which hard negatives are mined by what they look like.

Pictures on the same ground with other shapes are near to each other and show something else: they must be mined. The
first picture of a ground is there in two lights: neither is a negative of the other, although no duplicate is found.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from demo.images.drawing import BgrPixels
from demo.images.image_factory import ImageFactory
from demo.images.scenes import DrawnScene, Mark
from demo.pairs.builders import write_files, write_lines
from demo.pairs.truth import ExpectedSet, FalseNegative, Pair, SetSide

_GROUNDS = (  # the first ones have four scenes, of which one is there twice; the others have two
    *(("red", "checked"), ("blue", "dotted"), ("green", "checked"), ("yellow", "plain")),
    *(("purple", "dotted"), ("pink", "checked")),
)
_IN_TWO_LIGHTS = 4
_MARKS = (  # of each scene: colour and shape of both, in colours of no ground
    *(("white", "circle", "orange", "star"), ("grey", "triangle", "white", "square")),
    *(("grey", "hexagon", "orange", "ring"), ("orange", "diamond", "white", "circle")),
)
_OPPOSITE = {"left of": "right of", "above": "below", "right of": "left of", "below": "above"}  # scene by scene


@dataclass(frozen=True)
class _Card:
    """A postcard. Cards of the same ground and scene show the same."""

    name: str
    scene: int  # of its ground
    caption: str
    pixels: BgrPixels

    @property
    def side(self) -> SetSide:
        return SetSide("", self.name)


def plant_postcards(folder: Path, painter: ImageFactory) -> ExpectedSet:
    """Builds the postcards. All cards of its ground with another scene are hard negatives of a card."""
    planted = ExpectedSet()
    files: dict[str, bytes] = {}
    lines: list[dict[str, Any] | str] = []
    for number, (colour, pattern) in enumerate(_GROUNDS):
        cards = list(_cards(painter, colour, pattern, number < _IN_TWO_LIGHTS))
        for card in cards:
            same = [other.side for other in cards if other.scene == card.scene and other is not card]
            hard = tuple(other.side for other in cards if other.scene != card.scene)
            false = tuple(FalseNegative(side, "above_relative") for side in same)
            planted.keep(Pair(SetSide(card.caption), card.side, hard=hard, false=false))
            lines.append({"caption": card.caption, "image": card.name})
            files[card.name] = painter.file(card.name, card.pixels, quality=60)
    write_lines(folder / "captions.jsonl", lines)
    write_files(folder, files)
    return planted


def _cards(painter: ImageFactory, colour: str, pattern: str, in_two_lights: bool) -> Iterator[_Card]:
    relations = list(_OPPOSITE) if in_two_lights else list(_OPPOSITE)[:2]
    for number, relation in enumerate(relations):
        one, one_shape, other, other_shape = _MARKS[number]
        first, second = Mark("large", one, one_shape), Mark("large", other, other_shape)
        scene = DrawnScene(first, second, relation, colour, pattern, "")
        card = _Card(f"postcards/{colour}_{number}.jpg", number, scene.caption, painter.small_picture_of(scene))
        yield card
        if in_two_lights and number == 0:
            turned = DrawnScene(second, first, _OPPOSITE[relation], colour, pattern, "")
            caption = f"In another light, {turned.caption}"
            yield _Card(f"postcards/{colour}_{number}_relit.jpg", number, caption, painter.relit(card.pixels))
