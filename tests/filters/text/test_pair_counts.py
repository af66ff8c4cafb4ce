"""The stage `text_counts`: planted repetitions over shards, whatever the partitions."""

from __future__ import annotations

import pyarrow as pa

from filters.text.pair_counts import TextCounts
from filters.text.pair_rules import PairTextFilterSettings
from tests.helpers.pair_texts import caption_pairs, counted, shard_of

FIRST = ["a dog", "Photo 3 of 12", "alone", ("q", "a dog"), "A dog."]
SECOND = ["Photo 4 of 9", "a dog", "photo 5 of 10!", ("q", "other")]


def test_texts_and_templates_are_counted_over_all_shards() -> None:
    shards = [shard_of(caption_pairs(FIRST)), shard_of(caption_pairs(SECOND, first=100), ordinal=1)]
    first, second = (table.to_pylist() for table in counted(shards))
    assert [row["query_text_count"] for row in first] == [3, None, None, 2, 3]
    assert [row["query_text_count"] for row in second] == [None, 3, None, 2]
    assert [row["query_template_count"] for row in first] == [3, 3, None, 2, 3]
    assert [row["query_template_count"] for row in second] == [3, 3, 3, 2]
    assert first[3]["positive_text_count"] is None, "a query is no positive"
    ranks = [first[0]["query_text_rank"], first[4]["query_text_rank"], second[1]["query_text_rank"]]
    assert sorted(ranks) == [0, 1, 2]


def test_places_depend_on_ids_alone_and_a_pair_that_comes_twice_counts_once() -> None:
    texts = ["the same caption"] * 20
    whole = counted([shard_of(caption_pairs(texts))])[0].column("query_text_rank").to_pylist()
    assert sorted(whole) == list(range(20)) and whole != sorted(whole)
    parts = [caption_pairs(texts[:7]), caption_pairs(texts[7:], first=7), caption_pairs(texts[:3])]
    split = counted([shard_of(part, ordinal) for ordinal, part in enumerate(parts)], parts=5)
    assert [row["query_text_rank"] for table in split for row in table.to_pylist()] == [*whole, *whole[:3]]
    assert set(split[2].column("query_text_count").to_pylist()) == {20}


def test_of_no_pairs_nothing_is_counted_and_thresholds_are_no_part_of_it() -> None:
    stage = TextCounts(PairTextFilterSettings())
    mapped = stage.map(shard_of(caption_pairs([])))
    assert stage.finalize(stage.reduce(mapped)).num_rows == 0
    assert mapped.schema.field("key").type == pa.uint64()
    assert stage.fingerprint_inputs() == {}
