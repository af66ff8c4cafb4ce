"""The recipe's two files are run whole, over a bucket in which every set lies in miniature."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import fsspec
import pytest
import yaml
from rich.console import Console

from corpus.schema import Task
from corpus.settings import parse_settings
from pipelines.config import Config
from pipelines.plan import Selection
from pipelines.publish.verify import verify
from pipelines.runner import RunResult, run
from tests.helpers.recipe_bucket import ROWS, TEXT_SETS, fill_bucket
from tests.helpers.whole_runs import Web, merged

CONFIGS = Path(__file__).parents[2] / "configs"
BUCKET = "s3://my-bucket"  # as the files call it


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fill_bucket(tmp_path_factory.mktemp("bucket"))


@pytest.fixture(scope="module")
def bucket(s3_server: str, sets: Path) -> str:
    """The same on a server that speaks S3."""
    store = fsspec.filesystem("s3")
    store.mkdir(BUCKET)
    store.put(f"{sets}/", BUCKET, recursive=True)
    return BUCKET


def settings(stage: int, bucket: str, changes: dict[str, Any]) -> Config:
    """A file of the recipe; changed is only what takes a cluster, a GPU, or the network."""
    data = yaml.safe_load((CONFIGS / f"rzenembed-stage{stage}.yaml").read_text().replace(BUCKET, bucket))
    data["stages"]["caption"]["backend"] = {"kind": "dummy"}
    if mined := data["stages"].get("negatives", {}).get("datasets", {}):
        data["stages"]["embed"]["encoder"] = {"kind": "descriptor"}
        data["stages"]["negatives"]["datasets"] = {
            name: {**one, "search_by": "positive"} for name, one in mined.items()
        }
    return parse_settings(merged(data, {"engine": {"kind": "local", "workers": 1}, **changes}), Config)


def done(config: Config) -> tuple[RunResult, dict[str, dict[str, Any]]]:
    """The run, and what the manifest says of each dataset."""
    result = run(config, Selection(), Console(quiet=True))
    assert result.failed == []
    (corpus,) = result.corpora.values()
    assert verify(corpus).faults == []
    with fsspec.open(f"{corpus}/manifest.json") as file:
        return result, json.load(file)["datasets"]


def test_stage_1(bucket: str, web: Web) -> None:
    sources: dict[str, Any] = {name: {"files": [f"{bucket}/texts/{name}.parquet"]} for name in TEXT_SETS}
    sources["laion2b"] = {"files": list(web.parts)}
    fetch = {
        "private_allowlist": [web.serving.base_url.removeprefix("http://")],
        "total_timeout_s": 5,
        "backoff_s": 0.02,
    }
    web.serving.reset()
    result, found = done(settings(1, bucket, {"sources": sources, "stages": {"download": {"fetch": fetch}}}))
    samples = {name: entry["samples"] for name, entry in found.items()}
    pairs = samples.pop("laion2b")
    assert pairs == 2 * result.funnels["laion2b"]["kept"] > 100, "with both captions"
    assert samples == {**dict.fromkeys(TEXT_SETS, ROWS), "sharegpt4video": 3, "megapairs": ROWS}
    assert [name for name, funnel in result.funnels.items() if funnel["removed"]] == ["laion2b"]
    assert found["megapairs"]["negatives"] == 2


def test_stage_2(sets: Path) -> None:
    bucket = str(sets)
    pages = {"files": [f"{bucket}/vidore/colpali.parquet"], "images": {"parquet": {"paths": [f"{bucket}/vidore"]}}}
    result, found = done(settings(2, bucket, {"sources": {"colpali": pages}}))
    samples = {name: entry["samples"] for name, entry in found.items()}
    clips = {"clips": 12, "clip_moments": 6, "clip_questions": 6, "clip_windows": 3}
    six = dict.fromkeys(samples.keys() - clips.keys(), ROWS)
    assert samples == {**six, "classification": 6 * ROWS, "okvqa": 3 * ROWS, "docvqa": 3 * ROWS, **clips}
    removed = {name: funnel["removed"] for name, funnel in result.funnels.items() if funnel["removed"]}
    assert removed == {
        name: {"filtered": {"image_side_mismatch": 2 * ROWS}} for name in ("mme5_t2i", "mme5_i2t", "mme5_i2i")
    }
    assert [found[name]["fields"][1:] for name in ("mme5_t2i", "mme5_i2t", "mme5_i2i")] == [
        ["positive.jpg", "negative_0.jpg"],
        ["query.jpg"],
        ["query.jpg", "positive.jpg", "negative_0.jpg"],
    ]
    frames = [f"frame_{number:02d}.jpg" for number in range(8)]
    sides = ("positive", "negative_0", "negative_1")
    assert found["llava_hound_t2v"]["fields"][1:] == [f"{side}.{frame}" for side in sides for frame in frames]
    assert found["llava_hound_qa"]["fields"][1:] == [f"query.{frame}" for frame in frames]
    assert (found["classification"]["batch_rule"], found["clips"]["batch_rule"]) == ("label_spread", "grouped")
    assert {entry["task"] for entry in found.values()} == set(Task) - {Task.TEXT_RETRIEVAL}
