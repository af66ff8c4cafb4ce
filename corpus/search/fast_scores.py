"""Fast scores of queries against a block of a pool, and how far from the exact ones they can be.

A score here is a dot product of float16 vectors, computed as fast as the machine can: in float32 by numpy's BLAS, in
bfloat16 by torch on processors that have it, in float16 on the tensor cores of a GPU. These scores only propose; see
`corpus.search.exact`. For each operand its matrix M^ as the machine multiplies it, the norms of its exact rows, and the
norms of what rounding took from them are kept, so that for a query q and a row p of the pool

    |q.p - q^.p^|        <=  |q - q^| |p|  +  |q^| |p - p^|             (Cauchy and Schwarz)
    |fast - q^.p^|       <=  g |q^| |p^|,     g = d u / (1 - d u)       (Higham 2002, section 3.1)
    |returned - fast|    <=  c |returned|

where d is the dimension and u the unit roundoff of accumulation; the second holds for any order of summation, with or
without fused multiply-add, u = 2**-24 for float32. Tensor cores truncate what they align (Fasi, Higham, Mikaitis and
Pranesh, Numerical behavior of NVIDIA tensor cores, 2021): u is taken eight times as large there. c is not 0 where a
score is returned in a narrower type than it was accumulated in.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from corpus.arrays import Floats, Places
from corpus.vectors import Vectors

BACKENDS = ("auto", "numpy", "torch")
MAX_NORM = 5.0  # of a vector: beyond, sums of products could be inexact in float64

Bounds = npt.NDArray[np.float64]

_FLOAT32_ROUNDOFF = 2.0**-24
_SIGN_AND_NUMBER = np.int32(-0x70002000)  # bits 31 and 27 ... 13
_ROWS_IN_CACHE = 64
_SLACK = 1 + 1e-6  # for what the bounds themselves are rounded by


@dataclass(frozen=True)
class Operand:
    """Some vectors as a backend multiplies them."""

    matrix: Any  # [rows, dimension], of the backend
    norms: Bounds  # of the vectors as they are stored
    rounded: Bounds  # norms of what rounding to the matrix's type took


class FastScores(Protocol):
    """The operations that a search needs of a library of matrices. `scores` are its own, float[queries, pool]."""

    name: str
    relative_error: float  # c above
    max_rows: int  # queries of a block of scores that is worked on at once, and rows of the pool
    max_columns: int
    max_exact: int  # numbers of vectors that are scored exactly at once

    def operand(self, vectors: Vectors) -> Operand:
        """Converts vectors for the backend. Raises ValueError for vectors that are not finite or too long."""

    def scores(self, queries: Operand, first: int, stop: int, pool: Operand) -> Any:
        """Computes the scores of the queries `first` to `stop` with all of the pool."""
        ...

    def drop(self, scores: Any, rows: Places, columns: Places) -> None:
        """Gives pairs the score -inf, in place."""

    def reaching(self, scores: Any, threshold: Floats, limit: int | None) -> tuple[Places, Places, Floats] | None:
        """Returns rows (ascending), columns and values of the scores at or above their row's; None if
        more than `limit` are.
        """

    def counts(self, scores: Any, threshold: Floats) -> Places:
        """Counts how many scores of each row are at or above its threshold."""

    def kth(self, scores: Any, k: int, columns: Places | None) -> Floats:
        """Returns each row's k-th largest score, of all columns or of some; there are at least k."""

    def exact(self, queries: Vectors, pool: Vectors) -> Bounds:
        """Computes exact dot products of queries[i] and pool[i, j], from float16[n, d] and float16[n,
        m, d]: float64[n, m].
        """

    def error(self, queries: Operand, first: int, stop: int, pool: Operand) -> Bounds:
        """Returns how far q.p, rounded to float32, can be from the fast score of any p, for each query."""


def backend(name: str = "auto") -> FastScores:
    """Creates the fast scores of a library: `auto` takes torch where it has a GPU or this processor has bfloat16, else
    numpy.

    Raises ValueError for a name that is none, ImportError for torch where it is not installed.
    """
    if name not in BACKENDS:
        raise ValueError(f"no backend {name!r}: one of {', '.join(BACKENDS)}")
    if name == "numpy" or (name == "auto" and not importlib.util.find_spec("torch")):
        return NumpyScores()
    if not importlib.util.find_spec("torch"):
        raise ImportError("backend 'torch' needs the package torch, which is not installed; 'numpy' needs none")
    import torch

    if torch.cuda.is_available():
        return GpuScores()
    return Bfloat16Scores() if name == "torch" or processor_has_bfloat16() else NumpyScores()


