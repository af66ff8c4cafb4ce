"""Stage `pairs` over a source of existing pairs: makes a pair of each row, its images replaced by their items.

A duplicate image is replaced by its representative in every pair that names it, so that pairs with the same content are
the same pair, of which publishing takes one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from corpus.schema import PAIR_ORIGIN, PAIR_SCHEMA, CaptionOrigin, Origin, Status, pair_id, table_schema
from corpus.stage import ITEMS, ROWS, VERDICT, Gives, MapStage, Shard, SourceInfo
from corpus.text.keys import normalize_text
from filters.text.dedup import TEXTS
from pipelines.pairs.base import DatasetSettings

TEXT_DUPLICATES, LABELS, DEDUP_BY_IMAGE = "text_duplicates", "labels", "dedup_by_image"
_SIDES = ["query", "positive", "negatives"]

_Row = dict[str, Any]


class ExistingPairSettings(DatasetSettings):
    """Settings of a dataset of the pairs that a set has."""

    needs = Gives.PAIRS

    kind: Literal["existing_pairs"] = Field(description="A dataset of pairs that a source has.")
    more_sources: tuple[str, ...] = Field(
        (), description="Names of more sources, whose pairs go into the same dataset."
    )
    use_source_instruction: bool = Field(
        False,
        description="Whether the set's own instructions, where it has any, replace query_instruction and "
        "positive_instruction.",
    )
    max_negatives: int = Field(
        16, ge=0, description="The most negatives of a pair that are kept of the set's own, from the first."
    )
    on_missing_image: Literal["drop_pair", "drop_negative"] = Field(
        "drop_negative",
        description="What happens where a negative's image is missing or was removed: the pair is dropped, or the "
        "negative alone.",
    )

    @property
    def sources(self) -> tuple[str, ...]:
        return (self.source, *self.more_sources)

    def pairs_stage(self, source: SourceInfo) -> ExistingPairs:
        more = [name for name in (LABELS, DEDUP_BY_IMAGE) if name in source.tables]
        return ExistingPairs(source.dataset, self, source.plug.has_images, more)


class ExistingPairs(MapStage):
    """Makes one pair of each row of a set.

    Reasons of rows that give none: that of an image, after its side (query_missing_image, positive_blurred,
    negative_missing_image ...); empty_query, empty_positive; query_equals_positive, and
    positive_is_query_image, where the positive is nothing but the query's image: it would teach to ignore the text. The
    shard's metrics count negatives: negatives_kept, and those that are left out by reason.
    """

    name = "pairs"
    reads: tuple[str, ...] = (ROWS, TEXTS, TEXT_DUPLICATES)
    over = frozenset({Gives.PAIRS})
    summary = "the pair, with each duplicate image replaced by the one that was kept"
    reasons = {
        "empty_query": "the query has neither text nor image",
        "empty_positive": "the positive has neither text nor image",
        "query_equals_positive": "both sides have the same text and images",
        "positive_is_query_image": "the positive is the image of the query, without a text",
        "query_REASON": "why the image of the query was removed, such as `query_missing_image`",
        "positive_REASON": "why the image of the positive was removed",
    }
    optional_reads = (LABELS, DEDUP_BY_IMAGE, ITEMS, VERDICT)
    schema = PAIR_SCHEMA
    fan_out = True
    origin_columns = PAIR_ORIGIN

    def __init__(self, dataset: str, settings: ExistingPairSettings, images: bool, more: Sequence[str] = ()) -> None:
        """`images`: the set has images, and so tables of them. `more`: further tables of its rows."""
        super().__init__(settings)
        self.dataset = dataset
        self._settings = settings
        self.reads = (
            ROWS,
            TEXTS,
            TEXT_DUPLICATES,
            *more,
            *((ITEMS, VERDICT) if images else ()),
        )
        self.side_inputs = (ITEMS, VERDICT) if images else ()

    def fingerprint_inputs(self) -> dict[str, object]:
        settings = self._settings.canonical()
        del settings["more_sources"], settings["source"]  # the pairs of one source do not depend on the others
        return {"dataset": self.dataset, **settings}

    def setup(self) -> Callable[[Shard], pa.Table]:
        return partial(existing_pairs, dataset=self.dataset, settings=self._settings)


def existing_pairs(shard: Shard, dataset: str, settings: ExistingPairSettings) -> pa.Table:
    """Returns the pairs (PAIR_SCHEMA, status, reason) of a shard's live rows, in their order."""
    builder = _PairBuilder(dataset, settings, image_verdicts(shard), Counter())
    tables = [shard[ROWS].to_pylist(), shard[TEXTS].select(_SIDES).to_pylist()]
    if LABELS in shard.tables:
        tables.append(shard[LABELS].select(["label"]).to_pylist())
    pairs = [
        builder.pair({name: value for part in parts for name, value in part.items()})
        for parts in zip(*tables, strict=True)
    ]
    shard.metrics["pairs"] = dict(builder.counts)
    return pa.Table.from_pylist(pairs, table_schema(PAIR_SCHEMA))


