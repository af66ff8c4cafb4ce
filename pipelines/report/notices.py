"""What a person should know of a source that is no row's status: malformed records, files and values not read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pipelines.sources.not_read import NOT_READ
from pipelines.sources.source_shards import CREDENTIALS_REMOVED

_FAULTS_SHOWN = 3  # malformed records, with file and line; all are in the source's index
_NOT_READ_SHOWN = 10
_NAMES_SHOWN = 5


def source_notices(name: str, notes: Mapping[str, Any], index: str = "") -> Iterator[str]:
    """Lines about the source of that name; `index` is the file that has all of its notes, if there is one."""
    faults = list(notes.get("faults", ()))
    not_read = list(notes.get(NOT_READ, {}).get("lines", ()))
    for lines, shown, what in ((faults, _FAULTS_SHOWN, "malformed records"), (not_read, _NOT_READ_SHOWN, "lines")):
        yield from (f"{name}: {line}" for line in lines[:shown])
        if len(lines) > shown:
            yield f"{name}: {len(lines) - shown} more {what}{index and f', in {index}'}"
    counts = notes.get("annotations", {})
    if unused := {reason: n for reason, n in counts.items() if n and reason not in ("read", "placed", "not_sampled")}:
        reasons = ", ".join(f"{reason} {n:,}" for reason, n in unused.items())
        yield f"{name}: of {counts['read']:,} annotations {sum(unused.values()):,} are not used: {reasons}"
    if removed := notes.get(CREDENTIALS_REMOVED):
        yield f"{name}: {removed:,} URLs carried user:password@: taken off, and requested without"


def repeated_name_notices(source: str, names: Sequence[str]) -> Iterator[str]:
    """A line about the images of a source whose names several archives have, if there are any."""
    if names:
        more = f" and {len(names) - _NAMES_SHOWN:,} more" if len(names) > _NAMES_SHOWN else ""
        yield (
            f"{source}: {len(names):,} names of images are in several archives, and the first archive's is taken: "
            f"{', '.join(names[:_NAMES_SHOWN])}{more}"
        )
