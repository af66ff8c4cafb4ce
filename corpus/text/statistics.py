"""Statistics of texts, whole columns at a time: what rules about unusable texts are made of. They have no thresholds.

Alt-texts of web pages have faults of their own: keywords one after the other, addresses, words that are repeated for
search engines. The shares of different n-grams and of symbols are those of the Gopher rules (J. W. Rae et al., Scaling
Language Models, 2021, A1.1), for texts as short as captions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from corpus.arrays import one_array
from corpus.hashing import hash_strings
from corpus.text.forms import text_forms
from corpus.text.minhash import shingle_hashes
from corpus.text.stop_words import is_stop_word
from corpus.text.words import split_words

TEXT_STATISTICS = pa.schema(
    [
        pa.field("chars", pa.int32()),  # of Unicode, without blanks around the text
        pa.field("words", pa.int32()),  # of `corpus.text.words`: a character in scripts without blanks
        pa.field("alnum_share", pa.float32()),  # letters, digits and marks among the characters, blanks aside
        pa.field("ngram_share", pa.float32()),  # different ones among the word 3-grams; 1 for fewer than 20
        pa.field("short_ngram_share", pa.float32()),  # the same of texts with 8 to 19; 1 for others
        pa.field("top_word_share", pa.float32()),  # of the most frequent content word; 0: none comes three times
        pa.field("stop_word_share", pa.float32()),  # of articles, pronouns, prepositions ... among the words
        pa.field("list_items", pa.int32()),  # what separators divide the text into; of a text without them 1
        pa.field("list_item_words", pa.float32()),  # words of such an item, on average
        pa.field("url_share", pa.float32()),  # of URLs, host names and e-mail addresses among the characters
        pa.field("form", pa.string()),  # `corpus.text.forms.Form`, or ""
    ]
)

_NGRAM_WORDS = 3
_MIN_NGRAMS = 20  # few are alike in a longer text; a shorter one may well be a refrain, so it is measured apart
_MIN_SHORT_NGRAMS = 8
_MIN_CHARS = _MIN_SHORT_NGRAMS + _NGRAM_WORDS - 1  # of a text with so many: of words that are one character each
_MIN_REPEATS = 3
_SEPARATOR = r"\s*(?:[,;|•·]|\s[/–—-]\s|\n)[\s,;|•·]*"
_TOP_LEVEL = "com|net|org|info|biz|edu|gov|io|co|de|uk|fr|it|es|nl|pl|ru|jp|cn|br|au|ca|us|eu|ch|at|be|se|shop|online"
_URL = (
    r"(?i)(?:https?|ftp)://\S+|\bwww\.\S+|\b[\w.+-]+@[\w-]+\.[\w.-]+|"
    rf"\b[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9-]+)*\.(?:{_TOP_LEVEL})\b(?:/\S*)?"
)


def text_statistics(texts: pa.Array | pa.ChunkedArray, names: Sequence[str] = TEXT_STATISTICS.names) -> pa.Table:
    """Returns the columns of TEXT_STATISTICS, or those of some names, for each text. Null is an empty text."""
    view = _Texts(pc.fill_null(one_array(texts), ""))
    return pa.table({name: pa.array(_MEASURES[name](view), TEXT_STATISTICS.field(name).type) for name in names})


class _Texts:
    """A column of texts, and what several of its statistics are made of, each computed once."""

    def __init__(self, texts: pa.Array) -> None:
        self.texts = texts

    @cached_property
    def chars(self) -> np.ndarray:
        return np.asarray(pc.utf8_length(pc.utf8_trim_whitespace(self.texts)))

    @cached_property
    def words(self) -> pa.Array:
        return split_words(self.texts)

    @cached_property
    def word_counts(self) -> np.ndarray:
        return pc.fill_null(pc.list_value_length(self.words), 0).to_numpy(zero_copy_only=False).astype(np.int64)

    @cached_property
    def flat_words(self) -> pa.Array:
        return pc.list_flatten(self.words)

    @cached_property
    def word_rows(self) -> np.ndarray:
        """The text of each word, int64."""
        return np.repeat(np.arange(len(self.texts)), self.word_counts)

    @cached_property
    def is_stop_word(self) -> np.ndarray:
        return np.asarray(is_stop_word(self.flat_words))

    @cached_property
    def ngram_shares(self) -> tuple[np.ndarray, np.ndarray]:
        """The share of different ones among the word 3-grams of each text, and how many there are."""
        long = np.flatnonzero(self.chars >= _MIN_CHARS)
        hashes, counts = shingle_hashes(split_words(self.texts.take(pa.array(long))), _NGRAM_WORDS)
        distinct = _distinct(np.repeat(np.arange(len(long)), counts), hashes, len(long))[0]
        shares, numbers = np.ones(len(self.texts), np.float32), np.zeros(len(self.texts), np.int64)
        shares[long], numbers[long] = _share(distinct, counts, 1.0), counts
        return shares, numbers

    @cached_property
    def list_items(self) -> np.ndarray:
        return np.asarray(pc.count_substring_regex(self.texts, _SEPARATOR)) + 1


def _share(part: np.ndarray, total: np.ndarray, of_nothing: float) -> np.ndarray:
    """Returns part / total in float32, the nearest that there is: so it is at least a threshold just when it is."""
    found = np.divide(part, total, out=np.full(len(total), of_nothing), where=total > 0)
    return found.astype(np.float32)


def _alnum_share(view: _Texts) -> np.ndarray:
    others = pc.replace_substring_regex(view.texts, r"[\p{L}\p{N}\p{M}]+", "")
    symbols = pc.replace_substring_regex(others, r"[\s\p{Z}]+", "")
    chars, remaining, symbol = (np.asarray(pc.utf8_length(some)) for some in (view.texts, others, symbols))
    alnum = chars - remaining
    return _share(alnum, alnum + symbol, 1.0)


def _ngram_share(view: _Texts) -> np.ndarray:
    shares, counts = view.ngram_shares
    return np.where(counts >= _MIN_NGRAMS, shares, np.float32(1))


def _short_ngram_share(view: _Texts) -> np.ndarray:
    shares, counts = view.ngram_shares
    return np.where((counts >= _MIN_SHORT_NGRAMS) & (counts < _MIN_NGRAMS), shares, np.float32(1))


def _distinct(rows: np.ndarray, hashes: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns how many different hashes each of n rows has, and how often its most frequent one comes: int64[n]."""
    marked = np.sort((rows.astype(np.uint64) << np.uint64(32)) | (hashes >> np.uint64(32)))
    starts = np.flatnonzero(np.append(True, marked[1:] != marked[:-1])[: len(marked)])
    owner = (marked[starts] >> np.uint64(32)).astype(np.int64)
    highest = np.zeros(n, np.int64)
    np.maximum.at(highest, owner, np.diff(np.append(starts, len(marked))))
    return np.bincount(owner, minlength=n), highest


