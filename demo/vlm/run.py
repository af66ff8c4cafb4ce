"""Runs the demo of models: drawn scenes, captioned by the test VLM and embedded by the test embedder through vLLM.

Captions and hard negatives are compared with what the scenes show.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from corpus.settings import load_mapping
from corpus.stage import ROWS
from corpus.workspace import TableKey, Workspace
from demo.checks.clip_samples import read_samples
from demo.run import PORT, next_commands, verify_corpora, write_config
from demo.screen import Screen
from demo.server import serve
from demo.vlm import CHECKPOINT, EMBEDDER
from demo.vlm.negatives import count_negatives
from demo.vlm.scenes import all_scenes, draw_shapes, read_caption
from pipelines.config import Config
from pipelines.plan import Selection
from pipelines.report.progress import ProgressBars
from pipelines.runner import run
from pipelines.status import plan_run
from recaption.schema import CAPTION

VLM_SETTINGS = Path(__file__).parents[2] / "configs" / "demo-vlm.yaml"
DATASET = "scenes"
RIGHT_SHARE = 0.95  # of the captions, word for word
MIN_PRECISION, MIN_HARD_SHARE = 0.98, 0.5  # of the mined negatives, and of the planted hard ones


def run_vlm_demo(screen: Screen, engine: str | None, rows: int, port: int = PORT) -> list[str]:
    """Runs the demo in the screen's folder; returns all faults, a line each."""
    folder, console = screen.folder, screen.console
    data = load_mapping(VLM_SETTINGS)
    data["stages"]["caption"]["backend"]["model"] = str(CHECKPOINT)
    data["stages"]["embed"]["encoder"]["model"] = str(EMBEDDER)
    config = write_config(folder, engine, data, VLM_SETTINGS, port)
    with screen.step("world"), ProgressBars(console) as bars, bars.bar("scenes", rows):
        world = build_vlm_world(folder / "world", rows, f"http://127.0.0.1:{port}")
        screen.line(f"{rows:,} scenes, in {folder / 'world'}", True)
    with screen.step("run"), serve(folder / "world", port):
        result = run(config, Selection(), console)
        screen.show_funnels(result.funnels)
    corpora = verify_corpora(screen, config, result.corpora)
    faults = [*result.failed, *(fault for _, found in corpora.values() for fault in found.faults)]
    if not faults:
        with screen.step("compare"):
            faults = check_captions(captions(config), world.captions, screen)
            for path in result.corpora.values():
                faults += check_negatives(Path(path) / DATASET, world.captions, screen)
    screen.end(corpora, config.workspace, next_commands(screen, config, corpora))
    return faults


def check_negatives(dataset: Path, truth: dict[str, str], screen: Screen) -> list[str]:
    """Lists the faults of a published dataset's hard negatives in all; prints how good they are."""
    scenes = {url: scene for url, caption in truth.items() if (scene := read_caption(caption)) is not None}
    stats = count_negatives((sample.json for sample in read_samples(dataset)), scenes)
    screen.line(f"held against the drawn truth: {stats}", True)
    return stats.faults(MIN_PRECISION, MIN_HARD_SHARE)


def check_captions(generated: dict[str, str | None], truth: dict[str, str], screen: Screen) -> list[str]:
    """Lists the faults of the captions in all; prints the number of right ones, and a few examples."""
    readable = {url for url, caption in truth.items() if caption}
    faults = (
        []
        if readable == generated.keys()
        else [f"{len(readable)} scenes could be read, {len(generated)} were captioned"]
    )
    right = sum(caption == truth.get(url) for url, caption in generated.items())
    for url, caption in list(generated.items())[:5]:
        screen.line(f"{url.rpartition('/')[2]}: {caption}", True)
    screen.line(
        f"held against the drawn truth: {right:,} of {len(generated):,} captions are right, word for word", True
    )
    if right < RIGHT_SHARE * len(generated):
        faults.append(f"{right} of {len(generated)} captions are right, expected {RIGHT_SHARE:.0%}")
    return faults


def captions(config: Config) -> dict[str, str | None]:
    """Returns the generated caption of every row that was to get one, by URL."""
    workspace = Workspace(config.workspace)
    planned = plan_run(config, Selection())
    found: dict[str, str | None] = {}
    for step, tables in planned.steps:
        for one in tables if step.name == CAPTION else ():
            source, shard = one.node.source, one.task.shard
            rows = TableKey("tables", source, ROWS).path(shard, dict(planned.indexes[source].shards)[shard])
            urls = workspace.read_table(rows, ["url"]).column("url").to_pylist()
            results = workspace.read_table(one.task.output, ["caption", "status"]).to_pylist()
            found |= {url: row["caption"] for url, row in zip(urls, results, strict=True) if row["status"] == "kept"}
    return found


MISSING_SHARE = 0.02  # of the rows: dead links
BROKEN_SHARE = 0.02  # of the rows: files that are cut off
AGAIN_SHARE = 0.1  # of the rows: another picture of another row's scene, which is no negative of that row's caption


@dataclass(frozen=True)
class VlmWorld:
    """The paths of a world, and the truth: URL -> caption, "" for a URL without a picture."""

    folder: Path
    parts: tuple[str, ...]
    captions: dict[str, str]


def build_vlm_world(folder: str | Path, rows: int, base_url: str, seed: int = 0) -> VlmWorld:
    """Writes `rows` rows of metadata in LAION's form, and their scenes, all of them held out from training.

    Some rows show the scene of another row once more. Raises ValueError for more rows than there are such scenes.
    """
    folder = Path(folder)
    for part in ("www", "parts"):
        shutil.rmtree(folder / part, ignore_errors=True)
        (folder / part).mkdir(parents=True)
    rng = np.random.default_rng(seed)
    held_out = [scene for scene in all_scenes() if scene.held_out]
    different = rows - int(AGAIN_SHARE * rows)
    if different > len(held_out):
        raise ValueError(f"{rows} rows, but there are {len(held_out)} scenes that the model was not trained on")
    chosen = rng.permutation(len(held_out))[:different]
    captions = {}
    for number, place in enumerate([*chosen.tolist(), *chosen[: rows - different].tolist()]):
        scene, draw_number = held_out[place], rng.random()
        url = f"{base_url}/images/{number:06}.png"
        data = cv2.imencode(".png", draw_shapes(scene, rng)[:, :, ::-1])[1].tobytes()
        if draw_number < MISSING_SHARE:
            captions[f"{base_url}/status/404/{number:06}.png"] = ""
            continue
        broken = draw_number < MISSING_SHARE + BROKEN_SHARE
        (folder / "www" / f"{number:06}.png").write_bytes(data[: len(data) // 2] if broken else data)
        captions[url] = "" if broken else scene.caption
    metadata = pa.table(
        {
            "URL": list(captions),
            "TEXT": [f"IMG_{number:04}.jpg" for number in range(len(captions))],
            "similarity": pa.array([0.31] * len(captions), pa.float64()),
        }
    )
    path = folder / "parts" / "part-00000.parquet"
    pq.write_table(metadata, path)
    return VlmWorld(folder, (str(path),), captions)
