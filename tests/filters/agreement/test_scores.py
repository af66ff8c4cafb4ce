"""What is scored of pairs: a text and a picture, whichever is the query; several scores become four numbers."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from corpus.schema import PAIR_SCHEMA
from filters.agreement.scores import Example, examples_of, reduce_scores
from tests.helpers.small_worlds import image_pair

ONE, OTHER = bytes(16), bytes(range(16))
CLIP = {"video": "0" * 32, "start_s": 0.0, "end_s": 2.0}


def side(text: str = "", *items: bytes, clip: dict[str, object] | None = None) -> dict[str, object]:
    return {"instruction": "Find: ", "text": text, "items": list(items), "clip": clip}


def test_a_text_and_a_picture_are_an_example_whichever_is_the_query() -> None:
    table = [
        (side(" a cat "), side("", ONE), Example("a cat", (ONE,), False)),
        (side("", ONE), side("a cat"), Example("a cat", (ONE,), False)),
        (side("a cat"), side("", ONE, OTHER, clip=CLIP), Example("a cat", (ONE, OTHER), True)),
        (side("a cat"), side("a dog"), None),
        (side("", ONE), side("", OTHER), None),
        (side("what is it?", ONE), side("a cat"), None),
        (side("a cat"), side("with a text", ONE), None),
        (side(" "), side("", ONE), None),
    ]
    rows = [image_pair("shapes", "x", ONE, query=query, positive=positive) for query, positive, _ in table]
    pairs = pa.Table.from_pylist([{name: row[name] for name in PAIR_SCHEMA.names} for row in rows], PAIR_SCHEMA)
    examples = examples_of(pairs)
    assert examples == [expected for _, _, expected in table]
    keys = [example.key for example in examples if example]
    assert keys[0] == keys[1] and len(set(keys)) == 2, "the same text and picture have one key"


def test_an_image_and_a_clip_of_one_frame_have_keys_of_their_own() -> None:
    assert Example("a", (ONE,), True).key != Example("a", (ONE,), False).key


def test_scores_are_reduced_over_frames_then_over_sentences() -> None:
    """The first sentence is of both frames; the second of the last frame only."""
    scores = np.array([[0.3, 0.3], [0.1, 0.4]])
    assert reduce_scores(scores) == (0.275, 0.25, 0.35, 0.3)
    assert reduce_scores(np.array([[0.28125]])) == (0.2812,) * 4
