"""Languages with scores, by each of the libraries that identify them."""

from __future__ import annotations

from typing import get_args

import pyarrow as pa
import pytest

from corpus.text.language_scores import Identifier, language_scores
from tests.helpers.extras import installed_or_skip

TEXTS = {
    "A small dog runs along the sandy beach in the evening light.": "en",
    "Ein kleiner Hund läuft am Abend über den sandigen Strand.": "de",
    "Un petit chien court le soir sur la plage de sable.": "fr",
    "Маленькая собака бежит вечером по песчаному пляжу.": "ru",
    "夕方の砂浜を小さな犬が走っている。": "ja",
    "THE OLD HARBOUR OF THE TOWN WITH MANY FISHING BOATS": "en",
}


@pytest.mark.parametrize("identifier", get_args(Identifier))
def test_sentences_have_a_language_and_a_score(identifier: Identifier) -> None:
    if identifier != "py3langid":
        installed_or_skip(identifier)
    languages, scores = language_scores(pa.chunked_array([list(TEXTS)]), identifier)
    assert dict(zip(TEXTS, languages.to_pylist(), strict=True)) == TEXTS
    assert all(0.5 < score <= 1 for score in scores.to_pylist())


@pytest.mark.parametrize("identifier", get_args(Identifier))
def test_short_texts_are_never_judged(identifier: Identifier) -> None:
    if identifier != "py3langid":
        installed_or_skip(identifier)
    languages, scores = language_scores(pa.array(["Hund", "", None, "12345 67890 12345 67890", "東京"]), identifier)
    assert languages.to_pylist() == [""] * 5 and scores.to_pylist() == [None] * 5
