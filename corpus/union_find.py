"""Connected components: union-find over arrays, a batch of edges at a time."""

from __future__ import annotations

import numpy as np


class UnionFind:
    """Disjoint sets of the nodes 0 .. n-1. Takes 8 bytes a node: 0.8 GB for 100 million."""

    def __init__(self, nodes: int) -> None:
        self._parent = np.arange(nodes, dtype=np.int64)  # never larger than the node: a root is its tree's minimum

    def union(self, a: np.ndarray, b: np.ndarray) -> None:
        """Puts a[i] and b[i] into one set, for each i; int64[m] each.

        Every round hooks each root onto the smallest root it has an edge to. Whatever has an edge left is merged with
        something at least every second round, so there are O(log m) rounds.
        """
        edges = np.stack([a, b])
        while edges.shape[1]:
            edges = self._roots(edges)
            edges = edges[:, edges[0] != edges[1]]
            np.minimum.at(self._parent, edges.max(axis=0), edges.min(axis=0))

    def labels(self) -> np.ndarray:
        """Returns the smallest member of each node's set, int64[n]."""
        return self._roots(np.arange(len(self._parent)))

    def _roots(self, nodes: np.ndarray) -> np.ndarray:
        """Returns the roots of some nodes. Pointer jumping: a path whose nodes are all asked for is halved in each
        turn.
        """
        while True:
            parents = self._parent[nodes]
            grandparents = self._parent[parents]
            if np.array_equal(parents, grandparents):
                return parents
            self._parent[nodes] = grandparents


def components(nodes: int, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Labels each of `nodes` nodes with the smallest member of its connected component.

    `a` and `b`, int64[m], are the two ends of each edge. Returns int64[nodes].
    """
    sets = UnionFind(nodes)
    sets.union(a, b)
    return sets.labels()
