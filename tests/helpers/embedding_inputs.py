"""Inputs of embedders for the tests with the test VLM: a text, an image, both, and a clip, as RzenEmbed reads them."""

from __future__ import annotations

import numpy as np

from serving.request import EmbedRequest, Pixels

SIDE_PX = 112  # what the test VLM looks at: 16 tokens
PIXELS = SIDE_PX * SIDE_PX
IMAGE = "<|vision_start|><|image_pad|><|vision_end|>"


def picture(number: int, height: int = SIDE_PX, width: int = SIDE_PX) -> Pixels:
    """A pattern of stripes in three colours: plain integer arithmetic, the same on every machine."""
    rows, columns, colours = np.ogrid[0:height, 0:width, 0:3]
    return ((columns * (number + 1) * 2 + rows * (colours + 1) * 3 + number * 40) % 256).astype(np.uint8)


def rzen_prompt(text: str, images: int) -> str:
    """The whole input of RzenEmbed's released code, written out once more."""
    return (
        "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\n"
        f"{IMAGE * images}{text}<|im_end|>\n<|im_start|>assistant\n<|endoftext|>"
    )


def inputs() -> dict[str, EmbedRequest]:
    """One input of each kind, by its name."""
    pictures = tuple(picture(number) for number in range(8))
    kinds: dict[str, tuple[str, tuple[Pixels, ...]]] = {
        "text": ("a large red circle", ()),
        "image": ("Represent the given image.", pictures[:1]),
        "both": ("a large red circle", pictures[1:2]),
        "frames": ("Understand the content of the provided video.", pictures),
    }
    return {name: EmbedRequest(rzen_prompt(text, len(images)), images) for name, (text, images) in kinds.items()}
