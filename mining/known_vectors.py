"""Vectors that tables in the workspace have already, whichever stage computed them, by their keys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from corpus.arrays import Places
from corpus.stage import ITEM_VECTORS
from corpus.storage import Store
from corpus.vectors import Vectors, column_vectors
from mining.embed import EMBED
from mining.item_vectors import CLIP_VECTORS
from mining.sides import PAIR_ROLES
from serving.result_cache import ResultCache

_OF_PAIRS = {
    f"{role}_key{plural}": {"key": f"{role}_key{plural}", "vector": f"{role}_vector{plural}"}
    for role, plural in (*((role, "") for role in PAIR_ROLES), ("negative", "s"))
}


class KnownVectors:
    """A lookup of the vectors that one encoder has computed, of sides of pairs and of items. Thread-safe."""

    def __init__(self, store: Store, producer: Mapping[str, Any]) -> None:
        self._caches = [
            ResultCache(store, EMBED, producer, "key", "pairs", _OF_PAIRS),
            *(ResultCache(store, stage, producer, "key") for stage in (ITEM_VECTORS, CLIP_VECTORS)),
        ]

    def fill(self, keys: Sequence[bytes], vectors: Vectors) -> Places:
        """Fills in the vectors of the keys that have one, in place; returns their rows, ascending."""
        found = np.zeros(len(keys), np.bool_)
        for cache in self._caches:
            missing = np.flatnonzero(~found)
            cache.refresh()  # each time: other tables of this run have some of the same keys
            places, rows = cache.find([keys[place] for place in missing.tolist()], ["vector"])
            if rows is not None:
                vectors[missing[places]] = column_vectors(rows.column("vector"))
                found[missing[places]] = True
        return np.flatnonzero(found)
