"""Hard negatives: how similar positives and negatives are, with the bounds drawn in, and queries with both."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from corpus.item_ids import split_ids, unique_ids
from corpus.item_index import read_locations
from corpus.sampling import random_order
from corpus.schema import ITEM_ID, Origin
from corpus.stage import ITEMS, PAIRS
from corpus.text.keys import one_array
from pipelines.calibration.contents import ByteRange
from pipelines.calibration.cuts import find_cuts
from pipelines.pairs.negatives import NEGATIVES
from pipelines.plan import Node
from pipelines.report.axis import axis_of
from pipelines.report.context import SAMPLE_SEED, ReportContext, ShardSample
from pipelines.report.html.gallery import GalleryEntry, gallery_html
from pipelines.report.html.overlay import AxisBound, NamedNumbers, overlay_html
from pipelines.report.html.page import escape
from pipelines.report.sections.base import card, grid, note, number_of, sampled
from pipelines.report.sections.numbers import cut_card, cut_reports

_EXAMPLES = 5  # queries of a dataset
_SCORE_BOUNDS = ("min_score", "max_score")  # those that are scores themselves
_ORIGINS = {
    str(Origin.MINED): "mined negatives",
    str(Origin.FROM_SOURCE): "negatives of the source",
}


@dataclass
class _Mined:
    """What a sample of shards has of the negatives of a dataset."""

    by_positive: bool  # candidates were found, and are measured, by their similarity to the positive
    sample: list[ShardSample] = field(default_factory=list)
    positives: list[np.ndarray] = field(default_factory=list)
    negatives: dict[str, list[np.ndarray]] = field(default_factory=dict)  # by origin
    pairs: int = 0
    chosen: int = 0
    examples: list[dict[str, Any]] = field(default_factory=list)  # pairs with their negatives

    @property
    def score(self) -> str:
        """The field of a negative that its place among the candidates was decided by."""
        return "positive_similarity" if self.by_positive else "score"


def mining_section(context: ReportContext) -> str:
    """Draws the similarities of each dataset that is mined, the numbers that its rules decide about, and examples."""
    datasets: dict[str, list[Node]] = {}
    for node in context.nodes(NEGATIVES):
        datasets.setdefault(node.dataset, []).append(node)
    search_by = {name: context.config.stages.negatives.of(name).search_by for name in datasets}
    mined = {name: _read(context, nodes, search_by[name] == "positive") for name, nodes in datasets.items()}
    locations = _locations(context, [pair for each in mined.values() for pair in each.examples])
    return "".join(part for name, each in mined.items() for part in _of_dataset(context, name, each, locations))


def _of_dataset(context: ReportContext, name: str, mined: _Mined, locations: dict[bytes, ByteRange]) -> Iterator[str]:
    positives = np.concatenate([np.zeros(0), *mined.positives])
    series = [NamedNumbers("positives", positives)] if len(positives) else []
    series += [
        NamedNumbers(_ORIGINS.get(origin, origin), np.concatenate(each)) for origin, each in mined.negatives.items()
    ]
    settings = context.config.stages.negatives.of(name)
    bounds = [AxisBound(key, value) for key in _SCORE_BOUNDS if (value := getattr(settings, key, None)) is not None]
    if not series:
        return
    axis = axis_of(np.concatenate([each.numbers for each in series]), [bound.number for bound in bounds])
    read, total = sum(len(each.shards) for each in mined.sample), sum(each.total for each in mined.sample)
    text = (
        f"Similarity to the pair's {'positive' if mined.by_positive else 'query'}; "
        f"{number_of(mined.pairs, 'pair')} with {mined.chosen:,} negatives; {sampled('shards', read, total)}."
    )
    drawn = overlay_html(axis, series, bounds, f"similarities of {len(positives)} positives and their negatives")
    yield card(name, note(text) + drawn)
    cuts = [
        cut
        for cut in find_cuts([step for step, _ in context.plan.steps], NEGATIVES)
        if cut.value is not None and any(node.dataset == name for node in cut.nodes)
    ]
    cards = [cut_card(report, f"mining-{name}") for report in cut_reports(context, cuts)] if cuts else []
    if cards:
        yield grid(cards)
    images = context.images.load(locations.values())
    for pair in mined.examples:
        yield _example(pair, mined.score, {item: images[each] for item, each in locations.items() if each in images})


def _read(context: ReportContext, nodes: Sequence[Node], by_positive: bool) -> _Mined:
    found = _Mined(by_positive)
    for node in nodes:
        sample = context.sample(node)
        found.sample.append(sample)
        for shard in sample.shards:
            _add(context, node, shard, found)
    names = [pair["pair_id"].hex() for pair in found.examples]
    chosen = random_order(pa.array(names, pa.string()), SAMPLE_SEED)[:_EXAMPLES].tolist()
    found.examples = [found.examples[at] for at in chosen]
    return found


def _add(context: ReportContext, node: Node, shard: str, found: _Mined) -> None:
    table = context.read(node, shard, NEGATIVES, ("negatives", "positive_score", "positive_rank"))
    pairs = context.read(node, shard, PAIRS, ("pair_id", "query", "positive"))
    if table is None or pairs is None:
        return
    lists = one_array(table.column("negatives"))
    counts = pc.fill_null(pc.list_value_length(lists), 0).to_numpy(zero_copy_only=False)
    entries = lists.flatten()
    if not found.by_positive:
        found.positives.append(_known(table.column("positive_score")))
    for origin in pc.unique(entries.field("origin")).to_pylist():
        scores = entries.filter(pc.equal(entries.field("origin"), origin)).field(found.score)
        found.negatives.setdefault(origin, []).append(_known(scores))
    found.pairs += int((counts > 0).sum())
    found.chosen += int(counts.sum())
    rows = np.flatnonzero(counts > 0)
    names = pa.array([f"{shard}/{row}" for row in rows.tolist()], pa.string())
    rows = rows[random_order(names, SAMPLE_SEED)[:_EXAMPLES]]
    for pair, mined in zip(pairs.take(rows).to_pylist(), table.take(rows).to_pylist(), strict=True):
        found.examples.append({**pair, **mined})


def _known(column: pa.ChunkedArray | pa.Array) -> np.ndarray:
    numbers = column.drop_null().to_numpy().astype(np.float64)
    return numbers[~np.isnan(numbers)]


def _locations(context: ReportContext, pairs: Sequence[dict[str, Any]]) -> dict[bytes, ByteRange]:
    """Finds where the items of pairs and of their negatives lie."""
    sides = [side for pair in pairs for side in (pair["query"], pair["positive"], *pair["negatives"])]
    items = list(dict.fromkeys(item for side in sides for item in side["items"]))
    if not items:
        return {}
    ids = split_ids(pa.array(items, ITEM_ID))
    found = read_locations(context.workspace, context.paths.all(ITEMS), unique_ids([ids]))
    return {
        item: (found.media_names[found.media[at]], int(found.offset[at]), int(found.size[at]))
        for item, at in zip(items, found.find(ids).tolist(), strict=True)
        if at >= 0
    }


def _example(pair: dict[str, Any], score: str, images: dict[bytes, bytes]) -> str:
    def entry(role: str, caption: str, side: dict[str, Any]) -> GalleryEntry:
        jpegs = tuple(images[item] for item in side["items"][:3] if item in images)
        texts = (side["text"],) if side["text"] else ()
        return GalleryEntry(caption, jpegs, texts or (("(an image)",) if not jpegs else ()), attributes={"role": role})

    positive_score = _score(pair["positive_score"]) if score == "score" else ""
    entries = [entry("query", "query", pair["query"])]
    entries.append(entry("positive", f"positive {positive_score}", pair["positive"]))
    for negative in pair["negatives"]:
        rank = "" if negative["rank"] is None else f", rank {negative['rank']:,}"
        caption = f"{_ORIGINS.get(negative['origin'], negative['origin'])} {_score(negative[score])}{rank}"
        entries.append(entry("negative", caption.replace("negatives", "negative"), negative))
    title = escape(pair["pair_id"].hex())
    return f'<section class="card pair" title="pair {title}">{gallery_html(entries, "pair-sides")}</section>'


def _score(score: float | None) -> str:
    return "" if score is None or np.isnan(score) else f"{score:.3f}"
