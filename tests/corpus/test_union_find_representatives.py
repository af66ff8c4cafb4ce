"""Greedy representatives, against the definition said one node after the other."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from corpus.union_find import join_representatives

Edges = list[tuple[int, int]]


@st.composite
def graphs(draw: st.DrawFn) -> tuple[int, Edges]:
    nodes = draw(st.integers(1, 30))
    pair = st.tuples(st.integers(0, nodes - 1), st.integers(0, nodes - 1))
    return nodes, [(min(a, b), max(a, b)) for a, b in draw(st.lists(pair, max_size=80)) if a != b]


def joined(nodes: int, *portions: Edges) -> list[int]:
    found = np.arange(nodes)
    for edges in portions:
        a, b = np.array(edges, np.int64).reshape(-1, 2).T
        join_representatives(found, a, b)
    return found.tolist()


def one_by_one(nodes: int, edges: Edges) -> list[int]:
    stands: list[int] = []
    for node in range(nodes):
        better = [a for a, b in edges if b == node and stands[a] == a]
        stands.append(min(better, default=node))
    return stands


@given(graphs(), st.randoms(use_true_random=False))
def test_each_node_is_joined_to_the_first_representative_that_it_is_like(graph: tuple[int, Edges], random: Any) -> None:
    nodes, edges = graph
    expected = one_by_one(nodes, edges)
    assert joined(nodes, random.sample(edges, len(edges))) == expected
    assert joined(nodes, *([(a, b) for a, b in edges if a == node] for node in range(nodes))) == expected


def test_a_chain_of_any_length_leaves_every_other_link() -> None:
    found = np.arange(2_001)
    join_representatives(found, found[:-1].copy(), found[1:].copy())
    assert found.tolist() == [at - at % 2 for at in range(2_001)]


def test_what_all_are_like_stands_for_all() -> None:
    found = np.arange(50_000)
    join_representatives(found, np.zeros(49_999, np.int64), np.arange(1, 50_000))
    assert not found.any()
