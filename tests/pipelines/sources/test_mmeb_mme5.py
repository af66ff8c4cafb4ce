"""mmE5's rows as they are published: lists of negatives in strings, and strings that are out for no good."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpus.schema import Task
from corpus.settings import SettingsError
from pipelines.sources.json_records import BadRecordError
from pipelines.sources.mmeb import MAX_LIST_CHARACTERS, string_list
from pipelines.sources.mmeb_tasks import task_of_subsets
from tests.helpers.cases import cases
from tests.helpers.mmeb_rows import FIELDS, GIVEN, PUBLISHED, QUESTION, TOKEN, rows_of, source, write

MME5 = (*FIELDS, "modality")


def test_mme5_as_published(tmp_path: Path) -> None:
    texts = str([f"{TOKEN}Represent the given image.", "", 'it\'s "new"\nin\\out'])
    rows = [
        (
            f"{TOKEN}Find similar.\nред",
            "LAION/1.jpg",
            GIVEN,
            "LAION/2.jpg",
            texts,
            str(["a.jpg", "b.jpg", ""]),
            "IT2IT",
        ),
        # A token, but no image: the row's own word says that there is none.
        (f"{TOKEN}Find the dish.\nsopa de ajo", "", GIVEN, "LAION/3.jpg", "", "", "T2I"),
        ("Find it.", "", GIVEN, "LAION/3.jpg", "[]", "[]", "IT2I"),  # an image should be there
    ]
    write(tmp_path / "Retrieval" / "Retrieval.parquet", *rows, fields=MME5)
    read = source(tmp_path, "Retrieval", kind="mme5")
    first, second = rows_of(read)
    assert task_of_subsets(read.settings.subsets) is Task.IMAGE_RETRIEVAL
    assert first["query"] == {"text": "Find similar.\nред", "images": ["LAION/1.jpg"]}
    assert first["negatives"] == [
        {"text": "", "images": ["a.jpg"], "score": 0.0},
        {"text": "", "images": ["b.jpg"], "score": 0.0},
        {"text": 'it\'s "new"\nin\\out', "images": [], "score": 0.0},
    ]
    assert second["query"] == {"text": "Find the dish.\nsopa de ajo", "images": []} and second["negatives"] == []
    assert read.counts == {"read": 3, "no_image": 1} and read.notes["texts"] == {"token_without_image": 1}


def test_mme5_classes_and_hard_negatives_of_mmeb(tmp_path: Path) -> None:
    row = (f"{TOKEN}Was ist das?", "LAION/1.jpg", "Eule", "", "['Adler', 'Uhu']", "['', '']", "I2T")
    write(tmp_path / "Classification" / "Classification.parquet", row, fields=MME5)
    (found,) = rows_of(source(tmp_path, "Classification", kind="mme5"))
    assert found["label"] == "Eule" and [each["text"] for each in found["negatives"]] == ["Adler", "Uhu"]
    hard = (*PUBLISHED[3][1][:4], "['car', 'train', 'boat']", "['', '', '']")
    write(tmp_path / "VOC2007" / "train-00000-of-00001.parquet", hard)
    (found,) = rows_of(source(tmp_path, "VOC2007", kind="mme5"))
    assert found["label"] == "bus" and [each["text"] for each in found["negatives"]] == ["car", "train", "boat"]


def test_mme5_rows_of_images_alone(tmp_path: Path) -> None:
    """Negatives of images alone have empty texts; one alone may stand without brackets. So mmE5's reader takes them."""
    rows = [
        (f"{TOKEN}Find similar.", "LAION/1.jpg", "", "LAION/2.jpg", "['', '']", "['a.jpg', 'b.jpg']", "IT2I"),
        ("Find the dish.", "", f"{TOKEN}soup", "LAION/2.jpg", "'stew'", "'a.jpg'", "T2IT"),
        ("Find the dish.", "", "", "", "['stew']", "['']", "T2T"),
    ]
    write(tmp_path / "Retrieval" / "Retrieval.parquet", *rows, fields=MME5)
    read = source(tmp_path, "Retrieval", kind="mme5")
    images, both = rows_of(read)
    assert images["positive"] == {"text": "", "images": ["LAION/2.jpg"]}
    assert images["negatives"] == [{"text": "", "images": [name], "score": 0.0} for name in ("a.jpg", "b.jpg")]
    assert both["positive"] == {"text": "soup", "images": ["LAION/2.jpg"]}
    assert both["negatives"] == [{"text": "stew", "images": ["a.jpg"], "score": 0.0}]
    assert read.counts == {"read": 3, "empty_positive": 1}


