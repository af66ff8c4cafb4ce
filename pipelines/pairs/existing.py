"""Stage `pairs` of a source of given pairs: texts as they are, and images as the items that they became.

An image that is a duplicate is replaced by its representative in every pair that names it, so the pairs that mean the
same are the same pair, and publishing takes one of them.
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
from pipelines.pairs.base import DatasetSettings

TEXTS, TEXT_DUPLICATES, LABELS, BEST_PAIRS = "texts", "text_duplicates", "labels", "best_pairs"
ALSO = "+"  # in the name of a table's owner: between a dataset and one of its further sources
_SIDES = ["query", "positive", "negatives"]

_Row = dict[str, Any]


class GivenPairSettings(DatasetSettings):
    """How the pairs of a set become those of a dataset."""

    needs = Gives.PAIRS

    kind: Literal["given"]
    also: tuple[str, ...] = Field((), description="more sources, whose pairs go into the same dataset")
    own_instruction: bool = Field(
        False,
        description="the instruction that the set gives with a query, in place of query_instruction; and that which it "
        "gives with a positive, where it gives one, in place of positive_instruction",
    )
    negatives: int = Field(16, ge=0, description="at most so many of the set's own are kept, from the first")
    without_image: Literal["drop_pair", "drop_negative"] = Field(
        "drop_negative", description="of a negative whose image is missing or was removed"
    )

    @property
    def sources(self) -> tuple[str, ...]:
        return (self.source, *self.also)

    def pairs_stage(self, source: SourceInfo) -> GivenPairs:
        more = [name for name in (LABELS, BEST_PAIRS) if name in source.tables]
        return GivenPairs(source.dataset, self, source.plug.has_images, more)


class GivenPairs(MapStage):
    """One pair for each row of a set.

    Reasons why a row gives none: that of its image, with the side before it (query_missing_image, positive_blurred,
    negative_missing_image ...); empty_query, empty_positive; query_equals_positive; and
    positive_is_query_image, where the positive is nothing but the query's image: it would teach to ignore the text. The
    shard's notes count what became of negatives: negatives_kept, and those left out by reason.
    """

    name = "pairs"
    reads: tuple[str, ...] = (ROWS, TEXTS, TEXT_DUPLICATES)
    over = frozenset({Gives.PAIRS})
    summary = "the pair, with each duplicate image replaced by the one that was kept"
    optional_reads = (LABELS, BEST_PAIRS, ITEMS, VERDICT)
    schema = PAIR_SCHEMA
    fan_out = True
    origin_columns = PAIR_ORIGIN

    def __init__(self, dataset: str, settings: GivenPairSettings, images: bool, more: Sequence[str] = ()) -> None:
        """`images`: the set has some, so there are tables of them. `more`: further tables that tell of its rows."""
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
        del settings["also"], settings["source"]  # what of one source becomes does not depend on the others
        return {"dataset": self.dataset, **settings}

    def setup(self) -> Callable[[Shard], pa.Table]:
        return partial(pair_rows, dataset=self.dataset, settings=self._settings)


def pair_rows(shard: Shard, dataset: str, settings: GivenPairSettings) -> pa.Table:
    """The pairs (PAIR_SCHEMA, status, reason) of a shard's live rows, in their order."""
    making = _Making(dataset, settings, images_of(shard), Counter())
    tables = [shard[ROWS].to_pylist(), shard[TEXTS].select(_SIDES).to_pylist()]
    if LABELS in shard.tables:
        tables.append(shard[LABELS].select(["label"]).to_pylist())
    pairs = [
        making.pair({name: value for part in parts for name, value in part.items()})
        for parts in zip(*tables, strict=True)
    ]
    shard.metrics["pairs"] = dict(making.notes)
    return pa.Table.from_pylist(pairs, table_schema(PAIR_SCHEMA))


@dataclass(frozen=True, slots=True)
class Image:
    """What became of an image."""

    item: bytes | None  # its own, or that of the representative which stands for it; None: it was removed
    status: str = Status.KEPT
    reason: str = ""
    sha256: bytes | None = None  # as it was found


