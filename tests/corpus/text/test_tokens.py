"""Tokens are those of the tokenizer's file: a small one, made here."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa

from corpus.text.tokens import count_tokens, tokenizer_digest
from tests.helpers.extras import installed_or_skip

TOKENIZER = {
    "version": "1.0",
    "truncation": {"direction": "Right", "max_length": 4, "strategy": "LongestFirst", "stride": 0},
    "padding": None,
    "added_tokens": [],
    "normalizer": {"type": "Lowercase"},
    "pre_tokenizer": {"type": "Whitespace"},
    "post_processor": None,
    "decoder": None,
    "model": {"type": "WordLevel", "vocab": {"[UNK]": 0, "a": 1, "dog": 2, "runs": 3}, "unk_token": "[UNK]"},
}


def test_tokens_are_counted_beyond_what_the_file_would_cut_off(tmp_path: Path) -> None:
    installed_or_skip("tokenizers")
    file = tmp_path / "tokenizer.json"
    file.write_text(json.dumps(TOKENIZER))
    texts = pa.chunked_array([["A dog runs"], ["a dog, a dog, a dog runs", "", None]])
    assert count_tokens(texts, str(file)).tolist() == [3, 9, 0, 0]
    assert len(tokenizer_digest(str(file))) == 16
