from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa

from corpus.item_ids import split_ids, unique_ids
from corpus.item_index import read_locations
from corpus.schema import ITEM_ID, LOCATION_FIELDS, PARTS_FIELD, STATUS_FIELDS, item_id
from tests.helpers.small_worlds import ITEM_SCHEMA, World, picture


def ids(*values: bytes) -> np.ndarray:
    return split_ids(pa.array(values, ITEM_ID))


def test_wanted_items_are_located_and_others_are_not_kept(tmp_path: Path) -> None:
    world = World(str(tmp_path))
    first, second = world.pictures(5, seed=1), world.store([picture(9, "PNG"), picture(10, "PNG")], "png")
    wanted = unique_ids([ids(first[3], second[1], first[0], item_id(b"nowhere"))])
    found = read_locations(world.workspace, world.items, wanted)
    assert len(found) == 3
    for item in (first[0], first[3], second[1]):
        row = int(found.find(ids(item))[0])
        place = (found.media_names[found.media[row]], int(found.offset[row]), int(found.size[row]))
        assert world.workspace.store.read_ranges([place]) == [world.contents[item]]
    assert found.exts[found.ext[found.find(ids(second[1]))[0]]] == "png"
    assert found.find(ids(item_id(b"nowhere"), first[1])).tolist() == [-1, -1]


def test_of_several_places_the_first_is_taken_whatever_the_order_of_tables(tmp_path: Path) -> None:
    world = World(str(tmp_path))
    item = world.pictures(1, seed=1)[0]
    world.pictures(3, seed=2)
    world.store([world.contents[item]])
    for paths in (world.items, world.items[::-1]):
        found = read_locations(world.workspace, paths, ids(item))
        assert len(found) == 1
        assert found.media_names[found.media[0]].startswith("media/web/000000.")


def test_a_cut_holds_the_same_places_and_only_the_tars_it_needs(tmp_path: Path) -> None:
    world = World(str(tmp_path))
    items = [item for seed in range(4) for item in world.pictures(3, seed)]
    found = read_locations(world.workspace, world.items, unique_ids([ids(*items)]))
    few = unique_ids([ids(items[0], items[2], items[10])])
    cut = found.take(found.find(few))
    assert np.array_equal(cut.ids, few)
    assert len(cut.media_names) == 2
    for at, row in enumerate(found.find(few)):
        assert cut.media_names[cut.media[at]] == found.media_names[found.media[row]]
        assert (cut.offset[at], cut.size[at]) == (found.offset[row], found.size[row])


def test_tables_without_rows_and_no_tables_at_all(tmp_path: Path) -> None:
    world = World(str(tmp_path))
    world.workspace.write_table("tables/web/download/x.parquet", ITEM_SCHEMA.empty_table(), {})
    for paths in ([], ["tables/web/download/x.parquet"]):
        assert len(read_locations(world.workspace, paths, ids(item_id(b"x")))) == 0


def test_parts_are_located_and_what_consists_of_them_is_not(tmp_path: Path) -> None:
    world = World(str(tmp_path))
    frames, whole = world.pictures(4), item_id(b"a clip")
    places = {row["item_id"]: row for row in world.workspace.read_table(world.items[0]).to_pylist()}
    names = [field.name for field in LOCATION_FIELDS]
    parts = [[{name: places[frame][name] for name in names} for frame in of] for of in (frames[:2], frames[2:], [])]
    kept = {"status": "kept", "reason": ""}
    rows = [{"item_id": ident, "parts": each, **kept} for ident, each in zip((whole, None, None), parts, strict=True)]
    rows += [{"item_id": None, "parts": None, "status": "failed", "reason": "broken"}]
    schema = pa.schema([*LOCATION_FIELDS, PARTS_FIELD, *STATUS_FIELDS])
    path = "tables/films/groups/000000.0123456789abcdef.parquet"
    world.workspace.write_table(path, pa.Table.from_pylist(rows, schema), {})
    found = read_locations(world.workspace, [path], unique_ids([ids(*frames, whole)]))
    assert len(found) == 4
    assert found.find(ids(whole)).tolist() == [-1]
    for frame in frames:
        row = int(found.find(ids(frame))[0])
        place = (found.media_names[found.media[row]], int(found.offset[row]), int(found.size[row]))
        assert world.workspace.store.read_ranges([place]) == [world.contents[frame]]
        assert found.exts[found.ext[row]] == "jpg"