@cache
def processor_has_bfloat16() -> bool:
    """Returns whether this processor multiplies bfloat16 itself: elsewhere it is slower than float32."""
    try:
        flags = Path("/proc/cpuinfo").read_text().split()
    except OSError:
        return False
    return not {"avx512_bf16", "amx_bf16", "bf16"}.isdisjoint(flags)


def exact_products(queries: Vectors, pool: Vectors) -> Bounds:
    """Computes exact dot products of queries[i] and pool[j], float64[n, m], for norms up to MAX_NORM.

    float16 numbers are multiples of 2**-24, their products of 2**-48; sums of products of vectors of such norms stay
    below 2**5. So all partial sums have 53 bits: nothing is ever rounded, in whatever order they are added.
    """
    return queries.astype(np.float64) @ pool.astype(np.float64).T


def accumulation_error(dimension: int, roundoff: float) -> float:
    """Returns g, the bound above. Raises ValueError where it says nothing."""
    product = dimension * roundoff
    if product >= 0.5:
        raise ValueError(f"{dimension} dimensions are too many")
    return product / (1 - product)


class NumpyScores:
    """float32 by the BLAS of numpy. Nothing is lost: float32 holds every float16."""

    name = "numpy"
    relative_error = 0.0
    roundoff = _FLOAT32_ROUNDOFF
    max_rows, max_columns = 512, 4096  # so that a block stays in the processor's cache
    max_exact = 1 << 18

    def __init__(self) -> None:
        self._buffers: dict[str, npt.NDArray[Any]] = {}

    def operand(self, vectors: Vectors) -> Operand:
        matrix = as_float32(vectors)
        return Operand(matrix, checked_norms(matrix, vectors), np.zeros(len(vectors)))

    def scores(self, queries: Operand, first: int, stop: int, pool: Operand) -> npt.NDArray[Any]:
        out = self._buffer("scores", (stop - first, len(pool.matrix)), np.float32)
        return np.matmul(queries.matrix[first:stop], pool.matrix.T, out=out)

    def drop(self, scores: npt.NDArray[Any], rows: Places, columns: Places) -> None:
        scores[rows, columns] = -np.inf

    def reaching(
        self, scores: npt.NDArray[Any], threshold: Floats, limit: int | None
    ) -> tuple[Places, Places, Floats] | None:
        reached = self._reached(scores, threshold)
        if limit is not None and np.count_nonzero(reached) > limit:
            return None
        at = np.flatnonzero(reached)
        rows = at // scores.shape[1]  # by a number, which is many times faster than divmod
        return rows, at - rows * scores.shape[1], self._floats(scores.reshape(-1)[at])

    def counts(self, scores: npt.NDArray[Any], threshold: Floats) -> Places:
        return np.count_nonzero(self._reached(scores, threshold), axis=1).astype(np.int64)

    def kth(self, scores: npt.NDArray[Any], k: int, columns: Places | None) -> Floats:
        some = self._floats(scores if columns is None else scores[:, columns])
        at = some.shape[1] - k
        return np.partition(some, at, axis=1)[:, at]

    def exact(self, queries: Vectors, pool: Vectors) -> Bounds:
        products = np.empty(pool.shape[:2])
        wide = self._buffer("exact", pool.shape[1:], np.float64)
        for row, query in enumerate(queries.astype(np.float64)):
            np.copyto(wide, as_float32(pool[row]))
            np.matmul(wide, query, out=products[row])
        return products

    def error(self, queries: Operand, first: int, stop: int, pool: Operand) -> Bounds:
        return error_bound(queries, first, stop, pool, accumulation_error(queries.matrix.shape[1], self.roundoff))

    def _reached(self, scores: npt.NDArray[Any], threshold: Floats) -> npt.NDArray[np.bool_]:
        out = self._buffer("reached", scores.shape, np.bool_)
        return np.greater_equal(scores, threshold[:, None], out=out)

    def _floats(self, scores: npt.NDArray[Any]) -> Floats:
        return scores

    def _buffer(self, name: str, shape: tuple[int, ...], dtype: type[np.generic]) -> npt.NDArray[Any]:
        """Returns an array that is used again: a new one of some megabytes costs as much as comparing
        its numbers does.
        """
        size = shape[0] * shape[1]
        if name not in self._buffers or len(self._buffers[name]) < size:
            self._buffers[name] = np.empty(size, dtype)
        return self._buffers[name][:size].reshape(shape)


