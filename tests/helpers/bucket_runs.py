"""Settings of a small run over pictures with captions, whose workspace and corpus lie in fsspec's memory."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from corpus.settings import parse_settings
from pipelines.config import Config


def bucket_config(folder: Path, shards: int, name: str = "requests", corpus: str = "", **engine: Any) -> Config:
    """Two pictures a shard; `corpus` is where it is published, a local folder unless said otherwise."""
    home = folder / str(shards)
    if not home.exists():
        home.mkdir(parents=True)
        rows = []
        for number in range(2 * shards):
            fields = np.random.default_rng(number).integers(0, 255, (8, 8, 3), np.uint8)
            Image.fromarray(fields.repeat(8, axis=0).repeat(8, axis=1)).save(home / f"{number}.png")
            words = " ".join(f"word{number * 9 + each}" for each in range(9))
            rows.append({"image": f"{number}.png", "caption": words})
        (home / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    source = {
        "kind": "jsonl",
        "files": [str(home / "rows.jsonl")],
        "images": {"archives": {"paths": [str(home)]}},
        "query": {"text": "caption"},
        "positive": {"images": "image"},
        "shard_rows": 2,
    }
    data: dict[str, Any] = {
        "workspace": f"memory://{name}-{folder.name}-{shards}/workspace",
        "engine": {"kind": "local", "workers": 1, **engine},
        "sources": {"web": source},
        "stages": {"quality": {"min_side_px": 16}},
        "datasets": {"web": {"kind": "existing_pairs", "task": "image_retrieval", "source": "web"}},
        "mixtures": {
            "one": {
                "corpus": corpus or str(folder / f"corpus-{shards}"),
                "batch_size": 8,
                "datasets": {"web": {}},
            },
        },
    }
    return parse_settings(data, Config)
