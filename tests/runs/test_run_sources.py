"""What lies where a source points and cannot be read: it is named, counted, published beside the rest, and planned."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from corpus.settings import SettingsError, parse_settings
from pipelines.config import Config
from pipelines.plan import Selection
from pipelines.publish.verify import verify
from pipelines.report.console import show_funnel, show_plan
from pipelines.runner import run
from pipelines.status import plan_run, workspace_status
from tests.helpers.raw_tars import END, block
from tests.helpers.small_worlds import picture


def rows(shard: int) -> pa.Table:
    keys = [f"{shard}{at}" for at in range(4)]
    return pa.table(
        {
            "url": [f"http://example.org/{key}" for key in keys],
            "caption": [f"a picture of the thing {key}" for key in keys],
            "key": keys,
            "status": ["success"] * 4,
        }
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A shard that is whole, one whose tar is cut off, one whose tar is packed, and a tar without a table."""
    path = tmp_path / "given"
    path.mkdir()
    for shard in range(3):
        pq.write_table(rows(shard), path / f"0000{shard}.parquet")
        images = [block(f"{shard}{at}.jpg", picture(10 * shard + at, size=(160, 120))) for at in range(4)]
        tar = b"".join(images) + END
        (path / f"0000{shard}.tar").write_bytes(tar[: len(tar) // 2] if shard == 1 else tar)
    (path / "00002.tar").rename(path / "00002.tar.gz")
    (path / "00099.tar").write_bytes(END)
    return path


def settings(home: Path, folder: Path, **changes: Any) -> Config:
    data = {
        "workspace": str(home / "workspace"),
        "engine": {"kind": "local", "workers": 1},
        "sources": {"have": {"kind": "img2dataset", "folder": str(folder)}},
        "stages": {"quality": {"min_side_px": 1}, "duplicates": {"hamming_radius": 0}},
        "datasets": {"have": {"source": "have"}},
        "mixtures": {"one": {"corpus": str(home / "corpus"), "pairs_per_shard": 50, "datasets": {"have": {}}}},
        **changes,
    }
    return parse_settings(data, Config)


def test_shards_that_never_change_fail_their_rows_and_block_nothing(tmp_path: Path, folder: Path) -> None:
    config = settings(tmp_path, folder)
    printed = io.StringIO()
    result = run(config, Selection(), Console(file=printed, width=500))
    assert result.failed == [] and set(result.corpora) == {"one"}
    funnel = result.funnels["have"]
    failed = funnel["removed"]["failed"]
    assert funnel["rows_in"] == 12 and funnel["kept"] >= 4 and "pending" not in funnel
    assert failed["missing_archive"] == 4 and failed["damaged_archive"] + failed.get("corrupt_member", 0) >= 2
    assert funnel["not_read"] == {"files": {"orphan_tar": 1, "unsupported_format": 1}}
    assert "have: not read (orphan_tar): " in printed.getvalue() and "00099.tar" in printed.getvalue()
    manifest = json.loads((tmp_path / "corpus" / "manifest.json").read_text())
    assert manifest["funnel"]["have"] == funnel and verify(str(tmp_path / "corpus")).faults == []
    card = (tmp_path / "corpus" / "README.md").read_text()
    assert "| files | orphan_tar | 1 |" in card and "| failed | missing_archive | 4 |" in card
    show_funnel(Console(file=printed, width=200), workspace_status(config).funnels)
    assert "files: orphan_tar" in printed.getvalue()
    again = run(config, Selection(), Console(quiet=True))
    assert again.failed == [] and again.funnels["have"] == funnel


def test_a_plan_says_what_was_not_read_before_and_after_the_run(tmp_path: Path, folder: Path) -> None:
    config = settings(tmp_path, folder)
    for unread_sources in (["have"], []):
        planned = plan_run(config, Selection())
        printed = io.StringIO()
        show_plan(Console(file=printed, width=500), planned)
        assert planned.unread == unread_sources
        assert "have: not read (orphan_tar): " in printed.getvalue() and "00099.tar" in printed.getvalue()
        run(config, Selection(stage="index"), Console(quiet=True))


def test_a_plan_finds_what_would_stop_the_run(tmp_path: Path, folder: Path) -> None:
    pq.write_table(pa.table({"URL": ["http://a"], "similarity": [0.5]}), tmp_path / "part.parquet")
    laion = {"kind": "laion", "files": [str(tmp_path / "part.parquet")]}
    (tmp_path / "file").write_text("no folder")
    (tmp_path / "pairs.jsonl").write_text('{"q": "a", "p": "b"}\n')
    pairs = {"kind": "jsonl", "files": [str(tmp_path / "*.jsonl")], "query": {"text": "q"}, "positive": {"text": "p"}}
    bare: dict[str, Any] = {"datasets": {}, "mixtures": {}}
    images = {"images": {"archives": {"paths": [str(tmp_path / "nowhere.tar")]}}}
    cases: list[tuple[dict[str, Any], str]] = [
        (
            {"sources": {"x": {**laion, "filter": "simlarity > 0.3"}}},
            "no column 'simlarity'; did you mean 'similarity'",
        ),
        ({"sources": {"x": {**laion, "filter": "similarity > 'a'"}}}, "types do not allow it"),
        ({"sources": {"x": {**laion, "files": [str(tmp_path / "file")]}}}, "file: not a Parquet file"),
        ({"sources": {"x": {**pairs, "query": {"text": "quest"}}}}, r"pairs\.jsonl: no column 'quest'"),
        ({"sources": {"x": {**pairs, **images}}}, r"nowhere\.tar: no files there"),
        ({"workspace": str(tmp_path / "file")}, "file is a file, where a folder is wanted"),
        (
            {"sources": {"x": laion}, "datasets": {"x": {"source": "x"}}}
            | {"mixtures": {"m": {"corpus": str(tmp_path / "file"), "datasets": {"x": {}}}}},
            r"mixtures\.m\.corpus: .*file is a file",
        ),
        ({"workspace": str(tmp_path / "file" / "below")}, "file is a file, where a folder is wanted"),
    ]
    wrong = []
    for changes, words in cases:
        config = settings(tmp_path / "home", folder, **{**bare, **changes})
        for command in (
            lambda config: plan_run(config, Selection()),
            lambda config: run(config, Selection(), Console(quiet=True)),
        ):
            try:
                command(config)
                wrong.append((words, "nothing was raised"))
            except SettingsError as error:
                if not re.search(words, str(error)):
                    wrong.append((words, str(error)))
    assert not wrong
    plan_run(
        settings(tmp_path / "home", folder, sources={"x": {**laion, "filter": "similarity > 0.3"}}, **bare), Selection()
    )
