"""Whole runs: the same bytes from every engine and after every kill, and nothing done twice."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from rich.console import Console

from corpus.settings import SettingsError, parse_settings
from demo.checks.images import compare
from demo.run import row_outcomes
from pipelines.config import Config
from pipelines.plan import Selection
from pipelines.publish.verify import verify
from pipelines.runner import run
from pipelines.status import plan_run, workspace_status
from tests.helpers.extras import engine_or_skip
from tests.helpers.whole_runs import Web, assert_same_run, command, digests, stage_tables

QUIET = Console(quiet=True)


def images_asked(web: Web) -> dict[str, int]:
    return {path: times for path, times in web.serving.requests().items() if path.startswith("/images/")}


def copy(undisturbed: Path, home: Path) -> Path:
    """A home of its own with everything done already."""
    shutil.copytree(undisturbed / "workspace", home / "workspace")
    return home


def test_what_is_planted_is_found_and_nothing_else_is_removed(web: Web, undisturbed: Path) -> None:
    config = parse_settings(web.settings(undisturbed), Config)
    assert compare(web.truth, row_outcomes(config)) == []
    found = verify(str(undisturbed / "corpus"))
    assert found.faults == []
    assert found.samples > 100


def test_every_image_carries_what_was_judged_and_those_that_were_written_anew_say_so(undisturbed: Path) -> None:
    """Among the planted ones are some that lie turned, are transparent or have 16 bits."""
    sides = [side for sample in samples(undisturbed / "corpus") for side in (sample["query"], sample["positive"])]
    named = [(phash, anew) for side in sides for phash, anew in zip(side["phash"], side["rewritten"], strict=True)]
    assert len(named) == sum(len(side["media"]) for side in sides) > 100
    assert all(len(phash) == 16 for phash, _ in named)
    assert 3 <= sum(anew for _, anew in named) < len(named) / 4


def samples(corpus: Path) -> list[dict[str, Any]]:
    found = []
    for path in sorted(corpus.glob("*/*.tar")):
        with tarfile.open(path) as tar:
            found += [json.load(tar.extractfile(member)) for member in tar if member.name.endswith(".json")]
    return found


def test_rows_add_up(web: Web, undisturbed: Path) -> None:
    funnel = workspace_status(parse_settings(web.settings(undisturbed), Config)).funnels["laion"]
    removed = sum(rows for reasons in funnel["removed"].values() for rows in reasons.values())
    assert funnel["rows_in"] == 320 == funnel["kept"] + removed
    assert set(funnel["removed"]) == {"filtered", "duplicate", "failed"}
    assert "pending" not in funnel


@pytest.mark.parametrize("engine", ["ray", "beam"])
def test_engines_publish_the_same_bytes(web: Web, undisturbed: Path, tmp_path: Path, engine: str) -> None:
    """With one worker; `test_run_anywhere` has two of each."""
    engine_or_skip(engine)
    assert web.run(tmp_path, kind=engine, workers=1).failed == []
    assert_same_run(tmp_path, undisturbed)


def test_a_second_run_does_nothing(web: Web, undisturbed: Path, tmp_path: Path) -> None:
    home = copy(undisturbed, tmp_path)
    before = digests(home / "workspace", "[mtp]*/**/*")
    assert web.run(home).failed == []
    assert images_asked(web) == {}
    assert digests(home / "workspace", "[mtp]*/**/*") == before
    corpus = {path: path.stat().st_mtime_ns for path in (home / "corpus").rglob("*.tar")}
    assert web.run(home).failed == []
    assert {path: path.stat().st_mtime_ns for path in (home / "corpus").rglob("*.tar")} == corpus


# How many tables lie there when the run is killed: while it downloads, inspects, judges, deduplicates, captions
# and publishes.
@pytest.mark.parametrize("tables", [7, 9, 12, 17, 23, 28, 37])
def test_a_killed_run_goes_on_where_it_was(web: Web, undisturbed: Path, tmp_path: Path, tables: int) -> None:
    web.serving.reset()
    config = web.config_file(tmp_path, workers=2)
    process = subprocess.Popen(command("run", config), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while len(list(tmp_path.glob("workspace/[tp]*/**/*.parquet"))) < tables and process.poll() is None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=0.005)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    asked = images_asked(web)
    rows = _urls_of_finished_shards(tmp_path)

    assert run(parse_settings(web.settings(tmp_path), Config), Selection(), QUIET).failed == []
    assert digests(tmp_path / "corpus") == digests(undisturbed / "corpus")
    twice = {path for path, times in images_asked(web).items() if times > asked.get(path, 0) and path in asked}
    assert not twice & rows, "an image of a finished shard was downloaded again"
    assert not list(tmp_path.glob("workspace/**/.*.tmp")), "an interrupted run leaves nothing to clean up"


def _urls_of_finished_shards(home: Path) -> set[str]:
    """Paths of the images of all shards whose download was finished, save those that another shard names as well."""
    finished = {table.name.split(".")[0] for table in home.glob("workspace/tables/laion/download/*.parquet")}
    found: dict[bool, set[str]] = {True: set(), False: set()}
    for rows in home.glob("workspace/tables/laion/rows/*.parquet"):
        urls = pq.read_table(rows, columns=["url"]).column("url").to_pylist()
        found[rows.name.split(".")[0] in finished] |= {"/" + url.split("/", 3)[-1] for url in urls}
    return found[True] - found[False]


def test_a_killed_ray_worker_changes_nothing(web: Web, undisturbed: Path, tmp_path: Path) -> None:
    engine_or_skip("ray")
    web.serving.reset()
    config = web.config_file(tmp_path, kind="ray", workers=2)
    process = subprocess.Popen(command("run", config), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    killed = 0
    while process.poll() is None:
        if not killed and list(tmp_path.glob("workspace/tables/laion/rows/index.*")):
            killed = _kill_one_working(process.pid)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=0.005)
    output = process.communicate()[0]
    assert killed, "no Ray worker was seen at work"
    assert process.returncode == 0, output
    assert digests(tmp_path / "corpus") == digests(undisturbed / "corpus")


def _kill_one_working(ancestor: int) -> int:
    """Kill a process of Ray's that works on an item, of a run that descends from `ancestor`; its pid, or 0."""
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError):
            title = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            if title.startswith("ray::run") and _descends(int(entry.name), ancestor):
                os.kill(int(entry.name), signal.SIGKILL)
                return int(entry.name)
    return 0


