"""Stage `negatives`: what is near and answers the query, too, is never a negative; what is near and does not, is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from mining.embed import Embed
from mining.neighbours import NeighbourSearch
from mining.settings import DatasetMining, EmbedSettings, HardNegativeSettings, NeighbourSettings
from pipelines.config import StageSettings
from pipelines.labels.vocabulary import load_names
from pipelines.pairs.clusters import CLUSTERS
from pipelines.pairs.negatives import Negatives
from tests.helpers.mining_worlds import read_rows, run_over_pairs, scene
from tests.helpers.small_worlds import World, image_pair

ANY = {"perc_pos": None, "max_positive_similarity": None}


def given(*items: bytes, text: str = "") -> dict[str, Any]:
    return {"text": text, "items": list(items), "clip": None, "score": 0.0, "origin": "given"}


def mined(
    world: World,
    rows: list[dict[str, Any]],
    tables: int = 1,
    clusters: Any = None,
    k: int = 200,
    metrics: list[dict[str, Any]] | None = None,
    **knobs: Any,
) -> list[dict[str, Any]]:
    """The rows of `negatives`, in the order of the pairs; appends the metrics of each shard."""
    settings = DatasetMining(**{"search_by": "positive", "num_negatives": 2, **knobs})
    pairs = world.write_pairs("shapes", rows, tables)
    inputs: list[list[tuple[str, str]]] = [[("pairs", path)] for path in pairs]
    for stage in (
        Embed(EmbedSettings()),
        NeighbourSearch(NeighbourSettings(k=k), settings),
        Negatives(settings, load_names(), clusters is not None, k),
    ):
        if stage.name == "negatives" and clusters is not None:
            for number, (each, path) in enumerate(zip(inputs, pairs, strict=True)):
                output = f"pairs/shapes/{CLUSTERS}/{number:06d}.{'0' * 16}.parquet"
                table = world.workspace.read_table(path, ["pair_id"])
                families = [clusters.get(pair, "") for pair in table.column("pair_id").to_pylist()]
                columns = {"query_cluster": [""] * len(families), "positive_cluster": families}
                world.workspace.write_table(output, table.from_pydict(columns), {})
                each.append((CLUSTERS, output))
        outputs = run_over_pairs(world, stage, inputs, metrics=metrics)
        inputs = [[*each, (stage.name, output)] for each, output in zip(inputs, outputs, strict=True)]
    found = read_rows(world, outputs)
    ids = [row["pair_id"] for row in read_rows(world, list(pairs))]
    return [found[ids.index(row["pair_id"])] for row in rows]


def items_of(row: dict[str, Any]) -> list[bytes]:
    return [item for negative in row["negatives"] for item in negative["items"]]


def squares(world: World, lefts: tuple[int, ...] = (30, 36, 42, 48, 54, 60), colour: str = "red") -> list[bytes]:
    """Squares on a ground, each nearest to those beside it."""
    return world.store([scene(colour, left) for left in lefts], "png")


def test_the_nearest_that_are_not_too_near_become_negatives(tmp_path: Path) -> None:
    world = World(str(tmp_path))
    near, far = squares(world), squares(world, (30, 60), "blue")
    rows = [image_pair("shapes", f"number {n}", item) for n, item in enumerate([*near, *far])]
    naive = mined(world, rows, **ANY)
    assert set(items_of(naive[0])) < set(near), "its own ground is nearer than another"
    for row in naive:
        first, second = row["negatives"]
        assert first["origin"] == second["origin"] == "mined"
        assert first["positive_similarity"] >= second["positive_similarity"] > 0
        assert (first["rank"], second["rank"]) == (1, 2), "the positive itself is the nearest"
        assert row["positive_rank"] is None, "by_positive: no query was searched for"
    bound = naive[0]["negatives"][0]["positive_similarity"] - 1e-4
    bounded = mined(world, rows, perc_pos=None, max_positive_similarity=bound)
    assert items_of(bounded[0])[0] != items_of(naive[0])[0]
    assert all(n["positive_similarity"] <= bound for row in bounded for n in row["negatives"])
    skipped = mined(world, rows, range_min=1, **ANY)
    assert items_of(skipped[0])[0] == items_of(naive[0])[1]


def test_what_the_dataset_says_is_no_negative_is_none(tmp_path: Path) -> None:
    """The nearest of each of the first pairs is planted: a positive of an equal query, of its label, group, family."""
    world = World(str(tmp_path))
    names = ("query", "label", "group", "cluster", "query_item")
    nearest = {name: squares(world, (29 + 7 * n, 30 + 7 * n), "green") for n, name in enumerate(names)}
    others = squares(world, (10, 60), "red")
    pairs = {
        name: [image_pair("shapes", f"{name} {n}", item) for n, item in enumerate(two)] for name, two in nearest.items()
    }
    for pair in pairs["query"]:
        pair["query"] = {"instruction": "", "text": "The same QUERY.", "items": []}
    for pair in pairs["label"]:
        pair["label"] = "a label"
    for pair in pairs["group"]:
        pair["group"] = "a group"
    pairs["query_item"][0]["query"]["items"] = [nearest["query_item"][1]]
    rows = [pair for two in pairs.values() for pair in two]
    rows += [image_pair("shapes", f"other {n}", item) for n, item in enumerate(others)]
    families = {pair["pair_id"]: "c" * 32 for pair in pairs["cluster"]}
    found = mined(world, rows, 2, families, num_negatives=11, **ANY)
    by_pair = {row["pair_id"]: items_of(one) for row, one in zip(rows, found, strict=True)}
    for name in ("query", "label", "group", "cluster"):
        first, second = pairs[name]
        assert nearest[name][1] not in by_pair[first["pair_id"]], name
        assert nearest[name][0] not in by_pair[second["pair_id"]], name
        assert len(by_pair[first["pair_id"]]) == 10, "all others are"
    first, second = pairs["query_item"]
    assert nearest["query_item"][1] not in by_pair[first["pair_id"]]
    assert nearest["query_item"][0] in by_pair[second["pair_id"]]


def test_given_negatives_get_scores_and_false_ones_are_dropped(tmp_path: Path) -> None:
    world = World(str(tmp_path))
    near, far = squares(world), squares(world, (30, 60), "blue")
    rows = [image_pair("shapes", f"number {n}", item) for n, item in enumerate([*near, *far])]
    rows[0]["query"] = rows[1]["query"] = {"instruction": "", "text": "equal", "items": []}
    rows[0]["negatives"] = [given(far[0]), given(near[1]), given(near[3])]
    found = mined(world, rows, num_negatives=4, **ANY)[0]["negatives"]
    assert [n["items"][0] for n in found[:2]] == [far[0], near[3]], "the positive of an equal query is out"
    assert [n["origin"] for n in found] == ["given", "given", "mined", "mined"]
    assert found[1]["positive_similarity"] > found[0]["positive_similarity"] > 0
    assert near[3] not in [n["items"][0] for n in found[2:]], "none twice"
    unchecked = mined(world, rows, num_negatives=4, check_existing=False, **ANY)[0]["negatives"]
    assert [n["items"][0] for n in unchecked[:3]] == [far[0], near[1], near[3]]
    strict = mined(world, rows, num_negatives=4, max_positive_similarity=0.0, perc_pos=None)[0]["negatives"]
    assert strict == [], "all look like the positive"


def images_of_images(queries: list[bytes], positives: list[bytes]) -> list[dict[str, Any]]:
    """Pairs of two images; their queries have no text."""
    rows = [image_pair("shapes", f"number {n}", positive) for n, positive in enumerate(positives)]
    for row, query in zip(rows, queries, strict=True):
        row["query"] = {"instruction": "", "text": "", "items": [query]}
    return rows


def test_what_is_similar_to_any_positive_of_an_equal_query_is_none(tmp_path: Path) -> None:
    """A query has a red and a blue positive; nearly the blue one is another pair's: for both it is a positive."""
    world = World(str(tmp_path))
    (query, other), (red, _), (blue, nearly) = (
        squares(world, (20, 70), "grey"),
        squares(world, (30, 50)),
        squares(world, (40, 41), "blue"),
    )
    green = squares(world, (10, 30, 50), "green")
    rows = images_of_images([query, query, other, *green], [red, blue, nearly, *green])
    rows[0]["negatives"] = [given(nearly), given(green[0])]
    knobs = {"search_by": "query", "num_negatives": 4, "perc_pos": None}
    found = mined(world, rows, 2, max_positive_similarity=0.98, **knobs)
    assert nearly not in items_of(found[0]) and nearly not in items_of(found[1])
    assert [n["items"] for n in found[0]["negatives"] if n["origin"] == "given"] == [[green[0]]]
    assert set(items_of(found[0])) == set(items_of(found[1])) == set(green)
    own_only = mined(world, rows, 2, max_positive_similarity=None, **knobs)
    assert nearly in items_of(own_only[0])
    similar = next(n["positive_similarity"] for n in own_only[0]["negatives"] if n["items"] == [nearly])
    assert similar < 0.98, "its own positive is another colour: what is published is the similarity to that"


