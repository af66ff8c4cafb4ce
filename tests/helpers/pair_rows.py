"""Rows, items and verdicts, of which stages make pairs."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from corpus.schema import STATUS_FIELDS, item_id

ROWS_SCHEMA = pa.schema(
    [("url", pa.string()), ("text", pa.string()), ("licence", pa.string()), *STATUS_FIELDS],
)


KEPT = {"status": "kept", "reason": ""}


def stored_item(number: int) -> dict[str, Any]:
    ident = item_id(b"image %d" % number)
    place = {"media": "media/s/0.tar", "offset": 512, "size": 10, "ext": "jpg"}
    return {"item_id": ident, **place, "downloaded_sha256": bytes([number]) * 32, **KEPT}
