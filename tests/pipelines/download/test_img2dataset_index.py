"""Stage `index`: each row of img2dataset's tables has its image in the tar, or a reason why it has none."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from corpus.execution import MapJob
from corpus.media import read_contents
from corpus.schema import item_id, table_schema
from pipelines.download.images import ITEMS_SCHEMA
from pipelines.download.img2dataset_index import IndexTars, failed_row
from tests.helpers.cases import cases
from tests.helpers.downloading import ROTATED
from tests.helpers.img2dataset_folders import (
    IMAGES,
    ORIGINAL,
    ROWS_BY_HAND,
    row,
    take_in,
    write_folder,
    write_tar,
)
from tests.helpers.raw_tars import END, block, header, sparse
from tests.helpers.small_worlds import picture


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_folder(tmp_path / "given")


def test_every_row_ends_with_a_reason(tmp_path: Path, folder: Path) -> None:
    workspace, (outcome,), (task,) = take_in(tmp_path / "work", folder)
    assert outcome.error == ""
    table = workspace.read_table(task.output)
    assert table.schema == table_schema(ITEMS_SCHEMA)
    found = table.to_pylist()
    assert [(one["status"], one["reason"]) for one in found] == [
        ("kept", ""),
        ("kept", ""),
        ("failed", "http_404"),
        ("failed", "undecodable"),
        ("kept", ""),
        ("failed", "no_member"),
        ("failed", "not_an_image"),
        ("failed", "truncated"),
    ]
    assert found[2]["http_status"] == 404
    assert found[3]["detail"] == "Image decoding error"
    assert "00005" in found[5]["detail"]


def test_bytes_stay_where_they_lie_and_are_read_through_the_table(tmp_path: Path, folder: Path) -> None:
    workspace, _, (task,) = take_in(tmp_path / "work", folder)
    assert not (tmp_path / "work" / "media").exists()
    table = workspace.read_table(task.output)
    kept = table.take([0, 1, 4])
    assert [data for _, data in sorted(read_contents(workspace.store, kept))] == list(IMAGES.values())
    assert set(kept.column("media").to_pylist()) == {str(folder / "00000.tar")}
    assert kept.column("item_id").to_pylist() == [item_id(data) for data in IMAGES.values()]
    assert kept.column("orientation").to_pylist() == [1, 1, ROTATED]
    stored = [hashlib.sha256(data).digest() for data in IMAGES.values()]
    assert kept.column("stored_sha256").to_pylist() == stored
    # What img2dataset says of the download; where it says nothing, the bytes are taken to be those downloaded.
    assert kept.column("downloaded_sha256").to_pylist() == [bytes.fromhex(ORIGINAL), *stored[1:]]


def test_a_tar_that_is_cut_off_fails_the_rows_behind_the_cut(tmp_path: Path, folder: Path) -> None:
    tar = folder / "00000.tar"
    data = tar.read_bytes()
    tar.write_bytes(data[: data.index(b"00004.jpg") + 600])
    workspace, (outcome,), (task,) = take_in(tmp_path / "work", folder)
    assert outcome.error == ""
    rows = workspace.read_table(task.output).to_pylist()
    found = {source["key"]: row for source, row in zip(ROWS_BY_HAND, rows, strict=True)}
    reasons = {key: found[key]["reason"] for key in ("00000", "00001", "00002", "00004", "00005", "00007")}
    assert reasons == {
        "00000": "",
        "00001": "",
        "00002": "http_404",
        "00004": "corrupt_member",
        "00005": "damaged_archive",
        "00007": "damaged_archive",
    }
    assert str(tar) in found["00005"]["detail"]


def test_an_image_of_many_gigabytes_of_nothing_is_not_held(tmp_path: Path, folder: Path) -> None:
    """A file with a hole in it: it is as large as it says, and takes no room."""
    with (folder / "00000.tar").open("wb") as file:
        file.write(block("00000.jpg", IMAGES["00000"]) + header("00001.jpg", 7 << 30))
        file.seek(7 << 30, io.SEEK_CUR)
        file.write(END)
    workspace, (outcome,), (task,) = take_in(tmp_path / "work", folder)
    assert outcome.error == ""
    assert workspace.read_table(task.output).column("reason").to_pylist()[:2] == ["", "too_large"]


def test_members_that_cannot_be_used_cost_their_rows(tmp_path: Path, folder: Path) -> None:
    members = [
        block("00000.jpg", IMAGES["00000"]),
        sparse("00001.jpg", IMAGES["00001"], claimed=40 << 30),
        header("00004.jpg", 0, b"2", link="00000.jpg"),
        header("00005.jpg", (8 << 30) - 1),
    ]
    (folder / "00000.tar").write_bytes(b"".join(members) + END)
    workspace, (outcome,), (task,) = take_in(tmp_path / "work", folder)
    assert outcome.error == ""
    reasons = workspace.read_table(task.output).column("reason").to_pylist()
    assert reasons == [
        "",
        "sparse_member",
        "http_404",
        "undecodable",
        "special_member",
        "corrupt_member",
        "damaged_archive",
        "damaged_archive",
    ]


def test_a_tar_that_has_gone_since_it_was_listed_is_a_fault_of_the_storage(tmp_path: Path, folder: Path) -> None:
    workspace, _, (task,) = take_in(tmp_path / "work", folder)
    (folder / "00000.tar").unlink()
    outcome = MapJob(IndexTars(), workspace.store.url).open()(task)
    assert outcome.error.startswith("MissingError: ") and "00000.tar" in outcome.error


def test_members_are_found_by_their_last_part(tmp_path: Path) -> None:
    path = tmp_path / "given"
    path.mkdir()
    keys = ["1", "2", "3", "4", "5"]
    pq.write_table(pa.Table.from_pylist([row(key) for key in keys]), path / "00000.parquet")
    images = {"./1": 1, "images/train/2": 2, "a/3": 3, "b/3": 4, "4": 5, "thumbs/4": 6, "images/55": 7}
    write_tar(path / "00000.tar", {name: picture(seed) for name, seed in images.items()})
    workspace, _, (task,) = take_in(tmp_path / "work", path)
    found = workspace.read_table(task.output)
    assert found.column("reason").to_pylist() == ["", "", "ambiguous_member", "", "no_member"]
    kept = found.take([0, 1, 3])
    assert [data for _, data in sorted(read_contents(workspace.store, kept))] == [picture(1), picture(2), picture(5)]
    assert "a/3, b/3" in found.to_pylist()[2]["detail"] and "images/train/2.jpg" in found.to_pylist()[4]["detail"]


@cases(
    ("status", "error", "outcome"),
    [
        ("failed_to_download", "HTTP Error 503: Service Unavailable", ("failed", "http_503", 503)),
        (
            "failed_to_download",
            "HTTP Error 302: would lead to an infinite loop.\nThe last",
            ("failed", "redirect_loop", 302),
        ),
        ("failed_to_download", "HTTP Error ²²²: odd", ("failed", "download_failed", None)),
        ("failed_to_download", "<urlopen error timed out>", ("failed", "timeout", None)),
        ("failed_to_download", "<urlopen error [Errno -2] Name or service not known>", ("failed", "dns_failed", None)),
        ("failed_to_download", "unknown url type: 'nonsense'", ("failed", "bad_url", None)),
        ("failed_to_download", "<urlopen error unknown url type: gopher>", ("failed", "unsupported_scheme", None)),
        ("failed_to_download", "Use of image disallowed by X-Robots-Tag directive", ("filtered", "opted_out", None)),
        ("failed_to_download", "hash mismatch", ("failed", "download_failed", None)),
        ("failed_to_resize", "image too small", ("filtered", "filtered_by_img2dataset", None)),
        ("failed_to_resize", "Image decoding error", ("failed", "undecodable", None)),
    ],
)
def test_img2datasets_words_for_a_failure(status: str, error: str, outcome: tuple[str, str, int | None]) -> None:
    found = failed_row(status, error)
    assert (found.status, found.reason, found.http_status) == outcome
    assert found.detail == error.replace("\n", " ")
