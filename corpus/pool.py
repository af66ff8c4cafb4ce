"""Pools: tables of all shards that a stage over single shards reads besides its own.

A search goes over a pool (the vectors of all positives of a dataset), and so does a look-up (where all items lie). A
pool is named once for a stage and handed to each worker, not to each shard: with thousands of shards, a list of all
tables in every task would be millions of names.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

import pyarrow as pa

from corpus.workspace import Workspace

_READ_AHEAD = 4  # tables that are being read while one is used


class PoolScope(StrEnum):
    """Whose tables a pool is made of."""

    DATASET = "dataset"  # of the pairs that the stage is over: all sources of their dataset
    SOURCES = "sources"  # all sources of the configuration
    EVALUATION = "evaluation"  # all evaluation sets of the configuration


@dataclass(frozen=True)
class PoolRead:
    """The declaration of a pool: the name or role of its tables, and whose they are.

    `fingerprinted` false: the stage's results do not depend on what else is in the pool (it looks up items by the hash
    of their content), so its tables do not become stale when the pool grows. `frozen`: the name of a snapshot of the
    tables, which is made when it is first used; "": the pool has all tables there are.
    """

    name: str
    scope: PoolScope = PoolScope.DATASET
    fingerprinted: bool = True
    frozen: str = ""


@dataclass(frozen=True)
class Pool:
    """The tables of a pool, in an order that depends on names only.

    Two pools are equal when they name the same tables, so a worker can keep what it made of one for its next shard.
    """

    workspace: str
    paths: tuple[str, ...]

    def tables(self, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
        """Yields every table, or some of its columns, one after the other; the next few are read ahead."""
        yield from Workspace(self.workspace).read_tables(self.paths, columns, _READ_AHEAD)
