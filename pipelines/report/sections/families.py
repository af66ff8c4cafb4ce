"""Duplicate families: how large they are, and some of them with all that was removed for the sake of one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow.compute as pc

from corpus.arrays import Ints
from corpus.hashing import Hashes
from corpus.item_ids import hash_ids, split_ids
from corpus.read_ahead import read_ahead
from corpus.schema import Status
from corpus.text.keys import one_array
from corpus.thresholds import Shows
from pipelines.plan import Node
from pipelines.report.context import ReportContext, RowPlace
from pipelines.report.html.gallery import GalleryEntry, gallery_html
from pipelines.report.html.histogram import histogram_html
from pipelines.report.sections.base import card, grid, note, number_of, sampled
from pipelines.report.sections.numbers import plain_histogram

_STAGES = {  # that find families, what their members are, and what is to be seen of these
    "duplicates": ("images", Shows.ITEM),
    "groups": ("clips", Shows.ITEM),
    "text_duplicates": ("pairs of texts", Shows.TEXT),
}
_MAX_TABLES = 1_000  # that are read for the sizes of families
_LARGEST, _OTHERS = 3, 5  # families that are displayed
_MEMBERS = 8  # of a family that are displayed


@dataclass(frozen=True)
class Families:
    """The rows that belong to families, those of a family together: `starts` has where each begins, and the end."""

    places: Sequence[tuple[Node, str]]  # node and shard of each table
    table: Ints  # int64[m], of each row its place in `places`
    row: Ints  # int64[m]
    kept: np.ndarray  # bool[m]
    starts: Ints  # int64[families + 1]
    read: int  # tables
    total: int

    @property
    def sizes(self) -> Ints:
        """The number of rows of each family, int64[families]."""
        return np.diff(self.starts)

    def members(self, family: int) -> list[tuple[RowPlace, bool]]:
        """Returns the rows of a family and whether each was kept; the kept ones first."""
        rows = np.arange(self.starts[family], self.starts[family + 1])
        rows = rows[np.argsort(~self.kept[rows], kind="stable")]
        return [(self._place(int(at)), bool(self.kept[at])) for at in rows]

    def _place(self, at: int) -> RowPlace:
        node, shard = self.places[self.table[at]]
        return RowPlace(node, shard, int(self.row[at]))


def families_section(context: ReportContext) -> str:
    """Draws the sizes of the families of each stage that finds some, and a few families."""
    return "".join(part for stage in _STAGES for part in _of_stage(context, stage))


def _of_stage(context: ReportContext, stage: str) -> Iterator[str]:
    noun, shows = _STAGES[stage]
    families = read_families(context, stage)
    if not len(families.sizes):
        return
    rows, count = int(families.sizes.sum()), len(families.sizes)
    text = (
        f"{number_of(count, 'family', 'families')} of {rows:,} {noun}, of which {rows - count:,} were removed; "
        f"{sampled('tables', families.read, families.total)}."
    )
    if families.read < families.total:
        text += " A family that is spread over other shards, too, looks smaller than it is."
    drawn = histogram_html(
        plain_histogram(families.sizes.astype(np.float64), is_logarithmic=families.sizes.max() > 48, is_integer=True),
        f"families-{stage}",
        f"sizes of {count} families of {noun}",
    )
    sizes = card(f"Sizes of families of {noun}", note(text) + drawn)
    yield grid([sizes, *(_family(context, families, at, shows) for at in _chosen(families))], "families")


def read_families(context: ReportContext, stage: str) -> Families:
    """Reads which rows have the same representative: of all tables, or of as many as a report has time for."""
    nodes = context.nodes(stage)
    limit = -(-_MAX_TABLES // max(1, len(nodes)))
    samples = [(node, context.sample(node, limit)) for node in nodes]
    places = [(node, shard) for node, found in samples for shard in found.shards]
    read = read_ahead(lambda place: _representatives(context, *place), places)
    tables, rows, kept, keys = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)], [np.zeros(0, np.bool_)], []
    for number, (row, is_kept, key) in enumerate(read):
        tables.append(np.full(len(row), number))
        rows.append(row)
        kept.append(is_kept)
        keys.append(key)
    key = np.concatenate([np.zeros(0, np.uint64), *keys])
    order = np.argsort(key, kind="stable")
    starts = np.append(np.flatnonzero(np.diff(key[order], prepend=key[order][:1] + np.uint64(1))), len(order))
    families = Families(
        places,
        np.concatenate(tables)[order],
        np.concatenate(rows)[order],
        np.concatenate(kept)[order],
        starts,
        len(places),
        sum(found.total for _, found in samples),
    )
    return _of_several(families)


def _of_several(families: Families) -> Families:
    """Leaves out families of which one row alone was read."""
    several = families.sizes > 1
    rows = np.repeat(several, families.sizes)
    starts = np.append(0, np.cumsum(families.sizes[several]))
    return Families(
        families.places,
        families.table[rows],
        families.row[rows],
        families.kept[rows],
        starts,
        families.read,
        families.total,
    )


def _representatives(context: ReportContext, node: Node, shard: str) -> tuple[Ints, np.ndarray, Hashes]:
    """Returns the rows of a table that have a representative, whether they are kept, and hashes of these."""
    table = context.read(node, shard, node.stage.name, ("representative", "status"))
    if table is None:
        return np.zeros(0, np.int64), np.zeros(0, np.bool_), np.zeros(0, np.uint64)
    ids = one_array(table.column("representative"))
    rows = np.flatnonzero(np.asarray(ids.is_valid()))
    ids = ids.take(rows)
    key = ids.to_numpy().astype(np.uint64) if ids.type == "int64" else hash_ids(split_ids(ids))
    kept = pc.equal(table.column("status"), str(Status.KEPT)).to_numpy()
    return rows, kept[rows], key


def _chosen(families: Families) -> list[int]:
    """Returns the largest families, and some of the others by a seed."""
    order = np.argsort(-families.sizes, kind="stable")
    others = np.random.default_rng(0).permutation(order[_LARGEST:])[:_OTHERS]
    return [*order[:_LARGEST].tolist(), *sorted(others.tolist(), key=lambda at: -families.sizes[at])]


def _family(context: ReportContext, families: Families, family: int, shows: Shows) -> str:
    members = families.members(family)
    displayed = members[:_MEMBERS]
    contents = context.contents([place for place, _ in displayed], shows)
    images = context.images.load(each for row in contents for each in row.ranges[:1])
    entries = []
    for (place, is_kept), row in zip(displayed, contents, strict=True):
        jpegs = tuple(images[each] for each in row.ranges[:1] if each in images)
        verdict = "kept" if is_kept else "removed"
        entries.append(GalleryEntry(verdict, jpegs, tuple(row.texts), place.address, {"verdict": verdict}))
    more = f", {len(members) - len(displayed):,} more" if len(members) > len(displayed) else ""
    return card(f"{number_of(len(members), 'member')}", gallery_html(entries), more.removeprefix(", "))
