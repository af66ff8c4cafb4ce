"""A dataset's pairs, relations and scores, as the stages read them that choose among its neighbours."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from corpus.item_ids import split_ids
from corpus.pool import Pool
from corpus.stage import PAIRS
from mining.candidates import Dataset
from mining.choose import Rules
from mining.dataset_index import CLUSTER_COLUMNS, PAIR_COLUMNS, build_index
from mining.neighbours import NEIGHBOURS
from mining.settings import DatasetMining
from pipelines.labels.hierarchy import Relations
from pipelines.labels.vocabulary import LabelNames
from pipelines.pairs.clusters import CLUSTERS


def mining_rules(mining: DatasetMining) -> Rules:
    """Returns the rules of `mining.choose` for a dataset's settings.

    Raises ValueError where nothing could be chosen.
    """
    return Rules(**{name: value for name, value in mining.model_dump().items() if name in Rules.__dataclass_fields__})


def read_dataset(pools: Mapping[str, Pool], names: LabelNames) -> Dataset:
    """Returns the pairs of a dataset, their clusters where there are any, and the scores of their positives."""
    tables = pools[PAIRS].tables(PAIR_COLUMNS)
    if CLUSTERS in pools:
        both = zip(tables, pools[CLUSTERS].tables(CLUSTER_COLUMNS), strict=True)
        tables = (_side_by_side(pairs, clusters) for pairs, clusters in both)
    index = build_index(tables)
    scored: list[tuple[np.ndarray, np.ndarray]] = [(np.zeros((2, 0), np.uint64), np.zeros(0, np.float32))]
    both = zip(pools[PAIRS].tables(["pair_id"]), pools[NEIGHBOURS].tables(["positive_score"]), strict=True)
    for pairs, found in both:
        valid = pc.and_(pairs.column("pair_id").is_valid(), found.column("positive_score").is_valid())
        ids, scores = pairs.column("pair_id").filter(valid), found.column("positive_score").filter(valid)
        scored.append((split_ids(ids), scores.to_numpy().astype(np.float32)))
    pair_ids, scores = (np.concatenate(columns, axis=-1) for columns in zip(*scored, strict=True))
    related = Relations(index.labels.names, names).pairs(index.labels.names)
    return Dataset.of(index, {"pair_ids": pair_ids, "scores": scores}, related)


def _side_by_side(pairs: pa.Table, clusters: pa.Table) -> pa.Table:
    for name in CLUSTER_COLUMNS:
        pairs = pairs.append_column(name, clusters.column(name))
    return pairs
