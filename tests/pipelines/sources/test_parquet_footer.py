"""Footers of Parquet files are checked before Arrow reads them."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.sources.parquet_footer import FooterError, null_columns
from tests.helpers.parquet_bytes import in_a_process, parquet, put

# What a footer says of the column image.bytes: its type, that it may be null (2; 0: never), its name.
MAY_BE_NULL, NEVER_NULL = b"\x15\x0c\x25\x02\x18\x05bytes", b"\x15\x0c\x25\x00\x18\x05bytes"


def test_a_footer_on_which_arrow_ends_the_process_does_not_end_it(tmp_path: Path) -> None:
    damaged = parquet().replace(MAY_BE_NULL, NEVER_NULL)
    path = put(tmp_path / "x.parquet", damaged)
    reference = in_a_process(
        "import pyarrow.parquet as pq, sys; pq.read_metadata(sys.argv[1]).row_group(0).column(0)", path
    )
    assert reference.returncode < 0, "else there is nothing to show any more"
    ours = in_a_process(
        "import sys\n"
        "from pipelines.sources.images.parquet import ParquetImages, ParquetImagesSettings\n"
        "from pipelines.sources.files import FileInfo\n"
        "from pipelines.sources.records import paths_in, read_records\n"
        "file = FileInfo(sys.argv[1], 'x.parquet')\n"
        "rows = read_records(file, [], ['image', 'text'], ['image'])\n"
        "print(len(paths_in(file)), [row['image'] for _, row in rows])\n"
        "found = ParquetImages(ParquetImagesSettings(paths=(file.url,))).open(10**6)(['x.parquet#row=1'])\n"
        "print([each.reason for _, each in found])\n",
        path,
    )
    assert ours.returncode == 0, ours.stderr
    assert ours.stdout.splitlines()[1] == "['damaged_archive']" and "x.parquet#row=6" in ours.stdout


def test_hostile_footers_are_refused_in_no_time(tmp_path: Path) -> None:
    def with_footer(footer: bytes) -> str:
        return put(tmp_path / "x.parquet", b"PAR1" + footer + len(footer).to_bytes(4, "little") + b"PAR1")

    deep, long = b"\x1c" * 5000, b"\x19\xfc\xff\xff\xff\xff\xff\xff\xff\xff\x7f"
    for footer in (deep, long, b"\x18\xff\xff\x7f", b"\x1e", b"\x49\x15\x02\x00", b"\x15" + b"\xff" * 20, b"\x19"):
        with pytest.raises(FooterError):
            null_columns(with_footer(footer))
    assert null_columns(with_footer(b"\x00")) == []
