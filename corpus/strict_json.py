"""JSON that others may have written, read so that nothing of it comes as a surprise."""

from __future__ import annotations

import json
from typing import Any

from corpus.storage import Store, storage_errors


def parse_json(data: bytes | str) -> Any:
    """Returns the value of a JSON text. Raises ValueError, in words, for all that json.loads takes and the standard
    doesn't.

    Refused are also a key that stands twice in one object (the first would be lost), nesting too deep to be walked
    through, and integers too long to be read in reasonable time.
    """
    try:
        return json.loads(data, object_pairs_hook=_unique, parse_constant=_no_number)
    except RecursionError:
        raise ValueError("nested too deep") from None


def read_json(store: Store, path: str, max_bytes: int) -> Any:
    """Reads the JSON of a file of at most `most_bytes`. Raises ValueError for a larger one, and as `parse_json`."""
    with storage_errors(store.full(path)), store.open(path) as file:
        data = file.read(max_bytes + 1)
    if len(data) > max_bytes:
        raise ValueError(f"more than {max_bytes:,} bytes")
    return parse_json(data)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"key {next(key for key in keys if keys.count(key) > 1)!r} stands twice in one object")
    return found


def _no_number(text: str) -> Any:
    raise ValueError(f"{text} is no number")
