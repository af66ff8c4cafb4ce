"""A step's report: its line counts rows by status, and its bar tells who runs and who waits."""

from __future__ import annotations

from pathlib import Path

from corpus.execution import Outcome
from corpus.storage import Store
from pipelines.report.progress import ProgressBars
from pipelines.report.run_log import RunLog
from pipelines.report.step_report import StepReport
from tests.helpers.terminals import output, terminal


def test_its_lines_tell_what_became_of_its_tables(tmp_path: Path) -> None:
    console = terminal()
    log = RunLog(Store(tmp_path), "run")
    with ProgressBars(console) as bars:
        report = StepReport("toy", bars, log)
        report.start()
        report.add(Outcome("a", "toy", "000000", 5, {"kept/": 2, "filtered/small": 2, "filtered/dark": 1}))
        report.add(Outcome("a", "toy", "000001", error="planted"))
        report.complete(todo=3, total=9)
        StepReport("none", bars, log).complete(todo=0, total=9)
        StepReport("stuck", bars, log).complete(todo=3, total=9)
    lines = output(console).splitlines()
    assert lines[0].rpartition(", ")[0] == "toy: 2 shards, 5 rows (3 filtered, 2 kept)"
    assert lines[1:] == ["none: done already (9 shards)", "stuck: blocked"]
    assert report.failed == 1


def test_its_bar_tells_how_many_run_and_wait(tmp_path: Path) -> None:
    console = terminal(colours=True)
    with ProgressBars(console) as bars:
        report = StepReport("toy", bars, RunLog(Store(tmp_path), "run"))
        report.show(9, 9, 0, 0)
        assert not report.is_started
        report.start()
        report.show(total=9, waiting=3, ready=2, running=1, is_starving=True)
        bars.print_line("the bar is drawn again below")
    assert "1 running, 2 ready, 3 waiting; starving" in output(console)
    assert "3/9" in output(console)
