"""The images that given pairs name become items: found, judged, in place where they can be, with a reason where not."""

from __future__ import annotations

import hashlib
import io
import pickle
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from corpus.execution import MapJob, Outcome, ShardTask
from corpus.media import read_contents
from corpus.schema import item_id, table_schema
from corpus.settings import parse_settings
from corpus.stage import ITEMS, ROWS
from corpus.workspace import TableKey, Workspace
from filters.image.stats import ImageStats, ImageStatsSettings
from pipelines.download.referenced_images import IMAGES_SCHEMA, PairImages, PairImagesSettings, image_names
from pipelines.sources.documents import DocumentsReader, DocumentsSource
from pipelines.sources.images.archives import Archives, ArchivesSettings, Finder, ImageRef, ImageResolver
from pipelines.sources.images.parquet import ParquetImages, ParquetImagesSettings
from pipelines.sources.pair_rows import Side, SourcePair, pairs_table
from pipelines.sources.source_shards import write_source_shards
from tests.helpers.small_archives import put, tar_of, zip_of
from tests.helpers.small_worlds import picture

A, B, C, D = (picture(number) for number in range(4))
Q = SourcePair(Side("q"), Side("p"))


def pair(query: str = "", positive: str = "", *negatives: str) -> SourcePair:
    sides = [Side("t", (name,) if name else ()) for name in (query, positive, *negatives)]
    return SourcePair(sides[0], sides[1], tuple(sides[2:]))


class Given:
    """A source of pairs that are at hand."""

    def __init__(self, pairs: Sequence[SourcePair]) -> None:
        self._pairs = pairs
        self.counts = {"read": len(pairs)}

    def identity(self) -> dict[str, Any]:
        return {"pairs": len(self._pairs)}

    def shards(self) -> Iterator[pa.Table]:
        yield pairs_table(self._pairs)


def in_archives(root: str, *paths: str) -> Archives:
    return Archives(ArchivesSettings(paths=paths), f"{root}/work", "tables/given/images-index")


def take_in(
    root: str, pairs: Sequence[SourcePair], *resolvers: ImageResolver, **settings: int
) -> tuple[pa.Table, Outcome]:
    """The stage over one shard of pairs, as an engine runs it."""
    workspace = Workspace(f"{root}/work")
    shards = write_source_shards(workspace, "given", Given(pairs), "source").shards
    rows = TableKey("tables", "given", ROWS).path(*shards[0])
    output = TableKey("tables", "given", "images").path("000000", "f")
    media = workspace.media_stem("given", "000000", "f")
    stage = pickle.loads(pickle.dumps(PairImages(PairImagesSettings(**settings), resolvers)))  # noqa: S301
    outcome = MapJob(stage, workspace.store.url).open()(
        ShardTask("given", "000000", 0, ((ROWS, rows),), output, media, {})
    )
    assert outcome.error == ""
    table = workspace.read_table(output)
    assert table.schema == table_schema(IMAGES_SCHEMA)
    return table, outcome


def reasons(table: pa.Table) -> dict[str, str]:
    return dict(zip(table.column("image").to_pylist(), table.column("reason").to_pylist(), strict=True))


def test_every_name_becomes_an_item_once(store_url: str) -> None:
    put(f"{store_url}/given/1.tar", tar_of({"a.jpg": A}))
    put(f"{store_url}/given/2.zip", zip_of({"b.jpg": B}, 0))
    put(f"{store_url}/given/3.zip", zip_of({"c.jpg": C, "c2.jpg": C}, 8))
    put(f"{store_url}/given/d.png", picture(3, "PNG"))
    pairs = [pair("a.jpg", "c.jpg", "b.jpg", "a.jpg"), Q, pair("", "a.jpg", "c2.jpg"), pair("d.png", "none.jpg")]
    table, outcome = take_in(store_url, pairs, in_archives(store_url, f"{store_url}/given"))
    rows = table.to_pylist()
    assert [row["image"] for row in rows] == ["a.jpg", "c.jpg", "b.jpg", "c2.jpg", "d.png", "none.jpg"]
    assert [row["status"] for row in rows] == ["kept"] * 5 + ["failed"]
    assert rows[5]["reason"] == "missing_image"
    contents = [A, C, B, C, picture(3, "PNG")]
    kept = table.slice(0, 5)
    assert [data for _, data in sorted(read_contents(Workspace(f"{store_url}/work").store, kept))] == contents
    assert [row["item_id"] for row in rows[:5]] == [item_id(data) for data in contents]
    assert [row["downloaded_sha256"] for row in rows[:5]] == [hashlib.sha256(data).digest() for data in contents]
    assert [row["stored_sha256"] for row in rows] == [row["downloaded_sha256"] for row in rows]
    assert [row["ext"] for row in rows] == ["jpg"] * 4 + ["png", None]
    assert [row["media"].startswith("media/given/") for row in rows[:5]] == [False, True, False, True, False]
    assert (rows[1]["media"], rows[1]["offset"]) == (rows[3]["media"], rows[3]["offset"]), "the same bytes, once"
    assert {(row["url"], row["text"]) for row in rows} == {("", "")}
    assert outcome.metrics == {"images": {"named": 6, "in_place": 3, "copied": 2}}
    assert outcome.counts == {"kept/": 5, "failed/missing_image": 1}


