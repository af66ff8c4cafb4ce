"""Connected components in rounds over parts of the edges, for graphs whose edges one process does not hold.

Edges go from a node, the `member`, to a smaller one, the `root`. In a round the edges are divided by a node, so that a
part has all edges of its nodes, and each part joins what it sees: large-star and small-star (R. Kiveris, S. Lattanzi,
V. Mirrokni, V. Rastogi, S. Vassilvitskii, Connected Components in MapReduce and Beyond, 2014), and besides these steps
a part joins its edges to stars of its own, which are at most as many and reach further. Other than in the paper, a node
without larger neighbours leaves the graph in small-star (`strip_leaves`), with the node whose component it shares: what
is left shrinks with each round, and the components of the nodes that left follow from those of the nodes that stayed.
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


def large_star(node: Ints, neighbour: Ints) -> Edges:
    """Joins the larger neighbours of each node to its smallest neighbour, or to itself; of edges both ways."""
    node, neighbour, starts = _by_node(node, neighbour)
    if not len(node):
        return node, neighbour
    smallest = np.minimum(neighbour[starts], node[starts])
    is_larger = neighbour > node
    return contract_edges(neighbour[is_larger], smallest[_group_of_edge(starts, len(node))[is_larger]])


def strip_leaves(node: Ints, neighbour: Ints) -> tuple[Edges, Edges]:
    """Joins each node and its smaller neighbours to the smallest of these; of edges both ways.

    Returns the edges of the nodes that have smaller neighbours only, to the smallest one, and all other edges. The
    first ones leave the graph: nothing else refers to their members.
    """
    node, neighbour, starts = _by_node(node, neighbour)
    if not len(node):
        return (node, neighbour), (node, neighbour)
    nodes, smallest, group = node[starts], neighbour[starts], _group_of_edge(starts, len(node))
    is_smaller = neighbour < node
    has_larger = np.bincount(group[~is_smaller], minlength=len(starts)) > 0
    is_member = smallest < nodes
    leaves, stays = is_member & ~has_larger, is_member & has_larger
    other = is_smaller & (neighbour != smallest[group])
    members = np.concatenate([nodes[stays], neighbour[other]])
    roots = np.concatenate([smallest[stays], smallest[group[other]]])
    return (nodes[leaves], smallest[leaves]), contract_edges(members, roots)


def _group_of_edge(starts: Ints, edges: int) -> Ints:
    return np.repeat(np.arange(len(starts)), np.diff(np.append(starts, edges)))


def _by_node(node: Ints, neighbour: Ints) -> tuple[Ints, Ints, Ints]:
    """Sorts edges by node and neighbour; returns them, and where each node begins."""
    order = np.lexsort((neighbour, node))
    node, neighbour = node[order], neighbour[order]
    return node, neighbour, np.flatnonzero(np.append(True, node[1:] != node[:-1])[: len(node)])
