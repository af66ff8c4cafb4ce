"""A web of drawn scenes for the test VLM: their metadata has useless texts, and the truth is what each shows."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.demo.vlm.scenes import all_scenes, draw

GONE_SHARE = 0.02  # of the rows: dead links
BROKEN_SHARE = 0.02  # of the rows: files that are cut off


@dataclass(frozen=True)
class VlmWorld:
    """Where it lies, and what each picture shows: URL -> caption, "" for a URL that leads to no picture."""

    folder: Path
    parts: tuple[str, ...]
    captions: dict[str, str]


def build_vlm_world(folder: str | Path, rows: int, base_url: str, seed: int = 0) -> VlmWorld:
    """Write `rows` rows of LAION-form metadata and the scenes that they point at, all of them held out from training.

    Raises ValueError for more rows than there are such scenes.
    """
    folder = Path(folder)
    for part in ("www", "parts"):
        shutil.rmtree(folder / part, ignore_errors=True)
        (folder / part).mkdir(parents=True)
    rng = np.random.default_rng(seed)
    unseen = [scene for scene in all_scenes() if scene.held_out]
    if rows > len(unseen):
        raise ValueError(f"{rows} rows, but there are {len(unseen)} scenes that the model was not trained on")
    captions = {}
    for number, place in enumerate(rng.permutation(len(unseen))[:rows].tolist()):
        scene, fate = unseen[place], rng.random()
        url = f"{base_url}/images/{number:06}.png"
        data = cv2.imencode(".png", draw(scene, rng)[:, :, ::-1])[1].tobytes()
        if fate < GONE_SHARE:
            captions[f"{base_url}/status/404/{number:06}.png"] = ""
            continue
        broken = fate < GONE_SHARE + BROKEN_SHARE
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
