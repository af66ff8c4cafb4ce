"""Shards of drawn scenes for the tests of captioning through real models, and how right their captions are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from corpus.execution import MapJob, Outcome, ShardTask
from corpus.workspace import TableKey, Workspace
from demo.vlm import CHECKPOINT
from demo.vlm.scenes import VlmScene, all_scenes, draw_shapes
from demo.vlm.training.batches import answer
from pipelines.engines import Engine
from recaption.schema import CAPTION
from recaption.settings import CaptionSettings
from recaption.stage import Caption
from tests.helpers.caption_shards import lay_clips, lay_shard

SOURCE = "a"
PIXELS = 112 * 112  # what the test VLM looks at


@dataclass(frozen=True)
class Scenes:
    """Shards that lie in a workspace, and what each row shows; "" for a row whose picture is broken."""

    root: Path
    tasks: tuple[ShardTask, ...]
    truth: dict[str, list[str]]

    def captions(self, shard: str, name: str = "f") -> list[dict[str, Any]]:
        """The rows of a shard's caption table."""
        path = TableKey("tables", SOURCE, CAPTION).path(shard, name)
        return Workspace(self.root).read_table(path).to_pylist()


def draw_shards(root: Path, rows: int, shards: int, broken: Sequence[int] = (), seed: int = 0) -> Scenes:
    """`rows` scenes over so many shards; the rows of `broken` have a picture that is cut off."""
    rng = np.random.default_rng(seed)
    scenes = all_scenes()
    chosen = [scenes[place] for place in rng.permutation(len(scenes))[:rows]]
    tasks, truth = [], {}
    for number, part in enumerate(np.array_split(np.arange(rows), shards)):
        pictures = [png(chosen[row], rng) for row in part]
        for row in set(broken) & set(part.tolist()):
            pictures[row - int(part[0])] = pictures[row - int(part[0])][:300]
        name = f"{number:06}"
        tasks.append(lay_shard(root, SOURCE, name, pictures, [None] * len(part)))
        truth[name] = ["" if row in broken else chosen[row].caption for row in part.tolist()]
    return Scenes(root, tuple(tasks), truth)


def draw_clips(root: Path, rows: int, shards: int, broken: Sequence[int] = (), seed: int = 0) -> Scenes:
    """`rows` clips of two scenes each, as frames, over so many shards; those of `broken` have a second frame that is
    cut off. What is true of a clip is what the test VLM was taught to say: the one scene, then the other."""
    rng = np.random.default_rng(seed)
    scenes = all_scenes()
    chosen = [tuple(scenes[place] for place in pair) for pair in rng.integers(len(scenes), size=(rows, 2))]
    tasks, truth = [], {}
    for number, part in enumerate(np.array_split(np.arange(rows), shards)):
        clips = [[jpeg(scene, rng) for scene in chosen[row]] for row in part]
        for row in set(broken) & set(part.tolist()):
            frames = clips[row - int(part[0])]
            frames[1] = frames[1][: len(frames[1]) // 2]
        name = f"{number:06}"
        tasks.append(lay_clips(root, SOURCE, name, clips, mp4=b"not looked at"))
        truth[name] = ["" if row in broken else answer(chosen[row]) for row in part.tolist()]
    return Scenes(root, tuple(tasks), truth)


def png(scene: VlmScene, rng: np.random.Generator) -> bytes:
    """A drawing of the scene, as a web page would have it."""
    return cv2.imencode(".png", draw_shapes(scene, rng)[:, :, ::-1])[1].tobytes()


def jpeg(scene: VlmScene, rng: np.random.Generator) -> bytes:
    """A drawing of the scene, as a frame of a clip is stored."""
    return cv2.imencode(".jpg", draw_shapes(scene, rng)[:, :, ::-1])[1].tobytes()


def vllm_settings(**more: Any) -> CaptionSettings:
    """The test VLM in this machine's memory."""
    backend = {"kind": "vllm", "model": str(CHECKPOINT), "gpus": 0, "max_model_len": 512, "max_num_seqs": 32}
    return settings(backend={**backend, "enforce_eager": True}, **more)


def settings(**more: Any) -> CaptionSettings:
    """Captions of the scenes at the size that the test VLM knows."""
    given = {
        "sampling": {"temperature": 0.0, "max_tokens": 40},
        "min_pixels": PIXELS,
        "max_pixels": PIXELS,
        "sources": {SOURCE: {"prompts": {"short": 1.0}}},
    }
    return CaptionSettings.model_validate({**given, **more})


def caption_all(scenes: Scenes, engine: Engine, stage: Caption, shards: Sequence[str] | None = None) -> list[Outcome]:
    """Run the stage over the shards, in the order given."""
    by_name = {task.shard: task for task in scenes.tasks}
    tasks = []
    for name in shards if shards is not None else list(by_name):
        task = by_name[name]
        output = TableKey("tables", SOURCE, CAPTION).path(name, "f")
        parts = {"settings": stage.fingerprint_inputs(), "generation": 0}
        tasks.append(ShardTask(SOURCE, name, task.ordinal, task.inputs, output, task.media, parts))
    outcomes = list(engine.map(MapJob(stage, str(scenes.root)), tasks))
    assert [outcome.error for outcome in outcomes] == [""] * len(tasks)
    return outcomes


def right_share(scenes: Scenes, shards: Sequence[str] | None = None) -> float:
    """Of the rows with a readable picture, how many have the caption of their own picture, word for word."""
    right = total = 0
    for shard in shards if shards is not None else list(scenes.truth):
        for row, true in zip(scenes.captions(shard), scenes.truth[shard], strict=True):
            if true:
                total += 1
                right += row["caption"] == true
    return right / total
