"""Compares two runs: what changed in the settings and versions, and what that did to counts and times."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from corpus.settings import SettingsError
from pipelines.plan import changed_settings
from pipelines.report.run_summary import RunSummary

_Counts = Mapping[str, int]


@dataclass(frozen=True)
class CountChange:
    """A number of rows that differs: of a stage's status and reason, or of an entry of a source's funnel."""

    of: str  # the stage, or the source
    key: str  # "status/reason"
    old: int
    new: int


@dataclass(frozen=True)
class RunComparison:
    """The differences of two runs. Counts of stages are compared where both runs wrote tables of them."""

    old: str
    new: str
    settings: list[str] = field(default_factory=list)  # `path.to.key: old -> new`
    versions: list[str] = field(default_factory=list)
    funnels: list[CountChange] = field(default_factory=list)  # of the sources that both runs have counted
    stages: list[CountChange] = field(default_factory=list)
    tables: dict[str, tuple[int, int]] = field(default_factory=dict)  # of each stage, where the numbers differ
    seconds: dict[str, tuple[float, float]] = field(default_factory=dict)  # of each stage, and ("") of the run


def find_run(runs: Sequence[RunSummary], name: str) -> RunSummary:
    """Returns a run by its id, or a part of it that no other has. Raises SettingsError."""
    found = [run for run in runs if run.name == name] or [run for run in runs if name and name in run.name]
    if len(found) == 1:
        return found[0]
    if found:
        raise SettingsError(f"{name}: {len(found)} runs are named so, as {found[0].name} and {found[-1].name}")
    there = f"the newest is {runs[-1].name}" if runs else "there is none"
    raise SettingsError(f"{name}: no run with a summary; {there} (a run that was killed, or still runs, has none)")


def compare_runs(old: RunSummary, new: RunSummary) -> RunComparison:
    """Returns what differs between two runs."""
    ran = [stage for stage in new.stages if stage in old.stages]
    pairs = {stage: (old.stages.get(stage), new.stages.get(stage)) for stage in {**old.stages, **new.stages}}
    tables = {stage: (a.tables if a else 0, b.tables if b else 0) for stage, (a, b) in pairs.items()}
    counted = [source for source in new.funnels if source in old.funnels]
    return RunComparison(
        old.name,
        new.name,
        changed_settings("", old.settings, new.settings),
        changed_settings("", old.versions, new.versions),
        _changes((each, _flat(old.funnels[each]), _flat(new.funnels[each])) for each in counted),
        _changes((stage, old.stages[stage].counts, new.stages[stage].counts) for stage in ran),
        {stage: numbers for stage, numbers in tables.items() if numbers[0] != numbers[1]},
        {
            "": (old.seconds, new.seconds),
            **{stage: (round(old.stages[stage].seconds, 3), round(new.stages[stage].seconds, 3)) for stage in ran},
        },
    )


def _changes(compared: Iterable[tuple[str, _Counts, _Counts]]) -> list[CountChange]:
    return [
        CountChange(of, key, old.get(key, 0), new.get(key, 0))
        for of, old, new in compared
        for key in sorted({*old, *new})
        if old.get(key, 0) != new.get(key, 0)
    ]


def _flat(funnel: Mapping[str, Any]) -> dict[str, int]:
    """Returns the numbers of a funnel by their path: `kept`, `removed/filtered/dark`."""
    return dict(_entries("", funnel))


def _entries(path: str, value: Any) -> Iterator[tuple[str, int]]:
    if isinstance(value, Mapping):
        for name, each in value.items():
            yield from _entries(f"{path}/{name}" if path else str(name), each)
    elif isinstance(value, int):
        yield path, value
