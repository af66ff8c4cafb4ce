"""Batches of the test embedder: what its captions are true of, and where the tokens lie."""

from __future__ import annotations

from dataclasses import astuple

import numpy as np

from demo.vlm.scenes import OPTIONAL, VlmScene, all_scenes
from demo.vlm.training.batches import VISUAL_TOKENS
from demo.vlm.training.checkpoint_files import SPECIAL_TOKENS
from demo.vlm.training.embedder_batches import (
    CLOSING,
    HELD_OUT,
    OPENING,
    EmbedderBatchMaker,
    fits,
    held_out_scenes,
    neighbours,
    side_tokens,
)

SCENES = all_scenes()


def encode(text: str) -> list[int]:
    """A token for each special one, and for each other character."""
    for number, token in enumerate(SPECIAL_TOKENS):
        text = text.replace(token, chr(number))
    return [ord(character) for character in text]


def decode(ids: np.ndarray) -> str:
    return "".join(SPECIAL_TOKENS[number] if number < len(SPECIAL_TOKENS) else chr(number) for number in ids.tolist())


def different(one: VlmScene, other: VlmScene) -> int:
    """How many attributes differ."""
    return sum(a != b for a, b in zip(astuple(one), astuple(other), strict=True))


def test_a_thousand_scenes_are_held_out_and_those_of_the_captioner_are_among_them() -> None:
    held_out = held_out_scenes()
    assert len(set(held_out)) == HELD_OUT == 1000
    assert {scene for scene in SCENES if scene.held_out} < set(held_out)
    assert max(scene.rank for scene in held_out) < min(scene.rank for scene in set(SCENES) - set(held_out))


def test_neighbours_differ_in_one_attribute() -> None:
    some = SCENES[::7]
    found = neighbours(some)
    for place in range(0, len(some), 40):
        assert sorted(found[place]) == [other for other in range(len(some)) if different(some[place], some[other]) == 1]


def test_a_caption_fits_the_scenes_that_have_what_it_states() -> None:
    rng = np.random.default_rng(1)
    scenes = [SCENES[place] for place in rng.integers(0, 40, size=60)]  # alike, and some of them equal
    stated = [tuple(name for name in OPTIONAL if rng.random() < 0.5) for _ in scenes]
    expected = [
        [scene.partial_caption(names) == other.partial_caption(names) for other in scenes]
        for scene, names in zip(scenes, stated, strict=True)
    ]
    assert fits(scenes, stated).tolist() == expected
    assert 0.05 < np.mean(expected) < 0.6


def test_the_last_tokens_end_the_prompts() -> None:
    texts = ["a red circle.", "", "two small shapes on a blue background."]
    for images in (0, 1, 2):
        ids, last = side_tokens(encode, texts, images)
        image = "<|vision_start|>" + "<|image_pad|>" * VISUAL_TOKENS + "<|vision_end|>"
        for row, end, text in zip(ids, last, texts, strict=True):
            assert decode(row[: end + 1]) == OPENING + image * images + text + CLOSING
            assert set(row[end + 1 :].tolist()) <= {SPECIAL_TOKENS.index("<|endoftext|>")}


def test_half_of_a_batch_is_neighbours_and_captions_are_of_their_scenes() -> None:
    training = [scene for scene in SCENES if not scene.held_out]
    batch = EmbedderBatchMaker(encode, training, np.random.default_rng(3)).batch(64)
    assert len(batch.scenes) == len(batch.captions) == len(batch.images) == 64
    near = [sum(different(one, other) == 1 for other in batch.scenes[:32]) for one in batch.scenes[:32]]
    assert min(near) >= 1 and np.mean(near) > 1.5
    assert not any(scene.held_out for scene in batch.scenes)
    assert batch.fits.diagonal().all()
    full = 0
    for scene, row, end in zip(batch.scenes, batch.captions, batch.caption_last, strict=True):
        full += scene.caption + CLOSING in decode(row[: end + 1])
    assert 32 < full < 64


def test_batches_are_seeded() -> None:
    batches = [EmbedderBatchMaker(encode, SCENES, np.random.default_rng(seed)).batch(16) for seed in (1, 1, 2)]
    assert batches[0].scenes == batches[1].scenes != batches[2].scenes
    assert np.array_equal(batches[0].captions, batches[1].captions)
