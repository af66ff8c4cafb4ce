"""The report is one file, below 10 MB, in which no text is anything but text."""

from __future__ import annotations

import re
from pathlib import Path

from typer.testing import CliRunner

from pipelines.cli import app
from pipelines.report.sections import SECTIONS
from pipelines.report.workspace_report import write_report
from tests.helpers.html_parts import read_html
from tests.helpers.report_worlds import ReportedWorld


def test_it_is_one_file_that_names_nothing_outside(report_file: Path) -> None:
    text = report_file.read_text(encoding="utf-8")
    assert len(text.encode()) < 10_000_000
    body = text.partition("<body>")[2]
    assert not re.search(r"<(?:script|link|iframe|object|embed|base)\b[^>]+(?:src|href)", body)
    assert not re.search(r"(?:src|href)=[\"'](?!data:image/jpeg|#)", body)
    page = read_html(text.partition("<!DOCTYPE html>")[2])
    assert [each.attributes["id"] for each in page.all("section", "part")] == [each.anchor for each in SECTIONS]
    ids = page.ids
    assert len(set(ids)) == len(ids)
    assert {part.attributes["href"].removeprefix("#") for part in page.all("a")} <= set(ids)


def test_what_has_nothing_to_show_is_left_out(reported: ReportedWorld, tmp_path: Path) -> None:
    config = reported.config.model_copy(update={"workspace": str(tmp_path / "new")})
    done: list[tuple[int, int]] = []
    path = write_report(config, "new.yaml", tmp_path / "a" / "new.html", lambda *at: done.append(at))
    page = read_html(path.read_text(encoding="utf-8").partition("<!DOCTYPE html>")[2])
    anchors = [each.attributes["id"] for each in page.all("section", "part")]
    assert anchors == ["mixtures", "failures", "settings"]
    assert "not read yet" in page.text
    assert done[0] == (0, len(SECTIONS)) and len(done) == len(SECTIONS)


def test_the_command_writes_it(reported: ReportedWorld, tmp_path: Path) -> None:
    settings = tmp_path / "world.yaml"
    settings.write_text(reported.config.model_dump_json(exclude_unset=True))
    out = tmp_path / "report.html"
    result = CliRunner().invoke(app, ["report", str(settings), "--out", str(out)])
    assert result.exit_code == 0, result.output
    assert f"written: {out}" in result.output.replace("\n", "")
    assert "What became of world.yaml" in out.read_text(encoding="utf-8")
