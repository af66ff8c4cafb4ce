"""Batches of near pairs, from the tables of a workspace to the plan of a dataset."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from corpus.item_ids import join_id
from corpus.schema import item_id, pair_id
from mining.neighbours import NEIGHBOURS_SCHEMA
from pipelines.labels.vocabulary import load_names
from pipelines.publish.data_card import data_card
from pipelines.publish.dataset_plan import DatasetPlan, plan_dataset
from pipelines.publish.manifest import batch_lines, wrong_shape
from pipelines.publish.mixture import PublishError
from pipelines.publish.publish import publish
from tests.helpers.small_worlds import InlineEngine, World, image_pair, mixture

TOPICS, MEMBERS = 16, 8
PAIRS = TOPICS * MEMBERS
BATCHES = {"batch_size": 16, "community": MEMBERS, "ranks": [1, 9]}


def topic(number: int) -> int:
    return number * 5 % TOPICS  # not in the order of pairs


def mined(folder: Path, tables: int, relations: dict[int, list[int]] | None = None) -> World:
    """Pairs of topics. The neighbours of each are its own, those of its topic, and some of others."""
    world = World(str(folder))
    images = world.pictures(PAIRS)
    ids = [pair_id("laion", f"pair {number}", image) for number, image in enumerate(images)]
    rows = [image_pair("laion", f"pair {number}", image) for number, image in enumerate(images)]
    dataset = world.dataset("laion", rows, tables)
    later = {}
    for number, path in enumerate(dataset.pairs):
        found = []
        for at in range(number, PAIRS, tables):
            near = [at, *(other for other in range(PAIRS) if topic(other) == topic(at) and other != at)]
            near += [(at + 7 * step) % PAIRS for step in range(1, 4)]
            entry = {"side_id": item_id(b"side"), "positive_similarity": 0.0}
            scores = [1.0, *[0.8] * (MEMBERS - 1), *[0.3] * 3]
            found.append(
                {
                    "neighbours": [
                        {**entry, "pair_id": ids[other], "score": score}
                        for other, score in zip(near, scores, strict=True)
                    ],
                    "positive_score": 1.0,
                    "positive_rank": 0,
                }
            )
        later[path] = (path.replace("/pairs/0", "/neighbours/0"),)
        world.workspace.write_table(later[path][0], pa.Table.from_pylist(found, NEIGHBOURS_SCHEMA), {})
        if relations is not None:
            named = [[ids[other] for other in relations.get(at, [])] for at in range(number, PAIRS, tables)]
            later[path] += (path.replace("/pairs/0", "/clusters/0"),)
            table = pa.table({"false_negatives": pa.array(named, pa.list_(pa.binary(16)))})
            world.workspace.write_table(later[path][1], table, {})
    world.datasets[:] = [replace(dataset, later=later)]
    return world


def planned(world: World, **settings: Any) -> tuple[DatasetPlan, list[int]]:
    """The plan, and the numbers of the pairs in published order."""
    [dataset] = world.datasets
    plan = plan_dataset(
        world.workspace, dataset, mixture("unused", {"laion": {"batches": BATCHES, **settings}}), load_names()
    )
    number_of = {
        row["pair_id"]: int(row["query"]["text"].removeprefix("pair "))
        for table in dataset.pairs
        for row in world.workspace.read_table(table).to_pylist()
    }
    ids = plan.candidates.ids[:, plan.sample_order.chosen]
    return plan, [number_of[join_id(ids[:, at])] for at in range(ids.shape[1])]


def test_a_batch_is_made_of_topics_and_is_harder_than_a_shuffle(tmp_path: Path) -> None:
    plan, order = planned(mined(tmp_path, 3))
    assert sorted(order) == list(range(PAIRS))
    for start in range(0, PAIRS, 16):
        topics = Counter(topic(number) for number in order[start : start + 16])
        assert set(topics.values()) == {MEMBERS} and len(topics) == 2
    report = plan.sample_order.batches
    assert report is not None and str(plan.sample_order.rule) == "communities"
    assert (report.communities, report.false_negatives) == (TOPICS, 0)
    assert report.hardest_similarity == pytest.approx(0.8)
    assert 0.3 < report.shuffled_hardest_similarity < 0.75
    topics_in_order = [topic(number) for number in order[::MEMBERS]]
    assert len({one - other for one, other in pairwise(topics_in_order)}) > 6, "communities are shuffled"


def test_the_order_does_not_depend_on_how_pairs_lie_in_tables(tmp_path: Path) -> None:
    orders = [planned(mined(tmp_path / str(tables), tables))[1] for tables in (1, 5)]
    assert orders[0] == orders[1]


def test_false_negatives_are_in_no_batch_together(tmp_path: Path) -> None:
    relations = {at: [other for other in range(PAIRS) if topic(other) == topic(at)][:3] for at in range(0, PAIRS, 3)}
    plan, order = planned(mined(tmp_path, 3, relations))
    batch_of = {number: place // 16 for place, number in enumerate(order)}
    assert not any(batch_of[at] == batch_of[other] for at, named in relations.items() for other in named if other != at)
    report = plan.sample_order.batches
    assert report is not None
    assert report.false_negatives == 0 < report.shuffled_false_negatives
    assert report.hardest_similarity > report.shuffled_hardest_similarity


def test_a_sample_of_the_pairs_has_the_neighbours_that_are_in_it(tmp_path: Path) -> None:
    _, order = planned(mined(tmp_path, 2), pairs=64)
    assert len(set(order)) == 64
    near = sum(
        topic(one) == topic(other)
        for at in range(0, 64, 16)
        for one in order[at : at + 16]
        for other in order[at : at + 16]
    )
    by_chance = sum(topic(one) == topic(other) for one in order for other in order) / 4
    assert near > 2 * by_chance


def test_the_fingerprint_is_of_these_settings_too(tmp_path: Path) -> None:
    world = mined(tmp_path, 2)
    [one, same, other] = (planned(world, batches={**BATCHES, **change})[0] for change in ({}, {}, {"community": 4}))
    assert one.fingerprint == same.fingerprint != other.fingerprint


def test_what_cannot_be_ordered_so_says_why(tmp_path: Path) -> None:
    world = mined(tmp_path / "mined", 2)
    world.datasets[:] = [replace(world.datasets[0], later={})]
    with pytest.raises(
        PublishError, match=r"dataset laion: `batches` needs the neighbours .* stages\.negatives\.datasets"
    ):
        planned(world)
    grouped = World(str(tmp_path / "grouped"))
    grouped.captions("laion", 5, group="film")
    with pytest.raises(PublishError, match="dataset laion: `batches` is of pairs without groups and labels"):
        planned(grouped)


def test_the_manifest_the_card_and_a_line_say_how_hard_batches_are(tmp_path: Path) -> None:
    world = mined(tmp_path / "work", 2)
    settings = mixture(tmp_path / "corpus", {"laion": {"batches": BATCHES}}, pairs_per_shard=32)
    manifest = publish(world.workspace, world.given(), settings, InlineEngine()).manifest
    entry = manifest["datasets"]["laion"]
    assert entry["batch_rule"] == "communities" and wrong_shape(manifest) == []
    report = entry["batches"]
    assert [report[name] for name in ("batch_size", "community", "ranks")] == [16, 8, [1, 9]]
    assert f"0.800 ({report['shuffled_hardest_similarity']:.3f}) | 0 (0)" in data_card(manifest).decode()
    [line] = batch_lines(manifest["datasets"])
    assert line.startswith("laion: hardest similarity in a batch 0.800 (shuffled 0.")
    assert np.isfinite(report["shuffled_hardest_similarity"])
