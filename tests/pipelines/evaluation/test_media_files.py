"""Evaluation sets of files: images in folders and archives, with the texts beside them."""

from __future__ import annotations

import io
import tarfile
import zipfile
from pathlib import Path

import pytest

from corpus.settings import SettingsError
from pipelines.evaluation.media_files import MediaFilesSource


def rows(*paths: Path) -> list[tuple[str, str]]:
    """(name of the image, text) of each row."""
    reader = MediaFilesSource(kind="media_files", paths=tuple(map(str, paths))).reader()
    reader.check()
    found = [row for table in reader.shards() for row in table.to_pylist()]
    return [(row["query"]["images"][0], row["positive"]["text"]) for row in found]


def test_images_of_folders_tars_and_zips_come_with_their_texts(tmp_path: Path) -> None:
    (tmp_path / "folder/below").mkdir(parents=True)
    for name, data in {
        "below/a.JPG": b"1",
        "b.png": b"2",
        "b.txt": b" a boat \n",
        "c.json": b"{}",
        "d.txt": b"x",
    }.items():
        (tmp_path / "folder" / name).write_bytes(data)
    with tarfile.open(tmp_path / "set.tar", "w") as tar:
        for name, data in {"000.jpg": b"3", "000.txt": "ein Schiff für zwei".encode(), "001.webp": b"4"}.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        archive.writestr("z/e.jpeg", b"5")
    assert rows(tmp_path / "folder") == [("b.png", "a boat"), ("below/a.JPG", "")]
    assert rows(tmp_path / "set.tar") == [("000.jpg", "ein Schiff für zwei"), ("001.webp", "")]
    assert rows(tmp_path / "set.zip") == [("z/e.jpeg", "")]


def test_a_folder_without_files_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="no files there"):
        rows(tmp_path)


def test_rows_are_read_again_when_a_file_changes(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"1")
    source = MediaFilesSource(kind="media_files", paths=(str(tmp_path),))
    before = source.reader().identity()
    assert source.reader().identity() == before
    (tmp_path / "b.jpg").write_bytes(b"2")
    assert source.reader().identity() != before
