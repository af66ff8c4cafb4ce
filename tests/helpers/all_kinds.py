"""One small corpus of images, clips and texts, and what lies in its tars; for the readers that trainers use."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from corpus.schema import Modality, Task
from pipelines.publish.publish import publish
from tests.helpers.small_worlds import InlineEngine, World, image_pair, mixture
from tests.helpers.tar_members import members

COUNTS = {"images": 23, "clips": 10, "texts": 12}


def publish_all_kinds(work: Path, corpus: Path) -> Path:
    """Captions of images with a negative each, clips of three frames in groups of five, and texts."""
    world = World(str(work))
    world.captions("images", COUNTS["images"])
    frames = world.pictures(3 * COUNTS["clips"], seed=9)
    clips = []
    for number in range(COUNTS["clips"]):
        own = frames[3 * number : 3 * number + 3]
        part = {"video": f"{number // 5:032x}", "start_s": 5.0 * number, "end_s": 5.0 * number + 5}
        positive = {"instruction": "", "text": "", "items": own, "clip": part}
        clips.append(image_pair("clips", f"clip {number}", own[0], positive=positive, group=f"film {number // 5}"))
    given = world.dataset("clips", clips)
    world.datasets[-1] = replace(given, modality=Modality.CLIP, task=Task.VIDEO_RETRIEVAL)
    texts = []
    for number in range(COUNTS["texts"]):
        positive = {"instruction": "", "text": f"passage {number}", "items": []}
        texts.append(image_pair("texts", f"query {number}", bytes(16), positive=positive))
    given = world.dataset("texts", texts)
    world.datasets[-1] = replace(given, modality=Modality.TEXT, task=Task.TEXT_RETRIEVAL)
    chosen: dict[str, dict[str, Any]] = {"images": {"weight": 2.0, "negatives": 1}, "clips": {}, "texts": {}}
    publish(world.workspace, world.given(), mixture(corpus, chosen, pairs_per_shard=5), InlineEngine())
    return corpus


def published(corpus: Path, dataset: str) -> dict[str, dict[str, bytes]]:
    """key -> field -> bytes, as they lie in the tars, in their order."""
    found: dict[str, dict[str, bytes]] = {}
    for _, key, field, data in members(corpus / dataset):
        found.setdefault(key, {})[field] = data
    return found
