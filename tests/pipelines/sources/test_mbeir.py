"""M-BEIR: queries, a pool of candidates, and the instructions that it gives with each of its sets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from corpus.schema import Task
from corpus.settings import SettingsError, parse_settings
from pipelines.sources.mbeir import MbeirReader, MbeirSource
from pipelines.sources.mbeir_tasks import task_of_sets
from tests.helpers.given_rows import images, rows_of, texts, write_lines

POOL = [
    {"txt": None, "img_path": "mbeir_images/visualnews_images/1.jpg", "modality": "image", "did": "0:1"},
    {"txt": None, "img_path": "mbeir_images/visualnews_images/2.jpg", "modality": "image", "did": "0:2"},
    {"txt": "A lake.", "img_path": "mbeir_images/oven_images/3.jpg", "modality": "image,text", "did": "5:3"},
    {"txt": "A hill.", "img_path": None, "modality": "text", "did": "5:4"},
    {"txt": "A wood.", "img_path": None, "modality": "text", "did": "2:5"},
]


def query(qid: str, text: str | None, path: str | None, right: list[str], wrong: list[str]) -> dict[str, Any]:
    modality = ",".join([*(["image"] if path else []), *(["text"] if text else [])])
    named = {"pos_cand_list": right, "neg_cand_list": wrong, "query_modality": modality, "query_src_content": None}
    return {"qid": qid, "query_txt": text, "query_img_path": path, **named}


QUERIES = {
    "visualnews_task0": [query("0:10", "Rain in spring", None, ["0:1"], ["0:2", "0:99"])],
    "nights_task4": [query("4:1", None, "mbeir_images/nights_images/n.jpg", ["0:2"], [])],
    "oven_task6": [query("5:7", "What is it?", "mbeir_images/oven_images/q.jpg", ["5:4"], ["2:5"])],
    "oven_task8": [query("5:8", "What is it?", "mbeir_images/oven_images/q.jpg", ["5:3"], ["5:4"])],
    "webqa_task1": [query("2:9", "Where do trees grow?", None, ["2:5"], [])],
}


def source(folder: Path, *subsets: str, **settings: Any) -> MbeirReader:
    return MbeirReader(
        parse_settings({"kind": "mbeir", "folder": str(folder), "subsets": subsets, **settings}, MbeirSource)
    )


@pytest.fixture
def mbeir(tmp_path: Path) -> Path:
    for folder in ("query/train", "cand_pool/global", "instructions"):
        (tmp_path / folder).mkdir(parents=True)
    write_lines(tmp_path / "cand_pool/global/mbeir_union_train_cand_pool.jsonl", POOL)
    for name, records in QUERIES.items():
        write_lines(tmp_path / f"query/train/mbeir_{name}_train.jsonl", records)
    return tmp_path


def test_queries_have_their_candidates_and_their_sets_instruction(mbeir: Path) -> None:
    rows = source(mbeir, "visualnews_task0", "nights_task4", "oven_task6", "oven_task8")
    found = {row["subset"]: row for row in rows_of(rows)}
    news, night, words, both = (found[name] for name in rows.settings.subsets)
    assert images(news) == ["mbeir_images/visualnews_images/1.jpg", "mbeir_images/visualnews_images/2.jpg"]
    assert news["instruction"] == "Identify the news-related image in line with the described event. "
    assert night["instruction"] == "Find a day-to-day image that looks similar to the provided image.", (
        "no text follows"
    )
    assert (texts(words), texts(both)) == (
        ("What is it?", "A hill.", ["A wood."]),
        ("What is it?", "A lake.", ["A hill."]),
    )
    assert words["instruction"].startswith("Retrieve a Wikipedia paragraph")
    assert both["instruction"].startswith("Retrieve a Wikipedia image-description pair")
    assert both["positive"]["images"] == ["mbeir_images/oven_images/3.jpg"]
    assert [row["key"] for row in (news, night, words, both)] == ["0:10", "4:1", "5:7", "5:8"]
    assert rows.notes["negatives"] == {"negatives_kept": 3, "negative_missing_document": 1}
    assert rows.counts == {"read": 4} and task_of_sets(rows.settings.subsets) is Task.IMAGE_RETRIEVAL


def test_instructions_of_the_sets_own_table(mbeir: Path) -> None:
    table = mbeir / "instructions/query_instructions.tsv"
    head = "query_modality\tcand_modality\tdataset_name\tdataset_id\tprompt_1\tprompt_2\tprompt_3\n"
    table.write_text(f"{head}text\timage\tVisualNews\t0\tFirst one.\tSecond one.\t\nimage\timage\tNIGHTS\t4\t\t\t\n")
    write_lines(
        mbeir / "query/train/mbeir_visualnews_task0_train.jsonl",
        [query(f"0:{at}", f"News of day {at}", None, ["0:1"], []) for at in range(30)],
    )
    extra: dict[str, Any] = {"instructions_file": str(table)}
    rows = source(mbeir, "visualnews_task0", "nights_task4", **extra)
    found = rows_of(rows)
    assert {row["instruction"] for row in found} == {"First one. ", ""}
    assert rows.notes["negatives"] == {"instruction_not_found": 1}
    drawn = [
        row["instruction"] for row in rows_of(source(mbeir, "visualnews_task0", instruction_choice="random", **extra))
    ]
    assert set(drawn) == {"First one. ", "Second one. "}
    before = rows.identity()
    table.write_text(table.read_text().replace("First", "Very first"))
    assert source(mbeir, "visualnews_task0", "nights_task4", **extra).identity() != before
    table.write_text("a,b\n")
    with pytest.raises(
        SettingsError, match=r"query_instructions\.tsv: expected a table that begins with query_modality"
    ):
        source(mbeir, "visualnews_task0", **extra).identity()
    table.write_bytes(bytes((16 << 20) + 1))
    with pytest.raises(SettingsError, match=r"query_instructions\.tsv: more than 16,777,216 bytes"):
        source(mbeir, "visualnews_task0", **extra).identity()


def test_sets_that_do_not_go_together(mbeir: Path) -> None:
    with pytest.raises(SettingsError, match=r"one task: visualnews_task0 is image_retrieval, webqa_task1 is text_"):
        source(mbeir, "visualnews_task0", "webqa_task1")
    with pytest.raises(SettingsError, match=r"no set 'visualnew_task0' in M-BEIR; did you mean 'visualnews_task0'\?"):
        source(mbeir, "visualnew_task0")
    with pytest.raises(SettingsError, match=r"subsets\.edis_task2: .*mbeir_edis_task2_train\.jsonl: no files there"):
        source(mbeir, "edis_task2").check()
