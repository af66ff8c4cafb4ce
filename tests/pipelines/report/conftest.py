"""A world that was run once: what the tests of the report and its sections read."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.helpers.report_worlds import ReportedWorld, report_world


@pytest.fixture(scope="session")
def reported(tmp_path_factory: pytest.TempPathFactory) -> ReportedWorld:
    return report_world(tmp_path_factory.mktemp("reported"))


@pytest.fixture(scope="session")
def report_file(reported: ReportedWorld, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of the world."""
    from pipelines.report.workspace_report import write_report

    return write_report(reported.config, "world.yaml", tmp_path_factory.mktemp("report") / "report.html")
