"""MMEB's rows as they are published, with their traps: tokens, instructions, absent columns, several splits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from corpus.schema import Task
from corpus.settings import SettingsError
from corpus.workspace import Workspace
from pipelines.sources.mmeb_tasks import task_of_subsets
from pipelines.sources.source_shards import source_fingerprint, write_source_shards
from tests.helpers.cases import cases
from tests.helpers.mmeb_rows import (
    CAPTION,
    FIELDS,
    GIVEN,
    PUBLISHED,
    TOKEN,
    one,
    rows_of,
    source,
    write,
)


@cases(("subset", "row", "expected"), PUBLISHED)
def test_a_published_row(
    tmp_path: Path, subset: str, row: tuple[str, ...], expected: tuple[Task, str, str, str, str]
) -> None:
    found = one(tmp_path, subset, row)
    task, instruction, text, positive, label = expected
    assert task_of_subsets(source(tmp_path, subset).settings.subsets) is task
    assert found["instruction"] == instruction and found["label"] == label
    assert found["query"] == {"text": text, "images": [row[1]] if row[1] else []}
    assert found["positive"] == {"text": positive, "images": [row[3]] if row[3] else []}
    assert instruction + text == row[0].replace(TOKEN, "").strip()  # nothing is lost
    sides = [{"text": row[4] if not row[5] else "", "images": [row[5]] if row[5] else []}] if row[4] or row[5] else []
    if subset == "WebQA":
        sides[0]["text"] = "NNC-US-1854"
    assert found["negatives"] == [{**side, "score": 0.0} for side in sides]
    assert "image_1" not in str(found)


def test_subsets_without_negatives_have_no_columns_for_them(tmp_path: Path) -> None:
    write(tmp_path / "SUN397" / "train-00000-of-00001.parquet", PUBLISHED[4][1][:4], fields=FIELDS[:4])
    (row,) = rows_of(source(tmp_path, "SUN397"))
    assert row["negatives"] == [] and row["label"] == "raft" and row["line"] == 1
    assert row["file"] == str(tmp_path / "SUN397" / "train-00000-of-00001.parquet")


def test_several_subsets_of_one_task(tmp_path: Path) -> None:
    for subset, row, _ in PUBLISHED[:5]:
        write(tmp_path / subset / "original-00000-of-00001.parquet", row, row)
    names = [subset for subset, _, _ in PUBLISHED[:5]]
    rows = source(tmp_path, *names, licence="mixed")
    assert task_of_subsets(rows.settings.subsets) is Task.IMAGE_CLASSIFICATION
    found = rows_of(rows)
    assert [Path(row["file"]).parent.name for row in found] == [name for name in names for _ in range(2)]
    assert {row["licence"] for row in found} == {"mixed"} and [row["line"] for row in found[:2]] == [1, 2]


def test_subsets_of_several_tasks_are_several_sources(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="one task: ImageNet_1K is image_classification, ChartQA is image_qa"):
        source(tmp_path, "ImageNet_1K", "ChartQA")
    with pytest.raises(SettingsError, match="there are none"):
        source(tmp_path)


def test_an_unknown_subset_is_given_its_task(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="did you mean 'ImageNet_1K'"):
        source(tmp_path, "ImageNet-1K")
    write(tmp_path / "Flowers" / "data.parquet", (f"{TOKEN}Which flower? ", "f/1.jpg", "rose", "", "", ""))
    subsets = {"Flowers": {"task": "image_classification", "instruction": ["Which flower?"], "label": True}}
    rows = source(tmp_path, subsets=subsets)
    (row,) = rows_of(rows)
    assert row["label"] == "rose" and row["instruction"] == "Which flower?" and row["query"]["text"] == ""
    assert task_of_subsets(rows.settings.subsets) is Task.IMAGE_CLASSIFICATION


def test_what_is_given_goes_before_what_is_known(tmp_path: Path) -> None:
    file = write(tmp_path / "elsewhere.parquet", PUBLISHED[0][1])
    (row,) = rows_of(source(tmp_path, subsets={"ImageNet_1K": {"files": [str(file)], "label": False}}))
    assert row["label"] == "" and row["instruction"] == "Represent the given image for classification"


def test_one_split_is_read(tmp_path: Path) -> None:
    row = PUBLISHED[5][1]
    other = ("Use the given question to represent <|image_1|>: How many values are below 40?\n", *row[1:])
    folder = tmp_path / "OK-VQA"
    write(folder / "original-00000-of-00002.parquet", row)
    write(folder / "original-00001-of-00002.parquet", row)
    write(folder / "diverse_instruction-00000-of-00001.parquet", other)
    assert len(rows_of(source(tmp_path, "OK-VQA"))) == 2
    diverse = source(tmp_path, "OK-VQA", split="diverse_instruction")
    (found,) = rows_of(diverse)
    assert found["instruction"] == "" and found["query"]["text"].endswith(
        "question to represent : How many values are below 40?"
    )
    assert diverse.notes == {"texts": {"instruction_not_found": 1}}
    with pytest.raises(SettingsError, match="OK-VQA has diverse_instruction, original"):
        rows_of(source(tmp_path, "OK-VQA", split="test"))


def test_other_words_stay_and_are_counted(tmp_path: Path) -> None:
    row = (f"{CAPTION}A cat.\n", "", f"{TOKEN}Look at this.\n", "images/1.jpg", TOKEN, "images/2.jpg")
    write(tmp_path / "MSCOCO_t2i" / "diverse_instruction-00000-of-00001.parquet", row, (*row[:4], GIVEN, ""))
    rows = source(tmp_path, "MSCOCO_t2i")
    first, second = rows_of(rows)
    assert first["positive"]["text"] == "Look at this." and second["negatives"] == []
    assert first["negatives"] == [{"text": "", "images": ["images/2.jpg"], "score": 0.0}]
    assert rows.notes == {"texts": {"empty_negative": 1, "positive_instruction_not_found": 2}}


@pytest.mark.parametrize(
    ("subset", "changes", "reason"),
    [
        ("ChartQA", {"qry_image_path": ""}, "no_image"),
        ("ChartQA", {"pos_text": None}, "empty_positive"),
        ("ChartQA", {"pos_text": " \n"}, "empty_positive"),
        ("MSCOCO_t2i", {"pos_image_path": ""}, "no_image"),
        ("MSCOCO_t2i", {"qry": CAPTION}, "empty_query"),
        ("MSCOCO_t2i", {"qry": ""}, "empty_query"),
        ("MSCOCO_t2i", {"qry": None}, "empty_query"),
        ("MSCOCO_t2i", {"qry": TOKEN}, "empty_query"),
    ],
)
def test_a_malformed_row_costs_that_row(tmp_path: Path, subset: str, changes: dict[str, Any], reason: str) -> None:
    good = next(row for name, row, _ in PUBLISHED if name == subset)
    bad = tuple({**dict(zip(FIELDS, good, strict=True)), **changes}.values())
    file = write(tmp_path / subset / "original-00000-of-00001.parquet", good, good, bad, good)
    rows = source(tmp_path, subset)
    assert [row["line"] for row in rows_of(rows)] == [1, 2, 4]
    assert rows.counts == {"read": 4, reason: 1}
    assert [(fault.file, fault.line, fault.reason) for fault in rows.bad_records] == [(str(file), 3, reason)]


def test_a_string_that_is_no_unicode_costs_that_row(tmp_path: Path) -> None:
    good = PUBLISHED[9][1]
    table = pa.table({name: [good[at]] * 3 for at, name in enumerate(FIELDS)})
    texts = pa.array([b"6", b"\xff6", b"7"], pa.binary()).view(pa.string())
    (tmp_path / "ChartQA").mkdir()
    pq.write_table(table.set_column(2, "pos_text", texts), tmp_path / "ChartQA" / "a.parquet")
    rows = source(tmp_path, "ChartQA")
    assert [row["positive"]["text"] for row in rows_of(rows)] == ["6", "7"]
    assert rows.counts == {"read": 3, "bad_text": 1} and rows.bad_records[0].line == 2


def test_files_that_are_of_no_use(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"subsets\.ChartQA"):
        source(tmp_path, "ChartQA").identity()
    write(tmp_path / "ChartQA" / "a.parquet", ("a",), fields=("qry",))
    with pytest.raises(SettingsError, match=r"a\.parquet: no column 'qry_image_path'.*it has qry$"):
        rows_of(source(tmp_path, "ChartQA"))
    (tmp_path / "ChartQA" / "a.parquet").write_bytes(b"PAR1 but no more")
    with pytest.raises(SettingsError, match="not a Parquet file"):
        rows_of(source(tmp_path, "ChartQA"))


def test_tokens_are_checked_against_images(tmp_path: Path) -> None:
    subsets = {"Mine": {"task": "image_retrieval"}}
    rows = [(f"{TOKEN}a", "", "b", "c.jpg", "", ""), (f"{TOKEN}a", "q.jpg", f"x {TOKEN}y", "c.jpg", "", "")]
    write(tmp_path / "Mine" / "a.parquet", *rows)
    read = source(tmp_path, subsets=subsets)
    assert [(row["query"]["text"], row["positive"]["text"]) for row in rows_of(read)] == [("a", "b"), ("a", "x y")]
    assert read.notes == {"texts": {"image_without_token": 1, "token_without_image": 1}}


def test_sample_and_paths(tmp_path: Path) -> None:
    rows = [(f"{CAPTION}cat {n}.\n", "", GIVEN, f"images/MSCOCO_t2i/Train/{n}.jpg", "", "") for n in range(200)]
    write(tmp_path / "MSCOCO_t2i" / "original-00000-of-00001.parquet", *rows)
    read = source(tmp_path, "MSCOCO_t2i", sample_rows=60, shard_rows=25, strip_prefixes=["images/"])
    index = write_source_shards(Workspace(str(tmp_path / "workspace")), "coco", read, source_fingerprint(read))
    assert index.rows == 60 and len(index.shards) == 3
    assert index.counts == {"read": 200, "not_sampled": 140, "duplicate_row": 0}
    found = rows_of(read)
    assert max(row["line"] for row in found) > 150 and found[0]["positive"]["images"][0].startswith("MSCOCO_t2i/Train/")


def test_the_instruction_before_a_target_is_kept_beside_it(tmp_path: Path) -> None:
    before = "Represent the given Wikipedia image with related text information: "
    query = f"{TOKEN}Find a Wikipedia image that answers this question: who?"
    found = one(tmp_path, "WebQA", (query, "", f"{TOKEN}{before} A tower.", "images/a.jpg", "", ""))
    assert (found["positive_instruction"], found["positive"]["text"]) == (before, "A tower.")