def _descends(pid: int, ancestor: int) -> bool:
    while pid > 1:
        if pid == ancestor:
            return True
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        pid = int(fields[1])
    return False


def test_a_changed_threshold_downloads_and_decodes_nothing(web: Web, undisturbed: Path, tmp_path: Path) -> None:
    home = copy(undisturbed, tmp_path)
    changes = {"stages": {"quality": {"min_side_px": 400}}}
    config = parse_settings(web.settings(home, changes), Config)
    planned = plan_run(config, Selection())
    states = {step.name: {p.state for p in tables} for step, tables in planned.steps}
    assert states == {
        "download": {"done"},
        "image_stats": {"done"},
        "quality": {"stale"},
        "duplicates": {"stale"},
        "caption": {"unknown"},
        "pairs": {"unknown"},
        "clusters": {"unknown"},
    }
    whys = {step.name: {p.why for p in tables} for step, tables in planned.steps}
    assert len(whys["quality"]) == 1
    assert "min_side_px" in next(iter(whys["quality"]))
    assert "-> 400" in next(iter(whys["quality"]))
    assert whys["duplicates"] == {"`quality` changed"}
    assert whys["caption"] == whys["pairs"] == whys["clusters"] == {"after duplicates"}

    untouched = {**stage_tables(home, "download"), **stage_tables(home, "image_stats")}
    result = web.run(home, changes)
    assert result.failed == []
    assert images_asked(web) == {}
    assert {**stage_tables(home, "download"), **stage_tables(home, "image_stats")} == untouched
    small = result.funnels["laion"]["removed"]["filtered"]["too_small"]
    before = workspace_status(parse_settings(web.settings(undisturbed), Config)).funnels["laion"]
    assert small > before["removed"]["filtered"]["too_small"]
    # Going back finds the old tables, and the old corpus.
    assert web.run(home).failed == []
    assert digests(home / "corpus") == digests(undisturbed / "corpus")


def test_retry_asks_again_for_failed_rows_only(web: Web, undisturbed: Path, tmp_path: Path) -> None:
    home = copy(undisturbed, tmp_path)
    web.serving.reset()
    config = parse_settings(web.settings(home), Config)
    selection = Selection(stage="download", retry=frozenset({"http_404"}))
    planned = plan_run(config, selection)
    (downloads,) = [tables for step, tables in planned.steps if step.name == "download"]
    again = [p for p in downloads if p.state == "forced"]
    assert again
    assert all("failed rows are tried again" in p.why for p in again)
    assert run(config, selection, QUIET).failed == []
    asked = web.serving.requests()
    assert asked
    assert all(path.startswith("/status/404/") for path in asked)
    # The rows that were good came along: the corpus is the same.
    assert digests(home / "corpus", "laion/*") == digests(undisturbed / "corpus", "laion/*")
    assert all(p.task.output.endswith("-g1.parquet") for p in again)


