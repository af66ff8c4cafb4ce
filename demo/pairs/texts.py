"""Builds the demo's sets of texts: one in FlagEmbedding's form, one with fields of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from corpus.schema import Status
from demo.pairs.builders import write_lines
from demo.pairs.truth import ExpectedSet, Pair, SetSide

CaptionMaker = Callable[[], str]  # a sentence that nobody had before

_LONG = "the keeper of the museum wrote in her book about every picture that came in over the winter"


def plant_text_pairs(folder: Path, caption: CaptionMaker) -> ExpectedSet:
    """Builds FlagEmbedding's form, with the defects of texts from the web, and repeated pairs."""
    planted = ExpectedSet()
    lines: list[dict[str, Any] | str] = []

    def row(query: str, positive: str, negatives: Iterable[str]) -> dict[str, Any]:
        return {"query": query, "pos": [positive], "neg": list(negatives)}

    def right(query: str, positive: str, *negatives: str) -> None:
        planted.keep(Pair(SetSide(query), SetSide(positive), tuple(map(SetSide, negatives))))

    def passage() -> str:
        return f"One of the pictures shows {caption()}; the one beside it, {caption()}."

    plain = [(f"Where is {caption()}?", passage(), passage(), passage()) for _ in range(30)]
    for query, positive, *negatives in plain:
        lines.append(row(query, positive, negatives))
        right(query, positive, *negatives)

    for number in range(3):
        query, positive, negative = f"Is there {caption()} & more", f"It is {passage()}", passage()
        remains = f"<p>{query.replace('&', '&amp;amp;')}</p>", f"<b>It</b> is&nbsp;{positive[6:]}<br/>"
        lines.append(row(*remains, [f"<i>{negative}</i>", f"<li>{positive}</li>"]))  # its own positive, marked up
        right(query, positive, negative)
        query, positive = f"Does the café’s façade show {caption()}?", f"Übergrößen, naïve, {number}: {passage()}"
        lines.append(row(_misread(query), _misread(positive), [negative]))
        right(query, positive, negative)

    for query, positive, *negatives in plain[:4]:  # the same but for case, blanks and the end
        lines.append(row(f"{query.upper()} ", positive.removesuffix("."), negatives[:1]))
        planted.remove("exact_pair", Status.DUPLICATE)
    for _ in range(3):
        query, positive = f"{caption()}: {_LONG}", f"{passage()} {_LONG}"
        right(query, positive, negative := passage())
        lines += [row(query, positive, [negative]), row(f"{query} again", f"{positive} again", [negative])]
        planted.remove("near_pair", Status.DUPLICATE)
    for query, positive, negative, _ in plain[4:8]:  # the positive among the negatives, and a negative twice
        query = f"Once more: {query} Or {caption()}?"
        lines.append(row(query, positive, [f" {positive.upper()}", negative, negative, " "]))
        right(query, positive, negative)

    lines += [
        row("", passage(), [passage()]),
        row(f"Who drew {caption()}?", "  ", []),
        {"query": caption(), "pos": [], "neg": [passage()]},
        {"query": caption(), "pos": {"text": passage()}},
        row("<br>", passage(), []),
        row(caption(), "★★★ -- ☆☆☆ == ★★★", []),
        row(same := caption(), same, [passage()]),
    ]
    for reason in (
        *("no_query", "no_positive", "no_positive", "bad_text"),
        *("empty_text", "mostly_symbols", "query_equals_positive"),
    ):
        planted.remove(reason)
    write_lines(folder / "pairs.jsonl", [*lines, '{"query": "cut off'])
    planted.remove("not_json")
    return planted


def plant_mapped(folder: Path, caption: CaptionMaker) -> ExpectedSet:
    """Builds questions with titles and answers, in unusual fields."""
    planted = ExpectedSet()
    lines: list[dict[str, Any] | str] = []
    for number in range(16):
        title = f"Wall {number}" if number % 3 else ""
        question, answer, other = f"what hangs here, {caption()}?", f"It is {caption()}.", f"No, {caption()}."
        negatives = [other, answer.upper()] if number % 2 else [other]
        record = {"id": f"q{number}", "title": title, "about": {"question": question}}
        lines.append({**record, "answers": [answer, f"or {caption()}"], "others": negatives})
        query = f"{title}: {question}" if title else question
        planted.keep(Pair(SetSide(query), SetSide(answer), (SetSide(other),)))
    record = {"id": "q16", "title": "Wall 16", "about": {"question": caption()}, "others": []}
    lines += [{**record, "answers": []}, {**record, "answers": [{"text": "It is."}]}]
    write_lines(folder / "records.jsonl", [*lines, '["cut off'])
    for reason in ("no_positive", "bad_text", "not_json"):
        planted.remove(reason)
    return planted


def _misread(text: str) -> str:
    """Decodes UTF-8 as Windows-1252."""
    return text.encode().decode("cp1252")
