"""Triplets in MegaPairs' own form, with its traps: several texts, the query among its negatives, broken records."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from corpus.settings import SettingsError, parse_settings
from corpus.workspace import Workspace
from pipelines.sources.json_records import BadRecordError
from pipelines.sources.megapairs import MegaPairsReader, MegaPairsSource, choose_text, read_triplet
from pipelines.sources.pair_rows import PAIR_ROWS
from pipelines.sources.source_shards import source_fingerprint, write_source_shards
from tests.helpers.cases import cases

TEXTS = ["show it at night", "the same place in the dark", "turn day into night"]


def record(number: int = 0, **more: Any) -> dict[str, Any]:
    return {
        "q_img": f"./MegaPairs/000/{number}.jpg",
        "q_text": TEXTS,
        "t_img": f"./MegaPairs/001/{number}.jpg",
        "hns": [f"./MegaPairs/000/{number}.jpg", "./MegaPairs/002/7.jpg", "./MegaPairs/002/8.jpg"],
        **more,
    }


def settings(*files: Any, **more: Any) -> MegaPairsSource:
    return parse_settings({"kind": "megapairs", "files": [str(file) for file in files], **more}, MegaPairsSource)


def write(path: Path, *lines: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines))
    return path


def rows_of(source: MegaPairsReader) -> list[dict[str, Any]]:
    """All rows, after a look at whether the counts add up."""
    found = [row for shard in source.shards() for row in shard.to_pylist()]
    assert source.counts["read"] == len(found) + sum(n for reason, n in source.counts.items() if reason != "read")
    return found


def names(row: dict[str, Any], side: str) -> list[str]:
    return [name for each in row[side] for name in each["images"]]


def test_public_form(tmp_path: Path) -> None:
    file = write(tmp_path / "part.jsonl", record(0), record(1))
    source = MegaPairsReader(settings(file, strip_prefixes=["./MegaPairs/"], licence="MIT"))
    (shard,) = source.shards()
    assert shard.schema == PAIR_ROWS and shard.num_rows == 2 and source.counts == {"read": 2}
    first = shard.to_pylist()[0]
    assert first.pop("query")["text"] in TEXTS
    assert first == {
        "positive": {"text": "", "images": ["001/0.jpg"]},
        "negatives": [{"text": "", "images": [name], "score": 0.0} for name in ("000/0.jpg", "002/7.jpg", "002/8.jpg")],
        "instruction": "",
        "positive_instruction": "",
        "positive_score": 0.0,
        "in_batch_negatives": True,
        "label": "",
        "subset": "",
        "key": "",
        "file": str(file),
        "line": 1,
        "url": "",
        "licence": "MIT",
    }


def test_the_query_stays_among_its_negatives(tmp_path: Path) -> None:
    for row in rows_of(MegaPairsReader(settings(write(tmp_path / "part.jsonl", record(3))))):
        assert names(row, "negatives")[0] == row["query"]["images"][0] == "MegaPairs/000/3.jpg"
        assert names(row, "negatives")[1:] == ["MegaPairs/002/7.jpg", "MegaPairs/002/8.jpg"]


def test_one_text_by_seed_wherever_the_record_stands(tmp_path: Path) -> None:
    records = [record(number) for number in range(300)]
    one = rows_of(MegaPairsReader(settings(write(tmp_path / "one.jsonl", *records))))
    two = rows_of(MegaPairsReader(settings(write(tmp_path / "two.jsonl", *reversed(records)))))
    text_of_image = {row["query"]["images"][0]: row["query"]["text"] for row in one}
    assert text_of_image == {row["query"]["images"][0]: row["query"]["text"] for row in two}
    assert min(Counter(text_of_image.values()).values()) > 70  # of 100 each
    other = rows_of(MegaPairsReader(settings(tmp_path / "one.jsonl", seed=1)))
    assert 60 < sum(row["query"]["text"] == text_of_image[row["query"]["images"][0]] for row in other) < 140


def test_choices_do_not_change_with_versions() -> None:
    assert [choose_text(TEXTS, f"{number}", 0) for number in range(6)] == [TEXTS[at] for at in (2, 0, 0, 0, 1, 0)]
    assert choose_text(TEXTS, "0", 2**200) in TEXTS


@cases(
    ("broken", "reason"),
    [
        ({"q_img": None}, "no_image"),
        ({"q_img": ""}, "no_image"),
        ({"t_img": " "}, "no_image"),
        ({"t_img": ["a.jpg"]}, "bad_text"),
        ({"q_text": []}, "no_text"),
        ({"q_text": ["", "  "]}, "no_text"),
        ({"q_text": None}, "bad_list"),
        ({"q_text": [1]}, "bad_text"),
        ({"q_text": ["\ud800"]}, "bad_text"),
        ({"hns": None}, "bad_list"),
        ({"hns": {"a": 1}}, "bad_list"),
        ({"hns": ["a.jpg", 3]}, "bad_text"),
        ({"hns": ["a.jpg"] * 1001}, "bad_list"),
    ],
)
def test_a_malformed_record_costs_its_row(broken: dict[str, Any], reason: str) -> None:
    with pytest.raises(BadRecordError) as raised:
        read_triplet(record(**broken), settings("a.jsonl"))
    assert raised.value.reason == reason


def test_file_and_line_of_what_is_malformed(tmp_path: Path) -> None:
    missing = record(1)
    del missing["t_img"]
    file = write(tmp_path / "part.jsonl", record(0), missing, "{broken", "", "[1, 2]", record(2, hns=[]))
    source = MegaPairsReader(settings(file))
    assert [(row["line"], len(row["negatives"])) for row in rows_of(source)] == [(1, 3), (6, 0)]
    assert source.counts == {"read": 5, "no_image": 1, "not_json": 1, "not_an_object": 1}
    assert [(fault.file, fault.line, fault.reason) for fault in source.bad_records] == [
        (str(file), 2, "no_image"),
        (str(file), 3, "not_json"),
        (str(file), 5, "not_an_object"),
    ]
    assert source.notes["faults"][0] == f"{file}, line 2: no_image: no 't_img'"


def test_forms_that_differ(tmp_path: Path) -> None:
    file = write(
        tmp_path / "part.jsonl",
        {"query": "/data/x/a.jpg", "mod": "only one", "target": "/data/y/b.jpg", "negatives": ["", "/data/x/c.jpg"]},
    )
    keys = {"query_image_key": "query", "texts_key": "mod", "target_image_key": "target", "negatives_key": "negatives"}
    (row,) = rows_of(MegaPairsReader(settings(file, **keys, strip_prefixes=["/data/x/", "/data/"])))
    assert row["query"] == {"text": "only one", "images": ["a.jpg"]} and row["positive"]["images"] == ["y/b.jpg"]
    assert names(row, "negatives") == ["c.jpg"]


def test_sample_and_shards(tmp_path: Path) -> None:
    write(tmp_path / "parts" / "a.jsonl", *(record(number) for number in range(150)))
    write(tmp_path / "parts" / "b.jsonl", *(record(number) for number in range(100, 250)))
    source = MegaPairsReader(settings(tmp_path / "parts", sample_rows=100, shard_rows=40))
    index = write_source_shards(Workspace(str(tmp_path / "workspace")), "megapairs", source, source_fingerprint(source))
    assert index.rows == 100 and len(index.shards) == 3
    assert index.counts["read"] == 300 and index.counts["not_sampled"] + index.counts["duplicate_row"] == 200
    drawn = rows_of(source)
    assert len({row["query"]["images"][0] for row in drawn}) == 100
    assert max(int(Path(row["query"]["images"][0]).stem) for row in drawn) > 200  # not the first rows
    assert rows_of(MegaPairsReader(settings(tmp_path / "parts", sample_rows=50)))[:50] == drawn[:50]


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="no files there"):
        MegaPairsReader(settings(tmp_path / "absent.jsonl")).identity()