@dataclass(frozen=True, slots=True)
class ImageVerdict:
    """The item that stands for an image, or the reason why there is none."""

    item: bytes | None  # its own or its representative's; None: the image was removed
    status: str = Status.KEPT
    reason: str = ""
    sha256: bytes | None = None  # of the image as it was found


_FAILED_IMAGE = ImageVerdict(None, Status.FAILED, "image_failed")  # the stage `images` raised on the row that names it


def image_verdicts(shard: Shard) -> dict[str, ImageVerdict]:
    """Returns the verdicts on the images that a shard's rows name, by name."""
    if ITEMS not in shard.side_inputs:
        return {}
    items, verdict = shard[ITEMS], shard[VERDICT]
    has_item = pc.is_in(verdict.column("status"), pa.array([str(Status.KEPT), str(Status.DUPLICATE)]))
    representative = items.column("item_id")
    if "representative" in verdict.column_names:  # else no stage looked for duplicates
        representative = pc.coalesce(verdict.column("representative"), representative)
    columns = (
        items.column("image"),
        pc.if_else(has_item, representative, None),
        verdict.column("status"),
        verdict.column("reason"),
        items.column("downloaded_sha256"),
    )
    rows = zip(*(column.to_pylist() for column in columns), strict=True)
    return {name: ImageVerdict(*fields) for name, *fields in rows}


class _Removed(Exception):
    """A side cannot be made: its pair, or the negative, is removed for the reason."""

    def __init__(self, status: str, reason: str) -> None:
        super().__init__(reason)
        self.status, self.reason = status, reason


@dataclass(frozen=True)
class _PairBuilder:
    """Makes the pairs of a dataset; `counts` has the outcomes of negatives."""

    dataset: str
    settings: ExistingPairSettings
    images: dict[str, ImageVerdict]
    counts: Counter[str]

    def pair(self, row: _Row) -> _Row:
        """Makes a row of PAIR_SCHEMA; where that is not possible, one of nulls with the reason."""
        try:
            query, positive = self._side(row["query"], "query"), self._side(row["positive"], "positive")
            if query == positive:
                raise _Removed(Status.FILTERED, "query_equals_positive")
            if query["items"] == positive["items"] and not positive["text"]:  # whatever text the query has
                raise _Removed(Status.FILTERED, "positive_is_query_image")
            negatives = list(self._negatives(row["negatives"] or (), positive))
        except _Removed as removed:
            return {"status": str(removed.status), "reason": removed.reason}
        settings = self.settings
        query_instruction, positive_instruction = settings.query_instruction, settings.positive_instruction
        if settings.use_source_instruction:
            query_instruction = row["instruction"]
            positive_instruction = row["positive_instruction"] or positive_instruction
        identity = (query["text"], *query["items"], "|", positive["text"], *positive["items"])
        images = [self.images[name] for name in (*row["positive"]["images"], *row["query"]["images"])]
        return {
            "pair_id": pair_id(self.dataset, *identity),
            "query": {"instruction": query_instruction or "", **query},
            "positive": {"instruction": positive_instruction, **positive},
            "negatives": negatives,
            "positive_score": row["positive_score"] or 0.0,
            "group": "",
            "label": row["label"] or "",
            "in_batch_negatives": row["in_batch_negatives"] is not False,
            "caption_origin": str(CaptionOrigin.ORIGINAL),
            "caption_model": "",
            "caption_prompt": "",
            "source_url": row["url"] or "",
            "source_sha256": images[0].sha256 if images else None,
            "licence": row["licence"] or "",
            "status": str(Status.KEPT),
            "reason": "",
        }

    def _side(self, side: _Row, name: str) -> _Row:
        found = [self.images.get(image, _FAILED_IMAGE) for image in side["images"]]
        for image in found:
            if image.item is None:
                raise _Removed(image.status, f"{name}_{image.reason}")
        text = side["text"].strip()
        if not text and not found:
            raise _Removed(Status.FILTERED, f"empty_{name}")
        return {"text": text, "items": [image.item for image in found]}

    def _negatives(self, negatives: Sequence[_Row], positive: _Row) -> Iterator[_Row]:
        """Yields the set's negatives, best first: never the positive, none twice. The query's image may be one.

        A negative with more or fewer images than the positive is left out: a model could tell it by their number, and
        its sample would have other fields.
        """
        distinct = [positive]
        for side in negatives:
            if len(distinct) > self.settings.max_negatives:
                self.counts["negatives_over_limit"] += 1
                continue
            try:
                negative = self._side(side, "negative")
            except _Removed as removed:
                if self.settings.on_missing_image == "drop_pair" and removed.reason != "empty_negative":
                    raise
                self.counts[removed.reason] += 1
                continue
            if len(negative["items"]) != len(positive["items"]):
                self.counts["negative_modality_mismatch"] += 1
                continue
            if any(_same(negative, other) for other in distinct):
                self.counts["negative_equals_positive" if _same(negative, positive) else "duplicate_negative"] += 1
                continue
            distinct.append(negative)
            self.counts["negatives_kept"] += 1
            yield {**negative, "score": side["score"] or 0.0, "origin": str(Origin.FROM_SOURCE)}


def _same(one: _Row, other: _Row) -> bool:
    return bool(one["items"] == other["items"]) and normalize_text(one["text"]) == normalize_text(other["text"])
