"""A killed download goes on inside its shard: what was fetched before is not fetched again."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from corpus.execution import Outcome
from corpus.storage import StorageError, Store
from corpus.tars import index_tar
from corpus.workspace import Workspace
from pipelines.download.images import DownloadSettings
from tests.helpers.downloading import run_stage
from tests.helpers.killing_server import KillingServer, killing_server

IMAGES, KILLED_AT, FEW = 2_000, 1_300, 400
ROOT = Path(__file__).parents[3]
PROGRAM = """
import json, sys
from corpus.workspace import Workspace
from pipelines.download.images import DownloadSettings
from tests.helpers.downloading import run_stage

root, urls, settings = json.load(sys.stdin)
run_stage(Workspace(root), urls, DownloadSettings.model_validate(settings))
"""


def settings(server: KillingServer, **changes: Any) -> dict[str, Any]:
    fetch = {"private_allowlist": [server.address], "max_attempts": 1, "concurrency": 16}
    return {"fetch": fetch, **changes}


def run_killed(server: KillingServer, root: str, settings: dict[str, Any], at: int) -> None:
    """Runs the stage in a process of its own, which is killed at a request."""
    process = subprocess.Popen([sys.executable, "-c", PROGRAM], cwd=ROOT, stdin=subprocess.PIPE, text=True)
    server.kill_at(server.requests.total() + at, process.pid)
    process.communicate(json.dumps([root, server.urls(), settings]), timeout=120)
    assert process.returncode == -9


def run_all(server: KillingServer, root: str, settings: dict[str, Any]) -> tuple[Outcome, int]:
    before = server.requests.total()
    outcome, _ = run_stage(Workspace(root), server.urls(), DownloadSettings.model_validate(settings))
    return outcome, server.requests.total() - before


def content(root: str) -> tuple[pa.Table, set[tuple[str, int]]]:
    """What a table says of each row, save where the bytes lie; and the members of the media tar."""
    workspace = Workspace(root)
    table = workspace.read_table("download.parquet")
    (tar,) = workspace.store.names("media/s")
    members = index_tar(workspace.store, f"media/s/{tar}").members
    assert set(table.column("media").drop_null().to_pylist()) == {f"media/s/{tar}"}
    names = {(row["name"], row["size"]) for row in members.to_pylist()}
    return table.drop_columns(["media", "offset"]), names


@pytest.fixture(scope="module")
def server() -> Any:
    with killing_server(IMAGES) as found:
        yield found


@pytest.mark.parametrize("kind", ["local", "s3"])
def test_a_killed_download_fetches_the_last_few_hundred_again(
    server: KillingServer, request: pytest.FixtureRequest, tmp_path: Path, kind: str
) -> None:
    store_url = str(tmp_path / "work") if kind == "local" else request.getfixturevalue("s3_store")
    undisturbed = str(tmp_path / "undisturbed")
    outcome, requests = run_all(server, undisturbed, settings(server))
    assert (outcome.error, requests) == ("", IMAGES)
    assert Store(undisturbed).names("journals") == []

    run_killed(server, store_url, settings(server), KILLED_AT)
    assert not Store(store_url).exists("download.parquet")
    run_killed(server, store_url, settings(server), 500)
    outcome, requests = run_all(server, store_url, settings(server))
    assert outcome.error == ""
    assert requests <= IMAGES - KILLED_AT - 500 + 2 * FEW
    table, members = content(store_url)
    expected, expected_members = content(undisturbed)
    assert table.equals(expected)
    assert members == expected_members and len(members) == IMAGES * 9 // 10
    assert Store(store_url).names("journals") == []
    for item, (at, size) in _locations(store_url)[:50]:
        assert Store(store_url).read_ranges([(item, at, size)])[0].startswith(b"\x89PNG")


def _locations(root: str) -> list[tuple[str, tuple[int, int]]]:
    rows = Workspace(root).read_table("download.parquet", ["media", "offset", "size"]).to_pylist()
    return [(row["media"], (row["offset"], row["size"])) for row in rows if row["media"]]


def test_reencoded_images_go_on_too(server: KillingServer, tmp_path: Path) -> None:
    reencoding = settings(server, reencode={"longest_side_px": 512})
    run_killed(server, str(tmp_path / "a"), reencoding, 600)
    outcome, requests = run_all(server, str(tmp_path / "a"), reencoding)
    assert outcome.error == ""
    assert requests <= IMAGES - 600 + FEW
    run_all(server, str(tmp_path / "b"), reencoding)
    assert content(str(tmp_path / "a"))[0].equals(content(str(tmp_path / "b"))[0])


def test_a_table_that_storage_did_not_take_costs_no_second_fetch(
    server: KillingServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:

        def refuse(*_: Any, **__: Any) -> None:
            raise StorageError("planted")

        patch.setattr(Workspace, "write_table", _after_the_first(Workspace.write_table, refuse))
        outcome, requests = run_all(server, str(tmp_path), settings(server))
        assert outcome.error == "StorageError: planted"
        assert requests == IMAGES
    outcome, requests = run_all(server, str(tmp_path), settings(server))
    assert (outcome.error, requests) == ("", 0)
    assert not (tmp_path / "journals").exists()


def _after_the_first(first: Any, then: Any) -> Any:
    calls: list[Any] = []

    def call(*args: Any) -> Any:
        calls.append(args)
        return (first if len(calls) == 1 else then)(*args)

    return call
