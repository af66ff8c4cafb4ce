"""Small tars and zips put anywhere, and what is found in them."""

from __future__ import annotations

import io
import pickle
import tarfile
import zipfile
from collections.abc import Mapping
from typing import Any

import fsspec

from corpus.storage import Store
from pipelines.sources.images.archives import Archives, ArchivesSettings, ImageRef


def tar_of(files: Mapping[str, bytes]) -> bytes:
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w") as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return sink.getvalue()


def a_link(target: str) -> tuple[zipfile.ZipInfo, bytes]:
    info = zipfile.ZipInfo("link.jpg")
    info.create_system, info.external_attr = 3, 0o120777 << 16
    return info, target.encode()


def zip_of(files: Mapping[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return sink.getvalue()


def put(url: str, data: bytes) -> str:
    fs, path = fsspec.url_to_fs(url)
    fs.makedirs(path.rpartition("/")[0], exist_ok=True)
    fs.pipe_file(path, data)
    return url


def patched(data: bytes, name: str, at: int, value: bytes) -> bytes:
    """A zip in whose directory the entry of a name has other bytes, `at` counted from the entry's beginning."""
    entry = data.rindex(name.encode()) - 46
    assert data[entry : entry + 4] == b"PK\x01\x02"
    return data[: entry + at] + value + data[entry + at + len(value) :]


def archives(root: str, *paths: str, **settings: Any) -> Archives:
    return Archives(ArchivesSettings(paths=paths, **settings), f"{root}/work", "tables/given/images-index")


def find(found: Archives, *names: str, max_bytes: int = 1 << 20) -> list[ImageRef]:
    """What each name stands for; whatever is said to lie somewhere lies there."""
    results = dict(pickle.loads(pickle.dumps(found)).open(max_bytes)(names))  # noqa: S301
    assert sorted(results) == list(range(len(names)))
    for one in results.values():
        assert not (one.reason and one.data)
        if one.location:
            assert Store("/nowhere").read_ranges([(*one.location, len(one.data))]) == [one.data]
    return [results[place] for place in range(len(names))]


def contents(found: Archives, *names: str, **more: Any) -> list[str | bytes]:
    return [one.reason or one.data for one in find(found, *names, **more)]
