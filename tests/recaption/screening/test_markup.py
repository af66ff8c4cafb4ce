from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from recaption.screening.markup import has_markup, repair
from tests.helpers.cases import cases
from tests.helpers.good_captions import GOOD_CAPTIONS


@cases(
    ("text", "repaired"),
    [
        ("Caption: A dog", "A dog"),
        ("Detailed image description:\nA dog", "A dog"),
        ("Alt text: A dog", "A dog"),
        ("Sure! A dog", "A dog"),
        ("Sure, here's a caption for this image:\n\nA dog", "A dog"),
        ("Of course. Here is the description: A dog", "A dog"),
        ("Here are two sentences that describe it: A dog", "A dog"),
        ("**Caption:** *A dog*", "A dog"),
        ("A **big** and ***very red*** dog", "A big and very red dog"),
        ('"A dog"', "A dog"),
        ("“‘A dog’”", "A dog"),
        ("'It's a dog's bowl'", "It's a dog's bowl"),
        ("`A dog`", "A dog"),
        ("A file `main.py` in an editor", 'A file "main.py" in an editor'),
        ("* A dog", "A dog"),
        ("- - A dog", "A dog"),
        ("# A dog", "A dog"),
        ("## A dog", "A dog"),
        ("A dog &amp;amp; a cat", "A dog & a cat"),
    ],
)
def test_what_is_taken_off(text: str, repaired: str) -> None:
    assert repair(text) == repaired


@cases(
    "text",
    [
        '"Stop" and "Go" on two signs',
        '"Stop" is painted on the road, and on a wall "Go"',
        "'Yes' beside 'No'",
        "Here is where two rivers meet: brown water and green water",
        "Sure deodorant, two bottles",
        "5 * 3 = 15 and 2 * 4 = 8",
        "A hotel with 4* and a hotel with 5* beside it",
        "A password field with ******** in it",
        "f(x) = x**2 and g(x) = y**2",
        "A description board: mammoths",
        "-5 °C on a thermometer",
        "- one\n- two",
        "# 5 on a jersey",
        "# A dog\nA cat",
        'A key with "&gt;" on it',
    ],
)
def test_what_stays(text: str) -> None:
    assert repair(text) == text


@cases(
    "text",
    [
        "# Description\nA dog",
        "A dog.\n## Setting\nA beach.",
        "- A dog\n- A cat",
        "Objects:\n1. A dog\n2. A cat",
        "* A dog\n\n* A cat",
        "A dog.\n\n---\n\nA cat.",
        "```\nA dog\n```",
        "~~~\nA dog\n~~~",
        "| a | b |\n|---|---|\n| 1 | 2 |",
        "A dog ![dog](https://example.org/dog.png)",
        "A [dog](#dog)",
        "<p>A dog</p>",
        "A dog<br/>on grass",
        "<div class='x'>A dog",
        "A dog</s>",
        "A dog<|im_end|>",
        "<image> A dog",
        "[INST] A dog",
        "<think>The user wants</think> A dog",
        "A dog.\nUser: and now?",
        "A dog with **a red hat and no end",
    ],
)
def test_markup(text: str) -> None:
    assert has_markup(repair(text))


@cases(
    "text",
    [
        *GOOD_CAPTIONS,
        "#1 on a jersey",
        "A dog.\n\nA second paragraph on its collar.",
        "A dog.\n- one dash only",
        'A screen with "<div>" and "</p>" on it',
        "x < 5 and y > 3",
        "A heart <3 in icing",
        "R&D department, AT&T logo",
        "An array a[0](see the comment) in a code editor",
        "A dog - brown - on a beach",
        "A wave ~~~ drawn in ink",
        "Time 10:30 | Gate 4 | Seat 12",
    ],
)
def test_text_without_markup(text: str) -> None:
    assert not has_markup(repair(text))


PIECES = ["*", "**", "`", '"', "'", "“", "”", "- ", "Caption: ", "Sure! ", "\n", " ", "a", "b."]


@given(st.lists(st.sampled_from(PIECES)))
def test_a_repaired_text_needs_no_repair(pieces: list[str]) -> None:
    repaired = repair("".join(pieces))
    assert repair(repaired) == repaired
