from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from corpus.item_ids import join_id
from corpus.schema import item_id
from pipelines.publish.candidates import pair_tables, read_candidate_pairs
from pipelines.publish.mixture import PublishError
from pipelines.publish.pair_contents import PairContents, first_entries, read_pair_contents
from pipelines.publish.sample_order import OrderLengths, arrange
from tests.helpers.small_worlds import World, image_pair


def item(number: int) -> bytes:
    return item_id(b"item %d" % number)


def negative(text: str = "", *items: bytes) -> dict[str, Any]:
    return {"text": text, "items": list(items), "score": 0.5, "origin": "mined"}


def read(
    folder: Path, rows: list[dict[str, Any]], negatives: int, sources: bool = False
) -> tuple[PairContents, list[dict[str, Any]]]:
    """The sides, and the rows in published order."""
    world = World(str(folder))
    paths = world.write_pairs("laion", rows)
    candidates = read_candidate_pairs(world.workspace, pair_tables(paths))
    sample_order = arrange(candidates, None, 1, OrderLengths(768, 100, 8))
    by_id = {row["pair_id"]: row for row in rows}
    ordered = [by_id[join_id(candidates.ids[:, at])] for at in sample_order.chosen]
    return read_pair_contents(
        world.workspace, pair_tables(paths), candidates, sample_order, negatives, sources
    ), ordered


def named(sides: PairContents, role: str) -> list[bytes]:
    return sorted(join_id(table[role][:, at]) for table in sides.tables for at in range(table[role].shape[1]))


def test_the_items_of_all_roles_are_read_by_table(tmp_path: Path) -> None:
    rows = [
        image_pair("laion", str(n), item(n), negatives=[negative("", item(100 + 10 * n + k)) for k in range(n)])
        for n in range(5)
    ]
    sides, ordered = read(tmp_path, rows, negatives=2)
    assert len(sides.tables) == 3
    assert sides.counts == {"query": 0, "positive": 1, "negatives": 1}
    assert named(sides, "positive") == sorted(item(n) for n in range(5))
    assert named(sides, "negatives") == sorted(item(100 + 10 * n + k) for n in range(5) for k in range(min(n, 2)))
    assert sides.negative_counts.tolist() == [min(len(row["negatives"]), 2) for row in ordered]


def test_keys_are_equal_for_equal_content_only(tmp_path: Path) -> None:
    rows = [image_pair("laion", str(n), item(n % 3), negatives=[negative("", item(0))] * (n % 2)) for n in range(6)]
    sides, ordered = read(tmp_path, rows, negatives=1)
    shown = [row["positive"]["items"][0] for row in ordered]
    for at in range(6):
        for other in range(6):
            assert (sides.positive_key[at] == sides.positive_key[other]) == (shown[at] == shown[other])
        assert bool(sides.negative_keys[at, 0]) == bool(ordered[at]["negatives"])
    of_item_0 = sides.positive_key[shown.index(item(0))]
    assert set(sides.negative_keys.ravel().tolist()) == {0, int(of_item_0)}
    assert len(set(sides.query_key.tolist())) == 6


def test_ids_of_sides_are_read_with_the_pairs(tmp_path: Path) -> None:
    rows = [image_pair("laion", text, item(n)) for n, text in enumerate(["a cat", "A cat!", "a dog"])]
    read_ids, ordered = read(tmp_path, rows, negatives=0)
    of = dict(zip([row["query"]["text"] for row in ordered], read_ids.query_id.tolist(), strict=True))
    assert of["a cat"] == of["A cat!"] != of["a dog"]
    assert len(set(read_ids.positive_id.tolist())) == 3


def test_texts_tell_pairs_apart_where_there_are_no_items(tmp_path: Path) -> None:
    texts = ["a", "b", "a"]
    rows = [
        image_pair(
            "laion", str(n), b"", positive={"instruction": "", "text": text, "items": []}, negatives=[negative("b")]
        )
        for n, text in enumerate(texts)
    ]
    sides, ordered = read(tmp_path, rows, negatives=1)
    keys = {row["positive"]["text"]: key for row, key in zip(ordered, sides.positive_key.tolist(), strict=True)}
    assert len(set(sides.positive_key.tolist())) == 2
    assert set(sides.negative_keys.ravel().tolist()) == {keys["b"]}


def test_pairs_that_would_have_different_fields_are_refused(tmp_path: Path) -> None:
    rows = [
        image_pair("laion", "one", item(1)),
        image_pair("laion", "two", item(2), query={"instruction": "", "text": "x", "items": [item(3)]}),
    ]
    with pytest.raises(PublishError, match="0 or 1 items as query"):
        read(tmp_path, rows, negatives=0)


@pytest.mark.parametrize("most", [0, 1, 2, 9])
def test_first_entries_of_lists(most: int) -> None:
    values = [[1, 2, 3], [], None, [4], [5, 6]]
    lists = pa.array([[0], *values], pa.list_(pa.int64())).slice(1)
    assert first_entries(lists, most).to_pylist() == [(value or [])[:most] for value in values]


def test_first_entries_of_no_lists() -> None:
    assert first_entries(pa.array([], pa.list_(pa.int64())), 2).to_pylist() == []


def test_clips_of_several_frames_have_one_key(tmp_path: Path) -> None:
    frames = [[item(8 * n + k) for k in range(8)] for n in range(3)]
    rows = [
        image_pair("clips", str(n), b"", positive={"instruction": "", "text": "", "items": frames[n]}) for n in range(3)
    ]
    sides, _ = read(tmp_path, rows, negatives=0)
    assert sides.counts["positive"] == 8
    assert len(np.unique(sides.positive_key)) == 3


def test_sources_are_told_apart_where_they_are_asked_for(tmp_path: Path) -> None:
    rows = [image_pair("clips", str(n), item(n), source_url=f"http://example.org/{n % 3}.mp4") for n in range(7)]
    sides, ordered = read(tmp_path / "a", rows, negatives=1, sources=True)
    keys = {row["source_url"]: key for row, key in zip(ordered, sides.source_key.tolist(), strict=True)}
    assert sides.source_key.tolist() == [keys[row["source_url"]] for row in ordered]
    assert len(set(keys.values())) == 3
    sides, _ = read(tmp_path / "b", rows, negatives=1)
    assert not sides.source_key.any()
