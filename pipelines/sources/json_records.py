"""Reads the records of JSON files: an array, JSON lines or a single object, local or in a store.

Text that is no JSON, or holds what it should not, costs its own record: it goes into a list of bad records.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import IO, Any

from corpus.storage import Store
from pipelines.sources.not_read import UnreadableFileError

_LINES = (".jsonl", ".ndjson")
MAX_LISTED = 1000  # bad records that are kept word for word; the others are counted
_MAX_LINE_BYTES = 64 * 2**20
_MAX_JSON_BYTES = 2 * 2**30  # of a JSON file that is read completely, unpacked
_MAX_DETAIL_CHARACTERS = 200
_CLOCK = re.compile(r"(?:(?:([0-9]{1,9}):)?([0-9]{1,2}):)?([0-9]{1,9}(?:[.,][0-9]*)?)")  # 00:01:02.500, 1:02, 12.5


@dataclass(frozen=True)
class BadRecord:
    """A record that was left out. `line` is where it begins, counted from 1.

    Reasons: not_json, line_too_long, not_an_object, unknown_key, unsupported_time, no_video, no_text, bad_text,
    bad_time, bad_turns.
    """

    file: str
    line: int
    reason: str
    detail: str

    def __str__(self) -> str:
        return f"{self.file}, line {self.line}: {self.reason}: {self.detail}"


class BadRecords(list[BadRecord]):
    """Records that were left out. The first MAX_LISTED lie in the list; `counts` counts all of them by reason."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()

    def append(self, record: BadRecord) -> None:
        """Counts a bad record, and keeps it if there are not too many."""
        self.counts[record.reason] += 1
        if len(self) < MAX_LISTED:
            super().append(record)

    def lines(self) -> list[str]:
        """Describes all of them, a line each; of those that are not in the list their number."""
        more = self.counts.total() - len(self)
        lines = list(map(str, self))
        return [*lines, f"and {more} more"] if more else lines


class BadRecordError(ValueError):
    """A record is not as it should be; `reason` and `detail` as in BadRecord."""

    def __init__(self, reason: str, detail: str) -> None:
        self.reason, self.detail = reason, detail[:_MAX_DETAIL_CHARACTERS]
        super().__init__(f"{reason}: {self.detail}")


def records(file: str, bad_records: list[BadRecord]) -> Iterator[tuple[int, Any]]:
    """Reads (line, value) of each record: those of an array, of lines, or the file's one object. Adds to `bad_records`.

    Raises StorageError for a file that cannot be read, UnreadableFileError for one that is too large.
    """
    with Store(".").open(file) as opened:
        if file.lower().endswith(_LINES):
            yield from parse_lines(opened, file, bad_records)
        else:
            yield from scan(read_all(opened, file).decode("utf-8", "surrogateescape"), file, bad_records)


def read_all(stream: IO[bytes], url: str) -> bytes:
    """Reads all bytes of a stream, which may be packed a thousand times smaller. Raises SettingsError for too many."""
    data = stream.read(_MAX_JSON_BYTES + 1)
    if len(data) > _MAX_JSON_BYTES:
        raise UnreadableFileError(url, f"a JSON file of over {_MAX_JSON_BYTES:,} bytes, unpacked: make it JSON lines")
    return data


def parse_lines(stream: IO[bytes], url: str, bad_records: list[BadRecord]) -> Iterator[tuple[int, Any]]:
    """Parses (line, value) of each line of a stream. Adds to `bad_records`, too long lines among them."""
    number = 0
    while data := stream.readline(_MAX_LINE_BYTES):
        number += 1
        if len(data) == _MAX_LINE_BYTES and not data.endswith(b"\n"):
            bad_records.append(BadRecord(url, number, "line_too_long", f"more than {_MAX_LINE_BYTES} bytes"))
            while data and not data.endswith(b"\n"):
                data = stream.readline(_MAX_LINE_BYTES)
            continue
        text = data.decode("utf-8", "surrogateescape").strip("\ufeff \t\r\n")
        try:
            if text:
                yield number, json.loads(text)
        except json.JSONDecodeError as error:
            bad_records.append(BadRecord(url, number, "not_json", f"{error.msg}: column {error.colno}"))
        except (ValueError, RecursionError) as error:
            bad_records.append(BadRecord(url, number, "not_json", str(error)))


