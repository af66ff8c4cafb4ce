from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from corpus.item_ids import join_id
from corpus.item_index import read_locations
from corpus.schema import Modality, item_id
from pipelines.labels.vocabulary import load_names
from pipelines.publish.dataset_plan import DatasetPlan, item_ids, make_export_target, pair_rows, plan_dataset
from pipelines.publish.export import SELF
from pipelines.publish.mixture import PublishError
from tests.helpers.small_worlds import World, image_pair, mixture, picture


def planned(world: World, **settings: Any) -> DatasetPlan:
    [given] = world.datasets
    return plan_dataset(world.workspace, given, mixture("unused", {given.name: settings}), load_names())


def fingerprint(world: World, **settings: Any) -> str:
    return planned(world, **settings).fingerprint


def test_the_fingerprint_is_of_what_the_tars_depend_on_and_of_nothing_else(tmp_path: Path) -> None:
    world = World(str(tmp_path))
    given = world.captions("laion", 5)
    base = fingerprint(world)
    assert fingerprint(world, weight=5.0, repeats=3) == base
    assert fingerprint(world, pairs=4) != base
    assert fingerprint(world, negatives=1) != base
    for other in (mixture("elsewhere", {"laion": {}}, batch_size=4), mixture("unused", {"laion": {}, "more": {}})):
        assert plan_dataset(world.workspace, given, other, load_names()).fingerprint == base
    for other in (mixture("unused", {"laion": {}}, seed=1), mixture("unused", {"laion": {}}, pairs_per_shard=5)):
        assert plan_dataset(world.workspace, given, other, load_names()).fingerprint != base


