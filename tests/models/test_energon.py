"""A published corpus of all kinds through Megatron Energon, which needs torch: every sample as it was published."""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

sys.path.append(str(Path(__file__).parents[1] / "pipelines"))

from small_worlds import InlineEngine, World, image_pair, mixture

from corpus.records import Modality, Task
from pipelines.publishing.publish import publish

Sample = dict[str, Any]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images, clips of three frames, and texts; prepared for Energon."""
    world = World(str(tmp_path_factory.mktemp("work")))
    world.captions("images", 23)
    frames = world.pictures(30, seed=9)
    clips = [
        image_pair(
            "clips",
            f"clip {number}",
            frames[3 * number],
            positive={"instruction": "", "text": "", "items": frames[3 * number : 3 * number + 3]},
            group=f"film {number // 5}",
        )
        for number in range(10)
    ]
    world.datasets.append(replace(world.dataset("clips", clips), modality=Modality.CLIP, task=Task.VIDEO_RETRIEVAL))
    del world.datasets[-2]
    texts = [
        image_pair("texts", f"query {n}", bytes(16), positive={"instruction": "", "text": f"passage {n}", "items": []})
        for n in range(12)
    ]
    world.datasets.append(replace(world.dataset("texts", texts), modality=Modality.TEXT, task=Task.TEXT_RETRIEVAL))
    del world.datasets[-2]
    folder = tmp_path_factory.mktemp("published") / "corpus"
    chosen: dict[str, dict[str, Any]] = {"images": {"weight": 2.0, "negatives": 1}, "clips": {}, "texts": {}}
    publish(world.workspace, world.given(), mixture(folder, chosen, pairs_per_shard=5), InlineEngine())
    for name in chosen:
        command = [str(Path(sys.executable).with_name("energon")), "prepare", "--non-interactive", "--no-progress"]
        command += ["--split-ratio", "1,0,0", "--sample-type", "CrudeWebdataset", str(folder / name)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    return folder


def published(corpus: Path, dataset: str) -> dict[str, dict[str, bytes]]:
    """key -> field -> bytes, as they lie in the tars."""
    found: dict[str, dict[str, bytes]] = {}
    for path in sorted((corpus / dataset).glob("*.tar")):
        with tarfile.open(path) as tar:
            for member in tar:
                key, _, field = member.name.partition(".")
                file = tar.extractfile(member)
                assert file is not None
                found.setdefault(key, {})[field] = file.read()
    return found


def read(path: Path, limit: int) -> list[Sample]:
    """The first samples that Energon gives, undecoded."""
    from megatron.energon import (
        Cooker,
        DefaultTaskEncoder,
        WorkerConfig,
        get_savable_loader,
        get_train_dataset,
        stateless,
    )

    @stateless
    def as_it_is(sample: Sample) -> Sample:
        return sample

    class Raw(DefaultTaskEncoder):  # type: ignore[misc]
        decoder = None
        cookers = (Cooker(as_it_is),)

    data = get_train_dataset(
        path,
        worker_config=WorkerConfig(rank=0, world_size=1, num_workers=0),
        batch_size=None,
        shuffle_buffer_size=None,
        max_samples_per_sequence=None,
        task_encoder=Raw(),
    )
    loader = iter(get_savable_loader(data))
    return [next(loader) for _ in range(limit)]


@pytest.mark.parametrize(("dataset", "count"), [("images", 23), ("clips", 10), ("texts", 12)])
def test_every_sample_as_it_was_published(corpus: Path, dataset: str, count: int) -> None:
    truth = published(corpus, dataset)
    assert len(truth) == count
    seen = set()
    for sample in read(corpus / dataset, count):
        key = str(sample["__key__"]).rpartition("/")[2]
        seen.add(key)
        fields = {name: value for name, value in sample.items() if not name.startswith("__")}
        assert fields.keys() == truth[key].keys()
        for name, value in fields.items():
            if name == "json":
                assert (value if isinstance(value, dict) else json.loads(value)) == json.loads(truth[key][name])
            else:
                assert value == truth[key][name]
    assert seen == truth.keys(), "one epoch has every sample once"


def test_the_blend_draws_by_weight(corpus: Path) -> None:
    drawn = Counter(_dataset(sample) for sample in read(corpus / "blend.yaml", 400))
    shares = np.array([drawn[name] for name in ("images", "clips", "texts")]) / 400
    assert np.abs(shares - [0.5, 0.25, 0.25]).max() < 0.08


def _dataset(sample: Sample) -> str:
    said = sample["json"]
    return str((said if isinstance(said, dict) else json.loads(said))["dataset"])
