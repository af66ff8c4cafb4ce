"""What stages after `pairs` have found is what publishing reads: columns, removals, clusters in order and negatives."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from corpus.schema import PAIR_RELATIONS, table_schema
from pipelines.publish.candidates import PairTable, places_by_table
from pipelines.publish.mixture import DatasetInput
from pipelines.publish.publish import publish
from pipelines.publish.verify import verify
from tests.helpers.small_worlds import InlineEngine, World, image_pair, mixture
from tests.helpers.tar_members import members

PAIRS, BATCH = 24, 6


def with_later(world: World, given: DatasetInput, later: list[dict[str, Any]]) -> DatasetInput:
    """The dataset (of one table) with what a later stage says of each of its rows."""
    schema = table_schema(pa.schema(list(PAIR_RELATIONS)))
    path = given.pairs[0].replace("/pairs/0", "/clusters/0")
    rows = [dict.fromkeys(schema.names) | {"status": "kept", "reason": ""} | row for row in later]
    world.workspace.write_table(path, pa.Table.from_pylist(rows, schema), {})
    return replace(given, later={given.pairs[0]: (path,)})


def samples(corpus: Path) -> list[dict[str, Any]]:
    return [json.loads(data) for _, _, field, data in members(corpus / "laion") if field == "json"]


def test_a_column_is_that_of_the_last_table_that_has_it(tmp_path: Path) -> None:
    world = World(str(tmp_path))
    given = world.captions("laion", 2, tables=1)
    given = with_later(world, given, [{"query_cluster": "a"}, {"status": "filtered", "reason": "planted"}])
    (table,) = given.tables
    read = table.read(world.workspace, ["status", "query.text", "query_cluster", "false_negatives", "positive_rank"])
    assert read.to_pylist() == [
        {"status": "kept", "query": {"text": "laion 0"}, "query_cluster": "a", "false_negatives": None},
        {"status": "filtered", "query": {"text": "laion 1"}, "query_cluster": None, "false_negatives": None},
    ]
    assert "query_cluster" not in PairTable(table.path).read(world.workspace).column_names


def test_clusters_are_published_spread_over_batches_and_never_each_others_negatives(tmp_path: Path) -> None:
    world = World(str(tmp_path / "work"))
    images = world.pictures(PAIRS)
    rows = [image_pair("laion", f"caption {number}", image) for number, image in enumerate(images)]
    names = [f"{number % 4:032x}" for number in range(PAIRS)]  # four clusters of six, which no id tells
    ids = [row["pair_id"] for row in rows]
    later = [{"positive_cluster": name, "false_negatives": [ids[n - 1]]} for n, name in enumerate(names)]
    later[-1] |= {"status": "filtered", "reason": "planted"}
    world.datasets = [with_later(world, world.dataset("laion", rows, tables=1), later)]
    chosen = mixture(tmp_path / "corpus", {"laion": {"negatives": 3}}, batch_size=BATCH, pairs_per_shard=BATCH)
    published = publish(world.workspace, world.given(), chosen, InlineEngine()).manifest["datasets"]["laion"]
    found = samples(tmp_path / "corpus")
    assert (published["samples"], published["clustered"], len(found)) == (PAIRS - 1, PAIRS - 1, PAIRS - 1)
    cluster = {sample["positive"]["id"]: sample["positive_cluster"] for sample in found}
    place = {row["pair_id"].hex(): number for number, row in enumerate(rows)}
    for sample in found:
        number = place[sample["pair_id"]]
        assert (sample["query_cluster"], sample["positive_cluster"]) == ("", names[number])
        assert sample["false_negatives"] == [ids[number - 1].hex()]
        assert names[number] not in {cluster[negative["id"]] for negative in sample["negatives"]}
    for start in range(0, PAIRS - 1, BATCH):
        batch = [sample["positive_cluster"] for sample in found[start : start + BATCH]]
        assert max(map(batch.count, batch)) <= 2, "six of each, over four batches"
    assert verify(str(tmp_path / "corpus")).faults == []


def test_places_are_listed_by_table() -> None:
    found = places_by_table(np.array([2, 0, 2, 3]), 4)
    assert [places.tolist() for places in found] == [[1], [], [0, 2], [3]]
    assert places_by_table(np.empty(0, np.int32), 0) == []
