"""Two classification sets and two sets of texts through the house: one vocabulary, spread; clean texts, once each."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from corpus.settings import SettingsError, parse_settings
from corpus.storage import Store
from pipelines.config import Config
from pipelines.plan import Selection
from pipelines.publish.manifest import read_manifest
from pipelines.publish.verify import verify
from pipelines.runner import RunResult, run
from pipelines.summaries import label_summary
from tests.helpers.film_runs import samples
from tests.helpers.noise_images import noise_jpeg

SETS = {"VOC2007": ["dog", "cat", "bicycle"], "ImageNet_1K": ["Dog", "tabby cat", "racing bicycle", "tench"]}
BATCH = 10


def write_sets(folder: Path) -> None:
    number = 0
    for name, labels in SETS.items():
        (folder / name).mkdir(parents=True)
        rows = []
        for at in range(20):
            label = labels[at % len(labels)]
            image = f"{name}/{at:03d}-{label.replace(' ', '_')}.jpg"
            (folder / "images" / name).mkdir(parents=True, exist_ok=True)
            (folder / "images" / image).write_bytes(noise_jpeg(number))
            number += 1
            instruction = "Identify the object shown in the image"
            if name == "ImageNet_1K":
                instruction = "Represent the given image for classification"
            qry = f"<|image_1|>\n{instruction}\n"
            rows.append({"qry": qry, "qry_image_path": image, "pos_text": label, "pos_image_path": ""})
        pq.write_table(pa.Table.from_pylist(rows), folder / name / "original-00000-of-00001.parquet")


def write_texts(folder: Path) -> None:
    folder.mkdir()
    passages = [
        f"The river number {n} rises in the hills and ends in the sea after {n} hundred miles." for n in range(12)
    ]
    rows = [{"query": f"where does river {n} rise", "pos": [text], "neg": []} for n, text in enumerate(passages)]
    rows[3]["pos"] = ["Caf\u00c3\u00a9s &amp; <b>bars</b> stand along the river number 3, which rises in the hills."]
    rows[4]["neg"] = [passages[4], "Lakes are not rivers."]  # the positive among the negatives
    rows += [rows[5], {"query": "  ", "pos": ["A passage that nobody asks for."], "neg": []}]
    (folder / "texts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def write_captions(folder: Path) -> None:
    (folder / "images").mkdir(parents=True)
    (folder / "images" / "one.jpg").write_bytes(noise_jpeg(200))
    (folder / "images" / "again.jpg").write_bytes(noise_jpeg(200, quality=60))
    (folder / "images" / "two.jpg").write_bytes(noise_jpeg(201))
    said = [
        ("one.jpg", "squares"),
        ("one.jpg", "many squares in a row"),
        ("again.jpg", "many squares of all colours in nine rows of twelve"),
        ("two.jpg", "other squares"),
    ]
    rows = [{"image": name, "caption": text} for name, text in said]
    (folder / "captions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def settings(root: Path) -> Config:
    return parse_settings(given(root), Config)


def given(root: Path) -> dict[str, Any]:
    return {
        "workspace": str(root / "workspace"),
        "engine": {"kind": "local", "workers": 1},
        "sources": {
            "sets": {
                "kind": "mmeb",
                "folder": str(root / "sets"),
                "subsets": {"VOC2007": {}},
                "images": {"archives": {"paths": [str(root / "sets" / "images")]}},
            },
            "more": {
                "kind": "mmeb",
                "folder": str(root / "sets"),
                "subsets": ["ImageNet_1K"],
                "images": {"archives": {"paths": [str(root / "sets" / "images")]}},
            },
            "captions": {
                "kind": "jsonl",
                "files": [str(root / "captions" / "captions.jsonl")],
                "query": {"text": "caption"},
                "positive": {"images": "image"},
                "shard_rows": 2,
                "images": {"archives": {"paths": [str(root / "captions" / "images")]}},
            },
            "texts": {
                "kind": "text_pairs",
                "files": [str(root / "texts" / "texts.jsonl")],
                "format": {"kind": "flagembedding"},
                "shard_rows": 5,
            },
        },
        "datasets": {
            "sets": {
                "kind": "existing_pairs",
                "source": "sets",
                "more_sources": ["more"],
                "task": "image_classification",
                "use_source_instruction": True,
            },
            "texts": {"kind": "existing_pairs", "source": "texts", "task": "text_retrieval"},
            "captions": {"kind": "existing_pairs", "source": "captions", "task": "image_retrieval"},
        },
        "mixtures": {
            "one": {
                "corpus": str(root / "corpus"),
                "batch_size": BATCH,
                "pairs_per_shard": 16,
                "datasets": {"sets": {}, "texts": {"negatives": 1}, "captions": {}},
            }
        },
    }


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, RunResult]:
    root = tmp_path_factory.mktemp("labels")
    write_sets(root / "sets")
    write_texts(root / "texts")
    write_captions(root / "captions")
    result = run(settings(root), Selection(), Console(quiet=True))
    assert result.failed == []
    assert verify(str(root / "corpus")).faults == []
    return root, result


def test_labels_of_two_sets_are_one_vocabulary_and_spread(done: tuple[Path, RunResult]) -> None:
    root, _ = done
    manifest = read_manifest(Store(root / "corpus"))
    assert manifest is not None
    entry = manifest["datasets"]["sets"]
    assert (entry["batch_rule"], entry["samples"]) == ("label_spread", 40)
    assert manifest["funnel"]["sets"]["kept"] == manifest["funnel"]["more"]["kept"] == 20
    found = samples(root / "corpus", "sets")
    labels = [sample["json"]["label"] for sample in found]
    counts = Counter(labels)
    assert counts["dog"] == 7 + 5, "VOC's dog and ImageNet's Dog are one"
    for start in range(0, 40, BATCH):
        batch = Counter(labels[start : start + BATCH])
        # Those that contain each other (cat, tabby cat) are kept apart as well, so one more of a label may be better.
        assert all(batch[label] <= -(-count * BATCH // 40) + 1 for label, count in counts.items())
        assert batch["dog"] == 3
    numbers = {noise_jpeg(number): number for number in range(40)}
    for sample in found:
        number = numbers[sample["query.jpg"]]
        name = list(SETS)[number // 20]
        assert sample["json"]["positive"]["text"] == SETS[name][number % 20 % len(SETS[name])], "its own label's text"
        assert ("classification" in sample["json"]["query"]["instruction"]) == (name == "ImageNet_1K")


def test_the_users_names_keep_labels_apart_wherever_they_count(done: tuple[Path, RunResult], tmp_path: Path) -> None:
    """One file of names says what contains what: for the report, the order, and random negatives."""
    root, _ = done
    (tmp_path / "names.yaml").write_text("hyponyms: {dog: [tench]}\n")

    def met(name: str, **labels: str) -> set[tuple[str, str]]:
        """The labels of pairs and of their random negatives."""
        mixture = {"corpus": str(tmp_path / name), "pairs_per_shard": 16, "datasets": {"sets": {"negatives": 3}}}
        data = {**given(root), "stages": {"labels": labels}, "mixtures": {name: mixture}}
        assert run(parse_settings(data, Config), Selection(), Console(quiet=True)).failed == []
        said = [sample["json"] for sample in samples(tmp_path / name, "sets")]
        label_of = {each["positive"]["text"]: each["label"] for each in said}
        return {(each["label"], label_of[other["text"]]) for each in said for other in each["negatives"]}

    alike = {("dog", "tench"), ("tench", "dog")}
    assert met("plain") & alike == alike
    assert met("named", vocabulary_file=str(tmp_path / "names.yaml")) & alike == set()


def test_texts_are_clean_and_there_once(done: tuple[Path, RunResult]) -> None:
    root, result = done
    funnel = result.funnels["texts"]
    removed = {reason: n for reasons in funnel["removed"].values() for reason, n in reasons.items()}
    assert funnel["rows_in"] == funnel["kept"] + sum(removed.values())
    assert removed["exact_pair"] == 1
    found = {sample["json"]["query"]["text"]: sample["json"] for sample in samples(root / "corpus", "texts")}
    assert len(found) == 12
    positive = found["where does river 3 rise"]["positive"]["text"]
    assert positive.startswith("Cafés & bars stand along the river")
    (negative,) = found["where does river 4 rise"]["negatives"]
    assert (negative["text"], negative["origin"]) == ("Lakes are not rivers.", "given")


def test_of_pairs_with_the_same_picture_the_one_with_the_better_text_is_kept(done: tuple[Path, RunResult]) -> None:
    root, result = done
    assert result.funnels["captions"] == {"rows_in": 4, "kept": 2, "removed": {"filtered": {"same_image": 2}}}
    found = {sample["json"]["query"]["text"]: sample["positive.jpg"] for sample in samples(root / "corpus", "captions")}
    assert set(found) == {"many squares of all colours in nine rows of twelve", "other squares"}
    assert found["other squares"] == noise_jpeg(201)
    assert found["many squares of all colours in nine rows of twelve"] in (noise_jpeg(200), noise_jpeg(200, quality=60))


def test_what_was_merged_is_reported(done: tuple[Path, RunResult], tmp_path: Path) -> None:
    lines = list(label_summary(settings(done[0])))
    assert lines[0].startswith("7 labels of 2 sets are 6 merged labels")
    assert any(line.startswith("dog = ") and "ImageNet_1K: Dog" in line and "VOC2007: dog" in line for line in lines)
    assert any("cat" in line and "tabby cat" in line and "related" in line for line in lines)
    with pytest.raises(SettingsError, match="sets, more: not read yet"):
        list(label_summary(settings(done[0]).model_copy(update={"workspace": str(tmp_path)})))
