"""Fast scores of torch: in bfloat16 and in the types of a GPU they find the same bytes as numpy does."""

from __future__ import annotations

import numpy as np
import pytest

from corpus.search import exact as search_module
from corpus.search.exact import search
from corpus.search.fast_scores import Bfloat16Scores, FastScores, GpuScores, backend
from tests.helpers.score_bounds import assert_blocks_are_told_right, assert_bounds_hold
from tests.helpers.vector_worlds import as_bytes, as_lists, plain_search, pool_of, split_anyhow, unit_vectors


def all_of_torch() -> list[FastScores]:
    """With what a GPU runs on the processor: the same code in bfloat16 and in float32."""
    return [Bfloat16Scores(), GpuScores("cpu", "bfloat16"), GpuScores("cpu", "float32")]


def test_the_bounds_hold() -> None:
    for fast in all_of_torch():
        assert_bounds_hold(fast)


def test_blocks_are_told_right() -> None:
    for fast in all_of_torch():
        assert_blocks_are_told_right(fast)


def test_the_bytes_are_those_of_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(1)
    ids, vectors = pool_of(random, 9000, 48)
    vectors[1000:1400] = vectors[1000]  # equal vectors
    vectors[2000:2500] = (vectors[2000].view(np.uint16) ^ (random.random((500, 48)) < 0.05)).view(np.float16)
    ids[:, 5000:5200] = ids[:, 4000:4200]
    pool, queries = (ids, vectors), np.concatenate([vectors[[1000, 2000, 5000]], unit_vectors(random, 17, 48)])
    expected = search(queries, [pool], 60, backend_name="numpy")
    assert as_lists(expected) == plain_search(queries, pool, 60)
    for fast in all_of_torch():
        monkeypatch.setattr(search_module, "backend", lambda name, fast=fast: fast)
        for memory in (1 << 28, 3 << 20):
            found = search(queries, split_anyhow(random, pool, 3), 60, memory_bytes=memory)
            assert as_bytes(found) == as_bytes(expected), (fast.name, memory)


def test_torch_is_taken_by_its_name() -> None:
    assert backend("torch").name.startswith("torch")
    assert backend("auto").name in ("numpy", backend("torch").name)
