"""A sample is the N smallest by hash: whatever the order and size of what it is drawn from, and without repeats."""

from __future__ import annotations

import random

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpus.hashing import hash_strings
from pipelines.sources import sampling
from pipelines.sources.sampling import RowSample, in_tables_of

Row = tuple[str, str]


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a few hundred rows go through every path."""
    monkeypatch.setattr(sampling, "_BLOCK_ROWS", 16)
    monkeypatch.setattr(sampling, "_SLACK_ROWS", 32)


def in_tables(rows: list[Row], size: int) -> list[pa.Table]:
    return [
        pa.table(
            {
                "url": [url for url, _ in part],
                "text": [text for _, text in part],
                "place": list(range(at, at + len(part))),
            }
        )
        for at in range(0, len(rows), size)
        for part in [rows[at : at + size]]
    ]


def drawn(rows: list[Row], count: int, seed: int = 0, size: int = 50) -> list[Row]:
    sample = RowSample(in_tables(rows, size), count, seed)
    return [(row["url"], row["text"]) for table in sample.tables() for row in table.to_pylist()]


def smallest(rows: list[Row], count: int, seed: int) -> list[Row]:
    """The same by sorting everything."""
    distinct = list(dict.fromkeys(rows))
    urls = hash_strings(pa.array([url for url, _ in distinct], pa.string()), seed).tolist()
    texts = hash_strings(pa.array([text for _, text in distinct], pa.string()), seed).tolist()
    return [distinct[at] for at in sorted(range(len(distinct)), key=lambda at: (urls[at], texts[at]))][:count]


ROWS = [(f"http://example.com/{number}.jpg", f"text {number % 7}") for number in range(1000)]


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.tuples(st.sampled_from("abcdefghijklmnopqrstuvwxyz"), st.sampled_from("xyz")), max_size=200),
    st.integers(1, 80),
    st.integers(0, 3),
    st.integers(1, 60),
)
def test_equals_sorting_everything(rows: list[Row], count: int, seed: int, size: int) -> None:
    assert drawn(rows, count, seed, size) == smallest(rows, count, seed)


def test_order_and_sizes_of_the_tables_do_not_matter() -> None:
    shuffled = random.Random(1).sample(ROWS, len(ROWS))
    assert drawn(ROWS, 100, size=1000) == drawn(shuffled, 100, size=7) == smallest(ROWS, 100, 0)


def test_a_sample_begins_the_larger_one() -> None:
    assert drawn(ROWS, 400)[:200] == drawn(ROWS, 200)


def test_seeds_draw_different_samples() -> None:
    common = set(drawn(ROWS, 200, seed=0)) & set(drawn(ROWS, 200, seed=1))
    assert 10 < len(common) < 80  # 40 expected


def test_every_row_is_as_likely_as_any() -> None:
    times = np.zeros(100)
    for seed in range(300):
        for url, _ in drawn(ROWS[:100], 20, seed):
            times[int(url.rsplit("/", 1)[1].removesuffix(".jpg"))] += 1
    assert times.sum() == 300 * 20
    assert np.abs(times - 60).max() < 5 * np.sqrt(300 * 0.2 * 0.8)


def test_a_sample_of_more_than_there_is_takes_all() -> None:
    assert sorted(drawn(ROWS, 5000)) == sorted(ROWS)


def test_rows_are_counted() -> None:
    chosen = drawn(ROWS, 300)
    outside = next(row for row in ROWS if row not in chosen)
    rows = [*ROWS, chosen[0], chosen[0], chosen[5], outside, outside]
    sample = RowSample(in_tables(rows, 40), 300, 0)
    assert (len(sample), sample.rows_read, sample.repeated) == (300, 1005, 3)


def test_one_url_with_two_texts_is_two_rows() -> None:
    assert sorted(drawn([("a", "x"), ("a", "y"), ("a", "x")], 5)) == [("a", "x"), ("a", "y")]


def test_of_equal_rows_the_first_is_kept_with_its_other_columns() -> None:
    sample = RowSample(in_tables([("b", "x"), *ROWS[:200], ("b", "x")], 30), 500, 0)
    (place,) = [row["place"] for table in sample.tables() for row in table.to_pylist() if row["url"] == "b"]
    assert place == 0


def test_what_is_held_stays_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    largest = 0
    filtered = sampling._filtered

    def watched(tables: list[pa.Table], staying: np.ndarray) -> object:
        nonlocal largest
        largest = max(largest, len(staying))
        return filtered(tables, staying)

    monkeypatch.setattr(sampling, "_filtered", watched)
    rows = [(f"http://example.com/{number}.jpg", "") for number in range(20_000)]
    RowSample(in_tables(rows, 25), 100, 0)
    assert largest <= 100 + 32 + 25


def test_nothing_in_nothing_out() -> None:
    sample = RowSample([], 10, 0)
    assert list(sample.tables()) == [] and (len(sample), sample.rows_read, sample.repeated) == (0, 0, 0)


@pytest.mark.parametrize("sizes", [[3, 0, 10, 1], [5, 5], [1] * 12, [], [0]])
def test_tables_are_cut_to_size(sizes: list[int]) -> None:
    numbers = iter(range(100))
    tables = [pa.table({"n": pa.array([next(numbers) for _ in range(size)], pa.int64())}) for size in sizes]
    cut = list(in_tables_of(tables, 5))
    assert [row for table in cut for row in table.column("n").to_pylist()] == list(range(sum(sizes)))
    assert [table.num_rows for table in cut] == [5] * (sum(sizes) // 5) + [sum(sizes) % 5] * bool(sum(sizes) % 5)
