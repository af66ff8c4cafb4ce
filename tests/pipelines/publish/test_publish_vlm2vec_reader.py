"""The reader of docs/readers.md in VLM2Vec's form, without torch, over a published corpus of all kinds."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from tests.helpers.all_kinds import COUNTS, publish_all_kinds, published
from tests.helpers.doc_pages import blocks, page

CODE = blocks(page("readers.md"), "python")[0]
BATCH = 4
IMAGES = pa.struct(  # as VLM2Vec declares them
    [
        ("paths", pa.list_(pa.string())),
        ("bytes", pa.list_(pa.binary())),
        ("resolutions", pa.list_(pa.list_(pa.int32(), 2))),
    ]
)
SCHEMA = pa.schema(
    [
        ("query_text", pa.string()),
        ("query_image", IMAGES),
        ("pos_text", pa.string()),
        ("pos_image", IMAGES),
        ("neg_text", pa.list_(pa.string())),
        ("neg_image", pa.list_(IMAGES)),
        ("global_dataset_name", pa.string()),
    ]
)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return publish_all_kinds(tmp_path_factory.mktemp("work"), tmp_path_factory.mktemp("published") / "corpus")


@pytest.fixture(scope="module")
def reader(corpus: Path) -> dict[str, Any]:
    code = CODE.replace('CORPUS = "corpus"', f"CORPUS = {str(corpus)!r}").replace("BATCH = 32", f"BATCH = {BATCH}")
    names: dict[str, Any] = {}
    exec(compile(code, "readers.md", "exec"), names)
    assert (names["CORPUS"], names["BATCH"]) == (str(corpus), BATCH)
    return names


def test_examples_have_the_texts_tokens_and_images_that_were_published(corpus: Path, reader: dict[str, Any]) -> None:
    for name, count in COUNTS.items():
        found = list(reader["examples"](name))
        table = pa.Table.from_pylist(found, SCHEMA)
        assert table.to_pylist() == found and table.num_rows == count, "nothing besides what VLM2Vec declares"
        for example, fields in zip(found, published(corpus, name).values(), strict=True):
            said = json.loads(fields["json"])
            sides = [said["query"], said["positive"], *said["negatives"]]
            texts = [example["query_text"], example["pos_text"], *example["neg_text"]]
            images = [example["query_image"], example["pos_image"], *example["neg_image"]]
            positive = said["positive"]["instruction"]
            instructions = [said["query"]["instruction"], positive, *[positive] * len(said["negatives"])]
            for side, instruction, text, given in zip(sides, instructions, texts, images, strict=True):
                token = "" if not side["media"] else "<|video_pad|>\n" if name == "clips" else "<|image_pad|>\n"
                assert text == token + instruction + side["text"]
                assert given["bytes"] == ([fields[member] for member in side["media"]] or [None])
                assert len(given["paths"]) == len(given["resolutions"]) == len(given["bytes"])
    assert len(example["neg_text"]) == 0
    assert all(len(each["neg_text"]) == 1 for each in reader["examples"]("images"))


def test_batches_are_of_one_dataset_and_drawn_by_weight(reader: dict[str, Any]) -> None:
    drawn: Counter[str] = Counter()
    for batch in reader["training_batches"](200):
        assert len(batch) == BATCH
        [name] = {example["global_dataset_name"] for example in batch}
        drawn[name] += 1
    assert abs(drawn["images"] / 200 - 0.5) < 0.1