def test_what_a_similar_query_has_as_its_positive_is_none(tmp_path: Path) -> None:
    """The queries of the first two pairs are nearly equal, their positives are not: each answers the other's."""
    world = World(str(tmp_path))
    queries = squares(world, (30, 31, 90), "grey") + squares(world, (10, 50), "blue")
    positives = squares(world, (30, 50), "red") + squares(world, (40,), "blue") + squares(world, (30, 60), "green")
    rows = images_of_images(queries, positives)
    rows.append(image_pair("shapes", "a second owner", positives[1]))
    rows[-1]["query"] = {"instruction": "", "text": "", "items": squares(world, (80,), "green")}
    rows[0]["negatives"] = [given(positives[1]), given(positives[3])]
    knobs = {"search_by": "query", "num_negatives": 4, **ANY}
    found = mined(world, rows, 2, max_query_similarity=0.98, **knobs)
    assert positives[1] not in items_of(found[0]) and positives[0] not in items_of(found[1])
    assert items_of(found[0])[0] == positives[3], "the one that it came with"
    assert set(items_of(found[0])) == {positives[2], positives[3], positives[4]}
    assert {positives[0], positives[1]} <= set(items_of(found[2])), "its query is like no other"
    assert positives[1] in items_of(mined(world, rows, 2, **knobs)[0])


