"""Families of similar nodes, over arrays of edges: connected components by union-find, and greedy representatives.

Components carry similarity on: a chain of nodes, each similar to the next, is one component though its first and last
have nothing in common. With representatives nothing is carried on: each node is one, or is joined to a better one that
it is similar to itself.
"""

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


def join_representatives(representative: np.ndarray, better: np.ndarray, worse: np.ndarray) -> None:
    """Joins nodes to the best representative that they have an edge to, in place: no similarity is carried on.

    The nodes that stay are the lexicographically first maximal independent set of the graph of edges (G. E. Blelloch,
    J. T. Fineman, J. Shun, Greedy Sequential Maximal Independent Set and Matching are Parallel on Average, 2012): no
    two of them are similar, and whatever is removed is similar to one of them.

    Nodes 0, 1, ... are in order of merit, the best first. `representative`, int64[n], is the node itself for each node
    that is not joined yet. Edges, int64[m] each, go from better[i] to worse[i], better[i] < worse[i], in any order,
    and may repeat. They may come in several calls, if all edges from one node come in the same call as those between
    it and the nodes that are better, or later: then the outcome is that of one call with all.

    Every round takes the nodes that no better one is left to decide on; with edges in any order but that of a sorted
    chain there are O(log² n) rounds, each over the edges that are left.
    """
    free = (representative[better] == better) & (representative[worse] == worse)
    better, worse = better[free], worse[free]
    a, b = better, worse
    removed = np.zeros(len(representative), bool)
    waiting = np.zeros(len(representative), bool)
    while len(a):
        waiting[b] = True
        removed[b[~waiting[a]]] = True
        waiting[b] = False
        undecided = ~(removed[a] | removed[b])
        a, b = a[undecided], b[undecided]
    stays = ~removed[better]
    np.minimum.at(representative, worse[stays], better[stays])
