"""What the runs of a workspace say of themselves, and of its rows: on the command line, over a small set of texts."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.helpers.text_runs import OF_TEMPLATE, ROWS, call_in_process, json_of, text_config

THRESHOLD = "stages.text_filter.datasets.texts.max_rows_per_template"


@pytest.fixture(scope="module")
def twice(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Settings that were run twice, the second time with another threshold."""
    config = text_config(tmp_path_factory.mktemp("twice"))
    for options in ((), ("--set", f"{THRESHOLD}=3")):
        code, printed = call_in_process("run", config, "-q", *options)
        assert code == 0, printed
    return config


def test_runs_are_listed_and_compared(twice: str) -> None:
    found = json_of("runs", twice)
    first, second = found["runs"]
    assert found["unsummarised"] == [] and first["started"] < second["started"]
    assert first["stages"]["text_filter"]["counts"] == {"kept/": ROWS}
    assert first["settings"]["stages"]["text_filter"]["datasets"]["texts"]["max_rows_per_template"] == 1000
    assert first["versions"]["python"] and first["seconds"] > 0 and first["peak_memory_bytes"] > 1 << 20
    assert first["ended"] >= first["started"] and first["error"] == ""
    code, printed = call_in_process("runs", twice)
    assert code == 0 and printed.index(first["name"]) < printed.index(second["name"])

    compared = json_of("runs", twice, first["name"], second["name"])
    assert compared["settings"] == [f"{THRESHOLD}: 1000 -> 3"] and compared["versions"] == []
    kept, boilerplate = ROWS - OF_TEMPLATE, OF_TEMPLATE
    changes = [(each["key"], each["old"], each["new"]) for each in compared["stages"] if each["of"] == "text_filter"]
    assert changes == [("filtered/boilerplate", 0, boilerplate), ("kept/", ROWS, kept)]
    code, printed = call_in_process("runs", twice, first["name"], second["name"])
    assert code == 0
    lines = [line.strip() for line in printed.splitlines()]
    for line in (
        f"{THRESHOLD}: 1000 -> 3",
        f"texts kept: {ROWS} -> {kept} (-{boilerplate})",
        f"texts removed/filtered/boilerplate: 0 -> {boilerplate} (+{boilerplate})",
        f"text_filter kept: {ROWS} -> {kept} (-{boilerplate})",
        "tables of pairs: 1 -> 0",
    ):
        assert line in lines, printed


def test_runs_that_are_not_there_are_named(twice: str) -> None:
    cases = {("2",): "name both", ("2", "nothing"): "2: 2 runs are named so", ("nothing", "2"): "no run with a summary"}
    for names, message in cases.items():
        code, printed = call_in_process("runs", twice, *names)
        assert code == 2 and message in printed, printed


def test_other_readers_of_runs_pass_by_summaries(twice: str) -> None:
    assert json_of("status", twice)["failed"] == []


def test_a_run_that_was_killed_is_listed_by_its_log(tmp_path: Path) -> None:
    config = text_config(tmp_path)
    assert json_of("runs", config) == {"runs": [], "unsummarised": []}
    runs = tmp_path / "workspace/runs"
    runs.mkdir(parents=True)
    started = json.dumps({"event": "started", "at": "2025-01-01T00:00:00Z"})
    (runs / "20250101T000000-aaaa.jsonl").write_text(f"{started}\n")
    (runs / "20250102T000000-aaaa.summary.json").write_text("[")
    assert [each["name"] for each in json_of("runs", config)["unsummarised"]] == ["20250101T000000-aaaa"]
    code, printed = call_in_process("runs", config)
    assert code == 0 and "not ended" in printed


def test_a_filtered_pair_shows_its_reason(twice: str) -> None:
    options = ("--set", f"{THRESHOLD}=3")
    [path] = (Path(twice).parent / "workspace").glob("pairs/texts/texts/pairs/*.parquet")
    pairs = pq.read_table(path, columns=["pair_id", "query"]).to_pylist()
    for number, row in enumerate(pairs):
        is_template = "page number" in row["query"]["text"]
        [found] = json_of("show", twice, row["pair_id"].hex(), *options)["rows"]
        assert (found["kind"], found["owner"], found["row"]) == ("pair", "texts", number)
        verdict = "filtered by text_filter: boilerplate" if is_template else "kept by all"
        assert found["verdict"].startswith(verdict)
        assert found["stages"][0]["stage"] == "pairs"
    code, printed = call_in_process("show", twice, pairs[-1]["pair_id"].hex(), *options)
    assert code == 0 and "text_filter: filtered (boilerplate)" in printed
    assert "page number is" in printed and "\x1b" not in printed
    counts = {each["stage"]: each["counts"] for each in json_of("show", twice, "texts/0", *options)["shard"]}
    assert counts["text_filter"] == {"filtered/boilerplate": OF_TEMPLATE, "kept/": ROWS - OF_TEMPLATE}
    cases = {"0" * 32: "no item and no pair", "texts/9": "no such shard", "nothing": "neither an id"}
    for name, message in cases.items():
        code, printed = call_in_process("show", twice, name)
        assert code == 2 and message in printed, printed
