"""What went wrong, where, and what to do: the messages of all commands for what a user meets."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Sequence
from pathlib import Path

import fsspec
import pyarrow.parquet as pq
import pytest

from tests.helpers.observing import install
from tests.helpers.text_runs import call_in_process, text_config
from tests.helpers.whole_runs import digests

Calls = Sequence[tuple[tuple[str, ...], int, Sequence[str]]]  # arguments, exit code, what the message has


def wrong(calls: Calls) -> list[tuple[tuple[str, ...], int, str]]:
    """Runs commands; returns those whose exit code or message is another one, or that show a traceback."""
    found = []
    for arguments, code, parts in calls:
        ended, printed = call_in_process(*arguments)
        if ended != code or "Traceback" in printed or not all(part in printed for part in parts):
            found.append((arguments, ended, printed))
    return found


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home in which everything was done."""
    assert call_in_process("run", text_config(tmp_path), "-q")[0] == 0
    return tmp_path


def test_a_broken_setting_is_named_by_every_command(home: Path) -> None:
    config = home / "texts.yaml"
    config.write_text(config.read_text().replace("batch_size", "batch_sise"))
    message = f"{config}: mixtures.all.batch_sise: unknown key; did you mean 'batch_size'?"
    names = ("run", "plan", "status", "runs", "report", "calibrate", "mix", "labels")
    calls = [((name, str(config)), 2, [message]) for name in names]
    calls += [((name, str(config), "x"), 2, [message]) for name in ("show", "search")]
    assert wrong(calls) == []
    absent = str(home / "absent.yaml")
    assert wrong([((name, absent), 2, [f"{absent}: cannot be read: No such file"]) for name in names]) == []


