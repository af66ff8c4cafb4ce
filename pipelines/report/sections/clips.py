"""Groups of clips that are each other's hard negatives, as film strips with their texts."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from corpus.sampling import random_order
from corpus.schema import Status
from corpus.thresholds import Shows
from pipelines.plan import Node
from pipelines.report.context import SAMPLE_SEED, ReportContext, RowPlace
from pipelines.report.html.gallery import GalleryEntry, gallery_html
from pipelines.report.html.histogram import histogram_html
from pipelines.report.sections.base import card, grid, note, number_of, sampled
from pipelines.report.sections.numbers import plain_histogram
from recaption.schema import CAPTION
from video.stages.groups import Groups

_GROUPS = 4  # of a source that are displayed
_CLIPS = 6  # of a group
_FRAMES = 6  # of a clip
_COLUMNS = ("group", "video", "start_s", "end_s", "status")


def clips_section(context: ReportContext) -> str:
    """Draws the sizes of groups, and some groups."""
    return "".join(part for node in context.nodes(Groups.name) for part in _of_node(context, node))


def _of_node(context: ReportContext, node: Node) -> Iterator[str]:
    found = context.sample(node)
    groups: dict[str, list[tuple[RowPlace, str]]] = {}  # of each its clips, in the order of time
    for shard in found.shards:
        table = context.read(node, shard, node.stage.name, _COLUMNS)
        if table is None:
            continue
        kept = pc.and_(pc.equal(table.column("status"), str(Status.KEPT)), pc.not_equal(table.column("group"), ""))
        rows = np.flatnonzero(np.asarray(pc.fill_null(kept, False)))
        for row, fields in zip(rows.tolist(), table.take(rows).to_pylist(), strict=True):
            times = f"{fields['video']}, {clock(fields['start_s'])} to {clock(fields['end_s'])}"
            groups.setdefault(fields["group"], []).append((RowPlace(node, shard, row), times))
    if not groups:
        return
    sizes = np.array([len(each) for each in groups.values()], np.float64)
    clips = f"{number_of(len(groups), 'group')} of {int(sizes.sum()):,} clips"
    text = f"{clips}; {sampled('shards', len(found.shards), found.total)}."
    drawn = histogram_html(plain_histogram(sizes, is_integer=True), f"groups-{node.source}", "clips of a group")
    yield grid([card(f"{node.source}: clips of a group", note(text) + drawn)])
    names = list(groups)
    for at in random_order(pa.array(names, pa.string()), SAMPLE_SEED)[:_GROUPS].tolist():
        yield _group(context, groups[names[at]])


def _group(context: ReportContext, clips: list[tuple[RowPlace, str]]) -> str:
    displayed = clips[:_CLIPS]
    contents = context.contents([place for place, _ in displayed], Shows.PAIR, _FRAMES)
    images = context.images.load(each for row in contents for each in row.ranges)
    entries = []
    for (place, times), row in zip(displayed, contents, strict=True):
        jpegs = tuple(images[each] for each in row.ranges if each in images)
        caption = _caption(context, place)
        texts = (*row.texts, *([caption] if caption else []))
        first = "generated" if caption and not row.texts else "original"
        entries.append(GalleryEntry(times, jpegs, texts or ("(no text)",), place.address, {"first": first}))
    detail = f"{len(clips) - len(displayed):,} more" if len(clips) > len(displayed) else ""
    return card(f"A group of {number_of(len(clips), 'clip')}", gallery_html(entries, "strips"), detail)


def _caption(context: ReportContext, place: RowPlace) -> str:
    """Returns the generated caption of a clip, "" where there is none."""
    for node in context.nodes(CAPTION):
        if node.source == place.node.source:
            table = context.read(node, place.shard, CAPTION, ("caption",))
            return (table.column("caption")[place.row].as_py() or "") if table is not None else ""
    return ""


def clock(seconds: float | None) -> str:
    """Returns a time as a player shows it: "1:05"."""
    full, tenths = divmod(round((seconds or 0.0) * 10), 10)
    return f"{full // 60}:{full % 60:02d}" + (f".{tenths}" if tenths else "")
