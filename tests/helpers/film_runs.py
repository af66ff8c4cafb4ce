"""What the tests of whole runs over videos share: small films whose frames carry numbers, and settings for them."""

from __future__ import annotations

import io
import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from PIL import Image
from rich.console import Console

from corpus.settings import parse_settings
from corpus.workspace import Workspace
from pipelines.config import Config
from pipelines.plan import Plan, Selection
from pipelines.runner import RunResult, run
from pipelines.status import plan_run
from tests.helpers.tar_members import members
from tests.helpers.videos import Shot, Truth, make_video, number_on, truncate
from tests.helpers.whole_runs import merged

RATE = 12
# (start_s, end_s, what is said of it) in told.mp4.
MOMENTS = ((0.0, 4.0, "first of all"), (1.5, 6.5, "then, overlapping by more than the limit"), (8.0, 11.0, "at last"))


@dataclass(frozen=True)
class Films:
    """A folder of films, and the truth about them."""

    folder: Path
    long: Truth  # of scenes only: seven shots, the fifth and the sixth like the first and the second
    told: Truth  # with annotated moments
    short: Truth  # described as a whole

    def settings(self, home: Path, changes: Mapping[str, Any] | None = None, **engine: Any) -> dict[str, Any]:
        """Settings for a run in `home`; `changes` are merged in, key by key."""
        pairs = {"kind": "clips", "source": "films"}
        data: dict[str, Any] = {
            "workspace": str(home / "workspace"),
            "engine": {"kind": "local", "workers": 1, **engine},
            "sources": {
                "films": {
                    "kind": "videos",
                    "videos": [str(self.folder)],
                    "annotations": [{"kind": "plain", "files": [str(self.folder / "said.jsonl")]}],
                    "segment_s": 10,
                    "shard_rows": 2,
                    "licence": "none",
                }
            },
            "stages": {
                "clips": {"clips": {"min_s": 1, "max_s": 8}, "mp4": True, "single_clip_max_s": 10},
                "windows": {"sources": {"films": {"min_s": 8, "max_s": 20, "frames_per_window": 4}}},
                "caption": {
                    "sources": {"films": {"prompts": {"clip_frames": 1}}},
                    "windows": {"films": {"prompts": {"window_frames": 1}}},
                },
            },
            "datasets": {
                "clips": {**pairs, "captions": "generated", "sibling_negatives": "both", "media": "both"},
                "back": {**pairs, "captions": "generated", "direction": "clip_to_text", "media": "mp4"},
                "moments": {**pairs, "unit": "moments"},
                "windows": {**pairs, "unit": "windows", "captions": "generated"},
                "questions": {**pairs, "unit": "questions"},
            },
            "mixtures": {
                "one": {
                    "corpus": str(home / "corpus"),
                    "pairs_per_shard": 8,
                    "datasets": {
                        "clips": {"negatives": 2},
                        "back": {},
                        "moments": {"negatives": 1},
                        "windows": {},
                        "questions": {},
                    },
                }
            },
        }
        return merged(data, changes or {})

    def config(self, home: Path, changes: Mapping[str, Any] | None = None, **engine: Any) -> Config:
        return parse_settings(self.settings(home, changes, **engine), Config)

    def run(self, home: Path, changes: Mapping[str, Any] | None = None, /, **engine: Any) -> RunResult:
        """Run everything in `home`."""
        return run(self.config(home, changes, **engine), Selection(), Console(quiet=True))


def make_films(folder: Path) -> Films:
    """Write the films: three good ones, one that is cut off and one that is none."""
    folder.mkdir()

    def film(name: str, *seconds: float, seeds: tuple[int, ...] = (), **video: Any) -> Truth:
        shots = [
            Shot(frames=round(each * RATE), picture="photo", seed=seed, camera="pan")
            for each, seed in zip(seconds, seeds or range(len(seconds)), strict=True)
        ]
        return make_video(folder / name, shots, **{"rate": RATE, "size": (224, 168), "gop": 24, **video})

    seeds = (0, 1, 2, 3, 0, 1, 4)
    films = Films(
        folder,
        film("long.mkv", 5, 4, 6, 3, 5, 4, 5, seeds=seeds, start_s=2.0),
        film("told.mp4", 5, 6, seeds=(5, 6)),
        film("short.mp4", 4, seeds=(7,), variable=True),
    )
    film("cut.mp4", 4, seeds=(8,))
    truncate(folder / "cut.mp4", 0.6)
    (folder / "page.mp4").write_text("<html><body>Not here.</body></html>")
    told = [{"video": "told.mp4", "start_s": start, "end_s": end, "text": text} for start, end, text in MOMENTS]
    told[0] |= {"question": "Which part is it?", "answer": "The first one."}
    said = [*told, {"video": "short.mp4", "text": "a short film"}]
    (folder / "said.jsonl").write_text("".join(json.dumps(each) + "\n" for each in said))
    return films


def planned(config: Config, selection: Selection | None = None) -> Plan:
    return plan_run(config, selection or Selection())


def to_do(found: Plan) -> dict[str, list[str]]:
    """Stage -> shards that would be made."""
    return {
        step.name: shards
        for step, tables in found.steps
        if (shards := sorted({p.task.shard for p in tables if p.state != "done"}))
    }


def table(config: Config, step: str) -> pa.Table:
    """All tables of a step, one after the other."""
    found = [p.task.output for each, tables in planned(config).steps if each.name == step for p in tables]
    return pa.concat_tables([Workspace(config.workspace).read_table(path) for path in found])


def samples(corpus: Path, dataset: str) -> list[dict[str, Any]]:
    """The samples of a dataset in the order in which they lie: field -> bytes, `json` parsed, `tar` its name."""
    found: dict[tuple[str, str], dict[str, Any]] = defaultdict(dict)
    for tar, key, field, data in members(corpus / dataset):
        found[tar, key][field] = data
    for (tar_name, _), sample in found.items():
        sample["json"] = json.loads(sample["json"])
        sample["tar"] = tar_name
    return list(found.values())


def numbers(sample: Mapping[str, Any], side: str) -> list[int]:
    """The numbers on a side's frames, in their order."""
    fields = [name for name in sample["json"][side]["media"] if name.endswith(".jpg")]
    return [number_on(np.asarray(Image.open(io.BytesIO(sample[field])).convert("RGB"))) for field in fields]
