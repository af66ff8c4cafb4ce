"""Tars of img2dataset's, one made by hand and one by img2dataset itself, taken in where they lie."""

from __future__ import annotations

import hashlib
import io
import json
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from corpus.execution import MapJob, Outcome, ShardTask
from corpus.media import read_contents
from corpus.schema import item_id, table_schema
from corpus.settings import SettingsError
from corpus.stage import ROWS
from corpus.workspace import TableKey, Workspace
from pipelines.download import img2dataset_worker
from pipelines.download.images import ITEMS_SCHEMA
from pipelines.download.img2dataset import run_bounded
from pipelines.sources.img2dataset import Img2datasetReader, Img2datasetSource
from pipelines.sources.img2dataset_tars import IndexTars, failed_row
from pipelines.sources.source_shards import gather, source_fingerprint
from tests.helpers.downloading import ROTATED, rotated, site
from tests.helpers.extras import installed_or_skip
from tests.helpers.raw_tars import END, block, header, sparse
from tests.helpers.small_worlds import picture

Row = dict[str, Any]

IMAGES = {"00000": picture(1), "00001": picture(2), "00004": rotated(0)}
ORIGINAL = hashlib.sha256(b"before img2dataset made it smaller").hexdigest()


def row(key: str, **more: Any) -> Row:
    """One that img2dataset was content with."""
    row = {"url": f"http://example.org/{key}", "caption": f"about {key}", "key": key, "status": "success"}
    return {**row, "error_message": None, "width": 24, "height": 16, "exif": "{}", "sha256": None, **more}


ROWS_BY_HAND = [
    row("00000", sha256=ORIGINAL, LICENSE="CC0"),
    row("00001"),
    row("00002", status="failed_to_download", error_message="HTTP Error 404: Not Found"),
    row("00003", status="failed_to_resize", error_message="Image decoding error", caption=None),
    row("00004"),
    row("00005"),  # the member is missing
    row("00006"),  # the member is no image
    row("00007"),  # the member is cut off
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """img2dataset's form, by hand."""
    path = tmp_path / "given"
    path.mkdir()
    pq.write_table(pa.Table.from_pylist(ROWS_BY_HAND), path / "00000.parquet")
    write_tar(path / "00000.tar", {**IMAGES, "00006": b"<html>no</html>", "00007": picture(3)[:-40]})
    (path / "00000_stats.json").write_text("{}")
    return path


def write_tar(path: Path, images: dict[str, bytes]) -> None:
    with tarfile.open(path, "w") as archive:
        for key, data in images.items():
            for ending, content in (("jpg", data), ("json", b"{}"), ("txt", b"about it")):
                member = tarfile.TarInfo(f"{key}.{ending}")
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))


def source(folder: Path) -> Img2datasetReader:
    return Img2datasetReader(Img2datasetSource(kind="img2dataset", folder=str(folder)))


def take_in(root: str | Path, folder: str | Path, **settings: str) -> tuple[Workspace, list[Outcome], list[ShardTask]]:
    """Gather a folder into a workspace, and run the stage over each of its shards."""
    workspace = Workspace(root)
    source = Img2datasetReader(Img2datasetSource(kind="img2dataset", folder=str(folder), **settings))
    index = gather(workspace, "given", source, source_fingerprint(source))
    tasks = []
    for number, (shard, name) in enumerate(index.shards):
        rows = TableKey("tables", "given", ROWS).path(shard, name)
        output = TableKey("tables", "given", "index").path(shard, "f")
        media = workspace.media_stem("given", shard, "f")
        tasks.append(ShardTask("given", shard, number, ((ROWS, rows),), output, media, {}))
    run = MapJob(IndexTars(), workspace.store.url).open()
    return workspace, [run(task) for task in tasks], tasks


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


def test_rows_carry_url_text_and_licence(tmp_path: Path, folder: Path) -> None:
    workspace, _, (task,) = take_in(tmp_path / "work", folder, licence="unknown")
    rows = workspace.read_table(dict(task.inputs)[ROWS])
    assert rows.column("url").to_pylist() == [row["url"] for row in ROWS_BY_HAND]
    assert rows.column("text").to_pylist() == [row["caption"] or "" for row in ROWS_BY_HAND]
    assert rows.column("licence").to_pylist() == ["CC0", *["unknown"] * 7]
    assert not any(column.null_count for column in rows.columns)


def test_a_folder_in_a_bucket_is_read_where_it_lies(s3_store: str, folder: Path) -> None:
    fsspec.filesystem("s3").put(f"{folder}/", f"{s3_store}/given/", recursive=True)
    workspace, (outcome,), (task,) = take_in(f"{s3_store}/work", f"{s3_store}/given")
    assert outcome.error == ""
    assert workspace.store.names("media") == []
    kept = workspace.read_table(task.output).take([0, 1, 4])
    assert kept.column("media").to_pylist() == [f"{s3_store}/given/00000.tar"] * 3
    assert [data for _, data in sorted(read_contents(workspace.store, kept))] == list(IMAGES.values())


