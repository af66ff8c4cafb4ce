"""Readers of archives: tars, zips and Parquet files in which images lie, and img2dataset's output."""

from __future__ import annotations

import io
import shutil
import tarfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from corpus.bisection import ShardError
from corpus.schema import table_schema
from corpus.settings import SettingsError
from corpus.stage import ROWS, Shard
from corpus.storage import StorageError, Store
from corpus.tars import index_tar
from pipelines.download.img2dataset_index import index_rows
from pipelines.sources.images.archives import Archives, ArchivesSettings
from pipelines.sources.images.parquet import ParquetImages, ParquetImagesSettings
from pipelines.sources.img2dataset import Img2datasetReader, Img2datasetSource

from ..formats import PARQUET, tar_checksums, tar_field
from ..target import Reader, Target
from .files import several
from .images import image_seeds

_MOST_BYTES = 1 << 24


def tar_seeds() -> list[bytes]:
    """Tars of three formats; with links, folders, long names, extended headers and sparse members."""
    from tests.helpers import raw_tars as raw

    images = image_seeds()
    found = []
    for form in (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        file = io.BytesIO()
        with tarfile.open(fileobj=file, mode="w", format=form) as archive:
            for at, data in enumerate(images[:3]):
                member = tarfile.TarInfo(f"00000{at}.jpg")
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))
            for name, kind in (
                ("folder", tarfile.DIRTYPE),
                ("link.jpg", tarfile.SYMTYPE),
                ("same.jpg", tarfile.LNKTYPE),
            ):
                member = tarfile.TarInfo(name)
                member.type, member.linkname = kind, "000000.jpg"
                archive.addfile(member)
            if form != tarfile.USTAR_FORMAT:
                archive.addfile(tarfile.TarInfo("é/" * 80 + "long.jpg"))
        found.append(file.getvalue())
    extended = [
        raw.extended({b"GNU.sparse.major": b"1", b"GNU.sparse.name": b"sparse.jpg", b"size": b"512"}),
        raw.block("GNUSparseFile.0/sparse.jpg", bytes(512)),
        raw.global_header({b"comment": b"of all"}),
        raw.long_name(b"folder/" * 30 + b"000001.jpg"),
        raw.block("folder", images[0]),
        raw.sparse("000002.jpg", images[1][:512], claimed=40 << 30, more_maps=2),
    ]
    return [*found, _sparse(), b"".join(extended) + raw.END]


def _sparse() -> bytes:
    """A member in GNU's old sparse format, which says that it is larger than it is."""
    member = tarfile.TarInfo("sparse.jpg")
    member.size, member.type = 512, tarfile.GNUTYPE_SPARSE
    header = bytearray(member.tobuf(tarfile.GNU_FORMAT))
    header[386:410] = b"%011o\0%011o\0" % (0, 512)
    header[483:495] = b"%011o\0" % (1 << 20)
    return tar_checksums(bytes(header)) + bytes(512 + 1024)


def zip_seeds() -> list[bytes]:
    """Zips with stored and deflated members, names that are not ASCII, a comment, and bytes before them."""
    images = image_seeds()
    found = []
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w", method) as archive:
            for at, data in enumerate(images[:3]):
                archive.writestr(zipfile.ZipInfo(f"folder/é{at}.png"), data, method)
            archive.writestr(zipfile.ZipInfo("bomb.bmp"), bytes(1 << 20), zipfile.ZIP_DEFLATED)
            archive.comment = b"a comment"
        found.append(file.getvalue())
    wide = io.BytesIO()
    with (
        zipfile.ZipFile(wide, "w") as archive,
        archive.open(zipfile.ZipInfo("wide.png"), "w", force_zip64=True) as member,
    ):
        member.write(images[4])
    return [*found, wide.getvalue(), b"MZ" + bytes(100) + found[0]]


