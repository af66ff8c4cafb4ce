"""The captioner without a model: sentences of what can be measured in a picture or in frames, and no more.

What is embedded by default, so that everything runs without a GPU. It claims nothing about content. All is integer
arithmetic on chosen pixels, so the same pixels give the same words on every machine.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future

from recaption.course import drift, jumps, steps
from recaption.looks import Look, Part, changed, look_at
from recaption.pixels import PixelBudget
from recaption.requests import Answer, Pixels, Request

MODEL = "describe (measured, no model)"  # in a table: never to be taken for a vision-language model's
REVISION = "1"  # raised whenever a picture would get other words
BUDGET = PixelBudget(max_pixels=256 * 256)  # more would be measured alike

_SHARES = (  # percent, from which on a share is called so
    *((97, "all of it"), (85, "nearly all of it"), (70, "three quarters of it"), (58, "well over half of it")),
    *(
        (43, "about half of it"),
        (29, "about a third of it"),
        (21, "about a quarter of it"),
        (16, "about a fifth of it"),
    ),
    *((8, "about a tenth of it"), (0, "a little of it")),
)
_SHAPES = (  # hundredths of width / height, up to which a frame is called so
    *((45, "very tall"), (80, "upright"), (95, "slightly upright"), (105, "square"), (125, "slightly wide")),
    *((200, "wide"), (350, "very wide")),
)
_TONES = ((40, "very dark"), (85, "dark"), (165, ""), (215, "bright"))  # mean grey level
_EDGES = ((25, "soft"), (60, ""), (160, "hard-edged"), (350, ""), (1 << 62, "finely textured"))  # hundredths
_NOTICED = 2  # percent of a picture, below which nothing is said to have changed
_LITTLE = 10  # percent, from one frame to the next
_WAYS = {"left": "to the left", "right": "to the right", "up": "upwards", "down": "downwards"}
_CHANGES = ((30, "plain"), (150, "calm"), (400, ""), (650, "busy"))  # permille of places where the grey level changes


class Describe:
    """A `Captioner` that answers at once. Prompt, seed and sampling make no difference."""

    def submit(self, request: Request) -> Future[Answer]:
        """A finished future. An answer with an error for no images (`no_image`) or wanted JSON (`no_json`)."""
        answer: Future[Answer] = Future()
        if not request.images:
            answer.set_result(Answer(error="no_image", detail="there is nothing to describe"))
        elif request.json_schema:
            answer.set_result(Answer(error="no_json", detail=f"{MODEL} writes sentences only"))
        else:
            answer.set_result(Answer(text=describe(*request.images), finish_reason="stop"))
        return answer

    def close(self) -> None:
        """There is nothing to stop."""


def describe(*images: Pixels) -> str:
    """English sentences about a picture (RGB, height × width × 3), or about several frames in the order of time.

    Of frames, the first is described, the middle and the last are compared with it, and it is said whether what changes
    does so at once, little by little or by moving.
    """
    looks = [look_at(image) for image in images]
    first = looks[0]
    if len(looks) == 1:
        said = [_overall(first), _colours(first)]
    else:
        said = [f"the first of {len(looks)} frames is {_overall(first)}", *_followed(looks)]
    return " ".join(_sentence(text) for text in said)


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:] + "."


def _listed(words: list[str]) -> str:
    """One, two and three, without those that are empty."""
    words = [word for word in words if word]
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def _overall(look: Look) -> str:
    """A bright, muted, wide picture of low contrast, busy and hard-edged, lighter at the top."""
    shape = _named(_SHAPES, look.aspect_percent) or "extremely wide"
    adjectives = [_named(_TONES, look.brightness, "very bright"), _chroma(look), shape]
    picture = ", ".join(word for word in adjectives if word) + " picture" + _contrast(look)
    clauses = [picture, _listed([_named(_CHANGES, look.changes, "very busy"), _edges(look)])]
    clauses += [f"with most detail {look.busiest}" if look.busiest else ""]
    clauses += [f"lighter {look.lightest}" if look.lightest else ""]
    clauses += ["the left side mirroring the right" if look.mirrored else ""]
    return ("an " if picture[0] in "aeiou" else "a ") + ", ".join(clause for clause in clauses if clause)


def _chroma(look: Look) -> str:
    if look.coloured <= 20:
        return "black-and-white" if look.deviation >= 12 else "colourless"
    if look.chroma < 30:
        return "muted"
    return "vividly coloured" if look.chroma > 110 else "colourful" if look.hues >= 5 else ""


def _contrast(look: Look) -> str:
    if look.deviation < 8:
        return " without contrast"
    if look.chroma < 60 and look.deviation < 32:  # colours may well contrast at the same grey level
        return " of low contrast"
    return " of strong contrast" if look.deviation > 80 else ""


def _edges(look: Look) -> str:
    if look.changes < 20:
        return ""
    return next(name for limit, name in _EDGES if look.sharpness < limit)


def _colours(look: Look) -> str:
    """About half of it is sky blue, at the top; about a third of it is green, at the bottom left."""
    parts = [_part(part) for part in look.parts[:3]]
    minor = [part.colour for part in look.parts[3:5]]
    if minor:
        parts.append(f"there is also some {' and '.join(minor)}")
    return "; ".join(parts)


def _part(part: Part) -> str:
    share = next(words for least, words in _SHARES if part.percent >= least)
    return f"{share} is {part.colour}" + (f", {part.where}" if part.where else "")


def _followed(looks: Sequence[Look]) -> list[str]:
    """How frames go on after the first."""
    first, last, changes = looks[0], looks[-1], steps(looks)
    if max(*changes, changed(first, last), *(changed(first, look) for look in looks)) < _NOTICED:
        return ["up to the last, hardly anything changes"]
    said = [_compared("last", first, last)]
    middle = looks[len(looks) // 2]
    if len(looks) > 2 and min(changed(first, middle), changed(middle, last)) >= _NOTICED:
        said.insert(0, _compared("middle", first, middle))
    return [*said, _course(looks, changes)] if len(looks) > 2 else said


def _course(looks: Sequence[Look], changes: Sequence[int]) -> str:
    """It changes at once, between frames 3 and 4."""
    if at_once := jumps(changes):
        return "it changes at once, " + _listed([f"between frames {step + 1} and {step + 2}" for step in at_once])
    if way := drift(looks):
        return f"from frame to frame, what is seen moves {_WAYS[way]}"
    mean = sum(changes) // len(changes)
    if mean < _LITTLE:
        return "it changes little by little"
    return f"from each frame to the next, {_share(mean)} changes"


def _share(percent: int) -> str:
    return next(words for least, words in _SHARES if percent >= least).replace("of it", "of the picture")


def _compared(which: str, first: Look, last: Look) -> str:
    """In the last, about half of the picture has changed: it is darker and busier, with more red and less blue."""
    percent = changed(first, last)
    if percent < _NOTICED:
        return f"the {which} is like the first"
    measures = [
        _more("brighter", "darker", last.brightness - first.brightness, 15),
        _more("stronger in contrast", "weaker in contrast", last.deviation - first.deviation, 12),
        _more("busier", "plainer", last.changes - first.changes, 80),
        _more("more colourful", "less colourful", last.chroma - first.chroma, 20),
    ]
    before = {part.colour: part.percent for part in first.parts}
    after = {part.colour: part.percent for part in last.parts}
    gains = sorted((before.get(colour, 0) - after.get(colour, 0), colour) for colour in {*before, *after})
    colours = [f"more {colour}" for loss, colour in gains[:1] if loss <= -5]
    colours += [f"less {colour}" for loss, colour in gains[::-1][:1] if loss >= 5]
    text = f"in the {which}, {_share(percent)} has changed"
    is_now = _listed(measures)
    text += f": it is {is_now}" if is_now else ""
    return text + (f", with {_listed(colours)}" if colours else "")


def _more(more: str, less: str, difference: int, enough: int) -> str:
    return more if difference >= enough else less if difference <= -enough else ""


def _named(names: tuple[tuple[int, str], ...], value: int, beyond: str = "") -> str:
    """The name of the first limit that the value is below, or `beyond`."""
    return next((name for limit, name in names if value < limit), beyond)