@pytest.fixture(scope="module")
def downloaded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, dict[str, bytes]]]:
    """What img2dataset itself made of five URLs, three to a tar, and the images that are served."""
    installed_or_skip("img2dataset")
    folder = tmp_path_factory.mktemp("real")
    with site(folder / "site") as web:
        paths = ["images/a.jpg", "status/404/x", "images/b.png", "images/rotated.jpg", "html/x"]
        rows = {"URL": web.urls(paths), "TEXT": [f"about {path}" for path in paths], "LICENSE": ["CC0"] * 5}
        pq.write_table(pa.table(rows), folder / "urls.parquet")
        request = {
            "url_list": str(folder / "urls.parquet"),
            "input_format": "parquet",
            "url_col": "URL",
            "caption_col": "TEXT",
            "save_additional_columns": ["LICENSE"],
            "output_folder": str(folder / "out"),
            "output_format": "webdataset",
            "number_sample_per_shard": 3,
            "thread_count": 4,
            "disable_all_reencoding": True,
        }
        command = [sys.executable, "-P", img2dataset_worker.__file__, json.dumps(request)]
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("no_proxy", "127.0.0.1")
            assert run_bounded(command, folder / "log", 120) == 0, (folder / "log").read_text()
        yield folder / "out", web.images


def test_what_img2dataset_itself_wrote(tmp_path: Path, downloaded: tuple[Path, dict[str, bytes]]) -> None:
    folder, images = downloaded
    workspace, outcomes, tasks = take_in(tmp_path / "work", folder)
    assert [outcome.error for outcome in outcomes] == ["", ""]
    # In the order in which img2dataset was done with them.
    found: dict[str, Row] = {}
    contents: dict[str, bytes] = {}
    for task in tasks:
        rows = workspace.read_table(dict(task.inputs)[ROWS])
        items = workspace.read_table(task.output)
        texts = rows.column("text").to_pylist()
        assert set(rows.column("licence").to_pylist()) == {"CC0"}
        found |= dict(zip(texts, items.to_pylist(), strict=True))
        kept = [place for place, status in enumerate(items.column("status").to_pylist()) if status == "kept"]
        for place, data in read_contents(workspace.store, items.take(kept)):
            contents[texts[kept[place]]] = data
    assert {text: (one["status"], one["reason"]) for text, one in found.items()} == {
        "about images/a.jpg": ("kept", ""),
        "about status/404/x": ("failed", "http_404"),
        "about images/b.png": ("kept", ""),
        "about images/rotated.jpg": ("kept", ""),
        "about html/x": ("failed", "not_an_image"),
    }
    assert contents == {f"about images/{name}": images[name] for name in ("a.jpg", "b.png", "rotated.jpg")}
    assert found["about images/b.png"]["ext"] == "png", "whatever the member is called"
    assert not (tmp_path / "work" / "media").exists()


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


def test_rows_whose_tar_is_missing_fail_and_say_what_there_is(tmp_path: Path, folder: Path) -> None:
    (folder / "00000.tar").rename(folder / "00000.tar.gz")
    pq.write_table(pa.Table.from_pylist([row("1")]), folder / "00001.parquet")
    pq.write_table(pa.Table.from_pylist([{**row("2"), "jpg": IMAGES["00000"]}]), folder / "00002.parquet")
    (folder / "00003").mkdir()
    (folder / "00003" / "3.jpg").write_bytes(IMAGES["00000"])
    pq.write_table(pa.Table.from_pylist([row("3")]), folder / "00003.parquet")
    workspace, outcomes, tasks = take_in(tmp_path / "work", folder)
    assert [outcome.error for outcome in outcomes] == [""] * 4
    details = [str(workspace.read_table(task.output).to_pylist()[0]["detail"]) for task in tasks]
    reasons = [workspace.read_table(task.output).to_pylist()[0]["reason"] for task in tasks]
    assert reasons == ["missing_archive"] * 4
    for detail, words in zip(
        details, ("00000.tar.gz", "no ", "output_format parquet", "output_format files"), strict=True
    ):
        assert words in detail and ".tar" in detail
    found = source(folder).notes["not_read"]["files"]
    assert found == {"other_format": 1, "other_file": 1}


def test_a_tar_that_has_gone_since_it_was_listed_is_a_fault_of_the_storage(tmp_path: Path, folder: Path) -> None:
    workspace, _, (task,) = take_in(tmp_path / "work", folder)
    (folder / "00000.tar").unlink()
    outcome = MapJob(IndexTars(), workspace.store.url).open()(task)
    assert outcome.error.startswith("MissingError: ") and "00000.tar" in outcome.error


def test_a_tar_that_was_got_again_makes_new_rows(tmp_path: Path, folder: Path) -> None:
    tar = folder / "00000.tar"
    complete = tar.read_bytes()
    tar.write_bytes(complete[:3000])
    _, _, (cut,) = take_in(tmp_path / "work", folder)
    tar.write_bytes(complete)
    _, _, (task,) = take_in(tmp_path / "work", folder)
    assert task.inputs != cut.inputs, "else the stage would not look at the tar again"