_FAILED_IMAGE = Image(None, Status.FAILED, "image_failed")  # the stage `images` raised on the row that names it


def images_of(shard: Shard) -> dict[str, Image]:
    """By name, the images that a shard's rows name."""
    if ITEMS not in shard.side_inputs:
        return {}
    items, judged = shard[ITEMS], shard[VERDICT]
    kept = pc.is_in(judged.column("status"), pa.array([str(Status.KEPT), str(Status.DUPLICATE)]))
    own = items.column("item_id")
    if "representative" in judged.column_names:  # else no duplicates were looked for
        own = pc.coalesce(judged.column("representative"), own)
    stands = pc.if_else(kept, own, None)
    columns = (
        items.column("image"),
        stands,
        judged.column("status"),
        judged.column("reason"),
        items.column("downloaded_sha256"),
    )
    rows = zip(*(column.to_pylist() for column in columns), strict=True)
    return {name: Image(*found) for name, *found in rows}


class _Gone(Exception):
    """A side cannot be made."""

    def __init__(self, status: str, reason: str) -> None:
        super().__init__(reason)
        self.status, self.reason = status, reason


@dataclass(frozen=True)
class _Making:
    dataset: str
    settings: GivenPairSettings
    images: dict[str, Image]
    notes: Counter[str]

    def pair(self, row: _Row) -> _Row:
        """A row of PAIR_SCHEMA; where it can't be one, nulls and the reason."""
        try:
            query, positive = self._side(row["query"], "query"), self._side(row["positive"], "positive")
            if query == positive:
                raise _Gone(Status.FILTERED, "query_equals_positive")
            if query["items"] == positive["items"] and not positive["text"]:  # whatever the query says beside it
                raise _Gone(Status.FILTERED, "positive_is_query_image")
            negatives = list(self._negatives(row["negatives"] or (), positive))
        except _Gone as gone:
            return {"status": str(gone.status), "reason": gone.reason}
        settings = self.settings
        instruction, before_positive = settings.query_instruction, settings.positive_instruction
        if settings.own_instruction:
            instruction = row["instruction"]
            before_positive = row["positive_instruction"] or before_positive
        identity = (query["text"], *query["items"], "|", positive["text"], *positive["items"])
        images = [self.images[name] for name in (*row["positive"]["images"], *row["query"]["images"])]
        return {
            "pair_id": pair_id(self.dataset, *identity),
            "query": {"instruction": instruction or "", **query},
            "positive": {"instruction": before_positive, **positive},
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
                raise _Gone(image.status, f"{name}_{image.reason}")
        text = side["text"].strip()
        if not text and not found:
            raise _Gone(Status.FILTERED, f"empty_{name}")
        return {"text": text, "items": [image.item for image in found]}

    def _negatives(self, given: Sequence[_Row], positive: _Row) -> Iterator[_Row]:
        """The set's own, best first; never the positive, never one twice. The query's own image may well be one.

        One that has more images than the positive, or fewer, is told from it without being looked at, and samples
        with it would have other fields: it is left out.
        """
        seen = [positive]
        for side in given:
            if len(seen) > self.settings.negatives:
                self.notes["negatives_over_limit"] += 1
                continue
            try:
                negative = self._side(side, "negative")
            except _Gone as gone:
                if self.settings.without_image == "drop_pair" and gone.reason != "empty_negative":
                    raise
                self.notes[gone.reason] += 1
                continue
            if len(negative["items"]) != len(positive["items"]):
                self.notes["negative_modality_mismatch"] += 1
                continue
            if any(_same(negative, other) for other in seen):
                self.notes["negative_equals_positive" if _same(negative, positive) else "duplicate_negative"] += 1
                continue
            seen.append(negative)
            self.notes["negatives_kept"] += 1
            yield {**negative, "score": side["score"] or 0.0, "origin": str(Origin.GIVEN)}


def _same(one: _Row, other: _Row) -> bool:
    return bool(one["items"] == other["items"]) and normalize_text(one["text"]) == normalize_text(other["text"])
