"""A store that is away for a minute costs a run a minute; one that stays away ends it with a message."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fsspec
import pytest

from corpus.storage import StorageError
from pipelines.config import Config
from pipelines.plan import Selection
from pipelines.report.terminal import Terminal
from pipelines.runner import RunResult, run
from tests.helpers.bucket_runs import bucket_config
from tests.helpers.outages import FakeTime, clock, storage_outage
from tests.helpers.terminals import output, terminal

__all__ = ["clock"]

SHARDS = 4


def config_named(folder: Path, name: str, **engine: Any) -> Config:
    return bucket_config(folder, SHARDS, name, f"memory://{name}-{folder.name}-corpus/one", **engine)


def run_all(config: Config) -> RunResult:
    return run(config, Selection(), Terminal(quiet=True))


def published(config: Config) -> dict[str, bytes]:
    """The files of the corpus; of the manifest, what does not tell where it lies."""
    fs = fsspec.filesystem("memory")
    root = config.mixtures["one"].corpus.removeprefix("memory:/")
    return {path.removeprefix(root): fs.cat_file(path) for path in fs.find(root)}


def logged(config: Config) -> list[dict[str, Any]]:
    fs = fsspec.filesystem("memory")
    (path,) = fs.glob(f"{config.workspace.removeprefix('memory:/')}/runs/*.jsonl")
    return [json.loads(line) for line in fs.cat_file(path).splitlines()]


def request(kind: str, part: str) -> Callable[[str, str], bool]:
    return lambda each, path: each == kind and part in path


# When the store goes away: at which request.
MOMENTS = {
    "the rows": request("PUT", "/rows/000002"),
    "a map stage": request("PUT", "/image_stats/000001"),
    "a map stage's input": request("GET", "/images/000001"),
    "a shuffle's table": request("PUT", "/dedup_by_image/"),
    "a shuffle's input": request("GET", "/pairs/web/web/"),
    "the first tar": request("PUT", ".tar"),
    "the manifest": request("PUT", "manifest.json"),
}


def test_a_minute_without_the_store_costs_a_minute(tmp_path: Path, clock: FakeTime) -> None:
    undisturbed = config_named(tmp_path, "undisturbed")
    assert run_all(undisturbed).failed == []
    expected = published(undisturbed)
    assert any(path.endswith(".tar") for path in expected)
    retried, wrong = 0, []
    for number, (moment, begins) in enumerate(MOMENTS.items()):
        config = config_named(tmp_path, f"outage-{number}")
        before = clock.passed_s
        with storage_outage(clock, begins) as outage:
            result = run_all(config)
        if result.failed or published(config) != expected or outage.began is None:
            wrong.append((moment, result.failed, outage.began))
        if not 60 <= clock.passed_s - before < 60 + 3 * 15:
            wrong.append((moment, clock.passed_s - before))
        retried += sum(line.get("metrics", {}).get("storage_retries", 0) for line in logged(config))
    assert not wrong
    assert retried > 10, "the log tells which shards waited"


def test_a_store_that_stays_away_ends_the_run_with_its_message(tmp_path: Path, clock: FakeTime) -> None:
    config, console = config_named(tmp_path, "gone", storage_retry_s=120), terminal()
    with (
        storage_outage(clock, request("PUT", "/image_stats/000001"), seconds=1e9),
        pytest.raises(StorageError, match="planted: the store is away"),
    ):
        run(config, Selection(), console)
    lines = [line for line in output(console).splitlines() if line.startswith("failed: image_stats web/000001: ")]
    assert any("planted: the store is away (tried" in line and "times in 120 s)" in line for line in lines)
    assert clock.passed_s < 2 * 120, "not every shard waits anew"


def test_what_no_pause_mends_ends_at_once(tmp_path: Path, clock: FakeTime) -> None:
    config = config_named(tmp_path, "read-only")
    error = OSError(errno.EROFS, os.strerror(errno.EROFS))
    with storage_outage(clock, request("PUT", "/image_stats/"), 1e9, error, only="PUT") as outage:
        result = run_all(config)
    assert outage.refused
    assert any("image_stats web/000000: StorageError: " in line for line in result.failed)
    assert all("Read-only file system" in line or "waits for" in line for line in result.failed)
    assert clock.pauses == []


def test_the_run_says_what_it_waits_for(tmp_path: Path, clock: FakeTime) -> None:
    console = terminal()
    with storage_outage(clock, request("LIST", "tables/web/images")):
        assert run(config_named(tmp_path, "lines"), Selection(), console).failed == []
    lines = output(console).splitlines()
    assert any("planted: the store is away: trying again for up to 300 s" in line for line in lines)
    assert any(" is back after " in line for line in lines)
