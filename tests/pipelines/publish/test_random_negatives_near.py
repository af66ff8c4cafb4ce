"""Sides that are nearly the same are no negatives of each other."""

from __future__ import annotations

from pathlib import Path

from tests.helpers.negative_rows import Row, filled_negatives
from tests.helpers.small_worlds import image_pair


def test_no_negative_is_nearly_the_query_or_the_positive(tmp_path: Path) -> None:
    """Each passage is there three times: as it is, in capitals with another end, and with a word more; and one pair's
    positive is nearly another one's query. Different passages of one form stay negatives of each other.
    """

    def side(text: str) -> Row:
        return {"instruction": "", "text": text, "items": []}

    words = ["amber", "birch", "cedar", "delta", "ember", "fjord", "grove", "heron"]
    of: dict[str, str] = {}
    rows = []
    for at, word in enumerate(words):
        passage = (
            f"The {word} tower stands near the {words[at - 1]} gate, where {words[at - 2]} traders sell rope to "
            f"{words[at - 3]} sailors who come up the {words[at - 4]} river each spring"
        )
        for number, text in enumerate((passage, f"  {passage.upper()}!", f"{passage} again")):
            of[text] = word
            rows.append(
                image_pair(
                    "d", f"{word}{number}", b"", query=side(f"What is said of {word}, {number}?"), positive=side(text)
                )
            )
    asked = f"{rows[0]['positive']['text']} today"  # a query that is nearly a positive of other pairs
    rows.append(image_pair("d", "asked", b"", query=side(asked), positive=side("Because of the rope.")))
    found = filled_negatives(tmp_path, rows, negatives=6)
    assert len(found) == 6 * len(rows)
    for row, _, donor in found:
        own = of.get(row["positive"]["text"], "amber")
        assert of.get(donor["positive"]["text"]) != own, (row["query"]["text"], donor["positive"]["text"])