def test_shards_do_not_matter_and_reasons_are_counted(tmp_path: Path) -> None:
    world = World(str(tmp_path))
    rows = [image_pair("shapes", f"number {n}", item) for n, item in enumerate(squares(world))]
    results = [mined(world, rows, tables, sampling="random", seed=3, **ANY) for tables in (1, 2, 5)]
    assert results[0] == results[1] == results[2]
    other = mined(world, rows, sampling="random", seed=4, **ANY)
    assert [items_of(row) for row in other] != [items_of(row) for row in results[0]]


def test_rules_of_a_dataset_are_its_own_and_else_the_common_ones() -> None:
    settings = HardNegativeSettings(
        num_negatives=7, perc_pos=0.9, datasets={"one": DatasetMining(perc_pos=None), "two": DatasetMining(range_min=3)}
    )
    one, two = settings.of("one"), settings.of("two")
    assert (one.num_negatives, one.perc_pos, one.range_min) == (7, None, 0)
    assert (two.num_negatives, two.perc_pos, two.range_min) == (7, 0.9, 3)


def test_rules_that_look_further_than_the_search_are_named() -> None:
    names = load_names()
    assert Negatives(DatasetMining(num_negatives=4), names, k=42).caution == ""
    caution = Negatives(DatasetMining(num_negatives=4), names, k=41).caution
    assert "look at 42 neighbours of a pair, but stages.neighbours.k is 41" in caution
    stages = StageSettings(
        neighbours={"k": 10}, negatives={"num_negatives": 4, "datasets": {"one": {"range_min": 7}, "two": {}}}
    )
    assert list(Negatives.conflicts({}, stages)) == [
        "stages.negatives.datasets.one: range_min and num_negatives need 11 neighbours of each pair, but "
        "stages.neighbours.k is 10"
    ]


