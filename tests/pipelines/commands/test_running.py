"""The command line in this process, over a small set of texts: what is changed from outside, and what is printed."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

import rzen_corpus
from tests.helpers.text_runs import call_in_process as call
from tests.helpers.text_runs import json_of as data

ROWS = 12
SETTINGS: dict[str, Any] = {
    "workspace": "${HOME_OF_TEST}/workspace",
    "engine": {"workers": 1},
    "sources": {
        "texts": {
            "kind": "jsonl",
            "files": ["${HOME_OF_TEST}/${ROWS_FILE:-rows.jsonl}"],
            "query": {"text": "{question}"},
            "positive": {"text": "{answer}"},
            "licence": "cc0",
        }
    },
    "datasets": {"texts": {"kind": "existing_pairs", "source": "texts", "task": "text_retrieval"}},
    "mixtures": {"all": {"corpus": "${HOME_OF_TEST}/corpus", "batch_size": 4, "datasets": {"texts": {"negatives": 1}}}},
}


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("HOME_OF_TEST", str(tmp_path))
    rows = [{"question": f"what is {n} and {n}?", "answer": f"it is {2 * n}, as anybody knows"} for n in range(ROWS)]
    (tmp_path / "rows.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    (tmp_path / "texts.yaml").write_text(yaml.safe_dump(SETTINGS))
    return str(tmp_path / "texts.yaml")


def test_the_version_is_printed() -> None:
    assert call("--version") == (0, f"rzen-corpus {rzen_corpus.__version__}\n")


def test_a_run_seen_by_programs(config: str, tmp_path: Path) -> None:
    assert data("plan", config)["unread"] == ["texts"]
    log = tmp_path / "run.log"
    code, printed = call("run", config, "--log-file", str(log))
    assert code == 0, printed
    logged = log.read_text()
    assert re.search(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ pairs: 1 shards, 12 rows ", logged, re.MULTILINE)
    lines = printed.splitlines()
    assert re.fullmatch(
        r"  12 samples in 1 tar, [\d,]+ bytes", lines[lines.index(f"corpus all: {tmp_path}/corpus") + 1]
    )
    path = Path(lines[-1].removeprefix("log of the run: "))
    assert path.parent == tmp_path / "workspace" / "runs" and path.is_file()
    assert f"${{HOME_OF_TEST}} = {tmp_path}" in printed and f"${{HOME_OF_TEST}} = {tmp_path}" in logged
    plan = data("plan", config)
    assert {(each["stage"], each["done"]) for each in plan["stages"] if each["todo"]} == set()
    assert {"stage": "pairs", "source": "texts", "done": 1, "todo": {}, "why": {}} in plan["stages"]
    assert f"${{HOME_OF_TEST}} = {tmp_path}" in plan["notices"]
    status = data("status", config)
    assert status["funnels"]["texts"]["kept"] == ROWS and status["failed"] == []
    assert {"stage": "pairs", "source": "texts", "done": 1} in status["stages"]
    [mixture] = data("mix", config)["mixtures"]
    assert [(row["dataset"], row["selected"]) for row in mixture["datasets"]] == [("texts", ROWS)]
    verified = data("verify", str(tmp_path / "corpus"))
    assert verified["sound"] and verified["samples"] == ROWS and verified["faults"] == []
    next((tmp_path / "corpus").rglob("*.tar")).unlink()
    code, printed = call("verify", str(tmp_path / "corpus"), "--json")
    assert code == 1 and not json.loads(printed)["sound"]


def test_a_setting_is_changed_from_outside(config: str, tmp_path: Path) -> None:
    few = ("--set", "mixtures.all.datasets.texts.pairs=5", "--set", f"mixtures.all.corpus={tmp_path}/few")
    assert "--set mixtures.all.datasets.texts.pairs = 5" in data("plan", config, *few)["notices"]
    code, printed = call("run", config, *few)
    assert code == 0, printed
    assert "--set mixtures.all.datasets.texts.pairs = 5\n" in printed
    assert data("verify", str(tmp_path / "few"))["samples"] == 5
    assert not (tmp_path / "corpus").exists()


def test_what_comes_from_outside_is_checked_like_the_rest(
    config: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cases = {
        ("--set", "stages.duplicates.haming_radius=3"): "did you mean 'hamming_radius'?",
        ("--set", "engine.workers=many"): "engine.workers: ",
        ("--set", "engine.workers"): "--set engine.workers: expected path.to.key=value",
    }
    for arguments, message in cases.items():
        code, printed = call("plan", config, *arguments)
        assert code == 2 and message in printed, (arguments, printed)
    assert f"{config} with --set: engine.workers" in call("plan", config, "--set", "engine.workers=many")[1]
    monkeypatch.setenv("ROWS_FILE", "absent.jsonl")
    code, printed = call("plan", config)
    assert code == 2 and "absent.jsonl" in printed
    monkeypatch.delenv("HOME_OF_TEST")
    code, printed = call("plan", config)
    assert code == 2
    assert f"{config}: workspace: ${{HOME_OF_TEST}}: the environment has no variable HOME_OF_TEST" in printed


def test_quiet_prints_what_was_made_and_what_failed(config: str, tmp_path: Path) -> None:
    assert call("run", config, "-q") == (0, f"corpus all: {tmp_path}/corpus\n")
    (tmp_path / "corpus/notes.txt").write_text("mine")
    code, printed = call("run", config, "-q", "--set", "mixtures.all.batch_size=3")
    assert code == 0, printed
    assert call("run", config, "-q", "-v")[0] == 2


def test_verbose_prints_a_line_for_each_shard(config: str) -> None:
    code, printed = call("run", config, "-v")
    assert code == 0, printed
    assert re.search(r"^pairs texts/000000: 12 rows, \d+\.\d s$", printed, re.MULTILINE)
