"""Vectors are found by their ids in .npy and Parquet files, block by block."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from corpus.settings import SettingsError
from corpus.storage import Store
from mining.vector_files import VectorLookup, find_vector_files, open_vector_file
from tests.helpers.requests import counted_requests

DIMENSION = 6


def matrix(rows: int, seed: int = 0, dtype: Any = np.float32) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((rows, DIMENSION)).astype(dtype)


def write_npy(path: Path, ids: list[str], vectors: np.ndarray) -> None:
    np.save(path, vectors)
    path.with_suffix(".ids.txt").write_text("".join(f"{name}\n" for name in ids))


def write_parquet(path: Path, ids: list[Any], vectors: list[Any], kind: pa.DataType, group: int = 3) -> None:
    table = pa.table({"id": pa.array(ids), "vector": pa.array(vectors, kind), "other": pa.array(range(len(ids)))})
    pq.write_table(table, path, row_group_size=group)


def lookup(*patterns: Path) -> VectorLookup:
    found = find_vector_files([str(pattern) for pattern in patterns])
    return VectorLookup([open_vector_file(file, "id", "vector") for file in found])


def test_vectors_are_found_in_files_of_both_kinds(tmp_path: Path) -> None:
    expected = {}
    for number, dtype in enumerate((np.float16, np.float32, np.float64)):
        ids, vectors = [f"npy {number} {row}" for row in range(9000)], matrix(9000, number, dtype)
        write_npy(tmp_path / f"{number}.npy", ids, vectors)
        expected |= dict(zip(ids, vectors, strict=True))
    for number, kind in enumerate(
        (pa.list_(pa.float32()), pa.list_(pa.float16(), DIMENSION), pa.large_list(pa.float64()))
    ):
        ids, vectors = [f"table {number} {row}" for row in range(10)], matrix(10, 10 + number, np.float16)
        write_parquet(tmp_path / f"{number}.parquet", ids, list(vectors), kind)
        expected |= dict(zip(ids, vectors, strict=True))
    found = lookup(tmp_path / "*.npy", tmp_path / "*.parquet", tmp_path / "0.npy")
    assert len(found) == len(expected)
    names = np.random.default_rng(1).permutation(list(expected))[:500].tolist() + [
        f"table 2 {row}" for row in range(10)
    ]
    for name in (*names, "npy 0 0", "npy 0 4095", "npy 0 4096", "npy 2 8999"):
        np.testing.assert_array_equal(found.find(name), expected[name])
    assert found.find("npy 0") is None and found.find("") is None


def test_a_row_without_a_whole_vector_has_none(tmp_path: Path) -> None:
    rows = [[1.0] * DIMENSION, None, [1.0] * (DIMENSION - 1), [2.0] * DIMENSION]
    write_parquet(tmp_path / "a.parquet", ["a", "b", "c", "d"], rows, pa.list_(pa.float32()), group=4)
    found = lookup(tmp_path / "a.parquet")
    assert [found.find(name) is None for name in "abcd"] == [False, True, True, False]
    np.testing.assert_array_equal(found.find("d"), rows[3])


def test_binary_ids_are_hexadecimal(tmp_path: Path) -> None:
    ids = [bytes([number]) * 16 for number in (1, 255)]
    table = pa.table({"id": pa.array(ids, pa.binary(16)), "vector": pa.array(list(matrix(2)), pa.list_(pa.float32()))})
    pq.write_table(table, tmp_path / "a.parquet")
    np.testing.assert_array_equal(lookup(tmp_path / "a.parquet").find("ff" * 16), matrix(2)[1])


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    write_npy(tmp_path / "short.npy", ["a"], matrix(2))
    write_npy(tmp_path / "flat.npy", ["a"], np.zeros(3))
    write_npy(tmp_path / "whole.npy", ["a"], np.zeros((1, 3), np.int32))
    write_npy(tmp_path / "long.npy", ["a" * 3_000], matrix(1))
    (tmp_path / "text.npy").write_text("nothing")
    (tmp_path / "notes.txt").write_text("nothing")
    pq.write_table(pa.table({"name": ["a"], "vector": ["b"]}), tmp_path / "names.parquet")
    pq.write_table(pa.table({"id": ["a"], "vector": ["b"]}), tmp_path / "texts.parquet")
    for first, second in (("a", "b"), ("b", "c")):
        write_npy(tmp_path / f"{first}.npy", [first, second], matrix(2))
    cases = {
        "short.npy": r"short.npy: 2 vectors, but 1 ids in .*short.ids.txt",
        "flat.npy": r"flat.npy: no matrix of numbers, row after row, but float64 of shape \(3,\)",
        "whole.npy": "but int32",
        "long.npy": r"ids of up to 1024 bytes, one a line, are expected in .*long.ids.txt: more than 2,048 bytes",
        "text.npy": "no .npy file",
        "notes.txt": "neither .npy nor .parquet",
        "nothing*.npy": "no file there",
        "names.parquet": "no column 'id'; there is name, vector",
        "texts.parquet": "column 'vector' holds string, not lists",
        "[ab].npy": "the id 'b' has two vectors",
    }
    for name, message in cases.items():
        with pytest.raises(SettingsError, match=message):
            lookup(tmp_path / name)


def test_a_files_version_changes_with_it(tmp_path: Path) -> None:
    write_npy(tmp_path / "a.npy", ["a"], matrix(1))
    before = find_vector_files([str(tmp_path / "a.npy")])
    assert before == find_vector_files([str(tmp_path / "*.npy")])
    write_npy(tmp_path / "a.npy", ["a", "b"], matrix(2))
    assert before[0].identity != find_vector_files([str(tmp_path / "a.npy")])[0].identity


def test_files_of_a_glob_are_found_by_one_listing(tmp_path: Path, memory_store: str) -> None:
    store = Store(memory_store)
    for number in range(20):
        store.publish(f"vectors/{number}.npy", bytes(number))
    store.publish("vectors/folder.npy/other.txt", b"")
    with counted_requests() as requests:
        found = find_vector_files([store.full("vectors/*.npy")])
    assert sorted(file.size for file in found) == list(range(20))
    assert len(requests.made) < 6, "not one for each file"
    (tmp_path / "one.npy").write_bytes(b"12")
    (tmp_path / "link.npy").symlink_to("one.npy")
    (tmp_path / "broken.npy").symlink_to("none.npy")
    assert [Path(file.path).name for file in find_vector_files([str(tmp_path / "*.npy")])] == ["link.npy", "one.npy"]
