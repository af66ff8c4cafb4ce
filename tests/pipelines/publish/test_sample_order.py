from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from corpus.item_ids import join_id
from corpus.schema import item_id
from pipelines.labels.vocabulary import load_names
from pipelines.publish.candidates import CandidatePairs, pair_tables, read_candidate_pairs
from pipelines.publish.group_runs import RunCounts
from pipelines.publish.sample_order import BatchRule, OrderLengths, arrange, arrange_dataset
from tests.helpers.small_worlds import World, image_pair, mixture

IMAGE = item_id(b"an image")
LENGTHS = OrderLengths(768, 10, 8)


def rows(count: int, **columns: Any) -> list[dict[str, Any]]:
    return [image_pair("laion", f"caption {number}", IMAGE, **columns) for number in range(count)]


def grouped(sizes: list[int], singles: int) -> list[dict[str, Any]]:
    made = [
        image_pair("clips", f"video {number} clip {clip}", IMAGE, group=f"video {number}")
        for number, size in enumerate(sizes)
        for clip in range(size)
    ]
    return made + [image_pair("clips", f"single {number}", IMAGE) for number in range(singles)]


def candidates(folder: Path, made: list[dict[str, Any]], tables: int = 3) -> CandidatePairs:
    world = World(str(folder))
    return read_candidate_pairs(world.workspace, pair_tables(world.write_pairs("laion", made, tables)))


def published(found: CandidatePairs, limit: int, seed: int) -> list[bytes]:
    return [join_id(found.ids[:, at]) for at in arrange(found, limit, seed, LENGTHS).chosen]


def test_only_kept_pairs_are_candidates_and_each_only_once(tmp_path: Path) -> None:
    made = rows(10)
    made[4]["status"], made[4]["reason"] = "filtered", "no_text"
    found = candidates(tmp_path, [*made, made[2], made[2], made[4]])
    assert len(found) == 9
    assert found.repeated == 2
    expected = sorted(row["pair_id"] for number, row in enumerate(made) if number != 4)
    assert [join_id(found.ids[:, at]) for at in range(9)] == expected


def test_of_equal_pairs_the_first_row_counts(tmp_path: Path) -> None:
    made = rows(3)
    found = candidates(tmp_path, [*made, *made], tables=1)
    assert sorted(found.row.tolist()) == [0, 1, 2]


def test_the_sample_and_its_order_do_not_depend_on_how_rows_lie_in_tables(tmp_path: Path) -> None:
    made = rows(200)
    one = published(candidates(tmp_path / "one", made, 1), 50, 0)
    other = published(candidates(tmp_path / "other", made[::-1], 7), 50, 0)
    assert one == other
    assert len(set(one)) == 50


def test_a_sample_is_not_the_first_rows_and_changes_with_the_seed(tmp_path: Path) -> None:
    found = candidates(tmp_path, rows(1000), 1)
    first, second = (arrange(found, 200, seed, LENGTHS).chosen for seed in (0, 1))
    assert set(first) != set(second)
    for chosen in (first, second):
        assert 350 < found.row[chosen].mean() < 650  # of rows 0 to 999
        assert sorted(found.row[chosen]) != list(range(200))


def test_a_larger_sample_begins_with_the_smaller_one(tmp_path: Path) -> None:
    found = candidates(tmp_path, rows(100))
    assert published(found, 80, 1)[:30] == published(found, 30, 1)


@pytest.mark.parametrize(("count", "sizes"), [(10, [4, 4, 2]), (8, [4, 4]), (3, [3])])
def test_shards_are_equal_save_the_last(tmp_path: Path, count: int, sizes: list[int]) -> None:
    sample_order = arrange(candidates(tmp_path, rows(count)), None, 1, OrderLengths(768, 4, 8))
    assert sample_order.shard_samples.tolist() == sizes
    assert sample_order.position.tolist() == [position for size in sizes for position in range(size)]
    assert sample_order.rule == BatchRule.SINGLE_DATASET


def test_groups_lie_together_and_never_over_a_boundary(tmp_path: Path) -> None:
    sizes = [3, 5, 2, 7, 4, 6, 2, 3, 5, 4, 8, 2]
    found = candidates(tmp_path, grouped(sizes, singles=9))
    sample_order = arrange(found, None, 1, OrderLengths(10, 10, 8))
    assert sample_order.rule == BatchRule.GROUPED
    assert sample_order.runs == RunCounts(12, 0, 0, 0)
    assert sample_order.shard_samples.tolist() == [10] * 6
    groups = found.group[sample_order.chosen]
    for group in set(groups.tolist()) - {-1}:
        places = np.flatnonzero(groups == group)
        assert places.tolist() == list(range(places[0], places[-1] + 1))
        assert len(set(sample_order.shard[places])) == 1
    assert sorted(sample_order.chosen) == list(range(60))


def test_groups_are_drawn_whole(tmp_path: Path) -> None:
    found = candidates(tmp_path, grouped([5] * 20, singles=0))
    sample_order = arrange(found, 23, 1, LENGTHS)
    assert len(sample_order.chosen) == 20
    assert np.unique(found.group[sample_order.chosen], return_counts=True)[1].tolist() == [5] * 4


def test_a_big_group_is_as_likely_as_a_small_one(tmp_path: Path) -> None:
    found = candidates(tmp_path, grouped([1, 9] * 50, singles=0))
    big = [found.groups.index(f"video {number}") for number in range(1, 100, 2)]
    shares = []
    for seed in range(20):
        chosen = arrange(found, 250, seed, LENGTHS).chosen
        drawn = set(found.group[chosen].tolist())
        shares.append(len(drawn & set(big)) / len(drawn))
    assert 0.4 < np.mean(shares) < 0.6


def test_nothing_to_arrange(tmp_path: Path) -> None:
    found = candidates(tmp_path, [])
    sample_order = arrange(found, 5, 1, LENGTHS)
    assert (len(sample_order.chosen), len(sample_order.shard_samples)) == (0, 0)


def test_labels_are_spread_over_batches(tmp_path: Path) -> None:
    labels = ["dog"] * 30 + ["cat"] * 30 + ["greyhound"] * 30 + [f"thing {number}" for number in range(30)]
    made = [{**row, "label": label} for row, label in zip(rows(120), labels, strict=True)]
    settings = mixture("c", {"laion": {}}, batch_size=12)
    orders = []
    for number, tables in enumerate((made, made[::-1])):
        found = candidates(tmp_path / str(number), tables)
        sample_order = arrange_dataset(found, "laion", settings, load_names())
        assert sample_order.rule == BatchRule.LABEL_SPREAD
        names = [found.labels[found.label[at]] for at in sample_order.chosen]
        batches = [Counter(names[start : start + 12]) for start in range(0, 120, 12)]
        assert all(batch[name] == 3 for batch in batches for name in ("dog", "cat", "greyhound"))
        orders.append([join_id(found.ids[:, at]) for at in sample_order.chosen])
    assert orders[0] == orders[1]
    assert len(set(orders[0])) == 120
