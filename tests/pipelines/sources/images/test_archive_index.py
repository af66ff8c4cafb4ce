"""Names in the index of archives, and which of several a request means."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from corpus.storage import Store
from pipelines.sources.images.archive_index import AMBIGUOUS, MISSING, NameIndex, normalize_names

NAMES = st.lists(st.sampled_from("abc"), min_size=1, max_size=4).map("/".join)


@given(st.lists(NAMES, max_size=12), st.lists(NAMES, min_size=1, max_size=12))
def test_lookups_keep_to_the_rule(held: list[str], requested: list[str]) -> None:
    index = NameIndex.build(pa.table({"name": pa.array(held, pa.large_string())}), {})
    kept = list(dict.fromkeys(held))
    assert index.table.column("name").to_pylist() == kept
    assert index.find(requested).tolist() == [slowly(name, kept) for name in requested]


def slowly(name: str, held: list[str]) -> int:
    if name in held:
        return held.index(name)

    def common(other: str) -> int:
        shorter = min(name, other, key=len)
        longer = max(name, other, key=len)
        return shorter.count("/") + 1 if longer.endswith(f"/{shorter}") else 0

    best = max(map(common, held), default=0)
    near = [row for row, other in enumerate(held) if best and common(other) == best]
    return MISSING if not near else near[0] if len(near) == 1 else AMBIGUOUS


def test_names_in_one_form() -> None:
    raw = pa.array(["./a.jpg", "/a//b/./c.jpg", "a\\b.jpg", ".//./x", "../x", "a/../b", ".hidden/x.", None, ""])
    expected = ["a.jpg", "a/b/c.jpg", "a/b.jpg", "x", "../x", "a/../b", ".hidden/x.", "", ""]
    assert normalize_names(raw).to_pylist() == expected


def test_a_hundred_thousand_names(tmp_path: Path) -> None:
    names = [f"train/v{number // 100}/{number % 100:04d}.jpg" for number in range(100_000)]
    index = NameIndex.build(pa.table({"name": pa.array(names, pa.large_string())}), {"planted": 1})
    index.save(Store(tmp_path), "index")
    index = NameIndex.load(Store(tmp_path), "index")
    rows = np.random.default_rng(0).integers(0, len(names), 2000)
    requested = [names[row].removeprefix("train/") for row in rows]
    assert index.find(requested).tolist() == rows.tolist()
    assert index.find(["0001.jpg", "v0", "v1000/0001.jpg"]).tolist() == [AMBIGUOUS, MISSING, MISSING]
    assert index.metadata == {"planted": 1, "duplicate_name": 0}
    held = index.hashes.nbytes + index.rows.nbytes
    assert held <= 12 * (2 * len(names) + 100)  # a name, its end without `train`, and ends that all of them share
