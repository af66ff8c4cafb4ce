from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipelines.publish import random_negatives as module
from pipelines.publish.candidates import CandidatePairs
from pipelines.publish.mixture import PublishError
from pipelines.publish.pair_contents import PairContents
from pipelines.publish.random_negatives import fill_negatives
from pipelines.publish.sample_order import BatchRule, SampleOrder
from tests.helpers.cases import cases
from tests.helpers.negative_rows import Row, filled_negatives, mined_negatives, numbered_item, positive_item
from tests.helpers.small_worlds import image_pair


def test_what_is_missing_is_filled_and_nothing_else(tmp_path: Path) -> None:
    rows = [
        image_pair("laion", str(n), numbered_item(n), negatives=mined_negatives(*range(500, 500 + n % 4)))
        for n in range(40)
    ]
    found = filled_negatives(tmp_path, rows, negatives=2)
    slots = sorted((row["query"]["text"], slot) for row, slot, _ in found)
    assert slots == sorted((str(n), slot) for n in range(40) for slot in range(n % 4, 2))


def test_no_negative_is_the_pairs_own_content_or_there_already(tmp_path: Path) -> None:
    rows = [
        image_pair("laion", str(n), numbered_item(n % 6), negatives=mined_negatives((n + 1) % 6)) for n in range(24)
    ]
    taken: dict[bytes, list[bytes]] = {}
    for row, _, donor in filled_negatives(tmp_path, rows, negatives=4):
        taken.setdefault(row["pair_id"], []).append(positive_item(donor))
    for row in rows:
        contents = [positive_item(row), row["negatives"][0]["items"][0], *taken[row["pair_id"]]]
        assert len(set(contents)) == 5


def test_no_negative_is_the_query_itself(tmp_path: Path) -> None:
    def query(n: int) -> Row:
        return {"instruction": "", "text": f"make it blue {n}", "items": [numbered_item(0)]}

    rows = [image_pair("laion", str(n), numbered_item(n), query=query(n)) for n in range(4)]
    assert all(
        positive_item(donor) != numbered_item(0) for _, _, donor in filled_negatives(tmp_path, rows, negatives=1)
    )


