"""A published corpus of all kinds through Megatron Energon, which needs torch: every sample as it was published."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.helpers.all_kinds import COUNTS, publish_all_kinds, published

Sample = dict[str, Any]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images, clips of three frames, and texts; prepared for Energon."""
    folder = publish_all_kinds(tmp_path_factory.mktemp("work"), tmp_path_factory.mktemp("published") / "corpus")
    for name in COUNTS:
        command = [str(Path(sys.executable).with_name("energon")), "prepare", "--non-interactive", "--no-progress"]
        command += ["--split-ratio", "1,0,0", "--sample-type", "CrudeWebdataset", str(folder / name)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    return folder


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


@pytest.mark.parametrize(("dataset", "count"), COUNTS.items())
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
