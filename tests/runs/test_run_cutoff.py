"""A source more over a workspace: what it changes is made again, and nothing else. (Of 100 shards: test_planner.)"""

from __future__ import annotations

import io
import json
import re
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from corpus.settings import parse_settings
from filters.text.dedup import TextDuplicates
from pipelines.config import Config
from pipelines.plan import Selection
from pipelines.report.terminal import Terminal
from pipelines.runner import run
from pipelines.status import plan_run, workspace_status
from tests.helpers.whole_runs import call, digests, merged

SHARDS = 20
COPIED = 13  # the shard with the image that is copied
OVER_SOURCES = ("text_duplicates", "duplicates", "dedup_by_image")
SHUFFLES = (*OVER_SOURCES, "clusters")
WORDS = ("amber", "basalt", "cedar", "delta", "ember", "fjord", "garnet", "harbour", "iris", "juniper", "kelp", "larch")


def picture(number: int) -> bytes:
    """A picture of 8 × 8 random fields, like no other."""
    fields = np.random.default_rng(number).integers(0, 255, (8, 8, 3), np.uint8)
    sink = io.BytesIO()
    Image.fromarray(fields.repeat(8, axis=0).repeat(8, axis=1)).save(sink, "PNG")
    return sink.getvalue()


def caption(number: int) -> str:
    """A caption like no other; those from 10,000 on are shorter, so another one of the same image is better."""
    words = np.random.default_rng(number).choice(WORDS, 9 if number < 10_000 else 5)
    return " ".join(words) + f" number {number}"


def write_source(folder: Path, pictures: list[int], first_caption: int) -> None:
    """Pictures with a caption each, by the seeds that they are made of."""
    folder.mkdir(parents=True)
    rows = []
    for place, number in enumerate(pictures):
        name = f"{folder.name}-{place}.png"
        (folder / name).write_bytes(picture(number))
        rows.append({"image": name, "caption": caption(first_caption + place)})
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def settings(home: Path, *names: str) -> dict[str, Any]:
    """Sources of a row a shard; a mixture of each. `old` lies where it was first read, any other in `home`."""

    def source(name: str) -> dict[str, Any]:
        folder = Path((home / "old").read_text()) if name == "old" else home / name
        archives = {"archives": {"paths": [str(folder)]}}
        form = {"images": archives, "query": {"text": "caption"}, "positive": {"images": "image"}}
        return {"kind": "jsonl", "files": [str(folder / "rows.jsonl")], "shard_rows": 1, **form}

    pairs = {"kind": "existing_pairs", "task": "image_retrieval"}
    return {
        "workspace": str(home / "workspace"),
        "engine": {"kind": "local", "workers": 1},
        "sources": {name: source(name) for name in names},
        "stages": {"quality": {"min_side_px": 16}},
        "datasets": {name: {**pairs, "source": name} for name in names},
        "mixtures": {name: {"corpus": str(home / f"corpus-{name}"), "datasets": {name: {}}} for name in names},
    }


def run_all(
    home: Path, *names: str, selection: Selection | None = None, changes: dict[str, Any] | None = None
) -> Counter[tuple[str, str]]:
    """Runs everything; counts the tasks by (stage, source)."""
    logs = home / "workspace/runs"
    before = set(logs.glob("*.jsonl"))
    config = parse_settings(merged(settings(home, *names), changes or {}), Config)
    assert run(config, selection or Selection(), Terminal(quiet=True)).failed == []
    (log,) = set(logs.glob("*.jsonl")) - before
    outcomes = [json.loads(line) for line in log.read_text().splitlines()]
    found = [each for each in outcomes if "shard" in each]
    tasks.clear()
    tasks.extend((each["stage"], each["owner"].rpartition("/")[2], int(each["shard"])) for each in found)
    return Counter((stage, owner) for stage, owner, _ in tasks)


tasks: list[tuple[str, str, int]] = []  # (stage, source, shard) of the last run


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("cutoff")
    write_source(home / "set", list(range(SHARDS)), 0)
    (home / "old").write_text(str(home / "set"))
    found = run_all(home, "old")
    assert {found[stage, "old"] for stage in ("image_stats", "pairs", *SHUFFLES)} == {SHARDS}
    return home


def copy(done: Path, home: Path, name: str, pictures: list[int]) -> Path:
    """A home of its own, and another source in it."""
    for folder in ("workspace", "corpus-old"):
        shutil.copytree(done / folder, home / folder)
    shutil.copy(done / "old", home / "old")
    write_source(home / name, pictures, 10_000)
    return home