def test_sets_that_mme5_adds_to_mmeb_are_told_their_task(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"subset 'TabQA' needs its task"):
        source(tmp_path, "TabQA", kind="mme5")
    row = (f"{TOKEN}{QUESTION}What is the total?\n", "images/1.png", "7", "", "['8', '9']", "['', '']")
    write(tmp_path / "TabQA" / "train-00000-of-00001.parquet", row)
    subsets = {"TabQA": {"task": "image_qa", "instruction": [QUESTION.rstrip(": ")]}}
    (found,) = rows_of(source(tmp_path, kind="mme5", subsets=subsets))
    assert found["instruction"] == QUESTION and found["query"]["text"] == "What is the total?"


HOSTILE = [
    "__import__('os').system('touch hacked')",
    "[__import__('os').system('touch hacked')]",
    "[" * 100_000,
    "-" * 100_000 + "1",
    "['a'] * 1000000000",
    "[10 ** 100000000]",
    "['a', 1]",
    "[['a']]",
    "{'a': 'b'}",
    "[b'a']",
    "[f'{1 + 1}']",
    "['\\ud800']",
    "['\\x']",
    "['a'",
    "['a\x00']",
    "not a list",
    "['a'" + " " * 100_000,
    "['a', " * 20_000,
    "['" + "\\\\" * 40_000,
    str(["a"] * 1001),
    str(["a" * MAX_LIST_CHARACTERS]),
]


@cases("text", HOSTILE)
def test_hostile_lists_cost_their_row(tmp_path: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    good = ("Find it.", "", GIVEN, "LAION/3.jpg", "['a']", "['']")
    write(tmp_path / "Retrieval" / "Retrieval.parquet", good, (*good[:4], text, ""), good)
    rows = source(tmp_path, "Retrieval", kind="mme5")
    assert [row["line"] for row in rows_of(rows)] == [1, 3]
    assert rows.counts["read"] == 3 and {"bad_list", "bad_text"} & set(rows.counts)
    assert not (tmp_path / "hacked").exists() and len(rows.notes["faults"][0]) < 1000


def test_texts_and_images_of_negatives_belong_together(tmp_path: Path) -> None:
    row = ("Find it.", "", GIVEN, "LAION/3.jpg", "['a', 'b']", "['a.jpg', 'b.jpg', 'c.jpg']")
    write(tmp_path / "Retrieval" / "Retrieval.parquet", row)
    rows = source(tmp_path, "Retrieval", kind="mme5")
    assert rows_of(rows) == [] and rows.counts == {"read": 1, "bad_list": 1}


@pytest.mark.parametrize(
    "strings", [[], [""], ["a"], ["it's", 'say "no"'], ['it\'s "both"'], ["новый\nдень", "\\", "'", "\t\x07", "😀"]]
)
def test_lists_come_back_as_python_wrote_them(strings: list[str]) -> None:
    assert string_list(str(strings), "n") == [text.strip() for text in strings]


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]))))
def test_any_list_comes_back(strings: list[str]) -> None:
    assert string_list(str(strings), "n") == [text.strip() for text in strings]


@given(st.text("[]'\"\\,abf{}0-\n "))
def test_any_string_gives_a_list_or_a_fault(text: str) -> None:
    try:
        assert all(isinstance(each, str) for each in string_list(text, "n"))
    except BadRecordError as error:
        assert error.reason in ("bad_list", "bad_text")


def test_other_ways_to_write_lists() -> None:
    assert string_list(" ", "n") == [] and string_list("'one'", "n") == ["one"]
    assert string_list("[ 'a' ,\n 'b', ]", "n") == ["a", "b"] and string_list(r"['\d']", "n") == [r"\d"]
    with pytest.raises(BadRecordError, match="bad_list"):
        string_list("['a' 'b']", "n")


def test_the_subsets_of_the_release_with_hard_negatives_are_known(tmp_path: Path) -> None:
    tasks = {"TAT-DQA": Task.IMAGE_QA, "ArxivQA": Task.IMAGE_QA}
    tasks |= {"InfoSeek_it2t": Task.IMAGE_RETRIEVAL, "InfoSeek_it2it": Task.IMAGE_RETRIEVAL}
    assert {name: task_of_subsets(source(tmp_path, name, kind="mme5").settings.subsets) for name in tasks} == tasks