def test_a_retry_brings_in_what_was_missing(web: Web, undisturbed: Path, tmp_path: Path) -> None:
    """Rows refused for their address are downloaded once the settings allow it; nothing else is asked for."""
    home = copy(undisturbed, tmp_path)
    web.serving.reset()
    config = parse_settings(web.settings(home, {"stages": {"download": {"fetch": {"max_attempts": 5}}}}), Config)
    planned = plan_run(config, Selection())
    assert {p.state for _, tables in planned.steps for p in tables} == {"done"}, "patience makes nothing stale"


def test_force_regenerates_the_named_shards_and_what_depends_on_them(
    web: Web, undisturbed: Path, tmp_path: Path
) -> None:
    home = copy(undisturbed, tmp_path)
    config = parse_settings(web.settings(home), Config)
    selection = Selection(stage="download", shards=frozenset({1, 3}), force=True)
    planned = plan_run(config, selection)
    todo = {step.name: [p.task.shard for p in tables if p.state != "done"] for step, tables in planned.steps}
    assert todo["download"] == ["000001", "000003"] == todo["image_stats"] == todo["quality"]
    assert len(todo["duplicates"]) == len(todo["pairs"]) > 2, "what reads all shards is made again"
    before = digests(home / "workspace", "tables/*/*/*.parquet")
    assert run(config, selection, QUIET).failed == []
    after = digests(home / "workspace", "tables/*/*/*.parquet")
    assert before.items() <= after.items(), "nothing is overwritten"
    new = {path.split("/")[-2] + "/" + path.split("/")[-1][:6] for path in after.keys() - before.keys()}
    assert {name for name in new if name.startswith(("download", "image_stats", "quality"))} == {
        f"{stage}/{shard}" for stage in ("download", "image_stats", "quality") for shard in ("000001", "000003")
    }


def test_stage_and_shards_limit_a_run(web: Web, tmp_path: Path) -> None:
    web.serving.reset()
    config = parse_settings(web.settings(tmp_path), Config)
    result = run(config, Selection(stage="image_stats", shards=frozenset({0, 2})), QUIET)
    assert result.failed == []
    assert result.corpora == {}
    assert {name.split("/")[-1][:6] for name in stage_tables(tmp_path, "image_stats")} == {"000000", "000002"}
    assert stage_tables(tmp_path, "quality") == {}


@pytest.mark.parametrize(
    ("selection", "said"),
    [
        (Selection(stage="downlaod"), "no such stage"),
        (Selection(force=True), "need --stage"),
        (Selection(stage="duplicates", retry=frozenset({"failed"})), "no row of it fails alone"),
        (Selection(shards=frozenset({1})), "needs --stage"),
        (Selection(stage="duplicates", shards=frozenset({1})), "reads all shards together"),
    ],
)
def test_a_selection_that_cannot_be_is_refused(web: Web, tmp_path: Path, selection: Selection, said: str) -> None:
    config = parse_settings(web.settings(tmp_path), Config)
    with pytest.raises(SettingsError, match=said):
        run(config, selection, QUIET)


def test_a_broken_shard_fails_alone_and_is_told(web: Web, undisturbed: Path, tmp_path: Path) -> None:
    home = copy(undisturbed, tmp_path)
    tar = next(iter(sorted((home / "workspace/media/laion").glob("000001.*"))))
    tar.unlink()
    for stage in ("image_stats", "quality", "duplicates"):
        shutil.rmtree(home / "workspace/tables/laion" / stage)
    result = web.run(home)
    assert len([line for line in result.failed if line.startswith("image_stats laion/000001:")]) == 1
    assert tar.name in " ".join(result.failed)
    assert any(line.startswith("duplicates: waits for") for line in result.failed)
    assert result.corpora == {}
    shards = len(stage_tables(home, "download"))
    assert len(stage_tables(home, "image_stats")) == shards - 1
    state = workspace_status(parse_settings(web.settings(home), Config))
    assert ("image_stats", "laion", "000001") in state.failed
    funnel = state.funnels["laion"]
    assert funnel["kept"] == 0
    assert funnel["pending"] > 100, "what is kept so far still waits for the last word"
    assert funnel["removed"]["failed"]["http_404"] > 0
