"""Captions that were written once are found again."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from corpus.storage import Store
from corpus.workspace import TableKey, Workspace
from recaption.schema import CAPTION, CAPTION_SCHEMA
from serving.result_cache import ResultCache

PRODUCER = {"model": "m", "revision": "1", "sampling": {"temperature": 0.0}}


def key(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()[:16]


def lay(root: str | Path, source: str, fingerprint: str, captions: dict[str, str | None], **writer: Any) -> None:
    """A caption table; a caption of None is a row without one."""
    rows = [
        {"key": key(name), "caption": caption, "reject_reason": "", "attempts": 1} for name, caption in captions.items()
    ]
    table = pa.Table.from_pylist(rows, CAPTION_SCHEMA)
    path = TableKey("tables", source, CAPTION).path("000000", fingerprint)
    Workspace(root).write_table(path, table, {"settings": {"producer": {**PRODUCER, **writer}}})


def found(cache: ResultCache, *names: str) -> dict[str, str]:
    places, rows = cache.find([key(name) for name in names], ["caption"])
    captions = [] if rows is None else rows.column("caption").to_pylist()
    return {names[place]: caption for place, caption in zip(places, captions, strict=True)}


def opened(root: str | Path) -> ResultCache:
    cache = ResultCache(Store(root), CAPTION, PRODUCER, "caption")
    cache.refresh()
    return cache


def test_captions_are_found_in_whichever_source_they_lie(store_url: str) -> None:
    lay(store_url, "laion", "aa", {"cat": "A cat.", "dog": "A dog."})
    lay(store_url, "megapairs", "bb", {"hat": "A hat.", "cup": None})
    cache = opened(store_url)
    assert found(cache, "hat", "nothing", "cat", "cup", "cat") == {"hat": "A hat.", "cat": "A cat."}
    places, rows = cache.find([key(name) for name in ("cat", "dog", "cat")], ["caption", "attempts"])
    assert places.tolist() == [0, 1, 2]
    assert rows is not None and rows.column_names == ["caption", "attempts"]


def test_another_writers_captions_are_not(tmp_path: Path) -> None:
    lay(tmp_path, "laion", "aa", {"cat": "A cat."}, revision="2")
    lay(tmp_path, "laion", "bb", {"dog": "A dog."}, sampling={"temperature": 1.0})
    cache = opened(tmp_path)
    assert len(cache) == 0
    assert found(cache, "cat", "dog") == {}


def test_what_was_made_again_replaces_what_it_was(tmp_path: Path) -> None:
    lay(tmp_path, "laion", "ff", {"cat": "first", "dog": "only"})
    lay(tmp_path, "laion", "ff-g2", {"cat": "third"})
    lay(tmp_path, "laion", "ff-g1", {"cat": "second"})
    assert found(opened(tmp_path), "cat", "dog") == {"cat": "third", "dog": "only"}


def test_a_refresh_takes_in_what_was_published_since(tmp_path: Path) -> None:
    cache = opened(tmp_path)
    assert found(cache, "cat") == {}
    lay(tmp_path, "laion", "aa", {"cat": "A cat."})
    assert found(cache, "cat") == {}
    cache.refresh()
    cache.refresh()
    assert (found(cache, "cat"), len(cache)) == ({"cat": "A cat."}, 1)


def test_half_a_key_is_not_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lay(tmp_path, "laion", "aa", {"cat": "A cat."})
    cache = opened(tmp_path)
    alike = key("cat")[:8] + bytes(8)
    places, rows = cache.find([alike], ["caption"])
    assert len(places) == 0 and (rows is None or rows.num_rows == 0)


def test_ten_thousand_captions(tmp_path: Path) -> None:
    names = [f"image {number}" for number in range(10_000)]
    for number, part in enumerate(np.array_split(names, 4)):
        lay(tmp_path, f"s{number}", "aa", {name: f"caption of {name}" for name in part})
    cache = opened(tmp_path)
    asked = [*names[::7], "not there"]
    assert found(cache, *asked) == {name: f"caption of {name}" for name in names[::7]}


def test_results_lie_in_several_columns_and_in_lists_of_datasets(tmp_path: Path) -> None:
    places = {"one_key": {"key": "one_key", "value": "one"}, "more_keys": {"key": "more_keys", "value": "more"}}
    keys, values = pa.binary(16), pa.string()
    schema = pa.schema({"one_key": keys, "one": values, "more_keys": pa.list_(keys), "more": pa.list_(values)})
    rows = [
        {"one_key": key("a"), "one": "A", "more_keys": [key("b"), None, key("c")], "more": ["B", None, "C"]},
        {"one_key": None, "one": None, "more_keys": None, "more": None},
        {"one_key": key("d"), "one": "D", "more_keys": [], "more": []},
        {"one_key": key("b"), "one": "B", "more_keys": [key("e")], "more": ["E"]},
    ]
    path = TableKey("pairs", "dataset/source", "embed").path("000000", "aa")
    Workspace(tmp_path).write_table(path, pa.Table.from_pylist(rows, schema), {"settings": {"producer": PRODUCER}})
    cache = ResultCache(Store(tmp_path), "embed", PRODUCER, "key", "pairs", places)
    cache.refresh()
    names = ["e", "nothing", "c", "a", "b", "d"]
    found_places, found_rows = cache.find([key(name) for name in names], ["value"])
    assert found_places.tolist() == [0, 2, 3, 4, 5] and len(cache) == 5
    assert found_rows is not None and found_rows.column("value").to_pylist() == ["E", "C", "A", "B", "D"]
    other = ResultCache(Store(tmp_path), "embed", {"model": "other"}, "key", "pairs", places)
    other.refresh()
    assert len(other) == 0
