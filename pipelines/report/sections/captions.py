"""Captions: how long texts are before and after captioning, and originals beside what was generated."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from corpus.sampling import random_order
from corpus.stage import ROWS
from corpus.thresholds import Shows
from pipelines.plan import Node
from pipelines.report.axis import axis_of
from pipelines.report.context import SAMPLE_SEED, ReportContext, RowPlace, ShardSample
from pipelines.report.html.gallery import GalleryEntry, gallery_html
from pipelines.report.html.overlay import NamedNumbers, overlay_html
from pipelines.report.sections.base import card, note, sampled
from recaption.schema import CAPTION, WINDOW_CAPTION

_EXAMPLES = 10
_FRAMES = 4  # of a clip
_MODELS = 3  # that are named


@dataclass
class _Captions:
    """What a sample of shards has of a node's captions."""

    found: ShardSample
    before: list[np.ndarray] = field(default_factory=list)  # words of the original texts
    after: list[np.ndarray] = field(default_factory=list)  # of the captions of the same rows
    models: Counter[str] = field(default_factory=Counter)
    rejected: Counter[str] = field(default_factory=Counter)
    places: list[RowPlace] = field(default_factory=list)
    captions: dict[RowPlace, str] = field(default_factory=dict)


def captions_section(context: ReportContext) -> str:
    """Draws the lengths of texts for each source that is captioned, with examples."""
    nodes = [node for stage in (CAPTION, WINDOW_CAPTION) for node in context.nodes(stage)]
    return "".join(part for node in nodes for part in _of_node(context, node))


def _of_node(context: ReportContext, node: Node) -> Iterator[str]:
    read = _Captions(context.sample(node))
    for shard in read.found.shards:
        _add(context, node, shard, read)
    after = np.concatenate([np.zeros(0), *read.after])
    if not len(after):
        return
    before = np.concatenate([np.zeros(0), *read.before])
    before = before[before > 0]
    series = [NamedNumbers(name, each) for name, each in (("original", before), ("generated", after)) if len(each)]
    axis = axis_of(np.concatenate([before, after]), is_integer=True)
    models = ", ".join(f"{name} ({rows:,})" for name, rows in read.models.most_common(_MODELS))
    text = f"Words of a text; {sampled('shards', len(read.found.shards), read.found.total)}. Captioned by {models}."
    if read.rejected:
        listed = ", ".join(f"{reason} {rows:,}" for reason, rows in read.rejected.most_common())
        text += f" Without a caption: {listed}."
    drawn = overlay_html(axis, series, (), f"words of {len(before)} originals and {len(after)} captions")
    title = node.source if node.stage.name == CAPTION else f"{node.source}, windows"
    yield card(title, note(text) + drawn + gallery_html(list(_examples(context, read)), "captions"))


def _add(context: ReportContext, node: Node, shard: str, read: _Captions) -> None:
    captions = context.read(node, shard, node.stage.name, ("caption", "caption_model", "reject_reason"))
    rows = context.read(node, shard, ROWS, ("text",))
    if captions is None:
        return
    at = np.flatnonzero(np.asarray(captions.column("caption").is_valid()))
    texts = captions.column("caption").take(at)
    read.after.append(_words(texts))
    if rows is not None and rows.num_columns:
        read.before.append(_words(pc.fill_null(rows.column("text"), "").take(at)))
    for name, counts in (("caption_model", read.models), ("reject_reason", read.rejected)):
        for each in pc.value_counts(captions.column(name).drop_null()).to_pylist():
            if each["values"]:
                counts[each["values"]] += each["counts"]
    order = random_order(pa.array([f"{shard}/{row}" for row in at.tolist()], pa.string()), SAMPLE_SEED)
    per_shard = max(1, -(-_EXAMPLES // len(read.found.shards)))
    for place in order[:per_shard].tolist():
        found = RowPlace(node, shard, int(at[place]))
        read.places.append(found)
        read.captions[found] = texts[place].as_py()


def _words(texts: pa.ChunkedArray) -> np.ndarray:
    """Counts the words of texts, without nulls: float64[n]."""
    lists = pc.utf8_split_whitespace(pc.utf8_trim_whitespace(texts))
    empty = pc.equal(pc.utf8_trim_whitespace(texts), "")
    return pc.if_else(empty, 0, pc.list_value_length(lists)).to_numpy().astype(np.float64)


def _examples(context: ReportContext, read: _Captions) -> Iterator[GalleryEntry]:
    places = read.places[:_EXAMPLES]
    contents = context.contents(places, Shows.PAIR, _FRAMES)
    images = context.images.load(each for row in contents for each in row.ranges)
    for place, row in zip(places, contents, strict=True):
        jpegs = tuple(images[each] for each in row.ranges if each in images)
        original = row.texts[0] if row.texts else "(no original text)"
        yield GalleryEntry(place.address.partition(", ")[2], jpegs, (original, read.captions[place]), place.address)
