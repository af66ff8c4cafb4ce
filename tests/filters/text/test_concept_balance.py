"""The balance of concepts, by planted frequencies: what a cap keeps, whatever the shards."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from corpus.bisection import run_rows
from corpus.pool import Pool
from corpus.stage import PAIRS, Shard
from corpus.workspace import Workspace
from filters.text.concept_balance import ConceptBalance, count_concepts
from filters.text.concepts import CONCEPTS, Concepts, DatasetBalance
from tests.helpers.pair_texts import caption_pairs, shard_of

TEXTS = ["a dog"] * 600 + ["a cat"] * 60 + ["a dog beside an axolotl"] * 5 + ["42"] * 20


def balanced(root: Path, texts: list[str], shard_rows: int, **settings: Any) -> tuple[list[str], list[dict[str, int]]]:
    """Runs both stages over shards of the pairs; returns the reason of each pair, and the metrics of each shard."""
    rules, workspace = DatasetBalance(**settings), Workspace(root)
    find, paths, shards = Concepts(rules), [], []
    for ordinal, start in enumerate(range(0, len(texts), shard_rows)):
        shard = shard_of(caption_pairs(texts[start : start + shard_rows], first=start), ordinal)
        table = run_rows(find, find.setup(), shard)
        paths.append(f"concepts-{shard_rows}-{ordinal}.parquet")
        workspace.write_table(paths[-1], table, {})
        shards.append((shard, table))
    pool = Pool(workspace.store.url, tuple(paths))
    stage, reasons, metrics = ConceptBalance(rules), [], []
    balance = stage.setup()
    for shard, table in shards:
        tables = {PAIRS: shard[PAIRS], CONCEPTS: table}
        one = Shard(shard.source, shard.name, shard.ordinal, shard.rows, tables, shard.store, pools={CONCEPTS: pool})
        reasons += run_rows(stage, balance, one).column("reason").to_pylist()
        metrics.append(one.metrics["concept_balance"])
    return reasons, metrics


def test_frequent_concepts_are_drawn_down_to_the_cap_and_rare_ones_stay(tmp_path: Path) -> None:
    reasons, metrics = balanced(tmp_path, TEXTS, 1000, max_pairs_per_concept=100)
    kept = np.array(reasons) == ""
    assert set(reasons) == {"", "concept_cap"}
    assert 70 < kept[:600].sum() < 130, "of 600 dogs about the cap of 100: three standard deviations are 27"
    assert kept[600:].all(), "60 cats are below it, and an axolotl keeps its dog"
    dogs = int(kept[:600].sum())
    before = {"before/axolotl": 5, "before/cat": 60, "before/dog": 605}
    after = {"after/axolotl": 5, "after/cat": 60, "after/dog": dogs + 5}
    assert metrics == [{"pairs": 685, "removed": 600 - dogs, "unmatched": 20, **before, **after}]


def test_draws_depend_on_ids_and_seed_alone(tmp_path: Path) -> None:
    whole, _ = balanced(tmp_path, TEXTS, 1000, max_pairs_per_concept=100)
    parts, metrics = balanced(tmp_path, TEXTS, 77, max_pairs_per_concept=100)
    assert parts == whole and sum(each["removed"] for each in metrics) == whole.count("concept_cap")
    other, _ = balanced(tmp_path, TEXTS, 1000, max_pairs_per_concept=100, seed=1)
    assert other != whole
    more, _ = balanced(tmp_path, TEXTS, 1000, max_pairs_per_concept=200)
    assert all(after == "" for before, after in zip(whole, more, strict=True) if before == ""), "what stays, stays"


def test_rare_concepts_may_count_for_nothing_and_what_has_none_may_go(tmp_path: Path) -> None:
    reasons, _ = balanced(tmp_path, TEXTS, 1000, max_pairs_per_concept=1, min_pairs_per_concept=6)
    assert reasons[660:665].count("") < 5, "the axolotl is too rare to keep its dog"
    assert reasons[665:] == [""] * 20
    reasons, _ = balanced(tmp_path, TEXTS, 1000, max_pairs_per_concept=1000, keep_unmatched=False)
    assert [place for place, reason in enumerate(reasons) if reason] == list(range(665, 685))


def test_counts_are_of_kept_pairs_over_many_tables(tmp_path: Path) -> None:
    workspace, paths = Workspace(tmp_path), []
    for number in range(70):
        rows = {"concepts": [["dog", f"c{number:02}"], None, ["dog"]], "status": ["kept", "filtered", "filtered"]}
        paths.append(f"{number}.parquet")
        workspace.write_table(paths[-1], pa.table({**rows, "reason": ["", "x", "x"]}), {})
    counts = count_concepts(Pool(workspace.store.url, tuple(paths)))
    assert counts.of(pa.array(["dog", "c00", "c69"])).tolist() == [70, 1, 1]
    assert counts.frequent == ("dog", *(f"c{number:02}" for number in range(9)))


@pytest.mark.parametrize("texts", [[], ["42"]])
def test_of_nothing_nothing_is_drawn(tmp_path: Path, texts: list[str]) -> None:
    assert balanced(tmp_path, texts, 10, max_pairs_per_concept=1)[0] == [""] * len(texts)
