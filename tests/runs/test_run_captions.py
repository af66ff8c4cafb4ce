"""Captions in whole runs: made again exactly where asked for, never written twice, and kept beside the originals."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from rich.console import Console

from corpus.settings import parse_settings
from pipelines.config import Config
from pipelines.plan import Plan, Selection
from pipelines.runner import run
from pipelines.status import plan_run
from tests.helpers.whole_runs import Web, call, digests

QUIET = Console(quiet=True)


def tables(home: Path) -> dict[str, str]:
    return digests(home / "workspace", "[tp]*/**/*.parquet")


def copy(undisturbed: Path, home: Path) -> Path:
    shutil.copytree(undisturbed, home, dirs_exist_ok=True)
    return home


def to_do(found: Plan) -> dict[str, list[str]]:
    """Stage -> shards that would be made."""
    return {
        step.name: shards
        for step, planned in found.steps
        if (shards := sorted(p.task.shard for p in planned if p.state != "done"))
    }


def again(web: Web, home: Path, changes: Mapping[str, Any]) -> tuple[dict[str, list[str]], list[dict[str, Any]]]:
    """What a run with changed settings would do, and what its record says of captions when it has."""
    config = parse_settings(web.settings(home, changes), Config)
    planned = to_do(plan_run(config, Selection()))
    web.serving.reset()
    result = run(config, Selection(), QUIET)
    assert result.failed == []
    assert not [path for path in web.serving.requests() if path.startswith("/images/")]
    record = (home / "workspace" / "runs" / f"{result.run_id}.jsonl").read_text().splitlines()
    lines = [json.loads(line) for line in record]
    # A shard in which no row is left says nothing.
    figures = [line["metrics"]["caption"] for line in lines if line.get("stage") == "caption" and line["metrics"]]
    rates = [line for line in lines if line.get("event") == "rates"]
    assert [line["step"] for line in rates] == (["caption"] if figures else [])
    told = sum(sum(replica.get("rows", 0) for replica in line["replicas"].values()) for line in rates)
    assert told == sum(each["rows"] for each in figures)
    return planned, figures


def test_both_captions_are_published(undisturbed: Path) -> None:
    paths = (undisturbed / "workspace/pairs").glob("*/laion/pairs/*.parquet")
    pairs = [row for path in paths for row in pq.read_table(path).to_pylist()]
    origins = Counter(pair["caption_origin"] for pair in pairs if pair["status"] == "kept")
    assert origins["generated"] > 100 and origins["original"] > 100
    generated = [pair for pair in pairs if pair["caption_origin"] == "generated"]
    assert {pair["caption_model"] for pair in pairs if pair["caption_origin"] == "original"} == {""}
    # No model wrote them, which they say, and no prompt was read.
    assert {(pair["caption_model"], pair["caption_prompt"]) for pair in generated} == {("dummy (no model)", "")}
    texts = [pair["query"]["text"] for pair in generated]
    assert len(set(texts)) > 0.8 * len(texts), "pictures that differ are described differently"


def test_shards_are_made_again_with_all_that_depends_on_them_and_nothing_else(
    web: Web, undisturbed: Path, tmp_path: Path
) -> None:
    home = copy(undisturbed, tmp_path)
    config = web.config_file(home)
    before = tables(home)
    selection = Selection("caption", frozenset({1, 3, 4}), force=True)
    shards = ["000001", "000003", "000004"]
    every = sorted({path.split("/")[-1].split(".")[0] for path in before if "/clusters/" in path})
    assert len(every) > len(shards)
    # Whoever compares the pairs of all shards does so again.
    made_again = {"caption": shards, "pairs": shards, "clusters": every}
    assert to_do(plan_run(parse_settings(web.settings(home), Config), selection)) == made_again

    done = call("run", config, "--stage", "caption", "--shards", "1,3-4", "--force")
    assert done.returncode == 0, done.stdout + done.stderr
    after = tables(home)
    assert {path: after[path] for path in before} == before, "nothing that lay there was touched"
    new = sorted("/".join(path.split("/")[-2:]).split(".")[0] for path in after.keys() - before.keys())
    assert new == sorted(f"{stage}/{shard}" for stage, of_stage in made_again.items() for shard in of_stage)
    assert all("-g1" in path for path in after.keys() - before.keys() if "/caption/" in path)
    assert to_do(plan_run(parse_settings(web.settings(home), Config), Selection())) == {}


def test_other_prompts_make_captions_stale_and_touch_no_image(web: Web, undisturbed: Path, tmp_path: Path) -> None:
    home = copy(undisturbed, tmp_path)
    changes = {"stages": {"caption": {"sources": {"laion": {"prompts": {"short": 1.0}}}}}}
    planned, figures = again(web, home, changes)
    assert planned.keys() == {"caption", "pairs", "clusters"}
    assert sum(each.get("from_cache", 0) for each in figures) == 0
    assert sum(each["responses"] for each in figures) == sum(each["rows"] for each in figures) > 100


def test_a_threshold_upstream_costs_no_caption(web: Web, undisturbed: Path, tmp_path: Path) -> None:
    home = copy(undisturbed, tmp_path)
    planned, figures = again(web, home, {"stages": {"quality": {"min_side_px": 160}}})
    assert planned.keys() == {"quality", "duplicates", "caption", "pairs", "clusters"}
    rows = sum(each["rows"] for each in figures)
    known = sum(each["from_cache"] for each in figures)
    written = sum(each.get("responses", 0) for each in figures)
    assert rows == known + written
    assert written <= 3, "only a duplicate that now stands for its family may be new"


def test_the_mix_is_the_datasets_choice_and_costs_no_caption(web: Web, undisturbed: Path, tmp_path: Path) -> None:
    home = copy(undisturbed, tmp_path)
    for captions, origins in (("original", {"original"}), ("generated", {"generated"})):
        planned, figures = again(web, home, {"datasets": {"laion": {"source": "laion", "captions": captions}}})
        assert (planned.keys(), figures) == ({"pairs", "clusters"}, [])
        manifest = json.loads((home / "corpus" / "manifest.json").read_text())
        assert manifest["datasets"]["laion"]["samples"] > 100
        made = (home / "workspace/pairs").glob("*/laion/pairs/000000.*.parquet")
        newest = max(made, key=lambda path: path.stat().st_mtime_ns)
        assert {pair["caption_origin"] for pair in pq.read_table(newest).to_pylist()} == origins
