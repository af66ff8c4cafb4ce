"""Stage `agreement` gives the scores that open_clip gives, for a tiny CLIP of random weights in a folder."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from filters.agreement.stage import SCORES, Agreement, AgreementSettings
from serving.vllm.torchvision_shim import patch_imports
from tests.helpers.extras import installed_or_skip
from tests.helpers.mining_worlds import read_rows, run_over_pairs, scene
from tests.helpers.small_worlds import World, image_pair
from tests.helpers.tiny_clip import CONTEXT, write_tiny_clip

installed_or_skip("open_clip")
patch_imports()

Rows = list[dict[str, Any]]
CLIP = {"video": "0" * 32, "start_s": 0.0, "end_s": 2.0}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_clip(tmp_path_factory.mktemp("clip"))


def scored(
    world: World, folder: Path, rows: Rows, owner: str = "shapes/web", tables: int = 2, **changes: Any
) -> tuple[Rows, list[dict[str, Any]]]:
    """The rows of the stage's tables, in the order of the pairs; and the metrics of each shard."""
    backend = {"model": f"local-dir:{folder}", "device": "cpu", "batch_size": 4}
    stage = Agreement(AgreementSettings.model_validate({"backend": backend, **changes}))
    paths = world.write_pairs(owner, rows, tables)
    metrics: list[dict[str, Any]] = []
    outputs = run_over_pairs(world, stage, [[("pairs", path)] for path in paths], owner, metrics)
    ids = [row["pair_id"] for row in read_rows(world, list(paths))]
    found = dict(zip(ids, read_rows(world, outputs), strict=True))
    assert {row["status"] for row in found.values()} == {"kept"}, "nothing is removed"
    return [found[row["pair_id"]] for row in rows], [each["agreement"] for each in metrics]


def expected_scores(folder: Path, texts: list[str], images: list[bytes]) -> np.ndarray:
    """The cosines by open_clip itself, one input at a time: float32[texts, images]."""
    import open_clip
    import torch

    name = f"local-dir:{folder}"
    model, preprocess = open_clip.create_model_from_pretrained(name)
    tokenizer = open_clip.get_tokenizer(name)
    model.eval()
    opened = [Image.open(io.BytesIO(data)).convert("RGB") for data in images]
    with torch.inference_mode():
        one = torch.cat([model.encode_text(tokenizer([text]), normalize=True) for text in texts])
        other = torch.cat([model.encode_image(preprocess(image)[None], normalize=True) for image in opened])
    return (one @ other.T).numpy()


def mirrored(data: bytes) -> bytes:
    file = io.BytesIO()
    Image.open(io.BytesIO(data)).transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(file, "PNG")
    return file.getvalue()


def score_columns(row: dict[str, Any]) -> list[float]:
    return [row[name] for name in SCORES]


PICTURES = [scene(colour, left) for colour in ("red", "green", "blue") for left in (30, 60)]
TEXTS = ["a red square", "a blue dog", "two cats", "rain", "a white square on red", "nothing"]


def test_scores_are_the_librarys_in_any_batch(tmp_path: Path, folder: Path) -> None:
    world = World(str(tmp_path))
    items = world.store(PICTURES, "png")
    rows = [image_pair("shapes", text, item) for text, item in zip(TEXTS, items, strict=True)]
    rows.append(image_pair("shapes", "", items[0], query={"text": "", "items": items[:1], "instruction": ""}))
    rows[-1]["positive"] = {"instruction": "", "text": TEXTS[3], "items": []}
    expected = expected_scores(folder, TEXTS, PICTURES)
    assert expected.std() > 0.05
    found, metrics = scored(world, folder, rows)
    for row, score in zip(found, [*np.diag(expected), expected[3, 0]], strict=True):
        np.testing.assert_allclose(score_columns(row), score, atol=1e-4)
        assert (row["sentences"], row["frames"], row["unread_share"], row["unscored_reason"]) == (1, 1, 0.0, "")
    assert sum(each["computed"] for each in metrics) == len(rows)


def test_with_flip_the_smaller_score_of_both_ways_counts(tmp_path: Path, folder: Path) -> None:
    world = World(str(tmp_path))
    items = world.store(PICTURES, "png")
    rows = [image_pair("shapes", text, item) for text in TEXTS[:3] for item in items]
    ways = [expected_scores(folder, TEXTS[:3], images) for images in (PICTURES, list(map(mirrored, PICTURES)))]
    assert (ways[0] < ways[1]).any() and (ways[0] > ways[1]).any()
    found, _ = scored(world, folder, rows, flip=True)
    np.testing.assert_allclose([row[SCORES[0]] for row in found], np.minimum(*ways).ravel(), atol=1e-4)