def test_no_negative_is_another_positive_of_an_equal_query(tmp_path: Path) -> None:
    """Three passages answer each of six questions, which differ in case and blanks; one picture has five captions."""
    rows, answers = [], {}
    for n in range(18):
        query = f"which  City is number {n // 3}?" if n % 2 else f"which city is number {n // 3}"
        positive = {"instruction": "", "text": f"answer {n}", "items": []}
        asked = {"instruction": "", "text": query, "items": []}
        rows.append(image_pair("laion", str(n), b"", query=asked, positive=positive))
        answers.setdefault(n // 3, set()).add(f"answer {n}")
    for row, _, donor in filled_negatives(tmp_path / "texts", rows, negatives=9):
        assert donor["positive"]["text"] not in answers[int(row["query"]["text"].rstrip("?").split()[-1])]
    rows = [
        image_pair(
            "laion",
            str(n),
            b"",
            query={"instruction": "", "text": "", "items": [numbered_item(n // 5)]},
            positive={"instruction": "", "text": f"caption {n}", "items": []},
        )
        for n in range(20)
    ]
    found = filled_negatives(tmp_path / "images", rows, negatives=10)
    assert len(found) == 200
    assert all(row["query"]["items"] != donor["query"]["items"] for row, _, donor in found)


def test_what_answers_an_equal_query_is_no_negative_where_another_query_has_it_too(tmp_path: Path) -> None:
    named = [("a", 0), ("a", 1), ("b", 1), ("c", 2), ("d", 3)]
    rows = [image_pair("laion", query, numbered_item(n)) for query, n in named]
    for row, _, donor in filled_negatives(tmp_path, rows, negatives=2):
        assert (row["query"]["text"], positive_item(donor)) not in {(query, numbered_item(n)) for query, n in named}


def test_sides_with_images_are_compared_by_these(tmp_path: Path) -> None:
    """Nearly equal texts beside different pictures are different positives. As queries alone they are nearly one."""
    text = "a photograph of the old harbour in the evening light with two boats and a gull over the water"

    def captioned(n: int, **contents: Row) -> Row:
        return image_pair("d", str(n), numbered_item(n), **contents)

    positives = [
        captioned(n, positive={"instruction": "", "text": f"{text} {n}", "items": [numbered_item(n)]}) for n in range(6)
    ]
    assert len(filled_negatives(tmp_path / "positives", positives, negatives=5)) == 30
    queries = [captioned(n, query={"instruction": "", "text": f"{text} {n}", "items": []}) for n in range(6)]
    with pytest.raises(PublishError, match="6 of its 6 pairs find no random negative number 0"):
        filled_negatives(tmp_path / "queries", queries, negatives=1)


@pytest.mark.parametrize("one_query", [False, True])
def test_frequent_answers_and_queries_leave_the_search_linear(one_query: bool) -> None:
    """Nearly all pairs have one of two answers, or one query: not each of them is compared with each."""
    pairs = 100_000
    contents, found, sample_order = drawn_sides(pairs, 1)
    numbers = np.arange(pairs).astype(np.uint64) + np.uint64(1)
    answer = np.where(np.arange(pairs) < pairs - 40, numbers % np.uint64(2) + np.uint64(1), numbers + np.uint64(9))
    query = np.where(np.arange(pairs) < pairs - 40, np.uint64(1), numbers)
    none, minus = np.zeros(pairs, np.uint64), np.full(pairs, -1, np.int32)
    contents = replace(
        contents,
        negative_counts=np.zeros(pairs, int),
        query_key=none,
        positive_key=numbers if one_query else answer,
        negative_keys=np.zeros((pairs, 1), np.uint64),
        source_key=none,
        query_id=query if one_query else numbers,
    )
    found, sample_order = replace(found, group=minus, label=minus), replace(sample_order, chosen=np.arange(pairs))
    fill = fill_negatives(contents, found, sample_order, 1)
    assert len(fill.pair) == pairs
    ids, shown_by = contents.query_id, contents.positive_key
    assert not (ids[fill.pair] == ids[fill.donor]).any()
    assert not (shown_by[fill.pair] == shown_by[fill.donor]).any()


@pytest.mark.parametrize("column", ["group", "label"])
def test_no_negative_is_of_the_same_group_or_label(tmp_path: Path, column: str) -> None:
    rows = [
        image_pair("laion", str(n), numbered_item(n), **{column: "common" if n < 30 else f"rare {n % 3}"})
        for n in range(36)
    ]
    found = filled_negatives(tmp_path, rows, negatives=2)
    assert len(found) == 72
    assert all(row[column] != donor[column] for row, _, donor in found)


def test_no_negative_is_of_a_related_label(tmp_path: Path) -> None:
    labels = ["dog", "greyhound", "cat"]
    rows = [image_pair("laion", str(n), numbered_item(n), label=labels[n % 3]) for n in range(30)]
    found = filled_negatives(tmp_path, rows, negatives=3, related=("greyhound", "dog"))
    donors = {label: {donor["label"] for row, _, donor in found if row["label"] == label} for label in labels}
    assert donors == {"dog": {"cat"}, "greyhound": {"cat"}, "cat": {"dog", "greyhound"}}


def test_pairs_without_group_and_label_are_not_one_group(tmp_path: Path) -> None:
    assert (
        len(filled_negatives(tmp_path, [image_pair("laion", str(n), numbered_item(n)) for n in range(3)], negatives=2))
        == 6
    )


def test_the_same_seed_draws_the_same_whatever_the_tables(tmp_path: Path) -> None:
    rows = [image_pair("laion", str(n), numbered_item(n)) for n in range(50)]

    def drawn(folder: str, seed: int, tables: int) -> list[tuple[bytes, bytes]]:
        found = filled_negatives(tmp_path / folder, rows, 1, seed, tables)
        return [(row["pair_id"], donor["pair_id"]) for row, _, donor in found]

    assert drawn("a", 1, 1) == drawn("b", 1, 5)
    assert drawn("c", 1, 2) != drawn("d", 2, 2)


def test_draws_are_spread_over_the_dataset(tmp_path: Path) -> None:
    rows = [image_pair("laion", str(n), numbered_item(n)) for n in range(300)]
    donors = [positive_item(donor) for _, _, donor in filled_negatives(tmp_path, rows, negatives=1)]
    assert max(donors.count(donor) for donor in set(donors)) < 10
    assert len(set(donors)) > 150


def test_a_dataset_that_is_too_small_is_refused(tmp_path: Path) -> None:
    rows = [image_pair("laion", str(n), numbered_item(n)) for n in range(3)]
    with pytest.raises(PublishError, match="3 of its 3 pairs find no random negative number 2"):
        filled_negatives(tmp_path, rows, negatives=3)


def drawn_sides(pairs: int, negatives: int, seed: int = 0) -> tuple[PairContents, CandidatePairs, SampleOrder]:
    """Pairs with few contents, groups, labels and sources, some of which have negatives of their own."""
    random = np.random.default_rng(seed)
    ids = random.integers(0, 2**63, (2, pairs)).astype(np.uint64)
    group, label = (random.integers(-1, most, pairs).astype(np.int32) for most in (6, 4))
    rows = np.arange(pairs, dtype=np.int32)
    found = CandidatePairs(ids, np.zeros_like(rows), rows, group, label, (), ("a", "b", "c", "d"), 0)
    order = random.permutation(pairs)
    own = random.integers(0, negatives + 1, pairs)
    keys = random.integers(1, pairs + 2, (pairs, negatives)).astype(np.uint64)
    keys[np.arange(negatives) >= own[:, None]] = 0
    query, shown, source, whole = (random.integers(0, pairs + 2, pairs).astype(np.uint64) for _ in range(4))
    sample_order = SampleOrder(order, np.zeros(pairs, int), rows, 0, BatchRule.SINGLE_DATASET)
    shown += np.uint64(1)
    return PairContents((), {}, own, query, shown, keys, source % np.uint64(5), whole, shown), found, sample_order


@cases("seed", range(60))
def test_searching_gives_what_walking_on_would(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    given, said = drawn_sides(5 + seed // 2, 1 + seed % 3, seed), []
    for steps in (1, 4, 1000):  # the last: nothing is left to be searched for
        monkeypatch.setattr(module, "_STEPS", steps)
        try:
            fill = fill_negatives(*given, 1, np.array([[0, 1]]))
            said.append([fill.pair.tolist(), fill.slot.tolist(), fill.donor.tolist()])
        except PublishError as error:
            said.append([str(error)])
    assert said[0] == said[1] == said[2]


@pytest.mark.parametrize(("labels", "negatives"), [(1, 1), (2, 2)])
def test_labels_that_leave_no_negative_are_said_of_very_many_pairs_too(labels: int, negatives: int) -> None:
    """A set of one label, and one of two whose positives are their names. Not each pair is tried with each."""
    contents, found, sample_order = drawn_sides(200_000, negatives)
    label = np.arange(200_000, dtype=np.int32) % labels
    content = (label if labels > 1 else np.arange(200_000)).astype(np.uint64) + np.uint64(1)
    found = replace(found, label=label, group=np.full_like(label, -1))
    none = np.zeros(200_000, np.uint64)
    contents = replace(
        contents, negative_counts=np.zeros(200_000, int), query_key=none, positive_key=content, source_key=none
    )
    contents = replace(contents, negative_keys=np.zeros((200_000, negatives), np.uint64), query_id=np.arange(200_000))
    sample_order = replace(sample_order, chosen=np.arange(200_000))
    with pytest.raises(PublishError, match=f"200000 of its 200000 pairs .* number {negatives - 1}"):
        fill_negatives(contents, found, sample_order, 1)