def parquet_of(table: pa.Table, **options: object) -> bytes:
    """The bytes of a Parquet file."""
    file = io.BytesIO()
    pq.write_table(table, file, **options)
    return file.getvalue()


def _tar_index(folder: Path) -> Reader:
    store, path = Store(folder), folder / "a.tar"

    def read(data: bytes) -> object:
        path.write_bytes(data)
        return index_tar(store, path.name)

    return Reader(read, tar_seeds(), (StorageError,), (tar_field,), tar_checksums)


def _archive(ending: str, seeds: Sequence[bytes], folder: Path) -> Reader:
    """The index of an archive, and the images of all names in it."""
    path, workspace = folder / f"a{ending}", folder / "workspace"
    settings = ArchivesSettings(paths=(str(path),), index_threads=1)

    def read(data: bytes) -> object:
        path.write_bytes(data)
        shutil.rmtree(workspace, ignore_errors=True)
        archives = Archives(settings, str(workspace), "index")
        names = archives.index().table.column("name").to_pylist()
        return sum(len(found.data) for _, found in archives.open(_MOST_BYTES)([*names, "000001.jpg", "é0.png", ""]))

    own, repair = ((tar_field,), tar_checksums) if ending == ".tar" else ((), None)
    return Reader(read, seeds, (SettingsError, StorageError), own, repair)


def _parquet_images(folder: Path) -> Reader:
    images = image_seeds()[:3]
    path = folder / "a.parquet"
    structs = pa.array([{"bytes": data, "path": "a.png"} for data in images])
    seeds = [
        parquet_of(pa.table({"image": images, "text": ["a", "b", None]})),
        parquet_of(pa.table({"image": structs}), compression="zstd", row_group_size=1),
    ]
    names = [f"a.parquet#row={row}" for row in (1, 2, 3, 4, 10**9)] + ["a.parquet#row=1&column=text"]

    def read(data: bytes) -> object:
        path.write_bytes(data)
        resolver = ParquetImages(ParquetImagesSettings(paths=(str(path),)))
        return [len(found.data) for _, found in resolver.open(_MOST_BYTES)(names)]

    return Reader(read, seeds, (ShardError, SettingsError, StorageError), PARQUET)


def _img2dataset(folder: Path) -> Reader:
    keys = [f"00000{at}" for at in range(4)]
    table = pa.table(
        {
            "url": [f"http://example.com/{key}.jpg" for key in keys],
            "caption": ["a", "b", None, "d"],
            "key": keys,
            "status": ["success", "success", "failed_to_download", "success"],
            "error_message": [None, None, "HTTP Error 404: Not Found", None],
            "sha256": ["ab" * 32, None, None, "nonsense"],
        }
    )
    settings = Img2datasetSource(kind="img2dataset", folder=str(folder))

    def read() -> object:
        found = 0
        for rows in Img2datasetReader(settings).shards():
            kept = {"status": pa.array(["kept"] * len(rows)), "reason": pa.array([""] * len(rows))}
            typed = pa.table({**{name: rows.column(name) for name in rows.column_names}, **kept})
            typed = typed.cast(table_schema(rows.schema))
            shard = Shard("source", "000000", 0, np.arange(len(rows)), {ROWS: typed}, Store(folder))
            found += len(index_rows(shard))
        return found

    files = {"00000.parquet": [parquet_of(table)], "00000.tar": tar_seeds()}
    repairs = {"00000.tar": tar_checksums}
    refusals = (SettingsError, ShardError, StorageError)
    return several(folder, files, read, refusals, (tar_field, *PARQUET), repairs)


TARGETS = (
    Target("archives.index_tar", 60_000, _tar_index),
    Target("archives.tar", 25_000, lambda folder: _archive(".tar", tar_seeds(), folder)),
    Target("archives.zip", 30_000, lambda folder: _archive(".zip", zip_seeds(), folder)),
    Target("archives.parquet", 4_000, _parquet_images),
    Target("archives.img2dataset", 6_000, _img2dataset),
)
