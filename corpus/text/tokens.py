"""Counts the tokens of texts by the tokenizer that a trainer uses, from its `tokenizer.json`."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from corpus.arrays import one_array
from corpus.settings import SettingsError

if TYPE_CHECKING:
    from tokenizers import Tokenizer


def count_tokens(texts: pa.Array | pa.ChunkedArray, file: str) -> np.ndarray:
    """Returns the number of tokens of each text, special ones included: int32[n]. Null is an empty text."""
    encodings = _tokenizer(file).encode_batch(pc.fill_null(one_array(texts), "").to_pylist())
    return np.fromiter(map(len, encodings), np.int32, len(texts))


def tokenizer_digest(file: str) -> str:
    """Returns the digest of a tokenizer's file, for fingerprints. Raises SettingsError for one that can't be read."""
    try:
        return hashlib.sha256(Path(file).read_bytes()).hexdigest()[:16]
    except OSError as error:
        raise SettingsError(f"tokenizer: {file}: cannot be read: {error.strerror or error}") from error


@lru_cache(maxsize=2)
def _tokenizer(file: str) -> Tokenizer:
    try:
        from tokenizers import Tokenizer
    except ImportError as error:
        raise ModuleNotFoundError(
            'tokenizer: it needs the package tokenizers: pip install "rzen-corpus[tokenizers]"'
        ) from error
    tokenizer = Tokenizer.from_file(file)
    tokenizer.no_truncation()  # else a long text would have as many as fit
    tokenizer.no_padding()
    return tokenizer
