"""Parquet parts of every form that LAION metadata comes in, read, filtered, sampled and counted."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fsspec.registry import _registry

from corpus.settings import SettingsError, parse_settings
from corpus.storage import StorageError
from demo.images.world import FILTER, build_world
from pipelines.sources import laion
from pipelines.sources.laion import INDEX_COLUMNS, LaionReader, LaionSource, find_parts


def write(path: Path, **columns: Any) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path, row_group_size=3)
    return str(path)


def source(*parts: str, **settings: Any) -> LaionReader:
    return LaionReader(parse_settings({"kind": "laion", "files": list(parts), **settings}, LaionSource))


def rows(*parts: str, **settings: Any) -> list[dict[str, Any]]:
    return [row for shard in source(*parts, **settings).shards() for row in shard.to_pylist()]


URLS = ["http://a.example/1.jpg", "http://a.example/2.jpg", "http://a.example/3.jpg"]


def test_release_form(tmp_path: Path) -> None:
    part = write(
        tmp_path / "part.parquet",
        SAMPLE_ID=[10, 11, 12],
        URL=URLS,
        TEXT=["one", None, "three"],
        HEIGHT=pa.array([10, 20, 30], pa.int32()),
        WIDTH=pa.array([1, 2, None], pa.int32()),
        LICENSE=["?", "CC0", None],
        NSFW=["UNLIKELY", "NSFW", None],
        similarity=[0.28, 0.3, None],
        unrelated=[1, 2, 3],
    )
    (shard,) = source(part, licence="unknown").shards()
    assert shard.schema == INDEX_COLUMNS
    assert shard.to_pydict() == {
        "url": URLS,
        "text": ["one", "", "three"],
        "sample_id": ["10", "11", "12"],
        "width": [1, 2, None],
        "height": [10, 20, 30],
        "similarity": [0.28, 0.3, None],
        "punsafe": [None] * 3,
        "pwatermark": [None] * 3,
        "aesthetic": [None] * 3,
        "nsfw": ["UNLIKELY", "NSFW", None],
        "licence": ["unknown", "CC0", "unknown"],
    }


def test_derived_form(tmp_path: Path) -> None:
    part = write(
        tmp_path / "part.parquet",
        key=["000", "001", "002"],
        url=pa.array(URLS, pa.large_string()),
        Caption=pa.array(["one", "two", "one"]).dictionary_encode(),
        WIDTH=[640.0, float("nan"), None],
        height=[3e9, float("inf"), 480.0],
        license=pa.nulls(3),
        Similarity=pa.array([0.25, 0.5, 0.75], pa.float32()),
    )
    (shard,) = source(part).shards()
    assert shard.schema == INDEX_COLUMNS
    found = shard.to_pydict()
    assert found["sample_id"] == ["000", "001", "002"] and found["text"] == ["one", "two", "one"]
    assert found["width"] == [640, None, None] and found["height"] == [None, None, 480]
    assert found["licence"] == ["", "", ""] and found["similarity"] == [0.25, 0.5, 0.75]


def test_ids_that_went_through_floats(tmp_path: Path) -> None:
    part = write(tmp_path / "part.parquet", URL=URLS, SAMPLE_ID=[1_372_000_000_317.0, float("nan"), 1e300])
    assert [row["sample_id"] for row in rows(part)] == ["1372000000317", None, None]


def test_an_exact_name_wins_over_another_name_of_the_same(tmp_path: Path) -> None:
    part = write(tmp_path / "part.parquet", url=URLS, caption=["generated"] * 3, TEXT=["original"] * 3)
    assert {row["text"] for row in rows(part)} == {"original"}


def test_rows_without_a_url_and_rows_cut_are_counted(tmp_path: Path) -> None:
    part = write(
        tmp_path / "part.parquet", URL=[*URLS, None, ""], TEXT=list("abcde"), similarity=[0.1, 0.3, 0.4, 0.4, 0.4]
    )
    found = source(part, filter="similarity > 0.28")
    assert [row for shard in found.shards() for row in shard.column("url").to_pylist()] == URLS[1:]
    assert found.counts == {"read": 5, "no_url": 2, "filtered_by_expression": 1}


def test_what_is_not_unicode_costs_its_row(tmp_path: Path) -> None:
    data = {"URL": [b"http://a/1", b"http://a/2", b"http://a/\xff", b"http://a/4"], "TEXT": [b"a", b"\xe9", None, b"d"]}
    part = write(tmp_path / "a.parquet", **{name: pa.array(values).view(pa.string()) for name, values in data.items()})
    found = source(part)
    assert [row for shard in found.shards() for row in shard.column("url").to_pylist()] == ["http://a/1", "http://a/4"]
    assert found.counts == {"read": 4, "no_url": 0, "filtered_by_expression": 0, "bad_text": 2}


def test_one_value_that_cannot_be_cast_is_null_and_counted(tmp_path: Path) -> None:
    part = write(
        tmp_path / "a.parquet",
        URL=URLS,
        WIDTH=["640", "n/a", ""],
        HEIGHT=pa.array([1, 4_000_000_000, -(2**63)], pa.int64()),
        similarity=["0.5", "high", None],
        punsafe=pa.array([1, 2**64 - 1, None], pa.uint64()),
        pwatermark=[["a list"], [], None],
        SAMPLE_ID=pa.array([b"0123456789abcdef", b"\xff" * 16, None], pa.binary(16)),
    )
    found = source(part)
    columns = pa.concat_tables(found.shards()).to_pydict()
    assert columns["url"] == URLS and columns["width"] == [640, None, None] and columns["height"] == [1, None, None]
    assert columns["similarity"] == [0.5, None, None] and columns["punsafe"] == [1.0, 2.0**64, None]
    assert columns["pwatermark"] == [None] * 3 and columns["sample_id"] == ["0123456789abcdef", None, None]
    assert found.counts == {"read": 3, "no_url": 0, "filtered_by_expression": 0}
    failed = {"height": 2, "pwatermark": 2, "sample_id": 1, "similarity": 1, "width": 2}
    assert found.notes["not_read"]["values"] == failed
    list(found.shards())
    assert found.notes["not_read"]["values"] == failed, "not counted twice when it is read again"


@pytest.mark.parametrize("kind", [pa.string_view(), pa.large_string(), pa.binary(), pa.binary_view(), pa.json_()])
def test_texts_of_every_type(tmp_path: Path, kind: pa.DataType) -> None:
    texts = pa.array(["one", None, "drei ä"]).cast(pa.string())
    texts = pa.array(texts.to_pylist(), kind) if kind != pa.json_() else pa.ExtensionArray.from_storage(kind, texts)
    urls = pa.array([url.encode() for url in URLS], pa.binary()).cast(pa.string()).cast(pa.string_view())
    part = write(tmp_path / "a.parquet", URL=urls, TEXT=texts, tag=pa.array(["a", "b", "b"], pa.string_view()))
    assert [(row["url"], row["text"]) for row in rows(part, filter="tag == 'b'")] == [
        (URLS[1], ""),
        (URLS[2], "drei ä"),
    ]


def test_a_caption_in_another_encoding_costs_its_row(tmp_path: Path) -> None:
    part = write(
        tmp_path / "a.parquet", URL=pa.array([*map(str.encode, URLS)]), TEXT=[b"one", "zwölf".encode("latin-1"), b"d"]
    )
    found = source(part)
    assert [row["url"] for shard in found.shards() for row in shard.to_pylist()] == [URLS[0], URLS[2]]
    assert found.counts == {"read": 3, "no_url": 0, "filtered_by_expression": 0, "bad_text": 1}


def test_columns_that_nothing_reads_stop_nothing(tmp_path: Path) -> None:
    table = pa.table([URLS, [[1]] * 3, [b"\xff"] * 3, [1, 2, 3]], names=["URL", "more", "EXIF", "exif"])
    pq.write_table(table, tmp_path / "a.parquet")
    found = source(str(tmp_path / "a.parquet"))
    assert [row["url"] for shard in found.shards() for row in shard.to_pylist()] == URLS and not found.notes


@pytest.mark.parametrize("names", [["URL", "URL"], ["URL", "url"], ["URL", "TEXT", "text"], ["url", "sim", "Sim"]])
def test_a_column_that_stands_twice_is_an_error_that_names_it(tmp_path: Path, names: list[str]) -> None:
    pq.write_table(pa.table([URLS] * len(names), names=names), tmp_path / "a.parquet")
    for read in (lambda found: found.check(), lambda found: list(found.shards())):
        with pytest.raises(SettingsError, match=rf"a\.parquet: column '{names[-1].lower()}' stands there 2 times"):
            read(source(str(tmp_path / "a.parquet"), filter="sim == ''" if "sim" in names else ""))


def test_what_would_stop_a_run_is_found_by_looking_at_columns(tmp_path: Path) -> None:
    write(tmp_path / "1.parquet", URL=URLS, similarity=[0.3] * 3)
    write(tmp_path / "2.parquet", URL=URLS, other=["text"] * 3)
    source(str(tmp_path), filter="similarity > 0.2").check()
    for expression, words in (("simlarity > 1", "did you mean 'similarity'"), ("other > 1", "no column 'other'")):
        with pytest.raises(SettingsError, match=words):
            source(str(tmp_path), filter=expression).check()
    with pytest.raises(SettingsError, match="types do not allow it"):
        source(str(tmp_path / "2.parquet"), filter="other > 1").check()
    write(tmp_path / "3.parquet", link=URLS)
    with pytest.raises(SettingsError, match=r"3\.parquet: no column URL"):
        source(str(tmp_path)).check()


def test_tables_as_spark_writes_them(tmp_path: Path) -> None:
    for language, number in (("en", 1), ("de", 2), ("__HIVE_DEFAULT_PARTITION__", 3)):
        write(tmp_path / "t.parquet" / f"lang={language}" / f"part-{number}.snappy.parquet", URL=[str(number)])
    write(tmp_path / "t.parquet" / "_temporary" / "0" / "part-9.parquet", URL=["9"])
    (tmp_path / "t.parquet" / "_SUCCESS").touch()
    (tmp_path / "t.parquet" / ".part-1.snappy.parquet.crc").write_bytes(b"crc")
    write(tmp_path / "u.parquet", URL=["4"])
    found = source(f"{tmp_path}/*.parquet")
    assert [row["url"] for shard in found.shards() for row in shard.to_pylist()] == ["3", "2", "1", "4"]
    assert found.notes["not_read"]["files"] == {"hidden_file": 1}
    assert [row["url"] for row in rows(str(tmp_path / "t.parquet"), filter="lang in ('en', 'fr')")] == ["1"]
    assert [row["url"] for row in rows(str(tmp_path / "t.parquet"), filter="lang is None")] == ["3"]


def test_a_damaged_part_is_named_and_the_others_are_read(tmp_path: Path) -> None:
    complete, cut, other = (write(tmp_path / f"{n}.parquet", URL=[f"{n}{at}" for at in range(9)]) for n in "abc")
    Path(cut).write_bytes(Path(cut).read_bytes()[:-30])
    found = source(str(tmp_path))
    found.check()
    urls = [row["url"] for shard in found.shards() for row in shard.to_pylist()]
    assert urls == [f"{n}{at}" for n in "ac" for at in range(9)]
    (line,) = found.notes["not_read"]["lines"]
    assert line.startswith(f"not read (unreadable_file): {cut}: ") and found.notes["not_read"]["files"] == {
        "unreadable_file": 1
    }
    for path in (complete, other):
        Path(path).unlink()
    for read in (lambda found: found.check(), lambda found: list(found.shards())):
        with pytest.raises(SettingsError, match=r"b\.parquet: not a Parquet file that can be read"):
            read(source(str(tmp_path)))


def test_rows_behind_a_damaged_page_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(laion, "_BATCH_ROWS", 3)
    part = write(tmp_path / "a.parquet", URL=[f"http://a.example/{at}" for at in range(9)])
    data = bytearray(Path(part).read_bytes())
    at = data.index(b"http://a.example/6")  # in the pages of the last row group
    data[at - 20 : at] = b"\xff" * 20
    Path(part).write_bytes(data)
    found = source(part)
    assert len([row for shard in found.shards() for row in shard.to_pylist()]) == 6
    assert found.counts == {"read": 9, "no_url": 0, "filtered_by_expression": 0, "unreadable_rows": 3}
    assert "6 rows before the damage were read" in found.notes["not_read"]["lines"][0]


def test_a_fault_of_the_storage_is_no_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    part = write(tmp_path / "a.parquet", URL=URLS)
    found = source(part, str(tmp_path / "a.parquet"))
    assert found.files
    Path(part).unlink()
    for read in (lambda found: found.check(), lambda found: list(found.shards())):
        with pytest.raises(StorageError, match=r"a\.parquet"):
            read(found)
    assert not found.notes


def test_filters_see_columns_beyond_the_usual_and_other_names(tmp_path: Path) -> None:
    part = write(tmp_path / "part.parquet", URL=URLS, caption=["a", "b", "c"], Aesthetic=[4.0, 5.5, 6.0])
    assert [row["url"] for row in rows(part, filter="AESTHETIC > 5 and caption != 'c'")] == [URLS[1]]


def test_filters_see_typed_columns(tmp_path: Path) -> None:
    part = write(tmp_path / "part.parquet", URL=URLS, SAMPLE_ID=[1, 2, 3], WIDTH=[100.0, 300.0, float("nan")])
    assert [row["url"] for row in rows(part, filter="WIDTH >= 200 or sample_id == '1'")] == URLS[:2]


def test_all_rows_come_in_the_order_of_the_parts_in_full_shards(tmp_path: Path) -> None:
    for number in range(3):
        write(tmp_path / f"part-{number}.parquet", URL=[f"{number}-{row}" for row in range(7)])
    shards = list(source(str(tmp_path), shard_rows=5).shards())
    assert [shard.num_rows for shard in shards] == [5, 5, 5, 5, 1]
    expected = [f"{number}-{row}" for number in range(3) for row in range(7)]
    assert [url for shard in shards for url in shard.column("url").to_pylist()] == expected


def test_samples_are_seeded_nested_and_counted(tmp_path: Path) -> None:
    numbers = np.arange(500).astype(str)
    for number in range(2):
        urls = np.char.add(f"http://example.com/{number}/", numbers).tolist()
        write(tmp_path / f"part-{number}.parquet", URL=urls + urls[:50], TEXT=["same"] * 550)
    small, large = (source(str(tmp_path), sample_rows=count, shard_rows=50) for count in (200, 400))
    few, more = list(small.shards()), list(large.shards())
    assert [shard.num_rows for shard in few] == [50] * 4
    assert few == more[:4]  # so what was made of the small sample's shards stays valid
    repeated = small.counts["duplicate_row"]
    assert 5 <= repeated <= 40 and small.counts == {
        "read": 1100,
        "no_url": 0,
        "filtered_by_expression": 0,
        "duplicate_row": repeated,
        "not_sampled": 900 - repeated,
    }
    assert list(source(str(tmp_path), sample_rows=200, shard_rows=50, seed=1).shards()) != few


def test_the_demo_world_is_read_as_it_was_planted(tmp_path: Path) -> None:
    world = build_world(tmp_path, 260, without=("pixel_bomb",))
    truth = pq.read_table(world.truth).to_pylist()
    found = source(str(tmp_path / "parts" / "*.parquet"), filter=FILTER, sample_rows=1000)
    got = sorted((row["url"], row["text"]) for shard in found.shards() for row in shard.to_pylist())
    assert got == sorted((row["url"], row["text"]) for row in truth if row["status"] != "dropped")
    planted = [row["reasons"][0] for row in truth if row["status"] == "dropped"]
    assert found.counts == {"read": 260, "not_sampled": 0} | {name: planted.count(name) for name in set(planted)}


def test_parts_are_paths_folders_and_globs_each_read_once(tmp_path: Path) -> None:
    one, other = (write(tmp_path / name, URL=["u"]) for name in ("a/1.parquet", "a/2.parquet"))
    third = write(tmp_path / "a" / "deeper" / "3.parquet", URL=["u"])
    (tmp_path / "a" / "notes.txt").write_text("not metadata")
    assert [part.url for part in find_parts([str(tmp_path / "a")])] == [one, other, third]
    assert [part.url for part in find_parts([other, f"{tmp_path}/a/*.parquet"])] == [other, one]


def test_parts_on_another_file_system() -> None:
    memory = fsspec.filesystem("memory")
    with memory.open("/laion/part-0.parquet", "wb") as file:
        pq.write_table(pa.table({"URL": URLS, "TEXT": ["a", "b", "c"]}), file)
    assert [row["url"] for row in rows("memory://laion/*.parquet")] == URLS
    memory.rm("/laion", recursive=True)


def test_identity_follows_the_settings_and_the_files(tmp_path: Path) -> None:
    part = write(tmp_path / "part.parquet", URL=URLS)
    first = source(part).identity()
    assert source(part).identity() == first
    assert source(part, seed=1).identity() != first
    write(tmp_path / "part.parquet", URL=URLS[:2])
    assert source(part).identity() != first


def test_settings_that_cannot_work_say_why(tmp_path: Path) -> None:
    part = write(tmp_path / "part.parquet", URL=URLS, similarity=["high"] * 3)
    with pytest.raises(SettingsError, match=r"filter: .*not an expression"):
        source(part, filter="similarity >")
    with pytest.raises(SettingsError, match="no column 'simlarity'; did you mean 'similarity'"):
        rows(part, filter="simlarity > 1")
    with pytest.raises(SettingsError, match=r"lists\.parquet: column text: list<.*> cannot be read as string"):
        rows(write(tmp_path / "lists.parquet", URL=URLS, TEXT=[["one"]] * 3))
    with pytest.raises(SettingsError, match=r"none-\*\.parquet: no Parquet files there"):
        rows(str(tmp_path / "none-*.parquet"))
    with pytest.raises(SettingsError, match=r"absent\.parquet: no Parquet files there"):
        rows(str(tmp_path / "absent.parquet"))
    with pytest.raises(SettingsError, match="no column URL; there are link, TEXT"):
        rows(write(tmp_path / "other.parquet", link=URLS, TEXT=URLS))
    (tmp_path / "text.parquet").write_text("not Parquet at all")
    with pytest.raises(SettingsError, match=r"text\.parquet: not a Parquet file"):
        rows(str(tmp_path / "text.parquet"))
    with pytest.raises(SettingsError, match="Protocol not known: gopher"):
        rows("gopher://example.com/part.parquet")


@pytest.mark.parametrize("protocol, module, extra", [("s3", "s3fs", "s3"), ("hf", "huggingface_hub", "hf")])
def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch, protocol: str, module: str, extra: str) -> None:
    monkeypatch.setitem(sys.modules, module, None)  # as if it were not installed
    monkeypatch.delitem(_registry, protocol, raising=False)
    with pytest.raises(SettingsError, match=rf"pip install 'rzen-corpus\[{extra}\]'"):
        find_parts([f"{protocol}://datasets/laion/*.parquet"])


def test_long_parts_are_read_batch_by_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(laion, "_BATCH_ROWS", 4)
    part = write(tmp_path / "part.parquet", URL=[str(number) for number in range(30)])
    assert [row["url"] for row in rows(part)] == [str(number) for number in range(30)]
