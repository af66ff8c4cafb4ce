"""Draws what a search found: a contact sheet with the query on top, and under it the hits with rank and score."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from corpus.image.decode import Pixels
from corpus.image.pixel_budget import PixelBudget, UndecodableError, decode_to_budget
from corpus.storage import Store, storage_errors
from corpus.workspace import Workspace
from pipelines.config import Config
from pipelines.report.contact_sheet import THUMBNAIL_PX, SheetRow, contact_sheet
from pipelines.search import Hit, find_pair, image_path, is_pair_id

SHEET = "search.png"
_BUDGET = PixelBudget(max_pixels=4 * THUMBNAIL_PX**2)


def write_sheet(config: Config, query: str, hits: Sequence[Hit], path: Path) -> Path:
    """Writes a contact sheet as PNG, in place of an older one; returns its path."""
    from PIL import Image

    rows = [_query_row(config, query), *_hit_rows(config, hits)]
    image = Image.fromarray(contact_sheet(rows))
    with storage_errors(str(path)):
        image.save(path, "PNG")
    return path


def _query_row(config: Config, query: str) -> SheetRow:
    if is_pair_id(query):
        pair = find_pair(config, query)
        return SheetRow(("query of the pair", query, pair.query), tuple(_images(config, pair.media)))
    file = image_path(query)
    if file is not None:
        return SheetRow(("query", file.name), (_decoded(config, file.read_bytes()),))
    return SheetRow(("query", query))


def _hit_rows(config: Config, hits: Sequence[Hit]) -> Iterator[SheetRow]:
    for rank, hit in enumerate(hits):
        lines = (f"{rank}   {hit.score:.4f}   {hit.dataset}", hit.text, f"of: {hit.query}" if hit.query else "")
        yield SheetRow(tuple(filter(None, lines)), tuple(_images(config, hit.media)))


def _images(config: Config, places: Sequence[str]) -> Iterator[Pixels]:
    """Yields the images at places in media tars (`tar:offset+size`); a clip's mp4 beside its frames is left out."""
    store: Store = Workspace(config.workspace).store
    ranges = []
    for place in places:
        name, _, extent = place.rpartition(":")
        offset, _, size = extent.partition("+")
        ranges.append((name, int(offset), int(size)))
    for data in store.read_ranges(ranges):
        try:
            yield _decoded(config, data)
        except UndecodableError:
            continue


def _decoded(config: Config, data: bytes) -> Pixels:
    return decode_to_budget(data, _BUDGET, config.stages.embed.max_source_pixels)
