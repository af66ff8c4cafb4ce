"""Approximate search: exact where all lists are looked into, exact scores everywhere, and a recall that is measured."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from corpus.search.exact import search
from corpus.vectors import normalise
from mining.approximate import IvfIndex, sampled_rows
from tests.helpers.extras import installed_or_skip
from tests.helpers.vector_worlds import as_bytes, as_lists, ids_of, plain_search, pool_of, split_anyhow, unit_vectors


def clustered(random: np.random.Generator, rows: int, dimension: int, clusters: int = 30) -> np.ndarray:
    centres = random.standard_normal((clusters, dimension))
    return normalise(centres[random.integers(0, clusters, rows)] + 0.4 * random.standard_normal((rows, dimension)))


def test_where_every_list_is_looked_into_it_finds_what_the_exact_search_does() -> None:
    installed_or_skip("faiss")
    random = np.random.default_rng(1)
    ids, vectors = pool_of(random, 3000, 16)
    ids[:, 2000:2100], vectors[2000:2100] = ids[:, :100], vectors[:100]  # rows twice
    vectors[500:520] = vectors[500]  # equal vectors
    queries = np.concatenate([unit_vectors(random, 20, 16), vectors[[500]]])
    expected = search(queries, [(ids, vectors)], 15, backend_name="numpy")
    for storage in ("float32", "float16"):
        index = IvfIndex(split_anyhow(random, (ids, vectors), 4), 16, lists=12, storage=storage)
        assert as_bytes(index.search(queries, 15, probes=12)) == as_bytes(expected)
        assert index.recall(queries, 15, probes=12).value == 1


def test_what_it_finds_in_some_lists_has_exact_scores_and_its_recall_is_measured() -> None:
    installed_or_skip("faiss")
    random = np.random.default_rng(2)
    vectors = clustered(random, 6000, 24)
    pool, queries = (ids_of(random, 6000), vectors), clustered(random, 300, 24)
    queries[:200] = vectors[:200]
    index = IvfIndex([pool], 24, seed=3)
    assert index.lists == round(4 * np.sqrt(6000))
    exact = plain_search(queries, pool, 10)
    recalls = []
    for probes in (1, 8, 64):
        found = as_lists(index.search(queries, 10, probes))
        position = {entry[2]: entry for line in plain_search(queries[:1], pool, 6000) for entry in line}
        assert all(entry == position[entry[2]] for entry in found[0])
        assert all(line == sorted(line, key=lambda entry: (-entry[0], entry[1])) for line in found)
        recall = index.recall(queries, 10, probes, sample=1000)
        common = sum(len({e[1] for e in a} & {e[1] for e in b}) for a, b in zip(found, exact, strict=True))
        assert recall.rows == 300 and recall.value == common / 3000
        recalls.append(recall.value)
    assert recalls == sorted(recalls) and recalls[0] < 0.9 < recalls[2]
    assert index.recall(queries, 10, 8, sample=50, seed=1).rows == 50


def test_small_pools_leave_places_empty() -> None:
    installed_or_skip("faiss")
    random = np.random.default_rng(4)
    pool, queries = pool_of(random, 3, 8), unit_vectors(random, 2, 8)
    found = IvfIndex([pool], 8).search(queries, 5, probes=3)
    assert as_lists(found) == plain_search(queries, pool, 5)
    nothing = IvfIndex([], 8)
    assert nothing.search(queries, 5).counts.tolist() == [0, 0] and nothing.recall(queries, 5).value == 1
    with pytest.raises(ValueError, match="k and probes must be at least 1, not 5 and 0"):
        nothing.search(queries, 5, probes=0)
    broken = pool[1].copy()
    broken[1, 2] = np.nan
    with pytest.raises(ValueError, match="row 1: its vector is not finite"):
        IvfIndex([(pool[0], broken)], 8)


def test_a_sample_of_rows_is_drawn_by_its_seed_and_grows_with_its_size() -> None:
    small, large = sampled_rows(1000, 50, 1), sampled_rows(1000, 200, 1)
    assert len(small) == 50 and len(large) == 200 and set(small) < set(large)
    assert set(sampled_rows(1000, 50, 2)) != set(small)
    assert sampled_rows(3, 50, 1).tolist() == [0, 1, 2]


def test_without_faiss_it_tells_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(ImportError, match=r"pip install 'rzen-corpus\[faiss\]'"):
        IvfIndex([], 8)