def test_what_is_found_and_cannot_be_used(tmp_path: Path) -> None:
    root = str(tmp_path)
    large = io.BytesIO()
    Image.new("1", (4000, 4000)).save(large, "PNG")
    files = {
        "good.jpg": A,
        "page.jpg": b"<html>no</html>",
        "cut.jpg": A[:-40],
        "wide.png": large.getvalue(),
        "heavy.jpg": A + bytes(1 << 20),
        "empty.jpg": b"",
        "x/twice.jpg": B,
        "y/twice.jpg": C,
    }
    names = [*files, "twice.jpg"]
    expected = [
        "",
        "not_an_image",
        "truncated",
        "too_many_pixels",
        "too_large",
        "not_an_image",
        "",
        "",
        "ambiguous_image",
    ]
    for method in (0, 8):
        found = in_archives(root, put(f"{root}/{method}.zip", zip_of(files, method)))
        table, outcome = take_in(root, [pair(name) for name in names], found, max_bytes=1 << 20, max_pixels=10**6)
        assert reasons(table) == dict(zip(names, expected, strict=True))
        assert outcome.rows == sum(outcome.counts.values()) == len(names)
        assert outcome.metrics["images"]["copied" if method else "in_place"] == 3


def test_a_shard_without_images(tmp_path: Path) -> None:
    table, outcome = take_in(str(tmp_path), [Q, Q])
    assert (table.num_rows, outcome.metrics) == (0, {"images": {}})
    assert not (tmp_path / "work" / "media").exists()


def test_names_of_some_rows_in_their_order() -> None:
    sides = (Side("", ("n1", "n2")), Side(""), Side("", ("q1",)))
    pairs = [
        pair("x"),
        SourcePair(Side("", ("q1", "q2")), Side("", ("p", "q2")), sides),
        pair("z", "n2", "new"),
        pair("y"),
    ]
    rows = pairs_table(pairs)
    assert image_names(rows.slice(1, 2)) == ["q1", "q2", "p", "n1", "n2", "z", "new"]
    assert image_names(pa.concat_tables([rows.slice(2, 1), rows.slice(0, 1)])) == ["z", "n2", "new", "x"]
    assert image_names(rows.slice(0, 0)) == []


def test_an_archive_that_changes_makes_its_tables_stale(tmp_path: Path) -> None:
    root = str(tmp_path)
    path = put(f"{root}/1.zip", zip_of({"a.jpg": A}))
    before = PairImages(PairImagesSettings(), [in_archives(root, path)]).fingerprint_inputs()
    assert PairImages(PairImagesSettings(), [in_archives(root, path)]).fingerprint_inputs() == before
    assert PairImages(PairImagesSettings(max_pixels=9), [in_archives(root, path)]).fingerprint_inputs() != before
    put(path, zip_of({"a.jpg": A, "b.jpg": B}))
    assert PairImages(PairImagesSettings(), [in_archives(root, path)]).fingerprint_inputs() != before


IMAGE = pa.struct([pa.field("bytes", pa.binary()), pa.field("path", pa.string())])


@pytest.fixture
def parquet(store_url: str) -> str:
    """40 rows in groups of 10, in the form of `datasets`; row 7 (from 1) has no image, row 8 an empty one."""
    images = [{"bytes": picture(number), "path": f"{number}.jpg"} for number in range(1, 41)]
    images[6], images[7] = None, {"bytes": b"", "path": "8.jpg"}
    columns = {"query": [str(number) for number in range(40)], "image": pa.array(images, IMAGE)}
    sink = io.BytesIO()
    pq.write_table(pa.table({**columns, "Page": pa.array([A] * 40, pa.large_binary())}), sink, row_group_size=10)
    return put(f"{store_url}/given/test/0.parquet", sink.getvalue())


def test_images_in_parquet_files(store_url: str, parquet: str) -> None:
    put(f"{store_url}/given/train/0.parquet", b"not looked into")
    put(f"{store_url}/given/a.zip", zip_of({"a.jpg": D}))
    names = [f"{parquet}#row=40", "test/0.parquet#row=11", f"{parquet}#row=3&column=page", "a.jpg"]
    bad = ["0.parquet#row=1", "test/0.parquet#row=0", "test/0.parquet#row=41", "test/0.parquet#row=7"]
    bad += [
        "test/0.parquet#row=8",
        "test/0.parquet#row=1&column=query",
        "test/0.parquet#row=1&column=x",
        "1.parquet#row=1",
    ]
    resolvers = (
        ParquetImages(ParquetImagesSettings(paths=(f"{store_url}/given",))),
        in_archives(store_url, f"{store_url}/given/*.zip"),
    )
    table, outcome = take_in(store_url, [pair(name) for name in names + bad], *resolvers)
    assert reasons(table) == {
        **dict.fromkeys(names, ""),
        **dict.fromkeys(bad, "missing_image"),
        "0.parquet#row=1": "ambiguous_image",
    }
    store = Workspace(f"{store_url}/work").store
    assert [data for _, data in sorted(read_contents(store, table.slice(0, 4)))] == [picture(40), picture(11), A, D]
    assert outcome.metrics["images"] == {"named": 12, "copied": 3, "in_place": 1}
    table, _ = take_in(f"{store_url}/again", [pair(names[0])], resolvers[0], max_bytes=9)
    assert reasons(table) == {names[0]: "too_large"}


