"""A whole run over films of which an evaluation set has one as a video, and another as frames."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import av
import pytest
from rich.console import Console

from corpus.settings import parse_settings
from pipelines.config import Config
from pipelines.plan import Selection
from pipelines.publish.verify import verify
from pipelines.runner import run
from tests.helpers.film_runs import samples
from tests.helpers.videos import Shot, make_video

RATE = 12
CLEAN, AS_VIDEO, AS_FRAMES = "the clean film", "a film that is evaluated", "a film of evaluated frames"


def shots(*seeds: int) -> list[Shot]:
    return [Shot(frames=4 * RATE, picture="photo", seed=seed, camera="pan") for seed in seeds]


def frames_of(film: Path, folder: Path) -> None:
    """Every tenth frame of a film as a JPEG, as benchmarks keep them."""
    folder.mkdir(parents=True)
    with av.open(str(film)) as container:
        for number, frame in enumerate(container.decode(video=0)):
            if number % 10 == 0:
                frame.to_image().resize((200, 150)).save(folder / f"{number:04d}.jpg", quality=70)


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    home = tmp_path_factory.mktemp("films")
    for name in ("films", "benchmark/videos", "benchmark/frames"):
        (home / name).mkdir(parents=True)
    films = {"clean.mp4": (CLEAN, 2, 6), "video.mp4": (AS_VIDEO, 0, 1), "frames.mp4": (AS_FRAMES, 4, 5)}
    for name, (_, *seeds) in films.items():
        make_video(home / "films" / name, shots(*seeds), rate=RATE, size=(224, 168), gop=24)
    make_video(home / "benchmark/videos/other.mp4", shots(0, 1), rate=RATE, size=(320, 240), codec="mpeg4")
    frames_of(home / "films/frames.mp4", home / "benchmark/frames/film-7")
    lines = [{"video": name, "text": text} for name, (text, *_) in films.items()]
    (home / "films/texts.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    frames = {"kind": "media_files", "paths": [str(home / "benchmark/frames")]}
    return {
        "workspace": str(home / "workspace"),
        "engine": {"kind": "local", "workers": 1},
        "sources": {
            "films": {
                "kind": "videos",
                "videos": [str(home / "films")],
                "annotations": [{"kind": "plain", "files": [str(home / "films/texts.jsonl")]}],
            }
        },
        "evaluation": {
            "e-videos": {"source": {"kind": "videos", "videos": [str(home / "benchmark/videos")]}},
            "e-frames": {"source": frames, "frames": True},
        },
        "stages": {"clips": {"clips": {"min_s": 1, "max_s": 8}, "single_clip_max_s": 10}},
        "datasets": {"clips": {"kind": "clips", "source": "films"}},
        "mixtures": {"one": {"corpus": str(home / "corpus"), "batch_size": 1, "datasets": {"clips": {}}}},
    }


def test_clips_of_evaluated_films_are_removed(settings: dict[str, Any]) -> None:
    result = run(parse_settings(settings, Config), Selection(), Console(quiet=True))
    assert result.failed == []
    corpus = Path(settings["mixtures"]["one"]["corpus"])
    assert [sample["json"]["query"]["text"] for sample in samples(corpus, "clips")] == [CLEAN]
    assert verify(str(corpus)).faults == []
    sets = json.loads((corpus / "manifest.json").read_text())["evaluation"]
    assert {name: each["removed"] for name, each in sets.items()} == {
        "e-frames": {"same_media": 1},
        "e-videos": {"same_media": 1},
    }
    assert sets["e-frames"]["hits"] == [{"item": "film-7", "in": "clips", "rows": 1}]
    (hit,) = sets["e-videos"]["hits"]
    assert hit["item"].endswith("benchmark/videos/other.mp4")
    assert sets["e-videos"]["media"] > 2 and sets["e-frames"]["media"] == 10
