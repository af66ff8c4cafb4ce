"""The backend without a model: it describes an image by its colours, for demos and tests on any machine.

The same pixels get the same caption everywhere (integer arithmetic only), and different images mostly different ones.
The caption claims nothing about content, and `caption_model` names this backend.
"""

from __future__ import annotations

from concurrent.futures import Future

import numpy as np

from corpus.image.pixel_budget import PixelBudget
from serving.request import GenerateRequest, GenerateResponse, Pixels

MODEL = "dummy (no model)"  # in a table: not to be mistaken for a vision-language model's
REVISION = "2"  # raised whenever an image gets another caption
BUDGET = PixelBudget(max_pixels=256 * 256)

_COLOURS = {
    "black": (0, 0, 0), "grey": (128, 128, 128), "white": (255, 255, 255), "red": (220, 30, 30),
    "brown": (120, 70, 30), "orange": (245, 140, 30), "yellow": (240, 220, 60), "green": (40, 140, 50),
    "turquoise": (60, 200, 190), "blue": (40, 80, 200), "navy": (15, 20, 80), "purple": (120, 40, 150),
    "pink": (245, 160, 190),
}  # fmt: skip
_REGIONS = ("top left", "top", "top right", "left", "centre", "right", "bottom left", "bottom", "bottom right")


class DummyBackend:
    """A `ModelClient` that responds at once. Prompt, seed and sampling make no difference."""

    def submit(self, request: GenerateRequest) -> Future[GenerateResponse]:
        """Returns a completed future; its response has an error for a request without images, or for JSON."""
        future: Future[GenerateResponse] = Future()
        if not request.images:
            future.set_result(GenerateResponse(error="no_image", detail="there is nothing to describe"))
        elif request.json_schema:
            future.set_result(GenerateResponse(error="no_json", detail=f"{MODEL} writes sentences only"))
        else:
            future.set_result(GenerateResponse(dummy_caption(*request.images), finish_reason="stop"))
        return future

    def close(self) -> None:
        """Does nothing."""


def dummy_caption(*images: Pixels) -> str:
    """Describes an image (RGB, height × width × 3), or several frames: the first, and what changes after it.

    Equal frames are not described twice: such a caption would be rejected as repetition.
    """
    shape, colours, lightest, levels = _describe(images[0])
    first = f"{shape} picture of {colours}, lightest at the {lightest}, mean levels {levels}"
    if len(images) == 1:
        return f"Dummy caption of {first}."
    _, halfway, _, middle = _describe(images[len(images) // 2])
    last = _describe(images[-1])[3]
    return f"Dummy caption of {len(images)} frames: {first}; halfway {halfway} at {middle}; finally {last}."


def _describe(image: Pixels) -> tuple[str, str, str, str]:
    """Returns "a wide", "blue, green and white", "top" (the lightest of nine regions), "93/120/187" (mean levels)."""
    height, width = image.shape[:2]
    cells = image[np.arange(48) * height // 48][:, np.arange(48) * width // 48].astype(np.int64)
    differences = np.abs(cells[:, :, None] - np.array(list(_COLOURS.values()))).sum(axis=3)
    counts = np.bincount(differences.argmin(axis=2).ravel(), minlength=len(_COLOURS))
    names = [list(_COLOURS)[place] for place in np.argsort(-counts, kind="stable")[:3] if counts[place]]
    lightest = _REGIONS[int(cells.reshape(3, 16, 3, 16, 3).sum(axis=(1, 3, 4)).argmax())]
    levels = "/".join(str(level) for level in cells.sum(axis=(0, 1)) // 48**2)
    shape = "a wide" if 4 * width > 5 * height else "an upright" if 4 * height > 5 * width else "a square"
    return shape, " and ".join(filter(None, [", ".join(names[:-1]), names[-1]])), lightest, levels
