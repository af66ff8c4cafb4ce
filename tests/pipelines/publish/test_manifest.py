from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from corpus.storage import Store
from pipelines.publish.manifest import energon_blend, read_manifest, size_line, to_json, wids_index
from pipelines.publish.mixture import PublishError
from pipelines.publish.publish import publish
from tests.helpers.small_worlds import InlineEngine, World, image_pair, mixture


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("manifest")
    world = World(str(folder / "work"))
    images = world.pictures(10)
    rows = [image_pair("laion", str(n), image) for n, image in enumerate(images)]
    world.dataset("laion", [*rows, rows[3]])
    world.dataset("clips", [image_pair("clips", str(n), image, group="g") for n, image in enumerate(images[:3])])
    datasets = {
        "laion": {"pairs": 9, "weight": 3, "negatives": 2},
        "clips": {"repeats": 4, "weight": 0.5},
    }
    publish(world.workspace, world.given(), mixture(folder / "corpus", datasets, batch_size=5, seed=7), InlineEngine())
    return folder / "corpus"


def test_the_manifest_says_what_a_trainer_must_know(corpus: Path) -> None:
    manifest = json.loads((corpus / "manifest.json").read_bytes())
    assert {key: manifest[key] for key in ("schema_version", "name", "seed", "batch_size", "pairs_per_shard")} == {
        "schema_version": 1,
        "name": "tiny",
        "seed": 7,
        "batch_size": 5,
        "pairs_per_shard": 4,
    }
    assert list(manifest["datasets"]) == ["clips", "laion"]
    laion = dict(manifest["datasets"]["laion"])
    assert [shard["samples"] for shard in laion.pop("shards")] == [4, 4, 1]
    assert len(laion.pop("fingerprint")) == 16
    assert laion == {
        "task": "image_retrieval",
        "stage": 1,
        "modality": "image",
        "licence": "CC-BY-4.0",
        "sources": ["web"],
        "kept_pairs": 10,
        "duplicate_pairs": 1,
        "samples": 9,
        "fields": ["json", "positive.jpg", "negative_0.jpg", "negative_1.jpg"],
        "negatives": 2,
        "random_negatives": 18,
        "weight": 3.0,
        "repeats": 1,
        "batch_rule": "single_dataset",
        "equal_sides_in_batch": 0,
        "false_negatives_in_batch": 0,
        "clustered": 0,
        "warnings": [],
    }
    assert manifest["text"].startswith("instruction + text")
    assert manifest["funnel"]["web"]["removed"]["download"] == {"http_404": 3}
    assert manifest["versions"] == {"rzen-corpus": "0.1.0"}
    assert [file["name"] for file in manifest["files"]] == [
        "clips/index.json",
        "laion/index.json",
        "blend.yaml",
        "README.md",
    ]


def test_a_dataset_smaller_than_a_batch_is_warned_of(corpus: Path) -> None:
    clips = json.loads((corpus / "manifest.json").read_bytes())["datasets"]["clips"]
    assert clips["warnings"] == ["3 samples are less than a batch of 5"]
    assert (clips["batch_rule"], clips["repeats"], clips["weight"]) == ("grouped", 4, 0.5)


def test_the_index_lists_tars_relative_to_itself(corpus: Path) -> None:
    index = json.loads((corpus / "laion/index.json").read_bytes())
    shards = index.pop("shardlist")
    assert index == {"__kind__": "wids-shard-index-v1", "wids_version": 1, "name": "laion"}
    for shard in shards:
        assert (corpus / "laion" / shard["url"]).stat().st_size == shard["filesize"]
    assert sum(shard["nsamples"] for shard in shards) == 9


def test_the_blend_names_folders_beside_it(corpus: Path) -> None:
    blend = yaml.safe_load((corpus / "blend.yaml").read_bytes())
    assert blend == {
        "__module__": "megatron.energon",
        "__class__": "MetadatasetV2",
        "splits": {"train": {"blend": [{"weight": 0.5, "path": "./clips"}, {"weight": 3.0, "path": "./laion"}]}},
    }
    assert all((corpus / entry["path"]).is_dir() for entry in blend["splits"]["train"]["blend"])


def test_what_is_written_can_be_read_again(corpus: Path, tmp_path: Path) -> None:
    store = Store(tmp_path)
    assert read_manifest(store) is None
    manifest = {**json.loads((corpus / "manifest.json").read_bytes()), "name": "größer"}
    store.publish("manifest.json", to_json(manifest))
    assert read_manifest(store) == manifest


@pytest.mark.parametrize("text", ["[]", '{"schema_version": 2}', "{}", "not json"])
def test_a_manifest_of_another_kind_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(PublishError, match=r"not .*: choose another folder, or remove its files"):
        read_manifest(Store(tmp_path))


def test_the_size_of_a_corpus_is_one_line() -> None:
    tar = {"samples": 600, "bytes": 1_024_000}
    assert (
        size_line({"a": {"shards": [tar, tar]}, "b": {"shards": [tar]}}) == "1,800 samples in 3 tars, 3,072,000 bytes"
    )
    assert size_line({"a": {"shards": [{"samples": 1, "bytes": 10}]}}) == "1 sample in 1 tar, 10 bytes"


def test_empty_lists_are_valid() -> None:
    assert json.loads(wids_index("x", []))["shardlist"] == []
    assert yaml.safe_load(energon_blend({}))["splits"]["train"]["blend"] == []
