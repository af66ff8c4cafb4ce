"""Sources of videos in folders, with annotations beside them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from corpus.settings import parse_settings
from pipelines.sources.videos import VideosReader, VideosSource


def place(folder: Path, film: bytes, *names: str) -> str:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(film)
    return str(folder)


def plain(folder: Path, *records: dict[str, Any]) -> dict[str, Any]:
    path = folder / "said.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return {"kind": "plain", "files": [str(path)]}


def source(*videos: str, **settings: Any) -> VideosReader:
    return VideosReader(parse_settings({"kind": "videos", "videos": list(videos), **settings}, VideosSource))


def rows_of(rows: VideosReader) -> list[dict[str, Any]]:
    """All rows, after a look at whether the counts add up."""
    found = [row for shard in rows.shards() for row in shard.to_pylist()]
    assert rows.counts["read"] == len(found) + sum(n for reason, n in rows.counts.items() if reason != "read")
    counts = dict(rows.annotation_counts)
    assert counts.pop("read", 0) == sum(counts.values())
    return found