def test_a_damaged_table_is_named_and_removing_it_mends_the_workspace(home: Path, tmp_path: Path) -> None:
    config = str(home / "texts.yaml")
    expected = digests(home / "corpus")
    [table] = home.glob("workspace/pairs/*/*/pairs/*.parquet")
    pair = pq.read_table(table, columns=["pair_id"]).column(0)[0].as_py().hex()
    sound = table.read_bytes()
    for damaged in (sound[: len(sound) // 2], b""):
        table.write_bytes(damaged)
        shutil.rmtree(home / "corpus", ignore_errors=True)
        message = [f"{table}: damaged: ", "remove this file, and the next run makes it again"]
        calls: Calls = [
            (("run", config, "-q"), 1, message),
            (("mix", config), 1, message),
            (("report", config, "--out", f"{home}/report.html"), 1, message),
            (("calibrate", config, "--out", f"{home}/calibration"), 1, message),
            (("show", config, pair), 1, message),
            (("show", config, "texts/0"), 1, message),
        ]
        assert wrong(calls) == []
        table.unlink()
        assert call_in_process("run", config, "-q")[0] == 0
        assert digests(home / "corpus") == expected and table.read_bytes() == sound


def test_a_damaged_table_of_a_sources_rows_is_read_again(home: Path) -> None:
    config = str(home / "texts.yaml")
    expected = digests(home / "corpus")
    [rows] = home.glob("workspace/tables/texts/rows/*.parquet")
    rows.write_bytes(rows.read_bytes()[:100])
    for folder in ("tables/texts/texts", "pairs"):
        shutil.rmtree(home / "workspace" / folder)
    message = [f"{rows}: damaged: ", "remove its folder, and the next run makes it again"]
    assert wrong([(("run", config, "-q"), 1, message)]) == []
    shutil.rmtree(rows.parent)
    assert call_in_process("run", config, "-q")[0] == 0
    assert digests(home / "corpus") == expected


def test_a_damaged_corpus_is_named_and_running_again_mends_it(home: Path) -> None:
    config, corpus = str(home / "texts.yaml"), str(home / "corpus")
    expected = digests(home / "corpus")
    [tar] = home.glob("corpus/*/*.tar")
    sound = tar.read_bytes()
    verify = "see `rzen-corpus verify`"
    advice = "what is removed of a corpus, `rzen-corpus run` with its settings writes again"
    tar.write_bytes(sound[: len(sound) // 2])
    target, table = f"{home}/there", f"{home}/rows.parquet"
    calls: Calls = [
        (("verify", corpus), 1, ["texts/texts-000000.tar: not a complete tar: byte ", advice]),
        (("push", corpus, target), 1, [f"PublishError: {tar}: its sha256 is not the manifest's: {verify}"]),
        (("export-table", corpus, table), 1, [f"PublishError: {tar}: ", f": corrupt_member: {verify}"]),
    ]
    assert wrong(calls) == []
    assert not Path(table).exists() and not Path(target, "manifest.json").exists()
    tar.unlink()
    missing = f"PublishError: {tar}: the manifest lists it, and it is not there: {verify}"
    calls = [
        (("verify", corpus), 1, ["texts/texts-000000.tar: listed in the manifest, but missing", advice]),
        (("push", corpus, target), 1, [missing]),
        (("export-table", corpus, table), 1, [missing]),
    ]
    assert wrong(calls) == []
    assert call_in_process("run", config, "-q")[0] == 0
    assert digests(home / "corpus") == expected
    (home / "corpus/manifest.json").write_bytes(b'{"schema')
    message = [f"{corpus}/manifest.json: not JSON: ", "choose another folder, or remove its files"]
    calls = [
        (("verify", corpus), 1, ["manifest.json: not JSON: "]),
        *(((name, corpus, target), 1, message) for name in ("push", "export-table")),
        (("run", config, "-q"), 1, message),
    ]
    assert wrong(calls) == []


def test_a_bucket_that_does_not_exist_is_named(home: Path, s3_server: str) -> None:
    config, bucket = str(home / "texts.yaml"), f"s3://absent-{uuid.uuid4().hex}"
    message = [f"{bucket}: no such bucket: make it, or correct its name"]
    lost, there = ("--set", f"workspace={bucket}/work"), str(home / "corpus")
    names = ("run", "plan", "status", "runs", "report", "calibrate", "mix")
    calls = [((name, config, *lost), 2 if name in ("run", "plan") else 1, message) for name in names]
    calls += [
        (("show", config, "texts/0", *lost), 1, message),
        (("run", config, "--set", f"mixtures.all.corpus={bucket}/c"), 2, ["mixtures.all.corpus: ", *message]),
        (("verify", f"{bucket}/c"), 1, message),
        (("push", f"{bucket}/c", f"{home}/there"), 1, message),
        (("push", there, f"{bucket}/c"), 1, message),
        (("export-table", f"{bucket}/c", f"{home}/x.parquet"), 1, message),
        (("export-table", there, f"{bucket}/x.parquet"), 1, message),
    ]
    assert wrong(calls) == []


LOSING = """
import fsspec
from pipelines.observers.base import RunObserver
class Losing(RunObserver):
    def __init__(self, settings):
        self.bucket = settings["bucket"]
    def outcome(self, outcome):
        if outcome.stage == "texts":
            fsspec.filesystem("s3").rm(self.bucket, recursive=True)
"""


def test_a_bucket_that_goes_while_a_run_is_at_work_is_named(
    tmp_path: Path, s3_store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "installed").mkdir()
    install(tmp_path / "installed", "losing", LOSING, losing="losing:Losing")
    monkeypatch.syspath_prepend(str(tmp_path / "installed"))
    bucket = "/".join(s3_store.split("/")[:3])
    config = text_config(tmp_path, metrics={"observers": {"losing": {"bucket": bucket}}})
    code, printed = call_in_process("run", config, "-q", "--set", f"workspace={s3_store}")
    assert code == 1 and "Traceback" not in printed
    assert f"{s3_store}/" in printed
    assert "The specified bucket does not exist: make the bucket, or correct its name" in printed
    assert not fsspec.filesystem("s3").exists(bucket)


def test_a_server_that_is_away_is_named(home: Path, s3_server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    filesystem = fsspec.get_filesystem_class("s3")
    filesystem.clear_instance_cache()
    away = "s3://bucket/work"
    options = ("--set", f"workspace={away}", "--set", "engine.storage_retry_s=0")
    message = ["StorageError: ", away, 'Could not connect to the endpoint URL: "http://127.0.0.1:9']
    config = str(home / "texts.yaml")
    calls: Calls = [
        (("run", config, *options), 1, message),
        (("status", config, *options), 1, message),
        (("verify", away), 1, message),
        (("push", str(home / "corpus"), away), 1, message),
    ]
    try:
        assert wrong(calls) == []
    finally:
        filesystem.clear_instance_cache()


WITHOUT = "import sys; sys.modules[sys.argv.pop(1)] = None; from pipelines.cli import main; main()"


def test_a_missing_extra_is_an_error_with_the_command(home: Path) -> None:
    config, corpus = str(home / "texts.yaml"), str(home / "corpus")
    engine = "engine.kind {0} is an extra: pip install 'rzen-corpus[{0}]'"
    s3 = "nothing here reads s3://: pip install 'rzen-corpus[s3]'"
    cases: dict[str, Calls] = {
        "ray": [(("run", config, "--engine", "ray"), 1, [engine.format("ray")])],
        "apache_beam": [
            (("run", config, "--engine", "beam"), 1, [engine.format("beam")]),
            (("plan", config, "--set", "engine.kind=beam"), 1, [engine.format("beam")]),
        ],
        "webdataset": [
            (("verify", corpus, "--reader", "webdataset"), 1, ["is an extra: pip install 'rzen-corpus[webdataset]'"])
        ],
        "s3fs": [
            (("plan", config, "--set", "workspace=s3://b/w"), 1, ["s3://b/w: ", s3]),
            (("verify", "s3://b/c"), 1, ["s3://b/c: ", s3]),
            (("push", corpus, "s3://b/c"), 1, ["s3://b/c: ", s3]),
            (("plan", config, "--set", "sources.texts.files.0=s3://b/x.jsonl"), 2, ["s3://b/x.jsonl: ", s3]),
        ],
    }
    found = []
    for package, calls in cases.items():
        for arguments, code, parts in calls:
            command = [sys.executable, "-c", WITHOUT, package, *arguments]
            ended = subprocess.run(
                command, capture_output=True, text=True, check=False, env={**os.environ, "COLUMNS": "400"}
            )
            printed = ended.stdout + ended.stderr
            if ended.returncode != code or "Traceback" in printed or not all(part in printed for part in parts):
                found.append((arguments, ended.returncode, printed))
    assert found == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a system without a device that is always full")
def test_a_full_disk_under_what_is_written_for_people(home: Path) -> None:
    config = str(home / "texts.yaml")
    full = "/dev/full: No space left on device"
    calls: Calls = [
        (("report", config, "--out", "/dev/full"), 1, [f"StorageError: {full}: free some"]),
        (("run", config, "--log-file", "/dev/full"), 0, [f"--log-file {full}: nothing more is written to it", "kept"]),
        (("run", config, "--log-file", f"{home}/absent/x"), 1, [f"No such file or directory: '{home}/absent/x'"]),
    ]
    assert wrong(calls) == []
