"""Connected components in rounds over parts of the edges, for graphs whose edges one process does not hold.

Large-star and small-star (R. Kiveris, S. Lattanzi, V. Mirrokni, V. Rastogi, S. Vassilvitskii, Connected Components in
MapReduce and Beyond, 2014). Edges go from a node, the `member`, to a smaller one, the `root`. In a round the edges are
divided by a node, so that a part has all edges of its nodes, and each part joins what it sees. The rounds end when no
part joins anything: then each member has one edge, to the smallest node of its component. Besides the two steps of the
paper a part joins its edges to stars of its own, which are at most as many and reach further.
"""

from __future__ import annotations

import numpy as np

from corpus.arrays import Ints
from corpus.union_find import components

Edges = tuple[Ints, Ints]  # members and roots, int64[m] each: member[i] > root[i]


def contract_edges(member: Ints, root: Ints) -> Edges:
    """Returns the stars of some edges: all nodes, ascending, but the smallest of each component, with that one.

    The ends of an edge may come in either order, and be the same.
    """
    nodes, places = np.unique(np.concatenate([member, root]), return_inverse=True)
    labels = components(len(nodes), places[: len(member)], places[len(member) :])
    members = np.flatnonzero(labels != np.arange(len(nodes)))
    return nodes[members], nodes[labels[members]]


def large_star(node: Ints, neighbour: Ints) -> tuple[Edges, int]:
    """Joins the larger neighbours of each node to its smallest neighbour, or to itself; of edges both ways.

    Returns the edges, and how many nodes have larger neighbours that were not joined to the smallest one.
    """
    node, neighbour, starts = _by_node(node, neighbour)
    if not len(node):
        return (node, neighbour), 0
    nodes = node[starts]
    smallest = np.minimum(np.minimum.reduceat(neighbour, starts), nodes)
    of_edge = np.repeat(np.arange(len(starts)), np.diff(np.append(starts, len(node))))
    is_larger = neighbour > node
    has_larger = np.bincount(of_edge[is_larger], minlength=len(starts)) > 0
    changed = int(np.count_nonzero(has_larger & (smallest < nodes)))
    return contract_edges(neighbour[is_larger], smallest[of_edge[is_larger]]), changed


def small_star(node: Ints, neighbour: Ints) -> tuple[Edges, int]:
    """Joins each node and its neighbours, which are all smaller, to the smallest of these.

    Returns the edges, and how many nodes have several neighbours.
    """
    node, neighbour, starts = _by_node(node, neighbour)
    if not len(node):
        return (node, neighbour), 0
    is_new = np.append(True, (neighbour[1:] != neighbour[:-1]) | (node[1:] != node[:-1]))
    changed = int(np.count_nonzero(np.add.reduceat(is_new, starts) > 1))
    return contract_edges(node, neighbour), changed


def _by_node(node: Ints, neighbour: Ints) -> tuple[Ints, Ints, Ints]:
    """Sorts edges by node and neighbour; returns them, and where each node begins."""
    order = np.lexsort((neighbour, node))
    node, neighbour = node[order], neighbour[order]
    return node, neighbour, np.flatnonzero(np.append(True, node[1:] != node[:-1])[: len(node)])