def test_a_clip_is_scored_by_its_frames_and_a_long_text_by_its_sentences(tmp_path: Path, folder: Path) -> None:
    """Seven words have room. Of the last sentence, of nine words, two are not read; the fourth is one too many."""
    assert CONTEXT - 2 == 8
    long = "A red square. Two cats on a roof. One two three four five six seven eight nine. A blue dog."
    world = World(str(tmp_path))
    items = world.store(PICTURES, "png")
    clip = {"instruction": "", "text": "", "items": items, "clip": CLIP}
    rows = [image_pair("shapes", long, items[0], positive=clip), image_pair("shapes", "rain", items[0], positive=clip)]
    found, _ = scored(world, folder, rows, max_sentences=3, video_frames=3)
    frames = [PICTURES[0], PICTURES[2], PICTURES[5]]  # of six
    sentences = ["A red square.", "Two cats on a roof.", "One two three four five six seven eight nine."]
    each = expected_scores(folder, sentences, frames)
    means, best = each.mean(axis=1), each.max(axis=1)
    np.testing.assert_allclose(score_columns(found[0]), [means.mean(), means.min(), best.mean(), best.min()], atol=1e-4)
    assert (found[0]["sentences"], found[0]["frames"]) == (3, 3)
    tokens, unread = 4 + 6 + 10 + 4, 2 + 4  # full stops are tokens, too
    assert found[0]["unread_share"] == pytest.approx(unread / tokens)
    alone = expected_scores(folder, ["rain"], frames)[0]
    np.testing.assert_allclose(
        score_columns(found[1]), [alone.mean(), alone.mean(), alone.max(), alone.max()], atol=1e-4
    )
    assert (found[1]["sentences"], found[1]["frames"], found[1]["unread_share"]) == (1, 3, 0.0)


def test_what_cannot_be_scored_has_a_reason(tmp_path: Path, folder: Path) -> None:
    world = World(str(tmp_path))
    (item,) = world.store(PICTURES[:1], "png")
    (torn,) = world.store([scene("red", 31, kind="JPEG")[:700]], "jpg")
    rows = [
        image_pair("shapes", "a red square", item),
        image_pair("shapes", "a torn picture", torn),
        image_pair("shapes", "an unknown picture", b"?" * 16),
        image_pair("shapes", "a text", item, positive={"instruction": "", "text": "a text", "items": []}),
    ]
    found, metrics = scored(world, folder, rows, tables=1)
    reasons = ["", "truncated", "missing_item", "no_text_and_picture"]
    assert [row["unscored_reason"] for row in found] == reasons
    assert [row[SCORES[0]] is None for row in found] == [False, True, True, True]
    assert [row["agreement_key"] is None for row in found] == [False, True, True, True]
    counts = {"pairs": 4, "computed": 3, "from_cache": 0, "by_sentence": 0, "cut": 0}
    assert metrics == [{**counts, **{f"without/{each}": 1 for each in reasons[1:]}}]


def test_known_scores_are_not_computed_again(tmp_path: Path, folder: Path, tmp_path_factory: Any) -> None:
    """Another dataset with the same texts and pictures computes none; another model, or `flip`, computes all."""
    world = World(str(tmp_path))
    items = world.store(PICTURES, "png")
    rows = [image_pair("shapes", text, item) for text, item in zip(TEXTS, items, strict=True)]
    first, metrics = scored(world, folder, rows, "shapes/web", 1)
    assert metrics[0]["computed"] == 6
    more = [
        image_pair("others", text, item) for text, item in zip([*TEXTS, "a new text"], [*items, items[0]], strict=True)
    ]
    again, metrics = scored(world, folder, more, "others/web", 1)
    assert (metrics[0]["computed"], metrics[0]["from_cache"]) == (1, 6)
    for one, other in zip(first, again, strict=False):
        assert {**one, "agreement_key": None} == {**other, "agreement_key": None}
    _, metrics = scored(world, folder, rows, "flipped/web", 1, flip=True)
    assert metrics[0]["computed"] == 6
    other = write_tiny_clip(tmp_path_factory.mktemp("other"), seed=12)
    _, metrics = scored(world, other, rows, "model/web", 1)
    assert metrics[0]["computed"] == 6