def _top_word_share(view: _Texts) -> np.ndarray:
    content = np.flatnonzero(~view.is_stop_word)
    hashes = hash_strings(view.flat_words.take(pa.array(content)))
    highest = _distinct(view.word_rows[content], hashes, len(view.texts))[1]
    return _share(np.where(highest < _MIN_REPEATS, 0, highest), view.word_counts, 0.0)


def _stop_word_share(view: _Texts) -> np.ndarray:
    stop_words = np.bincount(view.word_rows[view.is_stop_word], minlength=len(view.texts))
    return _share(stop_words, view.word_counts, 0.0)


def _list_item_words(view: _Texts) -> np.ndarray:
    return _share(view.word_counts, view.list_items, 0.0)


def _url_share(view: _Texts) -> np.ndarray:
    suspects = np.flatnonzero(np.asarray(pc.match_substring_regex(view.texts, r"[.@]\w|://")))
    some = view.texts.take(pa.array(suspects))
    remaining = pc.utf8_length(pc.replace_substring_regex(some, _URL, ""))
    shares = np.zeros(len(view.texts), np.float32)
    chars = np.asarray(pc.utf8_length(some))
    shares[suspects] = _share(chars - np.asarray(remaining), chars, 0.0)
    return shares


_MEASURES: dict[str, Callable[[_Texts], np.ndarray | pa.Array]] = {
    "chars": lambda view: view.chars,
    "words": lambda view: view.word_counts,
    "alnum_share": _alnum_share,
    "ngram_share": _ngram_share,
    "short_ngram_share": _short_ngram_share,
    "top_word_share": _top_word_share,
    "stop_word_share": _stop_word_share,
    "list_items": lambda view: view.list_items,
    "list_item_words": _list_item_words,
    "url_share": _url_share,
    "form": lambda view: text_forms(view.texts),
}
