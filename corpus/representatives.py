"""Greedy choice of representatives: each node is one, or is joined to a better one that it is like itself.

Connected components carry likeness on: a chain of nodes, each like the next, is one component though its ends have
nothing in common. Here nothing is carried on. The nodes that stay are the lexicographically first maximal independent
set of the graph of likeness (G. E. Blelloch, J. T. Fineman, J. Shun, Greedy Sequential Maximal Independent Set and
Matching are Parallel on Average, 2012): no two of them are alike, and whatever is removed is like one of them.
"""

from __future__ import annotations

import numpy as np


def join_representatives(representative: np.ndarray, better: np.ndarray, worse: np.ndarray) -> None:
    """Joins nodes to the best representative that they have an edge to, in place.

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
