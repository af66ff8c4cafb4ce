"""What mining found to be a false negative: in samples, never a random negative, and in another batch."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from corpus.item_ids import join_id
from corpus.schema import ITEM_ID, MAX_FALSE_NEGATIVES, MINED_FALSE_NEGATIVES
from pipelines.labels.vocabulary import load_names
from pipelines.publish.dataset_plan import plan_dataset
from pipelines.publish.false_negatives import sample_false_negatives
from pipelines.publish.publish import publish
from pipelines.publish.verify import verify
from tests.helpers.film_runs import samples as samples_of
from tests.helpers.small_worlds import InlineEngine, World, image_pair, mixture

PAIRS, BATCH = 40, 8


def with_mined(world: World, rows: list[dict[str, Any]], listed: list[list[bytes]]) -> None:
    """Adds the dataset of these pairs with a later table, which lists the false negatives of each."""
    given = world.dataset("laion", rows, tables=1)
    path = "pairs/laion/negatives/000000.0123456789abcdef.parquet"
    kept = {"status": ["kept"] * len(rows), "reason": [""] * len(rows)}
    columns = {MINED_FALSE_NEGATIVES.name: pa.array(listed, pa.list_(ITEM_ID)), **kept}
    world.workspace.write_table(path, pa.table(columns), {})
    world.datasets = [replace(given, later={given.pairs[0]: (path,)})]


def test_false_negatives_are_published_spread_and_never_drawn(tmp_path: Path) -> None:
    """Each pair is linked to four others of its ten; it draws from the other thirty, and shares no batch with these."""
    world = World(str(tmp_path / "work"))
    rows = [image_pair("laion", f"caption {n}", image) for n, image in enumerate(world.pictures(PAIRS))]
    ids = [row["pair_id"] for row in rows]
    number = {pair: n for n, pair in enumerate(ids)}
    listed = [[ids[(n // 10) * 10 + (n + step) % 10] for step in range(1, 5)] for n in range(PAIRS)]
    with_mined(world, rows, listed)
    chosen = mixture(tmp_path / "corpus", {"laion": {"negatives": 30}}, batch_size=BATCH, pairs_per_shard=BATCH)
    published = publish(world.workspace, world.given(), chosen, InlineEngine()).manifest["datasets"]["laion"]
    found = [each["json"] for each in samples_of(tmp_path / "corpus", "laion")]
    assert verify(str(tmp_path / "corpus")).faults == []
    of_side = {each["positive"]["id"]: number[bytes.fromhex(each["pair_id"])] for each in found}
    for sample in found:
        at = number[bytes.fromhex(sample["pair_id"])]
        assert sample["false_negatives"] == [other.hex() for other in listed[at]]
        drawn = {of_side[negative["id"]] for negative in sample["negatives"]}
        assert len(drawn) == 30 and not drawn & {number[other] for other in listed[at]}
    met = 0
    for start in range(0, PAIRS, BATCH):
        batch = {each["pair_id"] for each in found[start : start + BATCH]}
        met += sum(bool(batch & set(each["false_negatives"])) for each in found[start : start + BATCH])
    assert published["false_negatives_in_batch"] == met == 0
    plain = plan_dataset(world.workspace, world.datasets[0], chosen, load_names())
    order = [join_id(plan_id) for plan_id in plain.candidates.ids[:, plain.sample_order.chosen].T]
    assert [each["pair_id"] for each in found] == [pair.hex() for pair in order], "the same order each time"


def test_links_that_cannot_be_separated_are_counted(tmp_path: Path) -> None:
    world = World(str(tmp_path))
    rows = [image_pair("laion", f"caption {n}", image) for n, image in enumerate(world.pictures(12))]
    ids = [row["pair_id"] for row in rows]
    with_mined(world, rows, [[other for other in ids if other != row["pair_id"]] for row in rows])
    plan = plan_dataset(
        world.workspace, world.datasets[0], mixture("unused", {"laion": {}}, batch_size=6), load_names()
    )
    assert plan.sample_order.false_negatives == 12
    assert sorted(plan.sample_order.chosen.tolist()) == list(range(12))


def test_samples_name_those_of_clusters_first_each_once_and_at_most_32() -> None:
    ids = [n.to_bytes(16, "big") for n in range(60)]
    clusters, mined = [ids[:2], None, ids[:30]], [ids[1:4], ids[5:6], ids[30:60]]
    columns = {"false_negatives": clusters, MINED_FALSE_NEGATIVES.name: mined}
    both = pa.table({name: pa.array(column, pa.list_(ITEM_ID)) for name, column in columns.items()})
    assert sample_false_negatives(both) == [ids[:4], ids[5:6], ids[:MAX_FALSE_NEGATIVES]]
    assert sample_false_negatives(both.select(["false_negatives"])) == [ids[:2], [], ids[:30]]
    assert sample_false_negatives(both.select([])) == [[], [], []]
