"""The same negatives as `mine_hard_negatives` of sentence-transformers, for every rule, alone and with others.

The numbers of the vectors are multiples of 2**-11, so few that all scores are exact in float32, in any order of
summation, and no two scores of a query are equal.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import count
from typing import Any

import numpy as np
import pytest

from corpus.search.exact import search
from corpus.search.fast_scores import exact_products
from mining.choose import Candidates, Reason, Rules, choose, in_row_list, pool_positives
from serving.vllm.torchvision_shim import patch_imports
from tests.helpers.extras import installed_or_skip
from tests.helpers.lookup_model import LookupModel
from tests.helpers.vector_worlds import ids_of

installed_or_skip("sentence_transformers", "datasets", "faiss")
patch_imports()

DIMENSION = 8
THEIRS = Rules(perc_pos=None, max_positive_similarity=None)
Mined = dict[tuple[int, int], list[tuple[int, float]]]  # query, positive -> documents and scores, the best first


@dataclass(frozen=True)
class World:
    """Pairs of queries and documents by number: equal queries, several positives, a pair twice, other documents."""

    queries: np.ndarray  # float16[q, d]
    documents: np.ndarray  # float16[m, d]
    pairs: list[tuple[int, int]]


def on_grid(values: np.ndarray) -> np.ndarray:
    return (np.clip(np.rint(values * 2048), -1023, 1023) / 2048).astype(np.float16)


def draw_world(seed: int, queries: int = 40, documents: int = 200) -> World:
    for attempt in count(seed * 1000):
        random = np.random.default_rng(attempt)
        asked = on_grid(random.uniform(-0.5, 0.5, (queries, DIMENSION)))
        known = on_grid(random.uniform(-0.5, 0.5, (documents, DIMENSION)))
        pairs = []
        for query in range(queries):
            for _ in range(int(random.choice([1, 1, 1, 2, 3]))):
                document = int(random.integers(0, documents))
                pairs.append((query, document))
                if random.random() < 0.7:  # else the positive is no better than others
                    known[document] = on_grid(asked[query] + random.uniform(-0.2, 0.2, DIMENSION))
        pairs += pairs[:2]
        scores = np.sort(exact_products(asked, known), axis=1)
        if (scores[:, 1:] != scores[:, :-1]).all():
            order = random.permutation(len(pairs))
            return World(asked, known, [pairs[at] for at in order])
    raise AssertionError


def theirs(world: World, **settings: Any) -> Mined:
    from datasets import Dataset
    from sentence_transformers.util import mine_hard_negatives

    model = LookupModel(
        {f"q{at}": vector for at, vector in enumerate(world.queries)},
        {f"d{at}": vector for at, vector in enumerate(world.documents)},
    )
    pairs = Dataset.from_dict(
        {"query": [f"q{q}" for q, _ in world.pairs], "positive": [f"d{d}" for _, d in world.pairs]}
    )
    mined = mine_hard_negatives(
        pairs,
        model,  # type: ignore[arg-type]
        corpus=[f"d{at}" for at in range(len(world.documents))],
        output_format="labeled-list",
        output_scores=True,
        verbose=False,
        **settings,
    )
    found: Mined = {}
    for query, documents, scores in zip(mined["query"], mined["positive"], mined["scores"], strict=True):
        numbers = [int(name[1:]) for name in documents]
        found[int(query[1:]), numbers[0]] = list(zip(numbers[1:], scores[1:], strict=True))
    return found


def ours(world: World, rules: Rules) -> Mined:
    random = np.random.default_rng(0)
    query_ids, document_ids = ids_of(random, len(world.queries)), ids_of(random, len(world.documents))
    query, document = (np.array(side) for side in zip(*world.pairs, strict=True))
    scores = exact_products(world.queries, world.documents)[query, document].astype(np.float32)
    reference, max_positives = pool_positives(query_ids[:, query], scores)
    neighbours = search(
        world.queries[query],
        [(document_ids, world.documents)],
        min(rules.depth(max_positives), len(world.documents)),
        backend_name="numpy",
    )
    offsets, ids, found_scores, positions = neighbours.lists()
    pooled = [document[query == each] for each in query]
    list_offsets = np.concatenate([[0], np.cumsum([len(part) for part in pooled])])
    positive = in_row_list(offsets, ids, list_offsets, document_ids[:, np.concatenate(pooled)])
    own = positions == np.repeat(document, np.diff(offsets))
    candidates = Candidates(
        pair_ids=ids_of(random, len(query)),
        offsets=offsets,
        ids=ids,
        scores=found_scores,
        reference=reference,
        masks={Reason.OWN_POSITIVE: own, Reason.POSITIVE_OF_EQUAL_QUERY: positive & ~own},
    )
    choice = choose(candidates, rules, max_positives)
    found: Mined = {}
    for row, pair in enumerate(world.pairs):
        at = choice.chosen[choice.offsets[row] : choice.offsets[row + 1]]
        if len(at):
            found[pair] = list(zip(positions[at].tolist(), found_scores[at].tolist(), strict=True))
    return found


CASES: list[dict[str, Any]] = [
    {},
    {"num_negatives": 1},
    {"num_negatives": 7},
    {"range_min": 4},
    {"range_max": 6},
    {"range_min": 3, "range_max": 6},
    {"range_min": 150, "range_max": 190, "num_negatives": 40},
    {"range_max": 198},
    {"max_score": 0.35},
    {"min_score": 0.3},
    {"absolute_margin": 0.0},
    {"absolute_margin": 0.05},
    {"absolute_margin": -0.1},
    {"relative_margin": 0.0},
    {"relative_margin": 0.05},
    {"relative_margin": 0.5},
    {"max_score": 0.45, "min_score": 0.3},
    {"absolute_margin": 0.02, "relative_margin": 0.1},
    {"relative_margin": 0.05, "range_min": 5, "range_max": 20, "num_negatives": 6},
    {"relative_margin": 0.05, "absolute_margin": 0.01, "max_score": 0.4, "min_score": 0.15, "range_min": 2},
    {"relative_margin": 0.1, "max_score": 0.45, "min_score": 0.2, "range_min": 1, "range_max": 30, "num_negatives": 9},
]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_negatives_are_those_of_sentence_transformers(seed: int) -> None:
    world = draw_world(seed)
    wrong = []
    for settings in CASES:
        expected = theirs(world, **settings)
        assert sum(map(len, expected.values())) > 0, settings
        wrong += [rules for rules in all_forms(settings) if ours(world, rules) != expected]
    assert wrong == []


def all_forms(settings: dict[str, Any]) -> list[Rules]:
    """The rules of these settings; a relative margin also as the part of the positive that is allowed."""
    forms = [replace(THEIRS, **settings)]
    if 0 < settings.get("relative_margin", 0) < 0.5:
        others = {name: value for name, value in settings.items() if name != "relative_margin"}
        forms.append(replace(THEIRS, **others, perc_pos=1 - settings["relative_margin"]))
    return forms


def test_their_search_by_faiss_finds_the_same() -> None:
    world = draw_world(4)
    for settings in (CASES[0], CASES[-1]):
        assert theirs(world, use_faiss=True, **settings) == ours(world, replace(THEIRS, **settings))


def test_a_draw_is_from_the_same_negatives() -> None:
    world = draw_world(5)
    for bounds in ({}, {"relative_margin": 0.1}, {"max_score": 0.5, "min_score": 0.3}):
        window = {"range_min": 2, "range_max": 14, **bounds}
        all_negatives = theirs(world, num_negatives=12, **window)
        their_draw = theirs(world, num_negatives=4, sampling_strategy="random", **window)
        our_draw = ours(world, replace(THEIRS, num_negatives=4, sampling="random", **window))
        assert our_draw.keys() == their_draw.keys() == all_negatives.keys()
        for pair, drawn in our_draw.items():
            assert len(drawn) == len(their_draw[pair]) and set(drawn) <= set(all_negatives[pair])
            assert drawn == sorted(drawn, key=lambda entry: -entry[1])