class Bfloat16Scores(NumpyScores):
    """bfloat16 by torch, on a processor that has it, accumulated in float32 and returned in bfloat16.

    Scores are the bits of bfloat16 as int16, which numpy compares in the order of the numbers where these are positive.
    """

    name = "torch, bfloat16"
    relative_error = 1.01 * 2.0**-8
    roundoff = 2 * _FLOAT32_ROUNDOFF

    def operand(self, vectors: Vectors) -> Operand:
        import torch

        bits = np.empty(vectors.shape, np.int16)
        norms, rounded = np.empty(len(vectors)), np.empty(len(vectors))
        for first in range(0, len(vectors), _ROWS_IN_CACHE):
            part = slice(first, first + _ROWS_IN_CACHE)
            exact = as_float32(vectors[part])
            norms[part] = checked_norms(exact, vectors[part], first)
            torch.from_numpy(bits[part]).view(torch.bfloat16).copy_(torch.from_numpy(exact))
            exact -= self._floats(bits[part])
            rounded[part] = norms_of(exact)
        return Operand(torch.from_numpy(bits).view(torch.bfloat16), norms, rounded)

    def scores(self, queries: Operand, first: int, stop: int, pool: Operand) -> npt.NDArray[Any]:
        import torch

        bits = self._buffer("scores", (stop - first, len(pool.matrix)), np.int16)
        torch.mm(queries.matrix[first:stop], pool.matrix.T, out=torch.from_numpy(bits).view(torch.bfloat16))
        return bits

    def drop(self, scores: npt.NDArray[Any], rows: Places, columns: Places) -> None:
        scores[rows, columns] = _bfloat16_bits(np.array([-np.inf], np.float32))

    def _reached(self, scores: npt.NDArray[Any], threshold: Floats) -> npt.NDArray[np.bool_]:
        bits = _bfloat16_bits(threshold)  # cut off, so none is above the threshold where that is positive
        if (bits > 0).all():
            return np.greater_equal(scores, bits[:, None], out=self._buffer("reached", scores.shape, np.bool_))
        return super()._reached(self._floats(scores), threshold)

    def _floats(self, scores: npt.NDArray[Any]) -> Floats:
        return (scores.view(np.uint16).astype(np.uint32) << np.uint32(16)).view(np.float32)


class GpuScores:
    """float16 by torch on a GPU's tensor cores, accumulated in float32 and returned in float16.

    What is compared stays on the device; of the scores only those at or above a threshold come back.
    """

    name = "torch, GPU"
    max_rows, max_columns = 4096, 32768
    max_exact = 1 << 26

    def __init__(self, device: str = "cuda", dtype: str = "float16") -> None:
        import torch

        self._device, self._dtype = device, dtype
        self.relative_error = 1.01 * torch.finfo(getattr(torch, dtype)).eps / 2
        torch.backends.cuda.matmul.allow_fp16_reduced_precision_reduction = False  # of partial sums

    def operand(self, vectors: Vectors) -> Operand:
        import torch

        stored = torch_tensor(vectors, self._device)
        matrix = stored.to(getattr(torch, self._dtype))
        rounded = norms_of((stored.float() - matrix.float()).cpu().numpy())
        return Operand(matrix, checked_norms(as_float32(vectors), vectors), rounded)

    def scores(self, queries: Operand, first: int, stop: int, pool: Operand) -> Any:
        return queries.matrix[first:stop] @ pool.matrix.T

    def drop(self, scores: Any, rows: Places, columns: Places) -> None:
        scores[torch_tensor(rows, self._device), torch_tensor(columns, self._device)] = -float("inf")

    def reaching(self, scores: Any, threshold: Floats, limit: int | None) -> tuple[Places, Places, Floats] | None:
        reached = self._reached(scores, threshold)
        if limit is not None and int(reached.count_nonzero()) > limit:
            return None
        rows, columns = reached.nonzero(as_tuple=True)
        values = scores[rows, columns].float()
        return rows.cpu().numpy(), columns.cpu().numpy(), values.cpu().numpy()

    def counts(self, scores: Any, threshold: Floats) -> Places:
        return np.asarray(self._reached(scores, threshold).sum(dim=1).cpu().numpy())

    def kth(self, scores: Any, k: int, columns: Places | None) -> Floats:
        some = scores if columns is None else scores[:, torch_tensor(columns, self._device)]
        smallest = some.topk(k, dim=1, sorted=False).values.amin(dim=1)
        return np.asarray(smallest.float().cpu().numpy())

    def exact(self, queries: Vectors, pool: Vectors) -> Bounds:
        left, right = (torch_tensor(vectors, self._device).double() for vectors in (pool, queries))
        return np.asarray((left @ right[:, :, None])[:, :, 0].cpu().numpy())

    def error(self, queries: Operand, first: int, stop: int, pool: Operand) -> Bounds:
        accumulated = accumulation_error(queries.matrix.shape[1], 8 * _FLOAT32_ROUNDOFF)
        return error_bound(queries, first, stop, pool, accumulated)

    def _reached(self, scores: Any, threshold: Floats) -> Any:
        return scores.float() >= torch_tensor(threshold, self._device)[:, None]


