"""The stage `text_filter`, over the pairs of a dataset: removes pairs whose text is noise. It reads numbers only.

A pair is removed, not its image: the pair of the same image with a generated caption stays.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from corpus.arrays import one_array
from corpus.schema import Status
from corpus.stage import PAIR_VERDICT, PAIRS, Gives, MapStage, Shard, SourceInfo, SourcePlug
from corpus.text.language import in_another_language
from filters.text.pair_counts import TEXT_COUNTS, counts_of_side
from filters.text.pair_rules import COUNT_RULES, PAIR_RULES, RANK_RULE, PairTextFilterSettings, PairTextSettings
from filters.text.pair_stats import TEXT_STATS, side_texts
from filters.text.rules import TEXT_REASONS, WRONG_LANGUAGE, broken_rules, first_broken
from filters.text.thresholds import PAIR_TEXT_THRESHOLDS

TEXT_FILTER = "text_filter"


class TextFilter(MapStage):
    """The pairs that stay, and why the others don't: the first rule that the query's text breaks, or the positive's.

    The reasons, in this order: file_name, date_only, number_only, placeholder, mostly_url, too_short, too_long,
    mostly_symbols, too_few_words, too_many_words, repetitive, keyword_stuffing, too_many_tokens, boilerplate,
    wrong_language, repeated_text. Metrics: `pairs`, `removed/REASON`, and `alone/REASON`, those that break a rule
    whatever the others find.
    """

    name = TEXT_FILTER
    reads = (PAIRS, TEXT_STATS, TEXT_COUNTS)
    optional_reads = (PAIR_VERDICT,)
    settings_key = TEXT_FILTER
    settings_type = PairTextFilterSettings
    over = frozenset(Gives)
    over_pairs = True
    roles = (PAIR_VERDICT,)
    summary = (
        "whether it is removed because its text is noise (a file's name, a date, a URL, keywords, boilerplate ...), in "
        "another language, too long, or in too many pairs"
    )
    reasons = {
        **{name: meaning for name, meaning in TEXT_REASONS.items() if name != "empty_text"},
        "too_many_tokens": "the text has more tokens than `max_tokens` allows",
    }
    schema = pa.schema([])
    thresholds = PAIR_TEXT_THRESHOLDS

    def __init__(self, settings: PairTextSettings, identifies: bool = False) -> None:
        """`identifies`: the table of `text_stats` has the language of each text, and its score."""
        super().__init__(settings)
        self._settings = settings
        self._by_score = identifies and settings.min_language_score > 0

    @classmethod
    def applies_to(cls, source: SourceInfo) -> bool:
        return super().applies_to(source) and source.dataset in source.stages.text_filter.datasets

    @classmethod
    def create(cls, source: SourceInfo) -> TextFilter:
        identifier = source.stages.text_stats.language_identifier
        return cls(cls.settings_of(source).datasets[source.dataset], identifier is not None)

    @classmethod
    def settings_path(cls, dataset: str) -> str:
        return f"{super().settings_path(dataset)}.datasets.{dataset}"

    @classmethod
    def conflicts(cls, sources: Mapping[str, SourcePlug], stages: Any) -> Iterator[str]:
        for name, settings in stages.text_filter.datasets.items():
            where = f"stages.text_filter.datasets.{name}"
            if settings.max_tokens is not None and not stages.text_stats.tokenizer:
                yield f"{where}.max_tokens: nothing counts tokens: set stages.text_stats.tokenizer"
            if settings.min_language_score and not settings.languages:
                yield f"{where}.min_language_score: of which languages? Set `languages`"
            if settings.min_language_score and stages.text_stats.language_identifier is None:
                yield f"{where}.min_language_score: nothing scores: set stages.text_stats.language_identifier"

    def setup(self) -> Callable[[Shard], pa.Table]:
        return self._verdict

    def _verdict(self, shard: Shard) -> pa.Table:
        broken = self._broken(shard)
        reasons = first_broken(broken, len(shard))
        counts = Counter({f"removed/{reason}": n for reason, n in Counter(reasons.tolist()).items() if reason})
        counts.update({f"alone/{reason}": int(np.count_nonzero(breaks)) for reason, breaks in broken.items()})
        shard.metrics[TEXT_FILTER] = {"pairs": len(shard), **dict(sorted(counts.items()))}
        reason = pa.array(reasons, pa.string())
        status = pc.if_else(pc.equal(reason, ""), str(Status.KEPT), str(Status.FILTERED))
        return pa.table({"status": status, "reason": reason})

    def _broken(self, shard: Shard) -> dict[str, np.ndarray]:
        """Returns for each rule which pairs break it, bool[n]: by one of their texts."""
        settings = self._settings
        filtered = pc.is_in(
            shard[PAIRS].column("caption_origin"), value_set=pa.array([str(origin) for origin in settings.origins])
        )
        is_filtered = np.asarray(filtered.combine_chunks())
        broken: dict[str, np.ndarray] = {}
        ranked = np.zeros(len(shard), bool)
        for side in settings.sides:
            statistics = one_array(shard[TEXT_STATS].column(f"{side}_text"))
            has_text = statistics.is_valid().to_numpy(zero_copy_only=False)
            rows = np.flatnonzero(has_text & is_filtered)
            for reason, breaks in self._of_side(shard, side, statistics.take(pa.array(rows)), rows):
                broken.setdefault(reason, np.zeros(len(shard), bool))[rows] |= breaks
            ranks = broken_rules(counts_of_side(shard[TEXT_COUNTS], side), settings, (RANK_RULE,))
            ranked |= ranks.get(RANK_RULE.reason, False) & has_text
        return {**broken, RANK_RULE.reason: ranked} if settings.max_rows_per_text is not None else broken

    def _of_side(
        self, shard: Shard, side: str, statistics: pa.StructArray, rows: np.ndarray
    ) -> Iterator[tuple[str, np.ndarray]]:
        settings = self._settings
        yield from broken_rules(statistics, settings, PAIR_RULES).items()
        yield from broken_rules(counts_of_side(shard[TEXT_COUNTS], side).take(rows), settings, COUNT_RULES).items()
        if settings.languages and self._by_score:
            yield WRONG_LANGUAGE, _below_score(statistics, settings)
        elif settings.languages:
            texts = side_texts(shard[PAIRS].column(side)).take(pa.array(rows))
            yield WRONG_LANGUAGE, in_another_language(texts, settings.languages)


def _below_score(statistics: pa.StructArray, settings: PairTextSettings) -> np.ndarray:
    """Returns which texts are identified as another language, or as one of those with too low a score, bool[n]."""
    language = pc.fill_null(pc.struct_field(statistics, "language"), "")
    other = pc.invert(pc.is_in(language, value_set=pa.array(settings.languages, pa.string())))
    low = pc.less(pc.struct_field(statistics, "language_score"), np.float32(settings.min_language_score))
    return np.asarray(pc.and_(pc.not_equal(language, ""), pc.or_(other, pc.fill_null(low, False))))