def test_pairs_with_equal_sides_are_in_different_batches(tmp_path: Path) -> None:
    """Ten passages, each of which answers five questions: in order, and with their negatives, as one plan."""
    world = World(str(tmp_path))
    passages = [{"instruction": "", "text": f"passage {n}", "items": []} for n in range(10)]
    rows = [image_pair("laion", f"question {n}", b"", positive=passages[n // 5]) for n in range(50)]
    given = world.dataset("laion", rows)
    text_of = {row["pair_id"]: (row["query"]["text"], row["positive"]["text"]) for row in rows}

    def published(batch_size: int) -> tuple[DatasetPlan, list[tuple[str, str]]]:
        settings = mixture("unused", {"laion": {"negatives": 2}}, batch_size=batch_size)
        plan = plan_dataset(world.workspace, given, settings, load_names())
        ids = plan.candidates.ids[:, plan.sample_order.chosen]
        return plan, [text_of[join_id(ids[:, at])] for at in range(50)]

    plan, order = published(10)
    assert all(len({passage for _, passage in order[at : at + 10]}) == 10 for at in range(0, 50, 10))
    assert (plan.sample_order.sides_spread, plan.sample_order.equal_sides) == (True, 0)
    assert sorted(order) == sorted(text_of.values())
    for pair, donor in zip(plan.negative_fill.pair, plan.negative_fill.donor, strict=True):
        assert order[pair][1] != order[donor][1]
    crowded, _ = published(25)
    assert crowded.sample_order.equal_sides == 50
    assert crowded.fingerprint != plan.fingerprint


def test_a_dataset_of_which_nothing_is_published_says_why(tmp_path: Path) -> None:
    world = World(str(tmp_path))
    images = world.pictures(3)
    removed = {"status": "filtered", "reason": "blurred"}
    world.dataset("laion", [image_pair("laion", str(n), image, **removed) for n, image in enumerate(images)])
    with pytest.raises(PublishError, match=r"dataset laion: it has no kept pairs; .*rzen-corpus status"):
        planned(world)
    world = World(str(tmp_path / "groups"))
    images = world.pictures(3)
    world.dataset("laion", [image_pair("laion", str(n), image, group="film") for n, image in enumerate(images)])
    with pytest.raises(PublishError, match="none of its 3 kept pairs is published: no whole group"):
        planned(world, pairs=2)


def test_only_the_items_of_chosen_pairs_are_needed(tmp_path: Path) -> None:
    world = World(str(tmp_path))
    world.captions("laion", 20)
    ids = item_ids([planned(world, pairs=6)])
    assert ids.shape == (2, 6)
    assert {join_id(ids[:, at]) for at in range(6)} <= set(world.contents)


def test_rows_of_finished_tars_are_not_read(tmp_path: Path) -> None:
    world = World(str(tmp_path))
    world.captions("laion", 10)
    plan = planned(world, negatives=1)
    locations = read_locations(world.workspace, world.items, item_ids([plan]))
    target = make_export_target(plan, locations, first_key=100)
    items = pair_rows(plan, target, locations, finished={0, 2})
    assert {int(key) for item in items for key in item.key} == {101}
    assert sum(int((item.slot == SELF).sum()) for item in items) == 4
    assert sum(int((item.slot == 0).sum()) for item in items) == 4
    assert pair_rows(plan, target, locations, finished={0, 1, 2}) == []


def test_a_worker_is_told_only_of_the_items_of_its_table(tmp_path: Path) -> None:
    world = World(str(tmp_path))
    world.captions("laion", 9, tables=3)
    plan = planned(world)
    locations = read_locations(world.workspace, world.items, item_ids([plan]))
    items = pair_rows(plan, make_export_target(plan, locations, 0), locations, finished=set())
    assert [len(item.locations) for item in items] == [3, 3, 3]


def test_negatives_and_positives_of_different_kinds_cannot_fill_each_other(tmp_path: Path) -> None:
    world = World(str(tmp_path))
    negative = [{"text": "a text", "items": [], "score": 0.5, "origin": "given"}]
    images = world.pictures(4)
    world.dataset(
        "laion", [image_pair("laion", str(n), image, negatives=negative * (n % 2)) for n, image in enumerate(images)]
    )
    with pytest.raises(PublishError, match="dataset laion: its negatives have 0 items and its positives 1"):
        planned(world, negatives=1)


def test_items_of_two_kinds_on_one_side_are_refused(tmp_path: Path) -> None:
    world = World(str(tmp_path))
    items = [*world.store([picture(0)]), *world.store([b"a clip"], "mp4")]
    world.dataset("laion", [image_pair("laion", str(n), item) for n, item in enumerate(items)])
    plan = planned(world)
    with pytest.raises(PublishError, match="its items as positive are jpg and mp4"):
        make_export_target(plan, read_locations(world.workspace, world.items, item_ids([plan])), 0)


def test_an_item_that_lies_nowhere_is_named(tmp_path: Path) -> None:
    world = World(str(tmp_path))
    world.dataset("laion", [image_pair("laion", "a cat", item_id(b"gone"))])
    plan = planned(world)
    with pytest.raises(PublishError, match=f"item {item_id(b'gone').hex()} "):
        make_export_target(plan, read_locations(world.workspace, [], item_ids([plan])), 0)


def several(dataset: str, text: str, items: list[bytes], negatives: list[list[bytes]]) -> dict[str, Any]:
    listed = [{"text": "", "items": each, "score": 0.0, "origin": "clip_sibling"} for each in negatives]
    positive = {"instruction": "", "text": "", "items": items}
    return image_pair(dataset, text, items[0], positive=positive, negatives=listed)


def test_items_of_two_kinds_at_the_same_place_of_a_side_are_refused(tmp_path: Path) -> None:
    world = World(str(tmp_path))
    images, videos = world.pictures(4), world.store([b"one", b"two"], "mp4")
    contents = [[images[0], videos[0]], [images[1], videos[1]]]
    given = world.dataset("clips", [several("clips", str(n), items, []) for n, items in enumerate(contents)])
    plan = planned(world)
    target = make_export_target(plan, read_locations(world.workspace, world.items, item_ids([plan])), 0)
    assert target.sample_fields.fields == ("positive.jpg", "positive.mp4")
    world.datasets[:] = [replace(given, modality=Modality.CLIP)]
    as_clips = planned(world)
    assert as_clips.fingerprint != plan.fingerprint
    target = make_export_target(as_clips, read_locations(world.workspace, world.items, item_ids([plan])), 0)
    assert target.sample_fields.fields == ("positive.frame_00.jpg", "positive.mp4")
    world.datasets.clear()
    contents[1] = [images[2], images[3]]
    world.dataset("mixed", [several("mixed", str(n), items, []) for n, items in enumerate(contents)])
    plan = planned(world)
    with pytest.raises(PublishError, match="dataset mixed: its items number 1 as positive are jpg and mp4"):
        make_export_target(plan, read_locations(world.workspace, world.items, item_ids([plan])), 0)


def test_negatives_of_other_kinds_than_positives_cannot_be_filled_up(tmp_path: Path) -> None:
    world = World(str(tmp_path))
    images, videos = world.pictures(8), world.store([b"one"], "mp4")
    rows = [several("clips", str(n), images[2 * n : 2 * n + 2], []) for n in range(3)]
    rows.append(several("clips", "3", images[6:8], [[images[0], videos[0]]]))
    world.dataset("clips", rows)
    plan = planned(world, negatives=1)
    with pytest.raises(PublishError, match="dataset clips: its negatives are jpg and mp4 and its positives jpg"):
        make_export_target(plan, read_locations(world.workspace, world.items, item_ids([plan])), 0)


def test_random_negatives_and_batches_follow_the_users_names_of_labels(tmp_path: Path) -> None:
    """Only the file says that a mallet is a hammer; the built-in lists say that a beagle is a dog."""
    (tmp_path / "names.yaml").write_text("hyponyms: {hammer: [mallet]}\n")
    world, labels = World(str(tmp_path)), ["hammer", "mallet", "dog", "beagle"]
    images = world.pictures(40)
    given = world.dataset(
        "laion", [image_pair("laion", str(n), image, label=labels[n % 4]) for n, image in enumerate(images)]
    )
    settings = mixture("c", {"laion": {"negatives": 3}}, batch_size=4)
    plan = plan_dataset(world.workspace, given, settings, load_names(tmp_path / "names.yaml"))
    label = [plan.candidates.labels[code] for code in plan.candidates.label[plan.sample_order.chosen]]
    tools, met = (
        {"hammer", "mallet"},
        {
            (label[pair], label[donor])
            for pair, donor in zip(plan.negative_fill.pair, plan.negative_fill.donor, strict=True)
        },
    )
    assert len(plan.negative_fill.pair) == 3 * 40
    assert all((one in tools) != (other in tools) for one, other in met)
    for first in range(0, 40, 4):
        assert sum(one in tools for one in label[first : first + 4]) == 2
    unnamed = plan_dataset(world.workspace, given, settings, load_names())
    assert unnamed.fingerprint != plan.fingerprint