def states(home: Path, *names: str) -> Counter[tuple[str, str, str, str]]:
    """How many shards of each stage and source are in which state, and why."""
    plan = plan_run(parse_settings(settings(home, *names), Config), Selection())
    return Counter((step.name, one.node.source, one.state, one.why) for step, found in plan.steps for one in found)


@pytest.mark.parametrize("name", ["new", "another"])  # after and before `old`: the numbers of all shards change
def test_a_source_with_nothing_alike_runs_the_shuffles_and_nothing_else(done: Path, tmp_path: Path, name: str) -> None:
    """Of the rows of each source; those of its pairs are compared within their dataset."""
    home = copy(done, tmp_path, name, [10_000])
    corpus = {path: path.stat().st_mtime_ns for path in (home / "corpus-old").rglob("*")}
    assert run_all(home, name, "old", selection=Selection(stage="texts"))["texts", "old"] == 0
    before = states(home, name, "old")
    assert sum(before[key] for key in before if key[:3] == ("duplicates", "old", "stale")) == SHARDS
    assert before["pairs", "old", "unknown", "after text_duplicates, duplicates"] == SHARDS
    found = run_all(home, name, "old")
    again = {stage: number for (stage, owner), number in found.items() if owner == "old"}
    assert again == dict.fromkeys(OVER_SOURCES, SHARDS)
    assert found["pairs", name] == found["image_stats", name] == 1
    assert {path: path.stat().st_mtime_ns for path in (home / "corpus-old").rglob("*")} == corpus
    assert {state for _, _, state, _ in states(home, name, "old")} == {"done"}
    assert sum(run_all(home, name, "old").values()) == 0


def test_a_copy_of_one_image_changes_its_shard_alone(done: Path, tmp_path: Path) -> None:
    home = copy(done, tmp_path, "new", [COPIED, 10_000])
    run_all(home, "old", "new")
    changed = {(stage, shard) for stage, owner, shard in tasks if owner == "old" and stage not in SHUFFLES}
    assert {shard for _, shard in changed} == {COPIED}
    assert ("pairs", COPIED) in changed
    status = workspace_status(parse_settings(settings(home, "old", "new"), Config))
    assert status.funnels["old"]["kept"] == SHARDS and "pending" not in status.funnels["old"]
    assert {one.state for _, found in status.plan.steps for one in found} == {"done"}


def test_shuffles_that_keep_what_shards_emitted_read_only_new_ones(
    done: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mapped: list[str] = []
    emit = TextDuplicates.map
    monkeypatch.setattr(TextDuplicates, "map", lambda self, shard: (mapped.append(shard.source), emit(self, shard))[1])
    keep = {"stages": {stage: {"keep_emitted": True} for stage in ("text_duplicates", "clusters")}}
    plain, home = (
        copy(done, tmp_path / "plain", "another", [COPIED, 10_000]),
        copy(done, tmp_path / "kept", "unused", [1]),
    )
    shutil.copytree(plain / "another", home / "another")
    run_all(home, "old", changes=keep, selection=Selection("text_duplicates", force=True))
    assert mapped == ["old"] * SHARDS
    mapped.clear()
    run_all(home, "another", "old", changes=keep)
    assert mapped == ["another"] * 2
    run_all(home, "another", "old", changes=keep, selection=Selection("clusters", force=True))
    run_all(home, "another", "old", changes=keep, selection=Selection("clusters", force=True))
    run_all(plain, "another", "old")
    assert digests(home / "corpus-old", "**/*.tar") == digests(plain / "corpus-old", "**/*.tar")


def test_the_command_says_what_is_known_after_a_stage(done: Path, tmp_path: Path) -> None:
    home = copy(done, tmp_path, "new", [10_000])
    (home / "config.yaml").write_text(yaml.safe_dump(settings(home, "old", "new")))
    run_all(home, "old", "new", selection=Selection(stage="texts"))
    for command, known in (
        ("plan", r"│ pairs +│ old +│ +0 │ +0 │ +20 │ +│ after +│"),
        ("status", r"│ pairs +│ 0/1 │ 0/20 \?20 │"),
    ):
        printed = call(command, home / "config.yaml")
        assert printed.returncode == 0, printed.stderr
        assert re.search(known, printed.stdout), printed.stdout
