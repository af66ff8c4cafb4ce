from __future__ import annotations

import re

import pytest

from recaption.screening.speech import english_patterns


@pytest.mark.parametrize(
    ("section", "found", "missed"),
    [
        ("refusals", "Sadly, I cannot  open this file.", "A jar that nobody can open"),
        ("refusals_in_first_sentence", "Sorry, but the file is broken.", "A sorry sight"),
        ("talk", "Let me  know if it fits.", "A sign that says let me know"),
        ("thoughts", "Candidate 2: a ship at sea", "A candidate waves to a crowd"),
    ],
)
def test_each_section_is_compiled(section: str, found: str, missed: str) -> None:
    pattern = english_patterns(section)
    assert pattern.search(found) and pattern.search(found.lower())
    assert not pattern.search(missed)
    assert not re.search(r"<[a-z_]+>| ", pattern.pattern)  # every name and blank is replaced


def test_an_unknown_section_is_an_error() -> None:
    with pytest.raises(KeyError):
        english_patterns("poems")
