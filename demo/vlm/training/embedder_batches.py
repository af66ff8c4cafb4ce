"""Makes the training batches of the test embedder: scenes, and captions of them that state all or some attributes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields

import numpy as np
from numpy.typing import NDArray

from demo.vlm.scenes import OPTIONAL, VlmScene, all_scenes
from demo.vlm.training.batches import VISUAL_TOKENS, Encode, TokenIds
from demo.vlm.training.checkpoint_files import SPECIAL_IDS
from mining.encoders.qwen_vl import IMAGE_PLACEHOLDER
from mining.encoders.rzenembed import TEMPLATE

HELD_OUT = 1000  # scenes; the captioning checkpoint was not trained on 648 of them
SIMILAR_SCENES = 8  # scenes that differ from a common one in a single attribute, side by side in a batch
PARTIAL_SHARE = 0.2  # of the captions
INSTRUCTED_SHARE = 0.15  # of the batches

# The prompt of RzenEmbed as released: an embedding is read at its last token.
OPENING, _, CLOSING = TEMPLATE.partition("{images}{instruction}{text}")
QUERY_INSTRUCTION = "Find me an everyday image that matches the given caption: "
IMAGE_INSTRUCTION = "Represent the given image."

Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class EmbedderBatch:
    """A batch of n scenes with a caption for each. Rows of tokens are padded on the right."""

    scenes: list[VlmScene]
    captions: TokenIds  # (n, longest)
    caption_last: TokenIds  # (n,): the place of the last token that is none of padding
    images: TokenIds  # (n, length), with VISUAL_TOKENS places for an image
    image_last: TokenIds
    fits: Flags  # (n, n): the caption of a row is true of the scene of a column


def held_out_scenes() -> list[VlmScene]:
    """Returns the HELD_OUT scenes that the test embedder is not trained on: those of lowest rank, in rank's order."""
    return sorted(all_scenes(), key=lambda scene: scene.rank)[:HELD_OUT]


class EmbedderBatchMaker:
    """The maker of batches. `encode` turns a text into tokens."""

    def __init__(self, encode: Encode, scenes: Sequence[VlmScene], rng: np.random.Generator) -> None:
        self._encode, self._scenes, self._rng = encode, list(scenes), rng
        self._neighbours = neighbours(self._scenes)

    def batch(self, rows: int) -> EmbedderBatch:
        """Returns a random batch: half of its scenes are drawn one by one, half are groups of neighbours."""
        rng, scenes = self._rng, self.draw(rows)
        stated = [
            tuple(name for name in OPTIONAL if rng.random() < 0.6) if rng.random() < PARTIAL_SHARE else OPTIONAL
            for _ in scenes
        ]
        instructed = rng.random() < INSTRUCTED_SHARE
        instruction, text = (QUERY_INSTRUCTION, IMAGE_INSTRUCTION) if instructed else ("", "")
        captions = [instruction + scene.partial_caption(names) for scene, names in zip(scenes, stated, strict=True)]
        return EmbedderBatch(
            scenes,
            *side_tokens(self._encode, captions, images=0),
            *side_tokens(self._encode, [text] * len(scenes), images=1),
            fits(scenes, stated),
        )

    def draw(self, rows: int) -> list[VlmScene]:
        """Returns random scenes, half of them in groups of neighbours."""
        rng, chosen = self._rng, list[int]()
        while len(chosen) < rows // 2:
            centre = int(rng.integers(len(self._scenes)))
            near = self._neighbours[centre]
            chosen += [centre, *rng.choice(near, min(SIMILAR_SCENES - 1, len(near)), replace=False).tolist()]
        chosen += rng.integers(len(self._scenes), size=rows - len(chosen)).tolist()
        return [self._scenes[index] for index in chosen[:rows]]


def side_tokens(encode: Encode, texts: Sequence[str], images: int) -> tuple[TokenIds, TokenIds]:
    """Returns the tokens of prompts, padded on the right, and the places of their last ones."""
    image = IMAGE_PLACEHOLDER.replace("<|image_pad|>", "<|image_pad|>" * VISUAL_TOKENS)
    rows = [encode(OPENING + image * images + text + CLOSING) for text in texts]
    longest = max(map(len, rows))
    padding = SPECIAL_IDS["<|endoftext|>"]
    padded = np.array([row + [padding] * (longest - len(row)) for row in rows], np.int64)
    return padded, np.array([len(row) - 1 for row in rows], np.int64)


def fits(scenes: Sequence[VlmScene], stated: Sequence[Sequence[str]]) -> Flags:
    """Computes which captions are true of which scenes: [captions, scenes]. A caption always states the count."""
    names = [field.name for field in fields(VlmScene)]
    values = np.array([[str(value) for value in astuple(scene)] for scene in scenes])
    states = np.array([[name == "count" or name in some for name in names] for some in stated])
    differs = (values[:, None] != values[None]) & states[:, None]
    return ~differs.any(axis=2)


def neighbours(scenes: Sequence[VlmScene]) -> list[list[int]]:
    """Lists for each scene the places of those that differ from it in a single attribute."""
    without: dict[tuple[object, ...], list[int]] = defaultdict(list)
    keys = [[(at, *values[:at], *values[at + 1 :]) for at in range(len(values))] for values in map(astuple, scenes)]
    for place, its_keys in enumerate(keys):
        for key in its_keys:
            without[key].append(place)
    return [
        [other for key in its_keys for other in without[key] if other != place] for place, its_keys in enumerate(keys)
    ]
