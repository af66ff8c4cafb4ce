"""Rounds of large-star and small-star over parts of the edges give the components that one process finds."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from corpus.hashing import mix64
from corpus.star_contraction import Edges, contract_edges, large_star, strip_leaves
from corpus.union_find import components

PARTS = 3


def parts_of(node: np.ndarray, neighbour: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    part = mix64(node.astype(np.uint64)) % np.uint64(PARTS)
    return [(node[part == number], neighbour[part == number]) for number in range(PARTS)]


def rounds(member: np.ndarray, root: np.ndarray) -> tuple[Edges, int]:
    """The stars of edges that no part sees together, and after how many rounds nothing is left of the graph."""
    number, left = 0, []
    while len(member):
        number += 1
        both = np.concatenate([member, root]), np.concatenate([root, member])
        stripped = [strip_leaves(*part) for part in parts_of(*both)]
        left.append(joined([leaves for leaves, _ in stripped]))
        member, root = joined([edges for _, edges in stripped])
        both = np.concatenate([member, root]), np.concatenate([root, member])
        member, root = joined([large_star(*part) for part in parts_of(*both)])
    known: dict[int, int] = {}
    for members, roots in reversed(left):
        new = {node: known.get(to, to) for node, to in zip(members.tolist(), roots.tolist(), strict=True)}
        assert not known.keys() & new.keys(), "a node leaves the graph once"
        known |= new
    nodes = np.array(sorted(known), np.int64)
    return (nodes, np.array([known[node] for node in nodes.tolist()], np.int64)), number


def joined(parts: list[Edges]) -> Edges:
    member, root = (np.concatenate([edges[side] for edges in parts]) for side in (0, 1))
    return member, root


def assert_components(a: np.ndarray, b: np.ndarray) -> int:
    """Asserts that rounds find what union-find does; returns the rounds."""
    nodes = int(max(a.max(initial=0), b.max(initial=0))) + 1
    labels = components(nodes, a, b)
    expected = np.flatnonzero(labels != np.arange(nodes))
    proper = a != b
    (member, root), number = rounds(np.maximum(a, b)[proper], np.minimum(a, b)[proper])
    assert member.tolist() == expected.tolist()
    assert root.tolist() == labels[expected].tolist()
    return number


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), max_size=60))
def test_any_graph(edges: list[tuple[int, int]]) -> None:
    a, b = np.array([*edges], np.int64).reshape(-1, 2).T
    assert_components(a, b)


def test_a_long_chain_takes_few_rounds() -> None:
    for order in (np.arange(20_000), np.random.default_rng(0).permutation(20_000)):
        assert assert_components(order[:-1], order[1:]) <= 12


def test_edges_that_a_part_sees_become_stars_of_its_smallest_nodes() -> None:
    member, root = contract_edges(np.array([9, 5, 7, 4, 8]), np.array([5, 2, 7, 8, 4]))
    assert list(zip(member.tolist(), root.tolist(), strict=True)) == [(5, 2), (8, 4), (9, 2)]


def test_nodes_without_larger_neighbours_leave_the_graph() -> None:
    member, root = np.array([3, 4, 7, 7, 9]), np.array([1, 1, 2, 4, 7])
    both = np.concatenate([member, root]), np.concatenate([root, member])
    leaves, edges = strip_leaves(*both)
    assert list(zip(*(side.tolist() for side in leaves), strict=True)) == [(3, 1), (9, 7)]
    # 7 stays, since 9 is joined to it. Its smaller neighbours are joined to the smallest of them.
    assert list(zip(*(side.tolist() for side in edges), strict=True)) == [(2, 1), (4, 1), (7, 1)]


def test_stars_leave_the_graph_at_once() -> None:
    member, root = np.array([3, 4, 7]), np.array([1, 1, 2])
    both = np.concatenate([member, root]), np.concatenate([root, member])
    assert [side.tolist() for side in large_star(*both)] == [member.tolist(), root.tolist()]
    leaves, edges = strip_leaves(*both)
    assert [side.tolist() for side in leaves] == [member.tolist(), root.tolist()]
    assert not len(edges[0])
