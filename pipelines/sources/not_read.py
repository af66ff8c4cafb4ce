"""Counts and names what lies where the settings point and is not read: files, and values that cannot be cast.

Rows that are left out are in a source's `counts`. This is for what are no rows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from pathlib import PurePosixPath
from typing import Any

from corpus.settings import SettingsError
from corpus.urls import without_credentials

NOT_READ = "not_read"  # the key in a source's notes
_MAX_NAMED = 20  # files of one reason that are named; the others are counted


class UnreadableFileError(SettingsError):
    """A file is damaged or of another kind than its name says: no fault of the storage that it lies in.

    The message names the file; where there are other files, it is left out and they are read.
    """

    def __init__(self, url: str, detail: str) -> None:
        super().__init__(f"{url}: {detail}")
        self.url, self.detail = url, detail


class NotRead:
    """Files and values of a source that were not read, by reason and by column."""

    def __init__(self) -> None:
        self._files: dict[tuple[str, str], tuple[int, str]] = {}  # (reason, file) -> how many it stands for, detail
        self.values: Counter[str] = Counter()  # column -> values that are null instead

    def add_file(self, reason: str, file: str, detail: str = "", count: int = 1) -> None:
        """Notes a file, or one of `count` of its kind; a second note on the same file replaces the first.

        Reasons: unreadable_file, damaged or of another kind; hidden_file, a name that marks it as no data;
        unsupported_extension, another one than the source reads; bad_name, not UTF-8; orphan_tar, without its table;
        unsupported_format, of img2dataset's output.
        """
        self._files[reason, file] = count, detail

    def forget_others(self, endings: Collection[str]) -> None:
        """Removes the notes of unsupported_extension on files with these endings: something else reads them."""
        for reason, file in list(self._files):
            if reason == "unsupported_extension" and PurePosixPath(file).suffix.lower() in endings:
                del self._files[reason, file]

    def add_values(self, column: str, count: int) -> None:
        """Notes values of a column that are null because they could not be cast."""
        if count:
            self.values[column] += count

    @property
    def files(self) -> Counter[str]:
        """The number of files by reason."""
        counts: Counter[str] = Counter()
        for (reason, _), (count, _) in self._files.items():
            counts[reason] += count
        return counts

    def lines(self) -> list[str]:
        """Describes all of it, a line each; of many files with one reason the first."""
        named: Counter[str] = Counter()
        lines = []
        for (reason, file), (_, detail) in self._files.items():
            named[reason] += 1
            if named[reason] <= _MAX_NAMED:
                line = f"{file}{': ' if detail else ''}{detail}"
                lines.append(without_credentials(f"not read ({reason}): {line}"))
        for reason, count in named.items():
            if count > _MAX_NAMED:
                lines.append(f"not read ({reason}): {count - _MAX_NAMED} more")
        for column, count in sorted(self.values.items()):
            lines.append(f"column {column}: {count} values cannot be read and count as absent")
        return lines

    def notes(self) -> dict[str, Any]:
        """Gives all of it as a part of a source's notes; empty where all was read."""
        counts = counts_of({"files": dict(sorted(self.files.items())), "values": dict(sorted(self.values.items()))})
        return {NOT_READ: {**counts, "lines": self.lines()}} if counts else {}


def counts_of(noted: Mapping[str, Any]) -> dict[str, dict[str, int]]:
    """Selects the counts of what `NotRead.notes` holds under its key: of `files` by reason, of `values` by column."""
    return {kind: dict(noted[kind]) for kind in ("files", "values") if noted.get(kind)}