def test_a_popular_query_moves_the_ranks_no_further_than_the_search(tmp_path: Path) -> None:
    """With 25 positives of one query, the others draw from 2 + 9 ranks: 9 more are left for positives, of k = 20."""
    world = World(str(tmp_path))
    near, far = squares(world, tuple(range(20, 76, 2))), squares(world, tuple(range(22, 72, 2)), "blue")
    rows = [image_pair("shapes", f"number {n}", item) for n, item in enumerate([*near, *far])]
    for row in rows[len(near) :]:
        row["query"] = {"instruction": "", "text": "popular", "items": []}
    metrics: list[dict[str, Any]] = []
    found = mined(world, rows, k=20, metrics=metrics, sampling="random", **ANY)
    assert max(n["rank"] for row in found for n in row["negatives"]) == 11, "its own positive is the first"
    missing = [row for row in found if len(row["negatives"]) < 2]
    assert metrics[-1]["negatives"].get("short_of_neighbours", 0) == len(missing) > 0, "positives of the popular query"


def test_a_pair_without_neighbours_keeps_what_it_has(tmp_path: Path) -> None:
    world = World(str(tmp_path))
    (item, other) = squares(world, (30, 60))
    rows = [image_pair("shapes", "!?", item, negatives=[given(other)]), image_pair("shapes", "words", other)]
    found = mined(world, rows, **ANY)
    assert [n["items"] for n in found[0]["negatives"]] == [[other]]
    assert found[0]["positive_score"] == np.float32(0.83), "that of the set"


def clips(world: World, lefts: tuple[int, ...], film: str) -> list[dict[str, Any]]:
    """The clips of a film, of one frame each: a group, whose members name each other as negatives."""
    frames = squares(world, lefts, "green")
    rows = []
    for number, frame in enumerate(frames):
        clip = {"video": film, "start_s": 5.0 * number, "end_s": 5.0 * number + 5}
        siblings = [{**given(other), "origin": "clip_sibling"} for other in frames if other != frame]
        row = image_pair("shapes", f"clip {number} of {film}", frame, group=film, negatives=siblings)
        rows.append({**row, "positive": {**row["positive"], "clip": clip}})
    return rows


def test_a_sibling_that_looks_like_the_clip_is_no_negative_of_it(tmp_path: Path) -> None:
    """The first two clips of a film look alike, one pixel apart; its others do not."""
    world = World(str(tmp_path))
    rows = [*clips(world, (30, 31, 50, 70), "a" * 32), *clips(world, (12, 85), "b" * 32)]
    first, second, *others = (row["positive"]["items"][0] for row in rows[:4])
    metrics: list[dict[str, Any]] = []
    found = mined(world, rows, num_negatives=3, perc_pos=None, max_positive_similarity=0.95, metrics=metrics)
    kept = [[n["items"][0] for n in row["negatives"] if n["origin"] == "clip_sibling"] for row in found]
    assert kept[0] == kept[1] == others
    assert kept[2] == [first, second, others[1]] and kept[3] == [first, second, others[0]]
    scored = [n["positive_similarity"] for row in found for n in row["negatives"] if n["origin"] == "clip_sibling"]
    assert all(0 < similarity <= 0.95 for similarity in scored)
    counts = metrics[-1]["negatives"]
    assert counts["given/similar_to_positive"] == 2
    assert [n["origin"] for n in found[0]["negatives"]] == ["clip_sibling"] * 2 + ["mined"], "mined ones fill up"
    named = [row["mined_false_negatives"] for row in found]
    assert named[:2] == [[rows[1]["pair_id"]], [rows[0]["pair_id"]]], "nor in a batch, where the group is together"
    assert named[2] == named[3] == [], "siblings that do not look alike are negatives in the batch"
    unbounded = mined(world, rows, num_negatives=3, **ANY)
    assert [row["mined_false_negatives"] for row in unbounded] == [[]] * len(rows)
