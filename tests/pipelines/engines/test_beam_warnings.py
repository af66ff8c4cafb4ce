"""Warnings about packages that Beam's own files and clouds take: dropped, unless the runner is of such a cloud."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from pipelines.engines.beam_warnings import needs_cloud_packages, without_package_warnings


def warn_from(path: Path, message: str, logger: str = "") -> None:
    """Logs a warning from a module at a path, as an import of it does."""
    log = f"logging.getLogger({logger!r})" if logger else "logging"
    exec(compile(f"import logging; {log}.warning({message!r})", str(path), "exec"), {})


def test_only_beams_files_are_silent(caplog: pytest.LogCaptureFixture) -> None:
    files = Path("/lib/apache_beam/io/gcp/bigquery.py")
    with without_package_warnings():
        warn_from(files, "apitools not found, and more")
        warn_from(files, "deprecated")
        warn_from(Path("/lib/other/io.py"), "apitools not found")
        logging.getLogger("apache_beam.io").warning("not found either")
        warn_from(files, "Failed to import GCSFileSystem", "apache_beam.io.filesystems")
    warn_from(files, "crcmod package not found")
    expected = ["deprecated", "apitools not found", "not found either", "crcmod package not found"]
    assert [record.getMessage() for record in caplog.records] == expected


def test_the_root_logger_is_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", [])
    with without_package_warnings():
        warn_from(Path("/lib/apache_beam/io/tfrecordio.py"), "crcmod package not found")
    assert root.handlers == []


def test_only_runs_in_a_cloud_need_the_packages() -> None:
    in_cloud = [
        ("DataflowRunner", ()),
        ("apache_beam.DataflowRunner", ()),
        ("FlinkRunner", ("--temp_location=gs://b/t",)),
    ]
    elsewhere = [("FnApiRunner", ()), ("FlinkRunner", ("--temp_location=/tmp", "--flink_master=host:8081"))]
    assert all(needs_cloud_packages(*case) for case in in_cloud)
    assert not any(needs_cloud_packages(*case) for case in elsewhere)
