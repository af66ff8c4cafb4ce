"""Fast scores of numpy, and what holds for all: conversions, exactness, bounds."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpus.search import fast_scores
from corpus.search.fast_scores import NumpyScores, as_float32, backend, exact_products
from corpus.vectors import normalise
from tests.helpers.score_bounds import assert_blocks_are_told_right, assert_bounds_hold


def test_every_float16_is_the_same_number_as_float32() -> None:
    every = np.arange(2**16, dtype=np.uint16).view(np.float16).reshape(-1, 256)
    finite = np.isfinite(every)
    converted = as_float32(every)
    assert np.array_equal(converted[finite].view(np.uint32), every.astype(np.float32)[finite].view(np.uint32))
    assert np.all(np.abs(converted[~finite]) >= 2**16)
    assert np.array_equal(as_float32(every[:, ::2]), converted[:, ::2])


@given(st.integers(1, 60), st.integers(0, 2**32))
def test_sums_in_float64_are_exact_whatever_their_order(dimension: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    rows = normalise(random.standard_normal((2, dimension)) * np.exp(random.uniform(-9, 0, dimension)))
    left, right = (rows * np.float16(4.9)).astype(np.float16)
    exact = sum(Fraction(float(a)) * Fraction(float(b)) for a, b in zip(left, right, strict=True))
    order = random.permutation(dimension)
    for numbers in (slice(None), order, order[::-1]):
        assert Fraction(float(exact_products(left[None, numbers], right[None, numbers])[0, 0])) == exact


def test_the_bounds_hold() -> None:
    assert_bounds_hold(NumpyScores())


def test_blocks_are_told_right() -> None:
    assert_blocks_are_told_right(NumpyScores())


def test_a_bound_that_says_nothing_is_refused() -> None:
    assert fast_scores.accumulation_error(3584, 2.0**-24) == pytest.approx(3584 * 2.0**-24, rel=1e-3)
    with pytest.raises(ValueError, match="dimensions are too many"):
        fast_scores.accumulation_error(2**24, 2.0**-24)


def test_a_backend_is_taken_by_its_name_and_numpy_where_nothing_else_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fast_scores.importlib.util, "find_spec", lambda name: None)
    assert backend("auto").name == backend("numpy").name == "numpy"
    with pytest.raises(ImportError, match="'torch' needs the package torch"):
        backend("torch")
    with pytest.raises(ValueError, match="no backend 'cuda': one of auto, numpy, torch"):
        backend("cuda")
