"""Cleaning and judging pairs, with planted faults on each side and among the negatives."""

from typing import Any

import pyarrow as pa

from corpus.text.clean import TextCleanSettings
from filters.text.quality import NEGATIVE_REASONS, TextFilterSettings, clean_pairs, filter_pairs

SIDE = pa.struct(
    [pa.field("text", pa.string(), nullable=False), pa.field("images", pa.list_(pa.string()), nullable=False)]
)


def side(text: str, *images: str) -> dict[str, Any]:
    return {"text": text, "images": list(images)}


def table(*pairs: tuple[Any, Any, list[Any] | None]) -> pa.Table:
    query, positive, negatives = zip(*pairs, strict=True) if pairs else ((), (), ())
    return pa.table(
        {
            "key": [str(number) for number in range(len(pairs))],
            "query": pa.array(query, SIDE),
            "positive": pa.array(positive, SIDE),
            "negatives": pa.array(negatives, pa.list_(SIDE)),
        }
    )


QUESTION, ANSWER = side("what is the capital"), side("Paris")


def test_all_texts_of_a_pair_are_cleaned_and_nothing_else():
    rows = table(
        (QUESTION, ANSWER, [side("Lyon")]),
        (side("what  is\tit", "<b>.jpg"), ANSWER, []),
        (QUESTION, side("<b>Paris</b>"), None),
        (QUESTION, ANSWER, [side("Nice"), side("caf\u00c3\u00a9", "x  y.png")]),
    )
    cleaned, changed = clean_pairs(rows, TextCleanSettings())
    assert changed.tolist() == [False, True, True, True]
    assert cleaned.schema == rows.schema
    assert cleaned.column("query")[1].as_py() == side("what is it", "<b>.jpg")
    assert cleaned.column("positive").to_pylist() == [ANSWER] * 4
    negatives = [[side("Lyon")], [], [], [side("Nice"), side("café", "x  y.png")]]
    assert cleaned.column("negatives").to_pylist() == negatives
    part, changed = clean_pairs(rows.slice(1, 2), TextCleanSettings())
    assert part.equals(cleaned.slice(1, 2)) and changed.tolist() == [True, True]


def reasons(*pairs: tuple[Any, Any]) -> list[str]:
    said = filter_pairs(table(*((query, positive, []) for query, positive in pairs)), TextFilterSettings())
    assert said.column("status").to_pylist() == [
        "filtered" if reason else "kept" for reason in said["reason"].to_pylist()
    ]
    return said["reason"].to_pylist()


def test_the_reasons_of_a_pair_are_those_of_its_sides():
    assert reasons(
        (QUESTION, ANSWER),
        (side(""), ANSWER),
        (QUESTION, side(" ")),
        (QUESTION, side("?!")),
        (side("... ---"), side("")),
        (side("", "a.jpg"), ANSWER),
        (side("***", "a.jpg"), ANSWER),
    ) == ["", "empty_text", "empty_text", "mostly_symbols", "mostly_symbols", "", "mostly_symbols"]


def test_a_positive_that_is_the_query_is_no_pair():
    assert reasons(
        (side("What is X?"), side("what is x")),
        (side("same", "a.jpg"), side("same", "a.jpg")),
        (side("same", "a.jpg"), side("same", "b.jpg")),
        (side("", "a.jpg"), side("", "a.jpg")),
        (side("", "a.jpg"), side("", "b.jpg")),
    ) == ["query_equals_positive", "query_equals_positive", "", "query_equals_positive", ""]


def test_negatives_that_are_none_are_taken_out_and_counted():
    rows = table(
        (QUESTION, ANSWER, [side("Lyon"), side("paris."), side("Nice"), side("lyon"), side(""), side("LYON")]),
        (QUESTION, ANSWER, None),
        (side("what", "q.jpg"), side("", "p.jpg"), [side("", "q.jpg"), side("", "p.jpg"), side("", "q.jpg")]),
        (QUESTION, side("Lyon"), [side("Paris"), QUESTION]),
    )
    said = filter_pairs(rows, TextFilterSettings())
    assert said["negatives"].to_pylist() == [
        [side("Lyon"), side("Nice")],
        [],
        [side("", "q.jpg")],
        [side("Paris"), QUESTION],
    ]
    counts = [tuple(row[name] for name in NEGATIVE_REASONS) for row in said.to_pylist()]
    assert counts == [(1, 1, 2), (0, 0, 0), (0, 1, 1), (0, 0, 0)]
    assert said["status"].to_pylist() == ["kept"] * 4
    part = filter_pairs(rows.slice(2, 2), TextFilterSettings())
    assert part.equals(said.slice(2, 2))


def test_no_pairs():
    assert len(filter_pairs(table(), TextFilterSettings())) == 0
    cleaned, changed = clean_pairs(table(), TextCleanSettings())
    assert len(cleaned) == len(changed) == 0
