"""Images found by name in tars, zips and folders that were made here, hostile ones among them."""

from __future__ import annotations

import os
import pickle
import unicodedata
import zipfile
from pathlib import Path

import pytest

from corpus.settings import SettingsError
from corpus.storage import Store
from corpus.tars import TarIndex
from pipelines.sources.images import archive_files
from tests.helpers.small_archives import archives, contents, find, patched, put, tar_of, zip_of
from tests.helpers.small_worlds import picture

A, B, C, D = (picture(number) for number in range(4))


def test_each_kind_of_archive_on_each_kind_of_storage(store_url: str) -> None:
    put(f"{store_url}/given/1.tar", tar_of({"tar/a.jpg": A, "tar/a.json": b"{}"}))
    put(f"{store_url}/given/2.zip", zip_of({"stored/b.jpg": B}))
    put(f"{store_url}/given/deep/3.zip", zip_of({"deflated/c.jpg": C}, zipfile.ZIP_DEFLATED))
    put(f"{store_url}/given/loose/d.jpg", D)
    found = archives(store_url, f"{store_url}/given")
    names = ["tar/a.jpg", "stored/b.jpg", "deflated/c.jpg", "loose/d.jpg", "no.jpg", ""]
    a, b, c, d, *none = find(found, *names)
    assert [one.data for one in (a, b, c, d)] == [A, B, C, D]
    assert [one.location is not None for one in (a, b, c, d)] == [True, True, False, True]
    assert d.location is not None and d.location[0].endswith("/given/loose/d.jpg")
    assert [one.reason for one in none] == ["missing_image", "missing_image"]
    assert found.index().metadata["members"] == 5


def test_names_are_found_by_their_ends(tmp_path: Path) -> None:
    put(f"{tmp_path}/x.tar", tar_of({"train/v1/0.jpg": A, "train/v2/0.jpg": B, "only.jpg": C, "../up.jpg": D}))
    found = archives(str(tmp_path), f"{tmp_path}/x.tar")
    assert contents(found, "v1/0.jpg", "set/train/v2/0.jpg", "/data/images/only.jpg", "./../up.jpg", "up.jpg") == [
        A,
        B,
        C,
        D,
        D,
    ]
    assert contents(found, "0.jpg", "v3/0.jpg", "other/v1/0.jpg", "nly.jpg", "train") == [
        "ambiguous_image",
        "missing_image",
        "missing_image",
        "missing_image",
        "missing_image",
    ]


def test_the_closest_name_is_meant(tmp_path: Path) -> None:
    put(f"{tmp_path}/x.tar", tar_of({"x.jpg": A, "b/x.jpg": B, "q/b/x.jpg": C}))
    found = archives(str(tmp_path), f"{tmp_path}/x.tar")
    assert contents(found, "x.jpg", "b/x.jpg", "z/b/x.jpg", "z/x.jpg", "y/q/b/x.jpg") == [A, B, B, A, C]


def test_prefixes_come_first(tmp_path: Path) -> None:
    put(f"{tmp_path}/x.tar", tar_of({"a/1.jpg": A, "b/1.jpg": B}))
    found = archives(str(tmp_path), f"{tmp_path}/x.tar", strip_prefix="images/", add_prefix="b/")
    assert contents(found, "images/1.jpg", "1.jpg") == [B, B]


def test_of_equal_names_the_first_archive_counts(tmp_path: Path) -> None:
    put(f"{tmp_path}/2.tar", tar_of({"i/a.jpg": A}))
    put(f"{tmp_path}/1.zip", zip_of({"./i//a.jpg": B, "i\\b.jpg": C}))
    found = archives(str(tmp_path), f"{tmp_path}/2.tar", f"{tmp_path}/1.zip", f"{tmp_path}/*.tar")
    assert contents(found, "i/a.jpg", "a.jpg", "i/b.jpg") == [A, A, C]
    assert found.index().metadata["duplicate_name"] == 1
    again = archives(str(tmp_path), f"{tmp_path}/1.zip", f"{tmp_path}/2.tar")
    assert contents(again, "a.jpg") == [B]


