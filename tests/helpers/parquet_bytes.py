"""Parquet files as bytes, and calls in a process of their own, which a damaged file may end."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

PAGES = pa.table(
    {
        "image": [{"bytes": b"image %d" % at, "path": f"{at}.png"} for at in range(6)],
        "text": [f"text {at}" for at in range(6)],
        "number": range(6),
    }
)


def parquet(table: pa.Table = PAGES, **options: object) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink, **options)
    return sink.getvalue()


def put(path: Path, data: bytes) -> str:
    path.write_bytes(data)
    return str(path)


def in_a_process(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=60, check=False
    )
