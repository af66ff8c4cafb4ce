"""A corpus of clips through the readers that trainers use."""

from __future__ import annotations

import importlib.util
import io
import re
import subprocess
import sys
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import webdataset

from pipelines.publish.publish import publish
from tests.helpers.clip_worlds import ClipWorld
from tests.helpers.extras import installed_or_skip
from tests.helpers.readers import offline_datasets, rgb_pixels, stub_torch
from tests.helpers.small_worlds import InlineEngine, mixture

FRAMES = tuple(f"{side}.frame_{number:02d}.jpg" for side in ("positive", "negative_0") for number in range(3))
VIDEOS = ("positive.mp4", "negative_0.mp4")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> ClipWorld:
    world = ClipWorld(str(tmp_path_factory.mktemp("work")), [3, 4, 2, 3], frames=3)
    world.dataset("films", media="both", sibling_negatives="both")
    world.dataset("asked", unit="questions")
    return world


@pytest.fixture(scope="module")
def corpus(world: ClipWorld, tmp_path_factory: pytest.TempPathFactory) -> Path:
    corpus = tmp_path_factory.mktemp("published") / "corpus"
    settings = mixture(corpus, {"films": {"negatives": 1}, "asked": {}}, pairs_per_shard=6)
    publish(world.workspace, world.given(), settings, InlineEngine())
    return corpus


def tars(corpus: Path) -> list[str]:
    found = [str(path) for path in sorted(corpus.glob("films/*.tar"))]
    assert len(found) > 1
    return found


Read = tuple[str, dict[str, Any], dict[str, np.ndarray], dict[str, bytes]]


def assert_holds_against(world: ClipWorld, found: Iterable[Read]) -> None:
    """(key, json, decoded frames, bytes of videos) of every sample against what was put into the workspace."""
    pairs = world.pairs("films")
    seen = []
    for key, sample, frames, videos in found:
        pair = pairs[key]
        seen.append(key)
        assert sample["pair_id"] == key
        text = {"id": sample["query"]["id"], "instruction": "", "text": pair["query"]["text"]}
        assert sample["query"] == {**text, "media": [], "phash": [], "rewritten": []}
        assert sample["group"] == pair["group"] != ""
        sides = [pair["positive"]["items"], pair["negatives"][0]["items"]]
        assert [each["media"] for each in (sample["positive"], sample["negatives"][0])] == [
            [*FRAMES[:3], VIDEOS[0]],
            [*FRAMES[3:], VIDEOS[1]],
        ]
        shown = [world.contents[item] for items in sides for item in items[:3]]
        for name, content in zip(FRAMES, shown, strict=True):
            assert np.array_equal(frames[name], rgb_pixels(content)), name
        assert videos == {name: world.contents[items[3]] for name, items in zip(VIDEOS, sides, strict=True)}
        with av.open(io.BytesIO(videos[VIDEOS[0]]), "r") as container:
            assert sum(1 for _ in container.decode(video=0)) == 4
    assert sorted(seen) == sorted(pairs)
    assert len(seen) == 12


def test_webdataset(world: ClipWorld, corpus: Path) -> None:
    read = list(webdataset.WebDataset(tars(corpus), shardshuffle=False).decode("pil"))
    assert_holds_against(
        world,
        [
            (s["__key__"], s["json"], {f: np.asarray(s[f]) for f in FRAMES}, {name: s[name] for name in VIDEOS})
            for s in read
        ],
    )


def test_wids(world: ClipWorld, corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if importlib.util.find_spec("torch") is None:
        stub_torch(monkeypatch)
    installed_or_skip("wids")  # which webdataset has no more, from 1.0 on
    import wids
    from wids.wids_decode import default_decoder

    decode = partial(default_decoder, format="PIL")
    index = str(corpus / "films/index.json")
    read = wids.ShardListDataset(index, cache_dir=str(tmp_path), keep=True, transformations=decode)
    samples = [read[at] for at in (*range(6, len(read)), *range(6))]  # random access
    assert_holds_against(
        world,
        [
            (
                s["__key__"],
                s[".json"],
                {f: np.asarray(s[f".{f}"].convert("RGB")) for f in FRAMES},
                {name: s[f".{name}"].read() for name in VIDEOS},
            )
            for s in samples
        ],
    )


@pytest.mark.parametrize("streaming", [True, False])
def test_hugging_face_datasets(
    world: ClipWorld, corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, streaming: bool
) -> None:
    datasets = offline_datasets(monkeypatch)
    read = datasets.load_dataset(
        "webdataset", data_files=tars(corpus), split="train", streaming=streaming, cache_dir=str(tmp_path)
    )
    for name in VIDEOS:  # to decode them it needs torchcodec
        read = read.cast_column(name, datasets.Video(decode=False))
    assert_holds_against(
        world,
        [
            (
                s["__key__"],
                s["json"],
                {f: np.asarray(s[f].convert("RGB")) for f in FRAMES},
                {name: s[name]["bytes"] for name in VIDEOS},
            )
            for s in read
        ],
    )


def test_hugging_face_datasets_find_questions_about_clips_by_the_card(
    world: ClipWorld, corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    datasets = offline_datasets(monkeypatch, reads_card=True)
    pairs = world.pairs("asked")
    read = list(datasets.load_dataset(str(corpus), "asked", split="train", cache_dir=str(tmp_path)))
    assert sorted(sample["__key__"] for sample in read) == sorted(pairs)
    for sample in read:
        said = sample["json"]
        assert said["query"]["media"] == [f"query.frame_{number:02d}.jpg" for number in range(3)]
        assert said["positive"]["text"] == pairs[sample["__key__"]]["positive"]["text"]
        assert all(sample[name].size == (24, 16) for name in said["query"]["media"])


def test_the_code_of_the_card_reads_clips(corpus: Path) -> None:
    code, _ = re.findall(r"```python\n(.*?)```", (corpus / "README.md").read_text(), re.DOTALL)
    code = code.replace("\nwhile True:", "\nfor _ in range(9):").replace('manifest["batch_size"]', "4")
    code += """
    for sample in batch:
        side = sample["json"]["query" if "asked" in sample["__url__"] else "positive"]
        assert [sample[name].size for name in side["media"][:3]] == [(24, 16)] * 3
"""
    read = subprocess.run([sys.executable, "-c", code], cwd=corpus, capture_output=True, text=True, check=False)
    assert read.returncode == 0, read.stderr
