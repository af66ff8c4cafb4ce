from __future__ import annotations

import pytest
from good_captions import GOOD_CAPTIONS
from hypothesis import given
from hypothesis import strategies as st

from recaption.characters import clean, is_mojibake, one_line

FOREIGN = [
    "É",
    "déjà vu à la carte",
    "Ærø, Århus, Þingvellir, Łódź",
    "“quoted” – it’s €5…",
    "Привет, мир",
    "日本語のテキスト",
    "SÃO JOSÉ, IRMÃ",
    "Straße, 30 °C, ½, ©, ®",
    "😀 🐕‍🦺",
]


@pytest.mark.parametrize("codec", ["cp1252", "latin-1"])
@pytest.mark.parametrize("text", FOREIGN)
def test_utf8_that_was_read_as_something_else(text: str, codec: str) -> None:
    """Each text has a character that comes out as one that can't be meant."""
    double = text.encode().decode(codec, errors="replace").replace("\ufffd", "")
    assert is_mojibake(f"A sign with the words {double} on it")


@pytest.mark.parametrize(
    "text",
    [
        "A caf\ufffd",
        "\x01\x02 dog",
        "dog \x81\x82",
        "\ue000\ue001",
        "\U000f0000\U000f0001",
        "lone \ud800",
        "It doesnâ€™t",
        "30Â°C outside",
        "ï»¿A dog",
    ],
)
def test_mojibake(text: str) -> None:
    assert is_mojibake(text)


@pytest.mark.parametrize(
    "text",
    [
        *FOREIGN,
        *GOOD_CAPTIONS,
        "“SÃO JOÃ”",
        "«SÃO JOÃ»",
        "“café”…",
        "Â, Ã and Ñ on keys",
        "a\tb\r\nc",
        "\uf8ff logo",
        "a\x07 bell",
        "PÂTÉ, MÂCHE",
    ],
)
def test_text_that_was_read_right(text: str) -> None:
    assert not is_mojibake(text)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("  a\n\tb\u2028c\u00a0 d ", "a b c d"),
        ("e\u0301", "é"),
        ("a\x00b\u200bc\ufeff\u202e\ue000", "abc"),
        ("e\u200b\u0301", "é"),
        ("👩\u200d🚀", "👩\u200d🚀"),
    ],
)
def test_one_line(text: str, line: str) -> None:
    assert one_line(text) == line


@given(st.text(st.characters(codec=None)))
def test_cleaning_is_done_once(text: str) -> None:
    assert clean(clean(text)) == clean(text)
    assert one_line(one_line(text)) == one_line(text)
    one_line(text).encode()
