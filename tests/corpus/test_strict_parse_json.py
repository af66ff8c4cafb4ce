"""JSON of others: read as the standard has it, or refused in words."""

from __future__ import annotations

from pathlib import Path

import pytest

from corpus.storage import Store
from corpus.strict_parse import parse_json, read_json


def test_what_is_json_is_read() -> None:
    assert parse_json(b'{"a": [1, 2.5, null, true, "\\u00e4"], "b": {"a": 1}}')["a"] == [1, 2.5, None, True, "ä"]


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (b"", "Expecting value"),
        (b'{"a": 1, "b": {"c": 1, "c": 2}}', "key 'c' stands twice"),
        (b"[NaN]", "NaN is no number"),
        (b"[-Infinity]", "-Infinity is no number"),
        (b"[" * 100_000, "nested too deep"),
        (b'{"a":' * 100_000, "nested too deep"),
        (b"9" * 10_000, "digits"),
        (b"\xff", "decode"),
    ],
)
def test_what_is_none_is_refused(text: bytes, what: str) -> None:
    with pytest.raises(ValueError, match=what):
        parse_json(text)


def test_no_more_is_read_than_may_be(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_bytes(b"[1, 2]")
    assert read_json(Store(tmp_path), "x.json", 6) == [1, 2]
    with pytest.raises(ValueError, match="more than 5 bytes"):
        read_json(Store(tmp_path), "x.json", 5)
    with pytest.raises(ValueError, match="more than 1,000 bytes"):
        read_json(Store("/dev"), "zero", 1000)
