"""What sources of given pairs share: samples that depend on the pairs alone, shards, counts that add up, faults."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pytest

from corpus.hashing import hash_strings
from corpus.settings import SettingsError, parse_settings
from corpus.workspace import Workspace
from pipelines.sources import json_records, pair_source
from pipelines.sources.files import FileInfo
from pipelines.sources.json_records import BadRecord
from pipelines.sources.pair_rows import PAIR_ROWS, Side, SourcePair, pairs_table
from pipelines.sources.pair_source import PairDatasetSource, PairReader, content_digest, draw_pairs
from pipelines.sources.source_shards import source_fingerprint, write_source_shards


def pair(number: int, **more: Any) -> SourcePair:
    return SourcePair(
        Side(f"query {number}", (f"q{number}.jpg",)),
        Side("", (f"p{number}.jpg",)),
        (Side("", (f"n{number}.jpg",)), Side(f"not {number}")),
        file="a.jsonl",
        line=number + 1,
        url=f"http://a.example/{number}",
        **more,
    )


PAIRS = [pair(number) for number in range(500)]


def drawn(pairs: list[SourcePair], rows: int | None, seed: int = 0) -> tuple[list[dict[str, Any]], dict[str, int]]:
    counts: dict[str, int] = {}
    tables = list(draw_pairs(pairs, rows, seed, counts))
    assert all(table.schema == PAIR_ROWS for table in tables)
    return [row for table in tables for row in table.to_pylist()], counts


def test_all_pairs_in_their_order() -> None:
    rows, counts = drawn(PAIRS, None)
    assert rows == pairs_table(PAIRS).to_pylist() and counts == {}
    assert drawn([], None) == ([], {}) and drawn([], 3) == ([], {"duplicate_row": 0, "not_sampled": 0})


def test_a_sample_is_of_the_pairs_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    few, counts = drawn(PAIRS, 40, seed=7)
    assert counts == {"duplicate_row": 0, "not_sampled": 460}
    assert {row["line"] for row in few} != set(range(1, 41)) and len({row["line"] for row in few}) == 40
    assert all(row in pairs_table(PAIRS).to_pylist() for row in few)
    more, _ = drawn(PAIRS, 80, seed=7)
    assert more[:40] == few
    monkeypatch.setattr(pair_source, "_BLOCK", 13)
    shuffled = random.Random(1).sample(PAIRS, len(PAIRS))
    assert drawn(shuffled, 40, seed=7)[0] == few
    assert drawn(PAIRS, 40, seed=8)[0] != few


@pytest.mark.parametrize("block", [1, 7, 8192])
def test_pairs_that_come_too_late_are_skipped(monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    monkeypatch.setattr(pair_source, "_BLOCK", block)
    rows, counts = drawn(PAIRS + PAIRS, 20)
    first = np.argsort(hash_strings(pa.array([content_digest(each)[:8] for each in PAIRS], pa.binary()), 0))[:20]
    assert [row["line"] for row in rows] == [at + 1 for at in first]
    assert counts == {"duplicate_row": 20, "not_sampled": 960}


def test_equal_pairs_are_one() -> None:
    rows, counts = drawn([*PAIRS, *(pair(number, key="again") for number in range(500))], 500)
    assert counts == {"duplicate_row": 500, "not_sampled": 0}
    assert sorted(row["line"] for row in rows) == list(range(1, 501)) and {row["key"] for row in rows} == {""}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (SourcePair(Side("ab"), Side("c")), SourcePair(Side("a"), Side("bc"))),
        (SourcePair(Side("a", ("b",)), Side()), SourcePair(Side("a"), Side("b"))),
        (SourcePair(Side("a", ("b", "c")), Side("d")), SourcePair(Side("a", ("b",)), Side("c", ("d",)))),
        (SourcePair(Side("a"), Side("b"), label="c"), SourcePair(Side("a"), Side("b"), instruction="c")),
        (SourcePair(Side("a"), Side("b")), SourcePair(Side("b"), Side("a"))),
    ],
)
def test_digests_tell_parts_apart(one: SourcePair, other: SourcePair) -> None:
    assert content_digest(one) != content_digest(other)


def test_digests_leave_out_where_a_pair_was_read() -> None:
    sides = (Side("a"), Side("b"))
    assert content_digest(SourcePair(*sides, file="a", line=1)) == content_digest(
        SourcePair(*sides, (Side("n"),), file="b", line=2, licence="MIT")
    )


class NumbersSource(PairDatasetSource):
    kind: Literal["numbers"]
    count: int


class NumbersRows(PairReader[NumbersSource]):
    """Every tenth is malformed, every seventh of the others is too long."""

    def find(self) -> list[FileInfo]:
        return [FileInfo("a.jsonl", "a.jsonl", 10, "v1"), FileInfo("a.jsonl", "x/a.jsonl", 10, "v1")]

    def pairs(self) -> Iterator[SourcePair]:
        for number in range(self.settings.count):
            if number % 10 == 0:
                self.bad_records.append(BadRecord("a.jsonl", number + 1, "no_text", f"number {number}"))
            elif number % 7 == 0:
                self.counts["too_long"] = self.counts.get("too_long", 0) + 1
            else:
                yield pair(number, licence="CC0" if number % 2 else "")


def numbers(**settings: Any) -> NumbersRows:
    return NumbersRows(parse_settings({"kind": "numbers", **settings}, NumbersSource))


def shards_of(rows: NumbersRows) -> list[pa.Table]:
    shards = list(rows.shards())
    assert all(shard.schema == PAIR_ROWS for shard in shards)
    kept = sum(shard.num_rows for shard in shards)
    assert rows.counts["read"] == kept + sum(n for reason, n in rows.counts.items() if reason != "read")
    return shards


def test_counts_add_up() -> None:
    rows = numbers(count=100, shard_rows=30, licence="unknown")
    assert [shard.num_rows for shard in shards_of(rows)] == [30, 30, 17]
    assert rows.counts == {"read": 100, "no_text": 10, "too_long": 13}
    assert [shard.num_rows for shard in shards_of(rows)] == [30, 30, 17]  # and again
    assert rows.counts == {"read": 100, "no_text": 10, "too_long": 13}
    assert {row["line"] % 2: row["licence"] for s in rows.shards() for row in s.to_pylist()} == {0: "CC0", 1: "unknown"}
    sample = numbers(count=100, shard_rows=30, sample_rows=50)
    assert [shard.num_rows for shard in shards_of(sample)] == [30, 20]
    assert sample.counts == {"read": 100, "no_text": 10, "too_long": 13, "duplicate_row": 0, "not_sampled": 27}


class MixedRows(NumbersRows):
    """Every third finds a text."""

    def pairs(self) -> Iterator[SourcePair]:
        for pair in super().pairs():
            yield pair if pair.line % 3 else replace(pair, positive=Side("words"))


def test_pairs_with_images_on_some_sides_alone() -> None:
    """The others are left out before a sample is drawn, so it is as large as asked."""

    def mixed(**settings: Any) -> MixedRows:
        return MixedRows(parse_settings({"kind": "numbers", "count": 100, **settings}, NumbersSource))

    (texts,) = shards_of(rows := mixed(require_images_on="query"))
    assert {row["positive"]["text"] for row in texts.to_pylist()} == {"words"}
    (images,) = shards_of(mixed(require_images_on="both"))
    assert not any(row["positive"]["text"] for row in images.to_pylist())
    assert rows.counts["image_side_mismatch"] == images.num_rows > texts.num_rows > 20
    (few,) = shards_of(drawn := mixed(require_images_on="query", sample_rows=20))
    assert few.num_rows == 20 and drawn.counts["not_sampled"] == texts.num_rows - 20
    with pytest.raises(SettingsError, match="require_images_on"):
        mixed(require_images_on="neither")


def test_faults_are_told_and_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_records, "MAX_LISTED", 2)
    rows = numbers(count=100)
    shards_of(rows)
    first = "a.jsonl, line 1: no_text: number 0"
    lines = [first, "a.jsonl, line 11: no_text: number 10", "and 8 more"]
    assert rows.notes == {"faults": lines, "fault_counts": {"no_text": 10}}
    clean = numbers(count=0)
    assert shards_of(clean) == [] and clean.notes == {} and clean.counts == {"read": 0}


def test_a_source_for_the_workspace(tmp_path: Any) -> None:
    rows = numbers(count=40, shard_rows=10)
    assert rows.identity()["files"] == [("a.jsonl", 10, "v1")]
    assert source_fingerprint(rows) != source_fingerprint(numbers(count=40, shard_rows=11))
    index = write_source_shards(Workspace(str(tmp_path)), "numbers", rows, "f")
    assert index.rows == 31 and index.counts == rows.counts and index.notes == rows.notes
