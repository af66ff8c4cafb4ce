"""Components against a plain union-find, and the shapes that are slow for naive pointer chasing."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from corpus.union_find import UnionFind, components


def plain_components(nodes: int, edges: list[tuple[int, int]]) -> list[int]:
    """One edge at a time: relabel the larger label's nodes."""
    labels = list(range(nodes))
    for a, b in edges:
        low, high = sorted((labels[a], labels[b]))
        labels = [low if label == high else label for label in labels]
    return labels


@st.composite
def graphs(draw: st.DrawFn) -> tuple[int, list[tuple[int, int]]]:
    nodes = draw(st.integers(1, 30))
    node = st.integers(0, nodes - 1)
    return nodes, draw(st.lists(st.tuples(node, node), max_size=40))


@given(graphs(), st.integers(1, 7))
def test_labels_are_the_smallest_members_however_the_edges_are_batched(graph, batch):
    nodes, edges = graph
    sets = UnionFind(nodes)
    for start in range(0, len(edges), batch):
        ends = np.array(edges[start : start + batch], dtype=np.int64)
        sets.union(ends[:, 0], ends[:, 1])
    assert sets.labels().tolist() == plain_components(nodes, edges)


def test_no_edges_leave_each_node_alone():
    none = np.empty(0, dtype=np.int64)
    assert components(4, none, none).tolist() == [0, 1, 2, 3]


def test_a_long_path_is_one_component():
    path = np.random.default_rng(0).permutation(100_000)
    assert not components(100_000, path[:-1], path[1:]).any()


def test_an_ordered_path_is_one_component():
    nodes = np.arange(100_000)
    assert not components(100_000, nodes[:-1], nodes[1:]).any()


def test_a_star_around_the_largest_node_is_one_component():
    leaves = np.arange(50_000)
    assert not components(50_001, np.full(50_000, 50_000), leaves).any()


def test_paths_joined_in_a_later_batch_keep_the_smallest_label():
    nodes = np.arange(1_000)
    sets = UnionFind(2_000)
    sets.union(nodes[:-1] + 1_000, nodes[1:] + 1_000)
    sets.union(nodes[:-1], nodes[1:])
    assert sets.labels()[1_500] == 1_000
    sets.union(np.array([1_999]), np.array([500]))
    assert not sets.labels().any()
