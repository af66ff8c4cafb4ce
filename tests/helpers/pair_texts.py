"""Pairs of texts and images, and the tables that the stages about their texts make of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from corpus.bisection import run_rows
from corpus.schema import PAIR_SCHEMA
from corpus.stage import PAIRS, Shard
from corpus.storage import Store
from filters.text.pair_counts import TEXT_COUNTS, TextCounts
from filters.text.pair_filter import TextFilter
from filters.text.pair_rules import PairTextFilterSettings, PairTextSettings
from filters.text.pair_stats import TEXT_STATS, TextStats, TextStatsSettings

_COLUMNS = pa.schema([PAIR_SCHEMA.field(name) for name in ("pair_id", "query", "positive", "caption_origin")])


def side(text: str, *images: int) -> dict[str, Any]:
    return {"instruction": "", "text": text, "items": [bytes([image]) * 16 for image in images]}


def caption_pairs(texts: Sequence[str | tuple[str, str]], first: int = 0) -> pa.Table:
    """Pairs text -> image, or of two texts; each text may come with the origin "generated/" in front."""
    rows = []
    for number, text in enumerate(texts, first):
        query, positive = (text, side("", number % 256)) if isinstance(text, str) else (text[0], side(text[1]))
        origin = "generated" if query.startswith("generated/") else "original"
        rows.append(
            {
                "pair_id": number.to_bytes(16, "big"),
                "query": side(query.removeprefix("generated/")),
                "positive": positive,
                "caption_origin": origin,
            }
        )
    return pa.Table.from_pylist(rows, _COLUMNS)


def shard_of(pairs: pa.Table, ordinal: int = 0) -> Shard:
    return Shard("d/s", f"{ordinal:06d}", ordinal, np.arange(len(pairs)), {PAIRS: pairs}, Store("memory://pair_texts"))


def counted(shards: Sequence[Shard], parts: int = 3) -> list[pa.Table]:
    """Runs `text_counts` over all shards, partition by partition in a strange order; returns the table of each."""
    stage = TextCounts(PairTextFilterSettings())
    rows = pa.concat_tables([stage.map(shard) for shard in shards])
    partition = rows.column("key").to_numpy() % np.uint64(parts)
    reduced = [stage.reduce(rows.filter(pa.array(partition == part))) for part in range(parts)]
    by_address = {row.pop("row_address"): row for row in stage.finalize(pa.concat_tables(reduced[::-1])).to_pylist()}
    nothing = dict.fromkeys(stage.schema.names)
    return [
        pa.Table.from_pylist(
            [{name: by_address.get(at, nothing)[name] for name in nothing} for at in shard.row_addresses.tolist()],
            stage.schema,
        )
        for shard in shards
    ]


def filtered(
    pairs: pa.Table, settings: PairTextSettings, stats: TextStatsSettings | None = None
) -> tuple[list[str], Any]:
    """Runs the three stages over one shard; returns the reason of each pair, and the metrics of the filter."""
    shard = shard_of(pairs)
    measured = TextStats(stats or TextStatsSettings())
    tables = {**shard.tables, TEXT_STATS: run_rows(measured, measured.setup(), shard)}
    (tables[TEXT_COUNTS],) = counted([shard])
    shard = Shard(shard.source, shard.name, 0, shard.rows, tables, shard.store)
    stage = TextFilter(settings, bool(stats and stats.language_identifier))
    found = run_rows(stage, stage.setup(), shard)
    return found.column("reason").to_pylist(), shard.metrics["text_filter"]
