"""A disk that takes no more: what could not be written, by which stage and shard, and the rest of what failed."""

from __future__ import annotations

import errno
import io
import os
import re
import resource
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from corpus.pending_file import _Spool
from corpus.settings import parse_settings
from corpus.storage import StorageError, Store
from pipelines.config import Config
from pipelines.plan import Selection
from pipelines.report.terminal import Terminal
from pipelines.runner import run
from tests.helpers.whole_runs import Web, command


def limited(limit_bytes: int, *arguments: Any) -> subprocess.CompletedProcess[str]:
    """A command whose files can't grow beyond a limit: writing fails as on a full disk, with another number."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, limit_bytes))

    return subprocess.run(command(*arguments), capture_output=True, text=True, check=False, preexec_fn=limit)


def test_shards_that_found_no_room_are_listed_and_the_run_can_be_repeated(web: Web, tmp_path: Path) -> None:
    web.serving.reset()
    config = web.config_file(tmp_path, workers=2)
    found = limited(100_000, "run", config)
    assert found.returncode == 1, found.stderr
    failed = [line for line in found.stdout.splitlines() if line.startswith("failed: ")]
    media = re.escape(str(tmp_path / "workspace/media/laion"))
    assert [line for line in failed if re.match(rf"failed: download laion/00000\d: .*{media}/.*File too large", line)]
    assert "Traceback" not in found.stdout + found.stderr
    assert not (tmp_path / "corpus").exists()
    assert list((tmp_path / "workspace/runs").glob("*.jsonl"))


def test_no_download_starts_where_less_is_free_than_must_be(web: Web, tmp_path: Path) -> None:
    web.serving.reset()
    config = web.config_file(tmp_path, workers=2)
    arguments = command("run", config, "--set", "engine.min_free_disk_bytes=1000000000000000000")
    found = subprocess.run(arguments, capture_output=True, text=True, check=False)
    assert found.returncode == 1, found.stderr
    lines = [line for line in found.stdout.splitlines() if "GB free on the disk of" in line]
    assert [line.partition(": ")[0] for line in lines if "no further shard of download starts" in line]
    assert [line for line in lines if re.match(r"failed: download: \d+ shards did not start: .*make room there", line)]
    assert not (tmp_path / "workspace/media").exists() and not (tmp_path / "corpus").exists()


def test_no_room_for_the_first_file_is_one_message(web: Web, tmp_path: Path) -> None:
    found = limited(100, "run", web.config_file(tmp_path))
    assert found.returncode == 1
    assert "Traceback" not in found.stdout + found.stderr
    (line,) = found.stderr.splitlines()
    where = re.escape(str(tmp_path / "workspace/tables/laion/rows"))
    assert re.fullmatch(rf"StorageError: {where}/000000\.\w+\.parquet: cannot be written: File too large", line)


def test_no_room_for_what_is_made_of_a_corpus(undisturbed: Path, tmp_path: Path) -> None:
    """What could not be written is named, and nothing of it is left that looks like the whole."""
    corpus = undisturbed / "corpus"
    cases = {
        ("push", str(corpus), f"{tmp_path}/there"): rf"{tmp_path}/there/laion/laion-00000\d\.tar",
        ("export-table", str(corpus), f"{tmp_path}/rows.parquet"): rf"{tmp_path}/rows\.parquet",
    }
    for arguments, where in cases.items():
        found = limited(20_000, *arguments)
        assert found.returncode == 1, found.stdout
        assert re.fullmatch(rf"StorageError: {where}: cannot be written: File too large\n", found.stderr)
    assert not (tmp_path / "there/manifest.json").exists() and not list(tmp_path.rglob("*.parquet"))


@pytest.fixture
def full(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Makes the disk full for files whose path matches a pattern."""

    def fill(pattern: str) -> None:
        write = io.FileIO.write

        class Full(_Spool):
            def write(self, data: Any) -> int:
                if re.search(pattern, self.where):
                    raise StorageError(f"{self.where}: cannot be written: {os.strerror(errno.ENOSPC)}")
                return write(self, data)

        monkeypatch.setattr("corpus.pending_file._Spool", Full)

    return fill


@pytest.fixture
def home(undisturbed: Path, tmp_path: Path) -> Path:
    """A home in which everything was done, save the tables of one shard of `image_stats`, and nothing is published."""
    shutil.copytree(undisturbed / "workspace", tmp_path / "workspace", ignore=shutil.ignore_patterns("runs"))
    (inspected,) = (tmp_path / "workspace/tables/laion/image_stats").glob("000001.*")
    inspected.unlink()
    return tmp_path


def test_the_list_of_what_failed_survives_the_record_of_the_run(
    web: Web, home: Path, full: Callable[[str], None]
) -> None:
    full(r"runs/|image_stats/000001")
    result = run(parse_settings(web.settings(home), Config), Selection(), Terminal(quiet=True))
    assert [
        line
        for line in result.failed
        if re.match(r"image_stats laion/000001: .*image_stats/000001.*No space left", line)
    ]
    assert re.match(r"the log of the run: .*runs/.*\.jsonl: cannot be written: No space left", result.failed[-1])


def test_what_is_published_says_which_tar_and_which_mixture(web: Web, home: Path, full: Callable[[str], None]) -> None:
    full(r"laion-000001\.tar")
    config = parse_settings(web.settings(home), Config)
    result = run(config, Selection(), Terminal(quiet=True))
    assert len(result.failed) == 1, result.failed
    line = result.failed[0]
    assert re.match(r"publish one: .*corpus/laion/laion-000001\.tar: cannot be written: No space left", line)
    assert result.corpora == {}
    assert result.funnels["laion"]["kept"] > 0, "what became of the rows is shown all the same"


def test_what_failed_before_an_error_is_shown_with_it(
    web: Web, home: Path, full: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    full("image_stats/000001")
    monkeypatch.setattr(
        "pipelines.runner.funnels", lambda *_: (_ for _ in ()).throw(StorageError("the server is away"))
    )
    shown = io.StringIO()
    with pytest.raises(StorageError, match="away"):
        run(parse_settings(web.settings(home), Config), Selection(), Terminal(shown, width=500))
    assert re.search(r"^failed: image_stats laion/000001: .*No space left", shown.getvalue(), re.MULTILINE)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a system without a device that is always full")
@pytest.mark.parametrize("size", [10, 1 << 20])
def test_a_write_that_fails_names_the_file_whenever_it_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    """In a write, in the flush that a commit makes, and on the way to an object store in the temporary folder."""
    monkeypatch.setattr("corpus.pending_file._unnamed_file", lambda folder: os.open("/dev/full", os.O_RDWR))
    spool = str(tmp_path / "spool")
    monkeypatch.setattr("tempfile.mkstemp", lambda **_: (os.open("/dev/full", os.O_RDWR), spool))
    for url, where in ((str(tmp_path), ""), ("memory://full", rf": its temporary file {spool} \(TMPDIR\)")):
        store = Store(url)
        message = rf"{url}/a/b\.tar{where}: cannot be written: No space left on device: free some"
        with pytest.raises(StorageError, match=message), store.writer("a/b.tar") as file:
            file.write(bytes(size))
    assert list(tmp_path.rglob("*.tar")) == []
