"""A dataset as it is read of its tables: relations of all pairs, and the lowest score of equal queries' positives."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from corpus.item_ids import split_ids
from corpus.pool import Pool
from mining.settings import DatasetMining
from pipelines.labels.vocabulary import load_names
from pipelines.pairs.clusters import CLUSTERS
from pipelines.pairs.mined_dataset import mining_rules, read_dataset
from tests.helpers.small_worlds import World, image_pair


def test_rules_are_those_of_the_settings() -> None:
    rules = mining_rules(DatasetMining(num_negatives=7, range_min=3, perc_pos=0.9))
    assert (rules.num_negatives, rules.range_min, rules.perc_pos) == (7, 3, 0.9)
    with pytest.raises(ValueError, match="do not fit into the ranks"):
        mining_rules(DatasetMining(num_negatives=5, range_max=4))


def test_pairs_clusters_and_scores_of_all_tables_are_one_dataset(tmp_path: Path) -> None:
    world = World(str(tmp_path))
    texts = ("a dog", "a cat", "a dog", "a bird")  # the first and the third are one query
    items = world.pictures(4)
    rows = [image_pair("animals", text, item) for text, item in zip(texts, items, strict=True)]
    scores = {row["pair_id"]: score for row, score in zip(rows, (0.9, 0.8, 0.6, None), strict=True)}
    families = {rows[0]["pair_id"]: "f", rows[1]["pair_id"]: "f"}
    pairs = world.write_pairs("animals", rows, 2)
    pools = {"pairs": Pool(world.url, pairs)}
    for name in ("neighbours", CLUSTERS):
        paths = []
        for number, path in enumerate(pairs):
            ids = world.workspace.read_table(path, ["pair_id"]).column("pair_id").to_pylist()
            positive = [families.get(pair, "") for pair in ids]
            columns = {
                "positive_score": pa.array([scores[pair] for pair in ids], pa.float32()),
                "query_cluster": [""] * len(ids),
                "positive_cluster": positive,
            }
            paths.append(f"pairs/animals/{name}/{number:06d}.{'0' * 16}.parquet")
            world.workspace.write_table(paths[-1], pa.table(columns), {})
        pools[name] = Pool(world.url, tuple(paths))
    dataset = read_dataset(pools, load_names())
    at = dataset.index.rows_of(split_ids(pa.array([row["pair_id"] for row in rows], pa.binary(16))))
    assert np.allclose(dataset.reference[at[:3]], [0.6, 0.8, 0.6]) and dataset.max_positives == 2
    assert dataset.reference[at[3]] > 1e30, "a pair without a score bounds nothing"
    side = dataset.index.positive[at]
    assert dataset.index.clusters.shared(at[[0, 0, 2]], side[[1, 3, 1]]).tolist() == [True, False, False]
