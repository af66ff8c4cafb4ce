"""Judging texts, each by a planted fault."""

import pyarrow as pa
import pytest
from pydantic import ValidationError

from filters.text.quality import TextFilterSettings, text_reasons

PASSAGE = (
    "The Seine is a river in northern France. Its drainage basin is in the Paris Basin covering most of the north. "
    "It rises at Source-Seine, northwest of Dijon in the Langres plateau, flowing through Paris and into the Channel."
)
FAULTS = {
    "": "empty_text",
    " \n ": "empty_text",
    "?!": "mostly_symbols",
    "=== --- *** a ---": "mostly_symbols",
    "🎉🎉🎉": "mostly_symbols",
    "buy it now! " * 30: "repetitive",
    "好" * 60: "repetitive",
    PASSAGE * 100: "too_long",
    PASSAGE: "",
    "5": "",
    "C++": "",
    "x = y² + z²": "",
    "巴黎是法国的首都。": "",
    "नमस्ते दुनिया": "",
    "no no no": "",
}


def test_each_fault_has_its_reason_and_what_has_none_passes():
    column = pa.chunked_array([["in front"], [*FAULTS, None]])
    said = text_reasons(column, TextFilterSettings()).to_pylist()
    assert dict(zip(FAULTS, said[1:-1], strict=True)) == FAULTS
    assert (said[0], said[-1]) == ("", "empty_text")
    assert text_reasons(pa.array([], pa.string()), TextFilterSettings()).to_pylist() == []


def test_thresholds_are_settings():
    settings = TextFilterSettings(min_chars=3, max_chars=10, min_alnum_share=0, min_unique_ngram_share=0)
    texts = ["ab", "abc", "a" * 10, "a" * 11, "???", "é é é"]
    assert text_reasons(pa.array(texts), settings).to_pylist() == ["too_short", "", "", "too_long", "", ""]
    settings = TextFilterSettings(min_unique_ngram_share=0, max_chars=1000)
    assert text_reasons(pa.array(["buy it now! " * 30]), settings).to_pylist() == [""]


def test_language_is_a_setting():
    texts = [
        PASSAGE,
        "Die Seine ist ein Fluss in Nordfrankreich und fließt durch die Stadt Paris.",
        "塞纳河是法国的一条河流。",
    ]
    assert text_reasons(pa.array(texts), TextFilterSettings()).to_pylist() == ["", "", ""]
    reasons = text_reasons(pa.array(texts), TextFilterSettings(languages=["en"])).to_pylist()
    assert reasons == ["", "wrong_language", "wrong_language"]


def test_unknown_languages_are_refused():
    with pytest.raises(ValidationError, match="no such languages: english"):
        TextFilterSettings(languages=["english", "de"])