def test_of_equal_names_in_an_archive_the_last_counts(tmp_path: Path) -> None:
    """So it is when an archive is unpacked: a file that was added anew replaces the one before."""
    put(f"{tmp_path}/1.tar", tar_of({"i/a.jpg": A, "./i/a.jpg": B, "i/b.jpg": C}))
    put(f"{tmp_path}/2.zip", zip_of({"j/a.jpg": A, "j//a.jpg": B}))
    found = archives(str(tmp_path), f"{tmp_path}/1.tar", f"{tmp_path}/2.zip")
    assert contents(found, "i/a.jpg", "i/b.jpg", "j/a.jpg") == [B, C, B]
    assert found.index().metadata["duplicate_name"] == 2


def test_an_archive_can_be_a_folder(tmp_path: Path) -> None:
    for name, data in (("A-OKVQA", A), ("VÖC", B)):
        put(f"{tmp_path}/given/{name}.zip", zip_of({"Train/1.jpg": data}))
    put(f"{tmp_path}/given/loose/1.jpg", C)
    plain = archives(str(tmp_path), f"{tmp_path}/given")
    assert contents(plain, "images/A-OKVQA/Train/1.jpg", "images/VÖC/Train/1.jpg") == [A, B]
    found = archives(str(tmp_path), f"{tmp_path}/given", prefix_archive_name=True)
    names = ("images/A-OKVQA/Train/1.jpg", "images/VÖC/Train/1.jpg", "loose/1.jpg", "Train/1.jpg")
    assert contents(found, *names) == [A, B, C, "ambiguous_image"]
    assert (plain.index().metadata["duplicate_name"], found.index().metadata["duplicate_name"]) == (1, 0)


def test_the_folders_that_a_row_names_tell_which_archive_is_meant(tmp_path: Path) -> None:
    """Members have no folder of their set: the archive's own name or folder decides, never another set's picture."""
    put(f"{tmp_path}/given/SUN397.zip", zip_of({"Train/1.jpg": A, "Train/2.jpg": A}))
    put(f"{tmp_path}/given/VOC2007.zip", zip_of({"Train/1.jpg": B}))
    put(f"{tmp_path}/given/N24News/images.tar", tar_of({"Train/1.jpg": C}))
    put(f"{tmp_path}/given/loose/Train/1.jpg", D)
    found = archives(str(tmp_path), f"{tmp_path}/given", f"{tmp_path}/given/loose")
    names = [f"images/{name}/Train/1.jpg" for name in ("VOC2007", "SUN397", "N24News", "loose", "CIRR")]
    assert contents(found, *names) == [B, A, C, D, "ambiguous_image"]
    assert contents(found, "images/VOC2007/Train/2.jpg") == [A]
    (first,) = find(found, "Train/1.jpg")
    assert (first.data, first.repeated) == (A, True)
    assert [one.repeated for one in find(found, "images/VOC2007/Train/1.jpg", "Train/2.jpg")] == [False, False]


def test_an_archive_whose_members_name_its_folder_themselves(tmp_path: Path) -> None:
    put(f"{tmp_path}/given/VOC2007.zip", zip_of({"VOC2007/Train/1.jpg": A, "more/1.jpg": B}))
    put(f"{tmp_path}/given/N24News.zip", zip_of({"N24News/Train/1.jpg": C}))
    found = archives(str(tmp_path), f"{tmp_path}/given", prefix_archive_name=True)
    names = ("images/VOC2007/Train/1.jpg", "images/N24News/Train/1.jpg", "images/VOC2007/more/1.jpg")
    assert contents(found, *names) == [A, C, B]