def test_a_parquet_file_is_meant_by_its_whole_name_before_others_that_end_so(tmp_path: Path) -> None:
    """The names are those that a source gives which reads the same folder."""
    for name, data in (("0.parquet", A), ("train/0.parquet", B)):
        (tmp_path / "set" / name).parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.table({"query": [name], "image": [data]}), tmp_path / "set" / name)
    where = {"kind": "documents", "files": [f"{tmp_path}/set"], "images": {"parquet": {"paths": [f"{tmp_path}/set"]}}}
    settings = parse_settings(where, DocumentsSource)
    assert settings.images is not None
    (rows,) = DocumentsReader(settings).shards()
    names = [row["images"][0] for row in rows.column("positive").to_pylist()]
    (resolver,) = settings.images.resolvers(str(tmp_path), "set")
    found = dict(resolver.open(1 << 20)(names))
    assert rows.column("query").to_pylist()[0]["text"] == "0.parquet"
    assert [(found[at].reason, found[at].data) for at in range(2)] == [("", A), ("", B)]


def test_stages_that_judge_items_read_the_table(tmp_path: Path) -> None:
    root = str(tmp_path)
    found = in_archives(root, put(f"{root}/1.zip", zip_of({"a.jpg": A, "cut.jpg": A[:-40]}, 8)))
    take_in(root, [pair("gone.jpg", "a.jpg"), pair("cut.jpg")], found)
    inputs = ((ITEMS, TableKey("tables", "given", "images").path("000000", "f")),)
    output = TableKey("tables", "given", "image_stats").path("000000", "f")
    task = ShardTask("given", "000000", 0, inputs, output, "media/given/x", {})
    assert MapJob(ImageStats(ImageStatsSettings()), f"{root}/work").open()(task).error == ""
    inspected = Workspace(f"{root}/work").read_table(output).to_pylist()
    assert [row["reason"] for row in inspected] == ["missing_image", "", "truncated"]
    assert (inspected[1]["width"], inspected[1]["height"]) == (24, 16)


class Pages:
    """A resolver of a form of its own, as one that renders pages would be."""

    def identity(self) -> dict[str, Any]:
        return {"pages": 2}

    def matches(self, name: str) -> bool:
        return "#page=" in name

    def open(self, max_bytes: int) -> Finder:
        return self._find

    @staticmethod
    def _find(names: Sequence[str]) -> Iterator[tuple[int, ImageRef]]:
        for place, name in reversed(list(enumerate(names))):
            yield place, ImageRef(B) if name.endswith("=1") else ImageRef(reason="no_such_page", detail=name)


def test_a_resolver_of_another_kind(tmp_path: Path) -> None:
    root = str(tmp_path)
    found = in_archives(root, put(f"{root}/1.tar", tar_of({"a.jpg": A, "x.pdf#page=1": A})))
    names = ["x.pdf#page=1", "a.jpg", "x.pdf#page=2"]
    table, _ = take_in(root, [pair(name) for name in names], Pages(), found)
    assert table.column("item_id").to_pylist() == [item_id(B), item_id(A), None]
    assert table.to_pylist()[2]["reason"] == "no_such_page"
    assert table.to_pylist()[2]["detail"] == "x.pdf#page=2"
    alone, _ = take_in(f"{root}/alone", [pair("a.jpg")], Pages())
    assert reasons(alone) == {"a.jpg": "missing_image"}


def test_a_broken_parquet_file_costs_the_rows_that_name_it(tmp_path: Path) -> None:
    broken = put(f"{tmp_path}/x.parquet", b"PAR1 no")
    whole = f"{tmp_path}/y.parquet"
    pq.write_table(pa.table({"image": [A, None], "twice": [A, A]}), whole)
    names = [f"{broken}#row=1", f"{whole}#row=1", f"{whole}#row=2"]
    parquet = ParquetImages(ParquetImagesSettings(paths=(broken, whole)))
    table, _ = take_in(str(tmp_path), [pair(name) for name in names], parquet)
    assert reasons(table) == {names[0]: "damaged_archive", names[1]: "", names[2]: "missing_image"}
    (detail,) = [row["detail"] for row in table.to_pylist() if row["reason"] == "damaged_archive"]
    assert detail.startswith(f"{broken}: not a Parquet file")


def test_a_column_of_images_that_stands_twice_stops_the_shard(tmp_path: Path) -> None:
    path = f"{tmp_path}/x.parquet"
    pq.write_table(pa.table([[A], [B]], names=["image", "image"]), path)
    with pytest.raises(AssertionError, match=r"x\.parquet: column 'image' stands there 2 times"):
        take_in(str(tmp_path), [pair(f"{path}#row=1")], ParquetImages(ParquetImagesSettings(paths=(path,))))
