"""Columns of where media lie, from Python lists."""

from __future__ import annotations

import pyarrow as pa

from corpus.schema import LOCATION_FIELDS


def location_columns(
    items: list[bytes | None],
    media: list[str | None],
    offsets: list[int | None],
    sizes: list[int | None],
    exts: list[str | None],
) -> dict[str, pa.Array]:
    """Returns the columns of `records.LOCATION_FIELDS` from Python lists, one entry a row; None where
    there is no item.
    """
    values = (items, media, offsets, sizes, exts)
    return {field.name: pa.array(column, field.type) for field, column in zip(LOCATION_FIELDS, values, strict=True)}
