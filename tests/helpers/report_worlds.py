"""A world for the report: the demo's, smaller, and a set whose texts try to be anything but text."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import yaml
from rich.console import Console

from corpus.settings import parse_settings
from demo.films.films import FilmsTruth, build_films, read_films_truth
from demo.images.world import build_world
from demo.pairs.sets import build_sets
from demo.pairs.truth import SetsTruth, read_sets_truth
from demo.run import DEMO_SETTINGS, with_folder_and_port
from demo.server import serve
from pipelines.config import Config
from pipelines.plan import Selection
from pipelines.report.context import ReportContext, report_context
from pipelines.runner import run
from tests.helpers.calibrating import scene
from tests.helpers.whole_runs import SLOW

HOSTILE = (
    "<script>document.title = 'taken'; throw 1</script>",
    "</figure></div></section><img src='http://127.0.0.1:9/x.png' onerror='throw 2'>",
    "\" onmouseover='throw 3' style='position:fixed;inset:0",
    "&lt;b&gt; & <b>bold</b> <!-- no comment --",
    "\u202eright to left\u202c and \u2066isolated",
    "w" * 900,
    "الوادي الأخضر عند الفجر",
    "a very long caption " * 60,
    "]]></style><style>body { display: none }</style>",
    "javascript:throw(4)",
)


@dataclass(frozen=True)
class ReportedWorld:
    """A world through which everything was run: its settings, what was planted, and what sections read."""

    config: Config
    images: Path  # the truth about the images, see `demo.images.world`
    sets: SetsTruth
    films: FilmsTruth
    context: ReportContext


def report_world(folder: Path) -> ReportedWorld:
    """Builds the world and runs all stages over it."""
    with serve(folder / "world") as serving:
        world = build_world(folder / "world", rows=320, base_url=serving.base_url, without=SLOW)
        films = build_films(folder / "world", serving.base_url)
        sets = build_sets(folder / "world")
        write_hostile_set(folder / "world" / "hostile")
        config = parse_settings(world_settings(folder, serving.base_url), Config)
        result = run(config, Selection(), Console(quiet=True))
    assert result.failed == []
    return ReportedWorld(config, world.truth, read_sets_truth(sets), read_films_truth(films), report_context(config))


def world_settings(folder: Path, base_url: str) -> dict[str, Any]:
    """The demo's settings over the world in `folder`, with the hostile set."""
    text = DEMO_SETTINGS.read_text().replace("127.0.0.1:8642", base_url.removeprefix("http://"))
    data: dict[str, Any] = with_folder_and_port(folder, yaml.safe_load(text))
    data["engine"] = {"kind": "local", "workers": 2}
    data["sources"]["hostile"] = {
        "kind": "jsonl",
        "files": [str(folder / "world/hostile/rows.jsonl")],
        "query": {"text": "caption"},
        "positive": {"images": "image"},
        "images": {"archives": {"paths": [str(folder / "world/hostile/images")]}},
        "licence": "<i>drawn</i> for the test",
    }
    data["datasets"]["hostile"] = {"kind": "existing_pairs", "source": "hostile", "task": "image_retrieval"}
    data["stages"]["negatives"]["datasets"]["hostile"] = {"num_negatives": 2, "search_by": "positive"}
    return data


def write_hostile_set(folder: Path) -> None:
    """Writes a picture for each hostile text, and one that is no picture."""
    (folder / "images").mkdir(parents=True)
    rows = []
    for number, text in enumerate(HOSTILE):
        name = f"<b>{number}<!--&amp;.png"
        (folder / "images" / name).write_bytes(cv2.imencode(".png", scene(number))[1].tobytes())
        rows.append({"caption": text, "image": name})
    (folder / "images" / "broken.png").write_bytes(b"<svg onload='throw 5'>")
    rows.append({"caption": HOSTILE[0], "image": "broken.png"})
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
