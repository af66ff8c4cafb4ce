"""Mojibake: what is found in columns, what is repaired, and what is beyond repair."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpus.text.mojibake import MAY_BE_MOJIBAKE, fix_mojibake, is_mojibake
from tests.helpers.cases import cases
from tests.helpers.good_captions import GOOD_CAPTIONS

ENCODINGS = ["latin-1", "cp1252", "cp1251", "cp1250", "cp1253", "cp1254", "cp1257", "iso-8859-2", "mac-roman", "cp437"]

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


@cases("codec", ["cp1252", "latin-1"])
@cases("text", FOREIGN)
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


@cases(
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


def read_as(text: str, encoding: str, lost: str = "") -> str:
    """The UTF-8 of a text as it comes out of another encoding; `lost` for bytes without a character there."""
    return "".join(bytes([byte]).decode(encoding, "ignore") or lost or chr(byte) for byte in text.encode())


def found(texts: list[str]) -> list[bool]:
    return pc.match_substring_regex(pa.array(texts, pa.string()), MAY_BE_MOJIBAKE).to_pylist()


def test_what_was_read_in_each_encoding_is_found_and_repaired() -> None:
    text = "Größe, l’été “à propos” — Привет, мир, Ελλάδα, 中文"
    spoiled = [read_as(text, encoding) for encoding in ENCODINGS]
    assert all(found(spoiled))
    assert {encoding: fix_mojibake(each) for encoding, each in zip(ENCODINGS, spoiled, strict=True)} == dict.fromkeys(
        ENCODINGS, text
    )


def test_a_capital_before_a_closing_quotation_mark_is_no_mojibake() -> None:
    for text in ("O “JOÃO” E A “IRMÃ”", "A letra “Ã”", "«MANHÃ»", "“AMANHÃ”", "LEIA “A MAÇÃ…”"):
        assert fix_mojibake(text) == text
        assert fix_mojibake(f"{text} cafÃ©").endswith("café")


SNIPPETS = st.one_of(
    st.sampled_from([*"aé ÀüßšžАяёїΆλά中’“”€\xa0…«»🙂?Ã©Â Å\x85\x99"]), st.characters(max_codepoint=0x2600)
)
TEXTS = st.lists(SNIPPETS, max_size=8).map("".join).filter(lambda text: text.isprintable() or "\ud800" not in text)


@settings(max_examples=1000, deadline=None)
@given(TEXTS, TEXTS, st.sampled_from(ENCODINGS), st.sampled_from(["", "\ufffd", "?", "\x1a"]), st.booleans())
def test_no_mojibake_is_overlooked(around: str, text: str, encoding: str, lost: str, blank: bool) -> None:
    spoiled = read_as(text, encoding, lost)
    for each in (around + spoiled, spoiled + around, around):
        each = each.replace("\xa0", " ") if blank else each
        assert found([each])[0] or fix_mojibake(each) == each


def test_few_other_texts_are_taken_for_mojibake() -> None:
    right = [text for text in GOOD_CAPTIONS if not text.isascii()]
    right += [
        "À Paris, l’été dernier, une « crème brûlée » près de l’église. Où ?",
        "Zażółć gęślą jaźń",
        "Größe: 30 °C…",
    ]
    right += ["Η Αθήνα είναι η πρωτεύουσα της Ελλάδας.", "Ещё всё в порядке? «Да», сказал он.", "Příliš žluťoučký kůň"]
    assert sum(found(right)) <= len(right) // 20
