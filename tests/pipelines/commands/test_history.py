"""What the runs of a workspace say of themselves, and of its rows: on the command line, over a small set of texts."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml
from PIL import Image

from corpus.schema import item_id
from tests.helpers.calibrating import calibration_world, degraded
from tests.helpers.terminals import in_pseudo_terminal, iterm2_picture, kitty_picture
from tests.helpers.text_runs import OF_TEMPLATE, ROWS, call_in_process, json_of, text_config
from tests.helpers.whole_runs import command

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


def test_the_picture_of_an_item_is_shown_in_terminals_that_can(tmp_path: Path) -> None:
    world = calibration_world(tmp_path)
    config = tmp_path / "shapes.yaml"
    config.write_text(yaml.safe_dump(world.model_dump(mode="json", serialize_as_any=True, exclude_unset=True)))
    item = item_id(degraded(1)).hex()
    with Image.open(io.BytesIO(degraded(1))) as jpeg:
        expected = np.asarray(jpeg.convert("RGB"), int)
    kitty, iterm2 = {"TERM": "xterm-kitty"}, {"TERM": "xterm-256color", "TERM_PROGRAM": "iTerm.app"}
    for environment, options, read in ((kitty, (), kitty_picture), (iterm2, ("--inline",), iterm2_picture)):
        code, printed = in_pseudo_terminal(command("show", config, item, *options), environment)
        assert code == 0, printed
        assert b"kept by all" in printed.partition(b"\x1b_G")[0].partition(b"\x1b]1337")[0], "below what is printed"
        with Image.open(io.BytesIO(read(printed))) as shown:
            assert np.abs(np.asarray(shown.convert("RGB"), int) - expected).max() <= 2
    quiet = [
        (kitty, item, ("--no-inline",), b"kept by all"),
        (kitty, item, ("--json",), b'"place": {'),
        (kitty, "shapes/0", ("--inline",), b"--inline: shapes/0 has no picture: the id of an image has"),
        ({"TERM": "xterm-256color"}, item, (), b"kept by all"),
    ]
    for environment, name, options, expected_text in quiet:
        code, printed = in_pseudo_terminal(command("show", config, name, *options), environment)
        assert code == 0 and expected_text in printed, printed
        assert b"\x1b_G" not in printed and b"\x1b]1337" not in printed
    code, printed = in_pseudo_terminal(command("show", config, item, "--inline"), {"TERM": "xterm-256color"})
    assert code == 2 and b"this terminal (TERM=xterm-256color) is not known to show pictures" in printed
    assert call_in_process("show", str(config), item, "--inline")[0] == 2
    assert call_in_process("show", str(config), item, "--inline", "--json")[0] == 2
