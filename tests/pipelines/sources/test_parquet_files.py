"""Parquet files of strangers: a damaged one is an error that names it, and ends no process."""

from __future__ import annotations

import io
import random
from pathlib import Path

import fsspec
import pyarrow as pa
import pytest

from corpus.settings import SettingsError
from corpus.storage import StorageError, Store
from pipelines.sources.files import FileInfo
from pipelines.sources.json_records import BadRecords
from pipelines.sources.not_read import UnreadableFileError
from pipelines.sources.parquet_files import column_names, open_parquet, require_single, rows_claimed
from pipelines.sources.parquet_footer import FooterError, null_columns
from pipelines.sources.records import read_records
from tests.helpers.parquet_bytes import in_a_process, parquet, put


def test_damaged_files_are_errors_that_name_them(tmp_path: Path) -> None:
    """Some hundred files with some bytes changed, in footers and pages; in a process of its own, which must not end."""
    complete = parquet(row_group_size=2)
    put(tmp_path / "whole.parquet", complete)
    found = in_a_process(
        "import sys; sys.path.insert(0, sys.argv[2]); import tests.pipelines.sources.test_parquet_files as tests;"
        " tests.mutated(sys.argv[1])",
        str(tmp_path),
        str(Path(__file__).parents[3]),
    )
    assert found.returncode == 0, found.stderr
    read, refused = map(int, found.stdout.split())
    assert read + refused == 400 and read > 20 and refused > 100


def mutated(folder: str) -> None:
    """Read 400 mutants of `whole.parquet`; prints how many could be read, and how many are errors that name it."""
    complete, path = (Path(folder) / "whole.parquet").read_bytes(), Path(folder) / "mutant.parquet"
    footer = len(complete) - 8 - int.from_bytes(complete[-8:-4], "little")
    read = refused = 0
    for seed in range(400):
        draw, data = random.Random(seed), bytearray(complete)
        for _ in range(draw.choice([1, 1, 2, 8])):
            data[draw.randrange(0 if seed % 2 else footer, len(complete) - 8)] = draw.randrange(256)
        path.write_bytes(data)
        try:
            rows = [
                row
                for _, row in read_records(FileInfo(str(path), path.name), BadRecords(), ["image", "text"], ["image"])
            ]
            assert all(isinstance(row["text"], str | None) for row in rows)
            read += 1
        except UnreadableFileError as error:
            assert str(path) in str(error)
            refused += 1
        except SettingsError as error:  # a name that was changed into another column's
            assert "stands there 2 times" in str(error)
            refused += 1
    print(read, refused)


def test_a_fault_of_the_storage_is_not_the_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = put(tmp_path / "x.parquet", parquet(row_group_size=1))
    with pytest.raises(StorageError, match="nowhere"), open_parquet(str(tmp_path / "nowhere.parquet")):
        pass

    class Breaking(io.BytesIO):
        remaining = 0

        def read(self, size: int | None = -1) -> bytes:
            Breaking.remaining -= 1
            if Breaking.remaining < 0:
                raise OSError(5, "Input/output error")
            return super().read(size)

    monkeypatch.setattr(Store, "open", lambda self, url, **_: Breaking(Path(url).read_bytes()))
    for reads in range(2):  # of the footer, and of the pages
        Breaking.remaining = reads
        with pytest.raises(StorageError, match=r"x\.parquet: .*Input/output error"), open_parquet(path) as file:
            file.read()
    assert issubclass(UnreadableFileError, SettingsError) and not issubclass(UnreadableFileError, OSError)


@pytest.mark.parametrize(
    "data", [b"", b"PAR1", b"PAR1" + b"\x7f" * 90 + b"\x40\0\0\0PAR1", parquet()[:-20], b"<html>" * 9]
)
def test_what_is_no_parquet(tmp_path: Path, data: bytes) -> None:
    path = put(tmp_path / "x.parquet", data)
    with (
        pytest.raises(UnreadableFileError, match=r"x\.parquet: not a Parquet file that can be read"),
        open_parquet(path),
    ):
        pass
    assert rows_claimed(FileInfo(path, "x.parquet")) == 0
    with pytest.raises(FooterError):
        null_columns(path)


def test_a_column_name_that_is_not_utf_8_is_named(tmp_path: Path) -> None:
    path = put(tmp_path / "x.parquet", parquet(store_schema=False).replace(b"number", b"num\xff\xfer"))
    with (
        pytest.raises(UnreadableFileError, match=r"x\.parquet: .*not UTF-8: .*num\\xff\\xfer"),
        open_parquet(path) as file,
    ):
        column_names(file.schema_arrow, path)


def test_columns_that_stand_twice() -> None:
    names = ["a", "b", "a", "B", "c"]
    require_single(names, ["c", "b", "nowhere"], "x.parquet")
    for wanted, any_case, name in ((["a"], False, "a"), (["b"], True, "b"), (["C", "B"], True, "b")):
        with pytest.raises(SettingsError, match=rf"x\.parquet: column '{name}' stands there 2 times"):
            require_single(names, wanted, "x.parquet", any_case)


def test_what_footers_say_of_nulls(tmp_path: Path) -> None:
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    images = [{"bytes": None, "path": "a"}, None, {"bytes": b"x", "path": None}, {"bytes": None, "path": None}]
    table = pa.table({"image": pa.array(images, kind), "text": [None, "b", None, None], "list": [[1], None, [2], [3]]})
    path = put(tmp_path / "x.parquet", parquet(table, row_group_size=2))
    assert null_columns(path) == [{"image.bytes"}, {"image.path", "text"}]
    without = put(tmp_path / "y.parquet", parquet(table, write_statistics=False))
    assert null_columns(without) == [set()]
    many = pa.table({f"column {number}": pa.nulls(3, pa.int64()) for number in range(300)})
    assert null_columns(put(tmp_path / "z.parquet", parquet(many))) == [set(many.column_names)]


def test_files_in_a_store() -> None:
    memory = fsspec.filesystem("memory")
    memory.pipe("/tables/x.parquet", parquet())
    with open_parquet("memory://tables/x.parquet") as file:
        assert file.read(["text"]).num_rows == 6
    memory.rm("/tables", recursive=True)


def test_a_page_that_claims_all_memory_is_damage_and_want_of_memory_is_not(tmp_path: Path) -> None:
    path = put(tmp_path / "x.parquet", parquet())
    with (
        pytest.raises(UnreadableFileError, match=r"x\.parquet: a page that claims 1129870528 bytes"),
        open_parquet(path),
    ):
        raise pa.ArrowMemoryError("malloc of size 1129870528 failed")
    for words in ("malloc of size 1048576 failed", "out of memory"):
        with pytest.raises(MemoryError, match=words), open_parquet(path):
            raise pa.ArrowMemoryError(words)
