"""Snapshots of pools: written once, read as they were written, and refused where nothing fits them any more."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from corpus.pool import Pool
from corpus.settings import SettingsError
from corpus.workspace import Workspace
from mining.neighbours import NeighbourSearch
from mining.settings import DatasetMining, NeighbourSettings
from pipelines.frozen_pools import FrozenPool, pool_path, read_frozen_pool


def stage(k: int = 5) -> NeighbourSearch:
    return NeighbourSearch(NeighbourSettings(k=k), DatasetMining())


def snapshot(workspace: Workspace, *names: str) -> FrozenPool:
    paths = tuple(f"pairs/rivers/nq/embed/{name}.{'0' * 16}.parquet" for name in names)
    for path in paths:
        workspace.store.publish(path, b"a table")
    return FrozenPool.of("rivers", "first", stage(), Pool(workspace.store.url, paths))


def test_a_pool_is_written_once(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    assert read_frozen_pool(workspace, "rivers", "first") is None
    pool = snapshot(workspace, "000001", "000000")
    pool.write(workspace)
    assert read_frozen_pool(workspace, "rivers", "first") == pool
    assert pool.paths == tuple(sorted(pool.paths))
    snapshot(workspace, "000002").write(workspace)
    found = read_frozen_pool(workspace, "rivers", "first")
    assert found == pool, "a name means the same for ever"
    current = Pool(workspace.store.url, (*pool.paths[1:], "pairs/rivers/nq/embed/000002.parquet", "more"))
    assert found.notice(current) == "rivers: frozen pool first of 2 tables (2 newer are not in it)"
    found.check(workspace, stage())


def test_a_pool_of_which_tables_are_gone_or_of_other_settings_is_refused(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    pool = snapshot(workspace, "000000", "000001")
    with pytest.raises(SettingsError, match=r"datasets\.rivers\.pool: .* other settings of `neighbours` \(k\)"):
        pool.check(workspace, stage(6))
    (tmp_path / pool.paths[1]).unlink()
    with pytest.raises(SettingsError, match=r"1 of the 2 tables of frozen pool first are gone, .*000001"):
        pool.check(workspace, stage())


def test_a_list_that_is_broken_is_named(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    snapshot(workspace, "000000", "000001").write(workspace)
    path = tmp_path / pool_path("rivers", "first")
    data = json.loads(path.read_text())
    for broken in ("{", "[]", json.dumps(data | {"tables": data["tables"][:1]}), json.dumps({"format": 1})):
        path.write_text(broken)
        with pytest.raises(SettingsError, match=r"first\.json: no list of a frozen pool"):
            read_frozen_pool(workspace, "rivers", "first")
