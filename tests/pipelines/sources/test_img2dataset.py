"""Tars of img2dataset's, one made by hand and one by img2dataset itself, taken in where they lie."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from corpus.media import read_contents
from corpus.processes import run_bounded
from corpus.settings import SettingsError
from corpus.stage import ROWS
from pipelines.download import img2dataset_worker
from pipelines.sources.img2dataset import Img2datasetReader, Img2datasetSource
from pipelines.sources.source_shards import source_fingerprint
from tests.helpers.downloading import site
from tests.helpers.extras import installed_or_skip
from tests.helpers.img2dataset_folders import (
    IMAGES,
    ORIGINAL,
    ROWS_BY_HAND,
    Row,
    row,
    source,
    take_in,
    write_folder,
    write_tar,
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_folder(tmp_path / "given")


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
        program = [img2dataset_worker.__file__, json.dumps(request)]
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("no_proxy", "127.0.0.1")
            assert run_bounded(program, folder / "log", 120) == 0, (folder / "log").read_text()
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
    assert found == {"unsupported_format": 1, "unsupported_extension": 1}


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
    assert found.notes["not_read"]["files"] == {"orphan_tar": 1, "unsupported_format": 1}
    assert any("00099.tar: no .parquet beside it" in line for line in found.notes["not_read"]["lines"])


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