def test_unicode_is_composed_alike(tmp_path: Path) -> None:
    name = "caf\u00e9/\u00fc.jpg"
    apart = unicodedata.normalize("NFD", name)
    assert apart != name
    put(f"{tmp_path}/x.tar", tar_of({apart: A}))
    put(f"{tmp_path}/y/{unicodedata.normalize('NFD', 'é.jpg')}", B)
    put(f"{tmp_path}/z.zip", patched(zip_of({"n\u00e4.jpg": C}), "n\u00e4.jpg", 8, b"\0\0"))  # it does not say UTF-8
    found = archives(str(tmp_path), f"{tmp_path}/x.tar", f"{tmp_path}/y", f"{tmp_path}/z.zip")
    assert contents(found, name, apart, "é.jpg", "nä.jpg") == [A, A, B, C]


def test_folders_with_links_and_odd_names(tmp_path: Path) -> None:
    put(f"{tmp_path}/given/pictures.zip/a.jpg", A)  # a folder
    put(f"{tmp_path}/given/.hidden.jpg", B)
    put(f"{tmp_path}/given/a b#1?.jpg", C)
    (tmp_path / "given" / "loop").symlink_to(tmp_path / "given")
    (tmp_path / "given" / "gone.jpg").symlink_to(tmp_path / "nothing")
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/given/\xff.jpg")).write_bytes(D)
    found = archives(str(tmp_path), f"{tmp_path}/given")
    assert contents(found, "pictures.zip/a.jpg", "a b#1?.jpg", ".hidden.jpg", "gone.jpg") == [
        A,
        C,
        "missing_image",
        "missing_image",
    ]


def test_nothing_there_is_an_error(tmp_path: Path, memory_store: str) -> None:
    for path in (f"{tmp_path}/none.tar", f"{tmp_path}/*.zip", f"{memory_store}/none.tar", str(tmp_path)):
        with pytest.raises(SettingsError, match="no files there"):
            archives(str(tmp_path), path).identity()


def test_an_index_is_made_once(store_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    original = archive_files.index_tar

    def spy(store: Store, path: str) -> TarIndex:
        read.append(path.rpartition("/")[2])
        return original(store, path)

    monkeypatch.setattr(archive_files, "index_tar", spy)
    put(f"{store_url}/given/1.tar", tar_of({"a.jpg": A}))
    first = archives(store_url, f"{store_url}/given/*.tar")
    before = first.identity()
    assert contents(first, "a.jpg") == contents(first, "a.jpg") == [A]
    put(f"{store_url}/given/2.tar", tar_of({"b.jpg": B}))
    second = archives(store_url, f"{store_url}/given/*.tar")
    assert contents(second, "a.jpg", "b.jpg") == [A, B]
    assert read == ["1.tar", "2.tar"]
    assert before != second.identity() == archives(store_url, f"{store_url}/given/*.tar").identity()


def test_a_changed_folder_has_another_identity(tmp_path: Path) -> None:
    put(f"{tmp_path}/given/a.jpg", A)
    before = archives(str(tmp_path), f"{tmp_path}/given").identity()
    assert archives(str(tmp_path), f"{tmp_path}/given").identity() == before
    put(f"{tmp_path}/given/a.jpg", A + b"\0")
    assert archives(str(tmp_path), f"{tmp_path}/given").identity() != before


def test_archives_that_change_while_they_are_read(tmp_path: Path) -> None:
    put(f"{tmp_path}/given/a.jpg", A)
    found = archives(str(tmp_path), f"{tmp_path}/given")
    found.identity()
    found = pickle.loads(pickle.dumps(found))  # noqa: S301 - on its way to a worker, which lists them for itself
    put(f"{tmp_path}/given/b.jpg", B)
    with pytest.raises(SettingsError, match="has changed"):
        found.index()


def test_paths_with_brackets_are_themselves(tmp_path: Path) -> None:
    folder = tmp_path / "set [en]"
    folder.mkdir()
    for name in ("part [1].tar", "other.tar"):
        put(str(folder / name), tar_of({f"{name}.jpg": A}))
    for pattern in ("set [en]", "set [en]/*.tar"):
        assert len(archive_files.find_archives((str(tmp_path / pattern),))) == 2, pattern
    (place,) = archive_files.find_archives((str(folder / "part [1].tar"),))
    assert archive_files.members(place).column("name").to_pylist() == ["part [1].tar.jpg"]