def scan(text: str, file: str, bad_records: list[BadRecord]) -> Iterator[tuple[int, Any]]:
    """Parses (line, value) of each value of a text: of an array, or one after the other. Adds to `bad_records`.

    After text that is no JSON it goes on at the next line that begins with a brace, no further from
    the margin than the one that could not be read: what lies further in is part of it.
    """
    decoder = json.JSONDecoder()
    between = re.compile(r"[\s,\]]*")  # of an array, too
    at = re.compile(r"\ufeff?\s*\[?").match(text).end()  # type: ignore[union-attr]
    line, counted = 1, 0
    while (at := between.match(text, at).end()) < len(text):  # type: ignore[union-attr]
        line, counted = line + text.count("\n", counted, at), at
        try:
            value, at = decoder.raw_decode(text, at)
        except (ValueError, RecursionError) as error:
            column = at - text.rfind("\n", 0, at) - 1
            following = re.compile(rf"\n[ \t]{{0,{column}}}(?=\{{)").search(text, at + 1)
            skipped = "" if following else "; nothing after it in the file is read"
            bad_records.append(BadRecord(file, line, "not_json", f"{error}{skipped}"))
            at = following.end() if following else len(text)
        else:
            yield line, value


def text_of(value: Any) -> str:
    """Strips a string; null becomes "". Raises BadRecordError for all else, and for what is not Unicode."""
    if not isinstance(value, str | None):
        raise BadRecordError("bad_text", f"expected a string, found {type(value).__name__}")
    text = (value or "").strip()
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise BadRecordError("bad_text", f"not Unicode: {error.reason}") from None
    return text


_STARTS = ("start", "start_s", "start_sec", "start_second", "start_time", "start_ms", "start_frame", "begin")
_END_KEYS = ("end", "end_s", "end_sec", "end_second", "end_time", "end_ms", "end_frame", "stop")
_INTERVALS = ("segment", "segments", "interval", "intervals", "span", "spans", "timestamps")
TIME_KEYS = (*_STARTS, *_END_KEYS, *_INTERVALS)  # under which public sets say when a part of a video is


def refuse_unsupported_times(record: Mapping[str, Any], start_key: str = "", end_key: str = "") -> None:
    """Refuses a record that has a time under a key that is not read, and none under those that are.

    Raises BadRecordError (unsupported_time): a text about a part would be taken to be about the whole video.
    """
    has_start, has_end = (record.get(key) not in (None, "") for key in (start_key, end_key))
    for keys, is_read in ((_STARTS, has_start), (_END_KEYS, has_end), (_INTERVALS, has_start or has_end)):
        for key in keys if not is_read else ():
            if key not in (start_key, end_key) and record.get(key) not in (None, "", []):
                read = f"read are {start_key!r} and {end_key!r}" if start_key else "no times are read"
                raise BadRecordError("unsupported_time", f"{key!r} looks like a time of a part of the video; {read}")


def seconds(value: Any) -> float | None:
    """Parses seconds, of a number or of a string such as "12.5", "1:02" or "00:01:02.500"; None for null and "".

    Raises ValueError for all else, negative and infinite times too.
    """
    if value is None or value == "":
        return None
    if isinstance(value, str) and (match := _CLOCK.fullmatch(value.strip())):
        hours, minutes, rest = match.groups()
        small = float(rest.replace(",", "."))
        if minutes is None or (small < 60 and (hours is None or int(minutes) < 60)):
            return int(hours or 0) * 3600.0 + int(minutes or 0) * 60.0 + small
    elif isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < math.inf:
        return float(min(value, 1e300))  # a whole number can be too large for a float
    raise ValueError(f"not a time: {value!r}")
