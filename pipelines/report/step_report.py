"""Reports on one step of a run: a bar while it runs, and its lines when it is complete."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator

from corpus.execution import Outcome
from corpus.workspace import owner_name
from pipelines.report.agreement_stats import AgreementStats
from pipelines.report.caption_stats import CaptionStats
from pipelines.report.mining_stats import MiningStats
from pipelines.report.progress import ProgressBar, ProgressBars
from pipelines.report.run_log import RunLog
from pipelines.report.terminal import Verbosity
from pipelines.report.text_stats import TextFilterStats

_ROUNDED_RATE = 10  # rows per second from which a rate has no decimals


class StepReport:
    """The report on a step: how many of its tables were made, with how many rows, and what its stage says of them."""

    def __init__(self, name: str, progress: ProgressBars, log: RunLog) -> None:
        self.name = name
        self.ended = 0  # tables that were made, or failed
        self.failed = 0
        self.rows = 0
        self._progress = progress
        self._log = log
        self._bar: ProgressBar | None = None
        self._start = time.perf_counter()
        self._counts: Counter[str] = Counter()  # rows by status
        self._captions, self._mining, self._texts = CaptionStats(), MiningStats(), TextFilterStats()
        self._agreement = AgreementStats()

    @property
    def is_started(self) -> bool:
        """Whether a table of it runs, or has run."""
        return self._bar is not None

    @property
    def seconds(self) -> float:
        """The seconds since its first table was started."""
        return time.perf_counter() - self._start

    def start(self) -> None:
        """Starts its clock and shows its bar, unless that was done before."""
        if self._bar is None:
            self._start = time.perf_counter()
            self._bar = self._progress.open_bar(self.name)

    def add(self, outcome: Outcome) -> None:
        """Adds the outcome of one table."""
        self.ended += 1
        if outcome.error:
            self.failed += 1
            return
        where = f"{owner_name(outcome.owner)}/{outcome.shard}"
        line = f"{self.name} {where}: {outcome.rows:,} rows, {outcome.seconds:.1f} s"
        self._progress.print_line(line, Verbosity.VERBOSE)
        self.rows += outcome.rows
        for stats in (self._captions, self._mining, self._texts, self._agreement):
            stats.add(outcome)
        for key, n in outcome.counts.items():
            self._counts[key.partition("/")[0]] += n

    def show(self, total: int, waiting: int, ready: int, running: int, is_starving: bool = False) -> None:
        """Updates its bar: numbers of tables; those that are not in any of these have ended.

        `is_starving`: its workers wait for the stages before it.
        """
        if self._bar is None:
            return
        counts = {"running": running, "ready": ready, "waiting": waiting}
        parts = [", ".join(f"{number:,} {state}" for state, number in counts.items() if number)]
        if is_starving:
            parts.append("starving")
        if self.rows:
            rate = self.rows / max(self.seconds, 1e-3)
            parts.append(f"{rate:,.{0 if rate >= _ROUNDED_RATE else 1}f} rows/s")
        if self._captions:
            parts.append(self._captions.line(self.seconds))
        self._bar.set_progress(total - waiting - ready - running, total)
        self._bar.set_text("; ".join(parts))

    def complete(self, todo: int, total: int) -> None:
        """Removes its bar and prints its lines; of `total` tables `todo` were not there before."""
        if self._bar is not None:
            self._bar.close()
        if not self.ended:
            self._progress.print_line(
                f"{self.name}: blocked" if todo else f"{self.name}: done already ({total} shards)"
            )
            return
        seconds = self.seconds
        summary = ", ".join(f"{n:,} {status}" for status, n in sorted(self._counts.items(), key=lambda e: -e[1]))
        self._progress.print_line(f"{self.name}: {self.ended} shards, {self.rows:,} rows ({summary}), {seconds:.1f} s")
        for line in self._lines(seconds):
            self._progress.print_line(f"{self.name}: {line}")
        if self._captions:
            self._log.event("rates", step=self.name, seconds=round(seconds, 3), replicas=self._captions.record())

    def _lines(self, seconds: float) -> Iterator[str]:
        if self._captions:
            yield self._captions.line(seconds)
        yield from self._mining.lines()
        yield from self._texts.lines()
        yield from self._agreement.lines()