def test_tars_without_a_table_are_named(tmp_path: Path, folder: Path) -> None:
    write_tar(folder / "00099.tar", IMAGES)
    (folder / "00098.tfrecord").write_bytes(b"x")
    found = source(folder)
    assert found.notes["not_read"]["files"] == {"orphan_tar": 1, "other_format": 1}
    assert any("00099.tar: no .parquet beside it" in line for line in found.notes["not_read"]["lines"])


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


def test_digests_that_are_none_are_unknown(tmp_path: Path, folder: Path) -> None:
    digests = ["None", "nan", "ABC", "²" * 64, ORIGINAL.upper()]
    rows = [row("00000", sha256=digest, url=f"http://example.org/{at}") for at, digest in enumerate(digests)]
    pq.write_table(pa.Table.from_pylist(rows), folder / "00000.parquet")
    workspace, (outcome,), (task,) = take_in(tmp_path / "work", folder)
    found = workspace.read_table(task.output)
    assert outcome.counts == {"kept/": 5}
    of_bytes = hashlib.sha256(IMAGES["00000"]).digest()
    assert found.column("downloaded_sha256").to_pylist() == [of_bytes] * 4 + [bytes.fromhex(ORIGINAL)]
    read = source(folder)
    list(read.shards())
    assert read.notes["not_read"]["values"] == {"sha256": 4}


def test_text_that_is_not_utf_8_costs_its_row(tmp_path: Path, folder: Path) -> None:
    columns = {
        "url": [b"http://a/1", b"http://a/\xff", b"http://a/3", b"http://a/4", b"http://a/5", b"http://a/6"],
        "caption": [b"one", b"two", b"zw\xf6lf", None, b"five", b"six"],
        "key": [b"00000", b"00001", b"00004", b"00004", b"\xff", b"00001"],
        "status": [b"success"] * 5 + [b"\xff"],
        "error_message": [b"\xff", None, None, None, None, None],
        "sha256": [b"\xff", None, None, None, None, None],
    }
    table = pa.table({name: pa.array(values, pa.binary()).view(pa.string()) for name, values in columns.items()})
    pq.write_table(table, folder / "00000.parquet")
    read = source(folder)
    (rows,) = read.shards()
    rows.validate(full=True)
    assert rows.column("url").to_pylist() == ["http://a/1", "http://a/4"]
    assert read.counts == {"read": 6, "bad_text": 4}
    assert read.notes["not_read"]["values"] == {"error_message": 1, "sha256": 1}


def test_the_text_may_be_called_txt(folder: Path) -> None:
    rows = [{**row("00000"), "txt": "about it", "URL2": [1]}, {**row("00001"), "txt": None, "URL2": [1]}]
    for each in rows:
        del each["caption"]
    pq.write_table(pa.Table.from_pylist(rows), folder / "00000.parquet")
    (table,) = source(folder).shards()
    assert table.column("text").to_pylist() == ["about it", ""]


def test_columns_that_stand_twice_and_tables_of_others_are_named(folder: Path) -> None:
    both = pa.Table.from_pylist([row("00000")]).append_column("URL", pa.array(["http://other"]))
    none = pa.table({"url": ["http://a"], "caption": ["a"]})
    for table, words in ((both, r"column 'url' stands there 2 times"), (none, "no column 'key'")):
        pq.write_table(table, folder / "00000.parquet")
        for read in (lambda found: found.check(), lambda found: list(found.shards())):
            with pytest.raises(SettingsError, match=rf"00000\.parquet: {words}"):
                read(source(folder))


def test_shards_in_folders_below_are_read(tmp_path: Path, folder: Path) -> None:
    (tmp_path / "all").mkdir()
    folder.rename(tmp_path / "all" / "run [1]")
    _, (outcome,), _ = take_in(tmp_path / "work", tmp_path / "all")
    assert outcome.counts["kept/"] == 3


def test_a_folder_without_img2datasets_files_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"nothing: no \.parquet"):
        Img2datasetReader(Img2datasetSource(kind="img2dataset", folder=str(tmp_path / "nothing")))


def test_a_file_that_img2dataset_has_not_finished_is_named(tmp_path: Path, folder: Path) -> None:
    (folder / "00001.parquet").write_bytes(b"PAR1 and no end")
    found = source(folder)
    found.check()
    assert sum(shard.num_rows for shard in found.shards()) == len(ROWS_BY_HAND)
    (line,) = found.notes["not_read"]["lines"]
    assert "00001.parquet: not a Parquet file" in line and "Let img2dataset finish first" in line
    (folder / "00000.parquet").unlink()
    with pytest.raises(SettingsError, match=r"00001\.parquet: not a Parquet file"):
        take_in(tmp_path, folder)


def test_the_rows_depend_on_the_files(folder: Path) -> None:
    def fingerprint() -> str:
        return source_fingerprint(Img2datasetReader(Img2datasetSource(kind="img2dataset", folder=str(folder))))

    before = fingerprint()
    assert fingerprint() == before
    pq.write_table(pa.Table.from_pylist(ROWS_BY_HAND[:2]), folder / "00001.parquet")
    assert fingerprint() != before


@pytest.mark.parametrize(
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
        ("failed_to_download", "<urlopen error unknown url type: gopher>", ("failed", "refused_scheme", None)),
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
