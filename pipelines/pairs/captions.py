"""Chooses the texts of items for pairs of all kinds: original, generated, both, or one of them by seed."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from corpus.sampling import bernoulli
from corpus.schema import CLIP, PAIR_SCHEMA, CaptionOrigin
from corpus.stage import ITEMS, ROWS, Shard
from corpus.text.personal_data import MaskSettings
from pipelines.pairs.base import DatasetSettings
from pipelines.pairs.best_caption import LONGEST_CAPTIONS
from recaption.schema import CAPTION


class TextSettings(DatasetSettings):
    """The settings of datasets that are made of items: whose text their pairs have."""

    captions: Literal["original", "generated", "both", "mix"] = Field(
        "original",
        description="Whose text the pairs have: the source's, the captioner's, a pair for each, or one of them by "
        "the seed.",
    )
    generated_share: float = Field(
        0.5, ge=0, le=1, description="The share of the items that have a generated text, where `captions` is mix."
    )
    seed: int = Field(0, ge=0, description="The seed of the choice between texts, where `captions` is mix.")
    mask: MaskSettings = Field(
        MaskSettings(), description="Which personal data are masked in the texts of pairs, generated ones among them."
    )
    on_missing_caption: Literal["original", "drop"] = Field(
        "original", description="What happens to an item that should have a generated caption and has none."
    )


def uncaptioned(settings: TextSettings, captioned: Collection[str], where: str) -> Iterator[str]:
    """Yields a conflict where `captions` needs generated captions and the dataset's source has none."""
    if settings.captions != "original" and settings.source not in captioned:
        yield f"captions: {settings.captions}, but {where} does not name source {settings.source!r}"


def choose_texts(shard: Shard, settings: TextSettings) -> pa.Table:
    """Returns the texts of live rows: `row`, `text` and the columns of its origin, in the order of the rows.

    A row with several texts (column `other_texts`) comes once for each. `without` is the reason of an empty text.
    """
    chosen = _choose(shard, settings)
    masked, _ = settings.mask.apply(chosen.column("text"))
    return chosen.set_column(chosen.column_names.index("text"), "text", masked)


def _choose(shard: Shard, settings: TextSettings) -> pa.Table:
    n = len(shard)
    originals = _originals(shard)
    if settings.captions == "original":
        return originals
    captions = shard[CAPTION]
    generated = {
        "row": pa.array(np.arange(n)),
        "text": pc.fill_null(captions.column("caption").combine_chunks(), ""),
        "caption_origin": repeated(CaptionOrigin.GENERATED, n),
        "caption_model": captions.column("caption_model").combine_chunks(),
        "caption_prompt": captions.column("prompt").combine_chunks(),
        "without": repeated("no_caption", n),
    }
    has_caption = pc.not_equal(generated["text"], "").to_numpy(zero_copy_only=False)
    if settings.captions == "both":
        # An item without a caption keeps its original text; without one of these either, one row says so.
        second = np.flatnonzero(has_caption | (settings.on_missing_caption == "drop"))
        return _by_row([originals, pa.table(generated).take(second)])
    use_generated = np.ones(n, bool) if settings.captions == "generated" else _draw_generated(shard, settings)
    if settings.on_missing_caption == "original":
        use_generated &= has_caption
    kept = originals.filter(pa.array(~use_generated[originals.column("row").to_numpy()]))
    return _by_row([kept, pa.table(generated).take(np.flatnonzero(use_generated))])


def _originals(shard: Shard) -> pa.Table:
    """Returns what `choose_texts` does, of the source's texts alone."""
    rows, n = shard[ROWS], len(shard)
    text = pc.fill_null(rows.column("text").combine_chunks(), "")
    place = np.arange(n)
    if "other_texts" in rows.column_names:
        others = rows.column("other_texts").combine_chunks()
        place = np.concatenate([place, pc.list_parent_indices(others).to_numpy()])
        text = pa.concat_arrays([text, pc.list_flatten(others)])
    text = pc.utf8_trim_whitespace(text)
    if LONGEST_CAPTIONS in shard.tables:
        text = pc.coalesce(shard[LONGEST_CAPTIONS].column("text").combine_chunks().take(pa.array(place)), text)
    m = len(place)
    unordered = {
        "row": pa.array(place),
        "text": text,
        "caption_origin": repeated(CaptionOrigin.ORIGINAL, m),
        "caption_model": repeated("", m),
        "caption_prompt": repeated("", m),
        "without": repeated("no_text", m),
    }
    return _by_row([pa.table(unordered)])


def _by_row(parts: Sequence[pa.Table]) -> pa.Table:
    """Sorts the texts of all parts by row, those of one row in the order of the parts."""
    together = pa.concat_tables(parts)
    return together.take(pa.array(np.argsort(together.column("row").to_numpy(), kind="stable")))


def _draw_generated(shard: Shard, settings: TextSettings) -> np.ndarray:
    """Draws the items that get the generated caption, bool[n]."""
    return bernoulli(shard[ITEMS].column("item_id"), settings.generated_share, settings.seed)


def sides(instruction: str, texts: pa.Array, items: pa.ListArray, clips: pa.Array | None = None) -> pa.Array:
    """Makes the queries or positives of n pairs; `items` are lists of item ids, `clips` (CLIP) their clips."""
    kind = PAIR_SCHEMA.field("query").type
    clips = pa.nulls(len(texts), CLIP) if clips is None else clips
    return pa.StructArray.from_arrays([repeated(instruction, len(texts)), texts, items, clips], fields=list(kind))


def no_items(n: int) -> pa.ListArray:
    """Makes the empty lists of items of n sides that are text alone."""
    kind = PAIR_SCHEMA.field("query").type.field("items").type
    return pa.ListArray.from_arrays(pa.array(np.zeros(n + 1, np.int32)), pa.array([], kind.value_type))


def repeated(value: str, n: int) -> pa.Array:
    """Repeats a string n times."""
    return pa.array([str(value)], pa.string()).take(pa.array(np.zeros(n, np.int8)))
