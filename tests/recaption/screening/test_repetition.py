from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpus.text.words import words
from recaption.prompts import load_library
from recaption.screening.repetition import (
    echoes_prompt,
    has_looping_marks,
    has_looping_word,
    has_phrase_loop,
    repeated_ngram_share,
)

NUMBERED = [f"w{number}" for number in range(200)]


@given(st.integers(0, 20), st.integers(1, 25), st.integers(1, 8), st.integers(0, 20))
def test_a_loop_is_found_wherever_it_stands_and_however_long_its_phrase(
    before: int, period: int, times: int, after: int
) -> None:
    phrase = NUMBERED[100 : 100 + period]
    said = NUMBERED[:before] + phrase * times + NUMBERED[50 : 50 + after]
    needed = {1: 6, 2: 5, 3: 4, 4: 4, 5: 4}.get(period, 3)
    assert has_phrase_loop(said, 4) == (times >= needed)


@pytest.mark.parametrize(
    "text",
    [
        "a dog and a cat and a dog and a cat and a dog and a cat and a dog and a cat",
        "very very very very very very nice",
        "red white red white red white red white red white",
        "狗在跑狗在跑狗在跑狗在跑",
        "The man holds a red cup in his hand. " * 3,
    ],
)
def test_loops(text: str) -> None:
    assert has_phrase_loop(words(text), 4)


@pytest.mark.parametrize(
    "text",
    [
        "a red, a blue, a green, a white, a black and a yellow one",
        "red, white, red, white, red, white, red and white stripes",
        "very, very, very big",
        "The first bar is 20 percent, the second bar is 30 percent, the third bar is 50 percent.",
        "New York, New York",
    ],
)
def test_lists_are_no_loops(text: str) -> None:
    assert not has_phrase_loop(words(text), 4)


def test_the_share_that_was_said_before() -> None:
    assert repeated_ngram_share([]) == 0
    assert repeated_ngram_share(NUMBERED) == 0
    assert repeated_ngram_share(NUMBERED[:10] * 2) == 0.5
    assert repeated_ngram_share(NUMBERED[:10] * 4) == 0.75
    assert repeated_ngram_share(NUMBERED[:10] + NUMBERED[90:100] + NUMBERED[2:7]) == 5 / 25
    assert repeated_ngram_share(NUMBERED[:4] * 2 + NUMBERED[10:12]) == 0  # four words in a row don't count


@given(st.lists(st.sampled_from("abc"), max_size=60))
def test_it_is_the_share_of_the_words_in_such_phrases(said: list[str]) -> None:
    covered: set[int] = set()
    for start in range(len(said) - 4):
        phrase = said[start : start + 5]
        if any(said[earlier : earlier + 5] == phrase for earlier in range(start)):
            covered |= set(range(start, start + 5))
    assert repeated_ngram_share(said) == pytest.approx(len(covered) / max(1, len(said)))


def test_a_word_that_goes_round_in_circles() -> None:
    assert has_looping_word(["a", "ha" * 20])
    assert has_looping_word(["x" + "abcdefgh" * 10])
    assert not has_looping_word(["hahahahaha", "donaudampfschifffahrtsgesellschaftskapitän", "0" * 29])


PROMPT = load_library()["short-02"].text


@pytest.mark.parametrize(
    "text",
    [
        PROMPT,
        PROMPT.upper(),
        "Write a caption of at most 15 words.",
        "Two dogs on a beach. No opinions, no guesses, no hashtags, nothing before or after the caption.",
        "No opinions, no guesses, no hashtags here",
    ],
)
def test_echoes(text: str) -> None:
    assert echoes_prompt(words(text), PROMPT, 8)


@pytest.mark.parametrize(
    "text",
    [
        "A caption in white letters runs across a picture of fifteen dogs.",
        "A sheet with the columns subject, colour, number, place and twelve rows filled in by hand.",
        "A picture of a place with a number above the door.",
        "",
    ],
)
def test_common_words_are_no_echo(text: str) -> None:
    assert not echoes_prompt(words(text), PROMPT, 8)


def test_a_short_prompt_is_echoed_by_all_of_its_words() -> None:
    assert echoes_prompt(
        words("Two dogs play in the snow. Describe this picture, please."), "Describe this picture please", 8
    )
    assert not echoes_prompt(words("Two dogs play with a ball in this picture."), "Describe this picture", 8)


def test_how_many_words_make_an_echo_is_a_setting() -> None:
    said = words("Subject, colour, number, place are the four column heads of this long table on the wall of a room.")
    assert echoes_prompt(said, PROMPT, 4)
    assert not echoes_prompt(said, PROMPT, 5)


@pytest.mark.parametrize(
    "text",
    [
        "A goat!!!!!!!!!!!!!!!!!!!!!!",
        "A row of - - - - - - - - - - - - - - - -",
        "7:00:00:00:00:00:00:00:00:00:00:00:00:00",
        "A code 454545454545454545454545454545",
        "🐐🐐🐐🐐🐐🐐🐐🐐",
        "🐐⛰️🐐⛰️🐐⛰️🐐⛰️🐐⛰️🐐⛰️🐐⛰️",
        "Numbers " + " ".join(map(str, range(1, 40))),
    ],
)
def test_signs_digits_and_emoji_that_go_round_in_circles(text: str) -> None:
    assert has_looping_marks(text)


@pytest.mark.parametrize(
    "text",
    [
        "Wow!!! A goat...",
        "A password field with ******** in it",
        "The sum is 10,000,000,000 euros",
        "Rated ★★★★★ by 1,111 guests",
        "Three goats 🐐🐐🐐 and a heart ❤️❤️❤️",
        "Squares 1, 2, 3, 4, 5, 6, 7, 8, 9 and 10 of a board game",
        "12:00, 13:00, 14:00, 15:00",
    ],
)
def test_few_signs_are_no_loop(text: str) -> None:
    assert not has_looping_marks(text)
