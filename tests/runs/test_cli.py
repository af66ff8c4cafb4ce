"""The command line as a user meets it: messages, exit codes, interruption."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.helpers.whole_runs import Web, call, command, digests


def test_help_imports_nothing_heavy() -> None:
    """`--help` must come at once: whatever takes long to import is imported by the command that needs it."""
    code = """
import contextlib, sys
from pipelines.cli import main
sys.argv = ["rzen-corpus", "--help"]
with contextlib.suppress(SystemExit):
    main()
print("loaded:", *sorted(name for name in sys.modules if "." not in name))
"""
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    loaded = shown.rpartition("loaded:")[2].split()
    assert "typer" in loaded
    assert not {"pyarrow", "numpy", "cv2", "PIL", "pydantic", "yaml", "fsspec", "aiohttp", "ray", "apache_beam"} & {
        *loaded
    }


def test_help_names_the_commands() -> None:
    shown = call("--help")
    assert shown.returncode == 0
    for name in ("run", "plan", "status", "verify", "schema", "init"):
        assert f" {name} " in shown.stdout


def test_an_unknown_key_is_refused_with_file_path_and_nearest_key(web: Web, tmp_path: Path) -> None:
    config = web.config_file(tmp_path, {"stages": {"download": {"fetch": {"total_timout_s": 1}}}})
    found = call("run", config)
    assert found.returncode == 2
    assert (
        f"{config}: stages.download.fetch.total_timout_s: unknown key; did you mean 'total_timeout_s'?" in found.stderr
    )
    assert "Traceback" not in found.stderr


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--shards", "3-1", "--stage", "image_stats"], "--shards '3-1'"),
        (["--stage", "image_stat"], "no such stage; there is download, image_stats"),
        (["--force"], "need --stage"),
        (["--retry", ","], "--retry: expected"),
        (["--force", "--retry", "failed", "--stage", "download"], "use one of them"),
        (["--stage", "download", "--source", "films"], "--source films: stage download has no such source; it is over"),
        (["--mixture", "two"], "--mixture two: there is one"),
        (["--project=p"], "unknown options: --project=p"),
    ],
)
def test_wrong_usage_exits_2(web: Web, tmp_path: Path, options: list[str], said: str) -> None:
    found = call("run", web.config_file(tmp_path), *options)
    assert found.returncode == 2, found.stdout + found.stderr
    assert said in found.stderr
    assert not (tmp_path / "corpus").exists()


def test_a_missing_file_and_missing_metadata_exit_2(web: Web, tmp_path: Path) -> None:
    assert call("run", tmp_path / "none.yaml").returncode == 2
    config = web.config_file(tmp_path, {"sources": {"laion": {"files": [str(tmp_path / "*.parquet")]}}})
    found = call("run", config)
    assert found.returncode == 2
    assert "no Parquet files there" in found.stderr


def test_a_whole_round(web: Web, undisturbed: Path, tmp_path: Path) -> None:
    web.serving.reset()
    config = web.config_file(tmp_path, workers=2)
    before = call("plan", config)
    assert before.returncode == 0
    assert "not read yet" in before.stdout
    done = call("run", config)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "kept" in done.stdout
    assert str(tmp_path / "corpus") in done.stdout
    assert "\x1b" not in done.stdout, "no bars and no colours where there is no terminal"
    shown = call("status", config)
    assert shown.returncode == 0
    assert "320 rows" in shown.stdout
    sound = call("verify", tmp_path / "corpus")
    assert sound.returncode == 0
    assert "sound" in sound.stdout
    assert call("verify", tmp_path / "corpus", "--reader", "webdataset").stdout == sound.stdout
    unknown = call("verify", tmp_path / "corpus", "--reader", "tfrecord")
    assert (unknown.returncode, "--reader tfrecord: there are builtin, webdataset" in unknown.stderr) == (2, True)
    assert digests(tmp_path / "corpus") == digests(undisturbed / "corpus")

    tar = sorted((tmp_path / "corpus/laion").glob("*.tar"))[0]
    data = bytearray(tar.read_bytes())
    data[len(data) // 2] ^= 0xFF
    tar.write_bytes(data)
    broken = call("verify", tmp_path / "corpus")
    assert broken.returncode == 1
    assert tar.name in broken.stdout


@pytest.mark.parametrize("workers", [1, 2])
def test_ctrl_c_stops_cleanly_and_says_how_to_go_on(web: Web, undisturbed: Path, tmp_path: Path, workers: int) -> None:
    web.serving.reset()
    config = web.config_file(tmp_path, workers=workers)
    process = subprocess.Popen(
        command("run", config), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    while not list(tmp_path.glob("workspace/tables/laion/download/*.parquet")) and process.poll() is None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=0.005)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: the workers get it too
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 130, output + errors
    assert "Every shard that was finished is kept" in errors
    assert f"rzen-corpus run {config}" in " ".join(errors.split())
    assert "Traceback" not in output + errors
    assert not list(tmp_path.glob("workspace/**/*.tmp")), "nothing is left lying about"
    assert call("run", config).returncode == 0
    assert digests(tmp_path / "corpus") == digests(undisturbed / "corpus")


def test_schema_is_the_schema_of_the_settings() -> None:
    schema = json.loads(call("schema").stdout)
    sections = {"workspace", "engine", "sources", "stages", "datasets", "mixtures", "evaluation", "metrics"}
    assert set(schema["properties"]) == sections
    assert schema["additionalProperties"] is False
    settings = yaml.safe_load((Path(__file__).parents[2] / "configs/laion.yaml").read_text())
    assert set(settings) <= set(schema["properties"])


def test_what_img2dataset_lacks_is_printed_where_it_is_chosen(web: Web, tmp_path: Path) -> None:
    said = "stages.download.backend img2dataset has no rules for addresses"
    chosen = web.config_file(tmp_path, {"stages": {"download": {"backend": "img2dataset"}}})
    assert call("plan", chosen).stdout.count(said) == 1
    ran = call("run", chosen, "--stage", "download", "--shards", "999").stdout
    assert ran.count(said) == 1
    assert ran.count("2 URLs carried user:password@: taken off") == 1
    assert "word@" not in ran.replace("user:password@", "")
    assert said not in call("plan", web.config_file(tmp_path)).stdout