def torch_tensor(array: npt.NDArray[Any], device: str) -> Any:
    """Makes a tensor of an array's numbers; torch has no read-only ones, so such an array is copied."""
    import torch

    return torch.from_numpy(np.require(array, requirements=["C", "W"])).to(device)


def _bfloat16_bits(numbers: Floats) -> npt.NDArray[np.int16]:
    """Returns the upper halves of float32 numbers: bfloat16, rounded towards zero."""
    return (numbers.view(np.uint32) >> np.uint32(16)).astype(np.uint16).view(np.int16)


def as_float32(vectors: Vectors) -> Floats:
    """Returns the same numbers as float32; infinities and NaN become numbers from 2**16 on. Four times as fast as
    `astype`.

    The bits of a float16, shifted to where float32 has exponent and fraction, are a number that is 2**112 too small.
    """
    found = np.empty(vectors.shape, np.float32)
    bits, numbers = found.view(np.int32), vectors.view(np.int16)
    for first in range(0, len(vectors), _ROWS_IN_CACHE):
        part = slice(first, first + _ROWS_IN_CACHE)
        np.copyto(bits[part], numbers[part])
        bits[part] <<= 13
        bits[part] &= _SIGN_AND_NUMBER
        found[part] *= np.float32(2.0**112)
    return found


def norms_of(vectors: Floats) -> Bounds:
    """Computes upper bounds of the norms of rows, summed in float32."""
    squares = np.vecdot(vectors, vectors).astype(np.float64)
    return np.asarray(np.sqrt(squares * (1 + 2 * accumulation_error(vectors.shape[1], _FLOAT32_ROUNDOFF))) * _SLACK)


def checked_norms(exact: Floats, vectors: Vectors, first_row: int = 0) -> Bounds:
    """Computes upper bounds of norms. Raises ValueError that names the first row that is not finite, or too long."""
    norms = norms_of(exact)
    bad = ~(norms <= MAX_NORM)
    if bad.any():
        row = int(bad.argmax())
        finite = np.isfinite(vectors[row]).all()
        fault = f"has norm {norms[row]:.6g}; they must be normalised" if finite else "is not finite"
        raise ValueError(f"row {first_row + row}: its vector {fault}")
    return norms


def error_bound(queries: Operand, first: int, stop: int, pool: Operand, accumulated: float) -> Bounds:
    """Returns the sum of the bounds above without c, and of what rounding the exact score to float32 changes."""
    norms, rounded = queries.norms[first:stop], queries.rounded[first:stop]
    norm, loss = pool.norms.max(initial=0), pool.rounded.max(initial=0)
    inexact = rounded * norm + (norms + rounded) * loss
    summed = accumulated * (norms + rounded) * (norm + loss)
    rounded = _FLOAT32_ROUNDOFF * norms * norm
    return np.asarray((inexact + summed + rounded) * _SLACK)
