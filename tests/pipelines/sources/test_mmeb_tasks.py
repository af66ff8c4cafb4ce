"""Subsets of MMEB: their tasks are known, and instructions are split off texts."""

from __future__ import annotations

from pipelines.sources.mmeb_tasks import SUBSETS, split_instruction
from tests.helpers.mmeb_rows import (
    PUBLISHED,
    QUESTION,
)


def test_all_twenty_subsets_are_here() -> None:
    assert sorted(subset for subset, _, _ in PUBLISHED) == sorted(SUBSETS) and len(SUBSETS) == 20


def test_instructions_end_at_a_word() -> None:
    words = ("Represent the given image", "Represent the given image with the following question")
    assert split_instruction(f"{QUESTION}why?", words) == (QUESTION, "why?")
    assert split_instruction("Represent the given images", words) == ("", "Represent the given images")
    assert split_instruction("Represent the given image.", words) == ("Represent the given image.", "")
    assert split_instruction("", words) == ("", "")


def test_blanks_after_an_instruction_make_no_further_instruction() -> None:
    words = ("Represent the given image with the following question",)
    for blanks in (" ", "  ", "\n", "\n\n \t"):
        assert split_instruction(f"{QUESTION.rstrip()}{blanks}why? ", words) == (QUESTION, "why?")
    assert split_instruction(f"{QUESTION.rstrip()}\n", words) == (QUESTION.rstrip(), "")
