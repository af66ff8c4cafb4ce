"""Measures drawing a seeded sample from LAION-form metadata against loading all of it into memory and shuffling.

    python -m benchmarks.sample                the comparison, on 5M rows, and the peak memory of both
    python -m benchmarks.sample --passes 10    first also 2M of 50M rows: time and peak memory

The parts (0.8 GB, written once, kept in the temporary folder) hold 5M rows with URLs and texts of realistic lengths.
More rows are the same parts read again, each time with other URLs.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from benchmarks.harness import versus
from pipelines.sources.laion import ALIASES, find_parts, read_index_parts
from pipelines.sources.row_filter import RowFilter
from pipelines.sources.sampling import RowSample

PARTS, PART_ROWS, GROUP_ROWS = 10, 500_000, 100_000
FILTER = "similarity > 0.28 and punsafe < 0.5"
SEED = 0


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--passes", type=int, default=0, help="sample 2M rows of so many times 5M as well")
    parser.add_argument("--child", choices=("ours", "peer"), help=argparse.SUPPRESS)
    parser.add_argument("--rows", type=int, default=200_000, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        return _report(options.child, options.rows, max(1, options.passes))
    folder = _metadata()
    if options.passes:
        _run_child("ours", 2_000_000, options.passes)
    for which in ("ours", "peer"):
        _run_child(which, 200_000, 1)
    versus(
        "sample",
        "rows read/s",
        PARTS * PART_ROWS,
        lambda: pa.concat_tables(ours(folder, 200_000).tables()),
        lambda: peer(folder, 200_000),
        "pyarrow.dataset to_table, permutation, take",
        _same,
    )


def ours(folder: Path, rows: int, passes: int = 1) -> RowSample:
    """Draws a sample of the metadata as the source does."""
    parts = find_parts([str(folder)])
    tables = (
        _with_other_urls(table, number)
        for number in range(passes)
        for table in read_index_parts(parts, RowFilter(FILTER, ALIASES), {})
    )
    return RowSample(tables, rows, SEED)


def peer(folder: Path, rows: int) -> pa.Table:
    """Loads all rows that pass into memory, then takes a random sample."""
    good = (ds.field("similarity") > 0.28) & (ds.field("punsafe") < 0.5)
    table = ds.dataset(folder).to_table(filter=good)
    return table.take(np.random.default_rng(SEED).permutation(table.num_rows)[:rows])


def _same(our_sample: pa.Table, peer_sample: pa.Table) -> None:
    for table in (our_sample, peer_sample):
        names = {name.lower(): name for name in table.column_names}
        assert table.num_rows == 200_000
        assert pc.count_distinct(table.column(names["url"])).as_py() == 200_000
        assert pc.min(table.column("similarity")).as_py() > 0.28 and pc.max(table.column("punsafe")).as_py() < 0.5


def _with_other_urls(table: pa.Table, number: int) -> pa.Table:
    if number == 0:
        return table
    urls = pc.binary_join_element_wise(table.column("url"), pa.scalar(str(number)), "?")
    return table.set_column(0, table.schema.field(0), urls)


def _report(which: str, rows: int, passes: int) -> None:
    start = time.perf_counter()
    tables = ours(_metadata(), rows, passes).tables() if which == "ours" else [peer(_metadata(), rows)]
    sizes = [(table.num_rows, table.nbytes) for table in tables]
    report = {
        "of": passes * PARTS * PART_ROWS,
        "rows": sum(rows for rows, _ in sizes),
        "seconds": round(time.perf_counter() - start, 1),
        "sample_mb": sum(size for _, size in sizes) // 10**6,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1000,
    }
    print(json.dumps({which: report}))


def _run_child(which: str, rows: int, passes: int) -> None:
    command = [sys.executable, "-m", "benchmarks.sample", "--child", which, "--rows", str(rows)]
    subprocess.run([*command, "--passes", str(passes)], check=True)


def _metadata() -> Path:
    """Returns the folder of parts; writes them where they are missing."""
    folder = Path(tempfile.gettempdir()) / "rzen-corpus-benchmark-metadata"
    folder.mkdir(exist_ok=True)
    for number in range(PARTS):
        path = folder / f"part-{number:05d}.parquet"
        if not path.exists():
            rng = np.random.default_rng(number)
            unfinished = path.with_suffix(".tmp")
            with pq.ParquetWriter(unfinished, _group(rng, 0).schema) as writer:
                for first in range(0, PART_ROWS, GROUP_ROWS):
                    writer.write_table(_group(rng, number * PART_ROWS + first))
            unfinished.rename(path)
    return folder


def _group(rng: np.random.Generator, first: int) -> pa.Table:
    number = pa.array(np.arange(first, first + GROUP_ROWS)).cast(pa.string())
    host = _letters(rng, 6, 20, b"abcdefghijklmnopqrstuvwxyz")
    name = _letters(rng, 10, 60, b"abcdefghijklmnopqrstuvwxyz0123456789-")
    url = pc.binary_join_element_wise("https://", host, ".com/images/", name, "-", number, ".jpg", "")
    return pa.table(
        {
            "SAMPLE_ID": pa.array(rng.integers(0, 2**40, GROUP_ROWS)),
            "URL": url,
            "TEXT": _letters(rng, 15, 110, b"eeettaaoinshrdlu     cmfwypvbgk"),
            "HEIGHT": pa.array(rng.integers(100, 2000, GROUP_ROWS, np.int32)),
            "WIDTH": pa.array(rng.integers(100, 2000, GROUP_ROWS, np.int32)),
            "LICENSE": pa.array(["?"] * GROUP_ROWS),
            "NSFW": pa.array(["UNLIKELY"] * GROUP_ROWS),
            "similarity": pa.array(rng.normal(0.33, 0.04, GROUP_ROWS)),
            "punsafe": pa.array(rng.random(GROUP_ROWS)),
            "pwatermark": pa.array(rng.random(GROUP_ROWS)),
        }
    )


def _letters(rng: np.random.Generator, shortest: int, longest: int, letters: bytes) -> pa.Array:
    offsets = np.concatenate([[0], np.cumsum(rng.integers(shortest, longest, GROUP_ROWS))]).astype(np.int32)
    data = np.frombuffer(letters, np.uint8)[rng.integers(0, len(letters), offsets[-1])]
    return pa.StringArray.from_buffers(GROUP_ROWS, pa.py_buffer(offsets), pa.py_buffer(data))


if __name__ == "__main__":
    main()
