"""Compares the rows of the demo's images with the planted truth: every fault found, nothing else removed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from corpus.urls import without_credentials
from demo.images.defect_kinds import DROPPED, KEPT
from demo.images.world import DUPLICATE, ONE_OF


def compare(truth_path: str | Path, rows: pa.Table) -> list[str]:
    """Lists the differences from the planted truth, a line for each row or family.

    `rows` (columns url, status, reason, in any order) are all rows of a source whose sample is at least as large as the
    world: then repeated rows are dropped, as planted, and none is left out by chance.
    """
    found: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for row in rows.select(["url", "status", "reason"]).to_pylist():
        found[row["url"]].append((row["status"], row["reason"]))
    differences = []
    families: dict[str, list[str]] = defaultdict(list)
    for planted in pq.read_table(truth_path).to_pylist():
        if planted["status"] == DROPPED:
            continue
        planted["url"] = without_credentials(planted["url"])  # as in the rows
        if not found[planted["url"]]:
            differences.append(f"{_named(planted)}: {_expected(planted)}, but there is no such row")
            continue
        status, reason = found[planted["url"]].pop()
        if not _is_right(planted, status, reason):
            differences.append(f"{_named(planted)}: {_expected(planted)}, but it is {_ended(status, reason)}")
        if planted["family"]:
            families[planted["family"]].append(status)
    for family, statuses in families.items():
        if statuses.count(KEPT) != 1:
            differences.append(f"family {family}: one of {len(statuses)} is to be kept, but {statuses.count(KEPT)} are")
    for url, rest in found.items():
        differences += [f"{url}: no such row should be here, but it is {_ended(*end)}" for end in rest]
    return differences


def forbidden_requests(requests: Mapping[str, int]) -> list[str]:
    """Requests (as the server counts them) that reached the service nobody may reach, a line for each path."""
    return [f"{path}: asked for {count} times" for path, count in requests.items() if path.startswith("inside:")]


def _is_right(planted: Mapping[str, Any], status: str, reason: str) -> bool:
    if planted["status"] == ONE_OF:
        return (status == KEPT and not reason) or (status == DUPLICATE and reason in planted["reasons"])
    if status == KEPT:
        return planted["status"] == KEPT and not reason
    return status == planted["status"] and reason in planted["reasons"]


def _expected(planted: Mapping[str, Any]) -> str:
    if planted["status"] == ONE_OF:
        return f"planted as kept or {DUPLICATE} ({' or '.join(planted['reasons'])})"
    return (
        f"planted as {_ended(planted['status'], '' if planted['status'] == KEPT else ' or '.join(planted['reasons']))}"
    )


def _ended(status: str, reason: str) -> str:
    return f"{status} ({reason})" if reason else status


def _named(planted: Mapping[str, Any]) -> str:
    return f"{planted['kind']} {planted['url']}"
