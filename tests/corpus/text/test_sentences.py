from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpus.text.sentences import goes_on, sentences, truncate_to_sentence, without_quotations
from tests.helpers.cases import cases


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ('A sign "Go home." here', "A sign   here"),
        ("A sign 'It's here' and dogs' bowls", "A sign   and dogs' bowls"),
        ("A sign ‘It’s here’, “x” and «y»", "A sign  ,   and  "),
        ("「犬」 dog", "  dog"),
        ('A 27" screen and a 5" phone', 'A 27" screen and a 5" phone'),
        ("A '60s car and the '70s", "A '60s car and the '70s"),
        ("It's the dog's", "It's the dog's"),
        ('An open "quotation', 'An open "quotation'),
    ],
)
def test_quotations(text: str, left: str) -> None:
    assert without_quotations(text) == left


@pytest.mark.parametrize(
    "text",
    [
        "A dog runs. | A cat sits! | Is it red?",
        "Mr. Smith and Dr. A. J. Patel wait. | The car, e.g. a BMW, is red.",
        "It costs 3.50 dollars. | It weighs approx. 5 kg.",
        'A sign reads "Stop. Go back." | A car waits.',
        "“Stop. Go back.” is written there. | A car waits.",
        "He went to the U.S. Embassy. | She stayed.",
        "A dog (brown, fig. 3) runs… | A cat sits",
        "犬が走る。 | 猫が座る。",
        "St. Paul's on Fleet St. in London. | Next.",
    ],
)
def test_sentences(text: str) -> None:
    assert sentences(text.replace("| ", "")) == [part.strip() for part in text.split("|")]


@cases(
    ("text", "left"),
    [
        ("A dog runs. A cat", "A dog runs."),
        ("A dog runs. A cat sits.", "A dog runs. A cat sits."),
        ('A sign reads "Stop." The car', 'A sign reads "Stop."'),
        ('A dog runs. A sign reads "Stop. Go', "A dog runs."),
        ("A dog runs. A sign reads 'Stop. Go", "A dog runs."),
        ("A dog runs. A sign reads “Stop. Go", "A dog runs."),
        ("A dog runs. A cat (see fig. 2. The", "A dog runs."),
        ("A dog (brown) runs. A cat", "A dog (brown) runs."),
        ("A dog runs. It weighs 3.", "A dog runs."),
        ("The dog weighs 30.", "The dog weighs 30."),
        ("A dog runs. It belongs to Mr.", "A dog runs."),
        ("A dog runs. It belongs to Mr. B. Smith, e.g. the", "A dog runs."),
        ("A portrait of J. S. Bach in", ""),
        ("What a dog! It runs", "What a dog!"),
        ('A 27" screen shows a dog. The', 'A 27" screen shows a dog.'),
        ("A '60s car is red. The", "A '60s car is red."),
        ("犬が走る。猫が", "犬が走る。"),
        ("A dog that runs", ""),
        ("", ""),
    ],
)
def test_cutting_back(text: str, left: str) -> None:
    assert truncate_to_sentence(text) == left


@given(st.text() | st.text(alphabet="aB. \"'“”()1\n"))
def test_any_text_has_sentences(text: str) -> None:
    assert "".join("".join(sentences(text)).split()) == "".join(text.split())
    assert text.startswith(truncate_to_sentence(text))


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Two goats graze on a", "en"),
        ("Two goats graze on a slope,", "en"),
        ("The picture shows:", "en"),
        ("A goat (brown, with long", "en"),
        ('A sign reads "Keep off the', "en"),
        ("Zwei Ziegen grasen auf einem", "de"),
        ("Deux chèvres broutent dans la", "fr"),
        ("两只山羊在山坡上吃草，", "zh"),
        ("Две козы пасутся на", "ru"),
        ("दो बकरियाँ घास और", "hi"),
    ],
)
def test_a_text_that_goes_on(text: str, language: str) -> None:
    assert goes_on(text, language)


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("two goats in the snow", "en"),
        ("A lamp that is switched on", "en"),
        ("Vitamin A.", "en"),
        ('A sign reads "Keep off the grass"', "en"),
        ("A goat (brown)", "en"),
        ('A 27" monitor', "en"),
        ("A", "en"),
        ("山羊在吃草", "zh"),
        ("दो बकरियाँ घास खा रही हैं।", "hi"),
        ("", "en"),
    ],
)
def test_a_text_that_is_complete(text: str, language: str) -> None:
    assert not goes_on(text, language)


def test_sentences_end_in_every_script() -> None:
    assert sentences("दो बकरियाँ हैं। घास हरी है।") == ["दो बकरियाँ हैं।", "घास हरी है।"]
    assert sentences("هل هذه ماعز؟ نعم، هي ماعز.") == ["هل هذه ماعز؟", "نعم، هي ماعز."]
