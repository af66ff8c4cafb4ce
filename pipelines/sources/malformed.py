"""Counts and lists the malformed records of a source, from its notes: each of them cost a row."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pipelines.sources.json_records import BadRecords

FAULTS, FAULT_COUNTS = "faults", "fault_counts"  # the keys in a source's notes: a line each; records by reason


@dataclass(frozen=True)
class MalformedRecords:
    """The malformed records of one source: how many by reason, and a line for each, up to some limit."""

    source: str
    counts: Mapping[str, int]  # empty in notes that were written before there were counts
    lines: tuple[str, ...]
    path: str = ""  # of a file that has all of the lines; "": there is none

    def summary(self) -> str:
        """Returns one line for all of them, the most frequent reason first."""
        by_number = sorted(self.counts.items(), key=lambda each: (-each[1], each[0]))
        reasons = ", ".join(f"{reason} {number:,}" for reason, number in by_number)
        number = sum(self.counts.values()) or len(self.lines)
        return f"{self.source}: {number:,} malformed record{'s' * (number != 1)}{reasons and f': {reasons}'}"


def malformed_notes(*bad_records: BadRecords) -> dict[str, Any]:
    """Returns bad records as a part of a source's notes; empty where there are none."""
    counts = sum((each.counts for each in bad_records), Counter[str]())
    if not counts:
        return {}
    return {FAULTS: [line for each in bad_records for line in each.lines()], FAULT_COUNTS: dict(sorted(counts.items()))}


def malformed_records(source: str, notes: Mapping[str, Any], path: str = "") -> Iterator[MalformedRecords]:
    """Yields the malformed records that a source's notes have, if there are any; `path` is the file of the notes."""
    if lines := tuple(notes.get(FAULTS, ())):
        yield MalformedRecords(source, dict(notes.get(FAULT_COUNTS, {})), lines, path)


def malformed_text(found: Iterable[MalformedRecords]) -> str:
    """Returns the list of all malformed records of some sources, a line each after the line of its source."""
    return "".join(f"{line}\n" for each in found for line in (each.summary(), *(f"  {one}" for one in each.lines)))
