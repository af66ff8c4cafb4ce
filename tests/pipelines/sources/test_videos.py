"""Videos and their annotations as rows: matched by name, cut into spans, sampled, counted."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest

from corpus.settings import SettingsError
from corpus.workspace import Workspace
from pipelines.sources.source_shards import source_fingerprint, write_source_shards
from pipelines.sources.videos import VIDEO_COLUMNS, segment_starts
from pipelines.status import source_notices
from tests.helpers.video_sources import place, plain, rows_of, source
from tests.helpers.videos import Shot, make_video, truncate


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Three seconds."""
    path = tmp_path_factory.mktemp("film") / "film.mp4"
    make_video(path, [Shot(frames=15), Shot(frames=15)], rate=10, size=(160, 120))
    return path.read_bytes()


def texts_of(row: dict[str, Any]) -> list[str]:
    return [each["text"] or each["question"] for each in row["annotations"]]


def test_a_video_and_what_is_said_of_it(tmp_path: Path, film: bytes) -> None:
    folder = place(tmp_path / "v", film, "a.mp4", "sub/b.MP4", "._a.mp4", ".cache/c.mp4", "notes.txt")
    form = plain(
        tmp_path,
        {"video": "a", "start_s": "00:00:02", "text": "later"},
        {"video": "a.mp4", "text": "A film."},
        {"video": "./a.mp4", "start_s": 0.5, "end_s": 1, "text": "first", "question": "Q?", "answer": "A."},
        {"video": "a.mp4", "question": "How many?", "answer": "Two."},
        {"video": "a.mp4", "text": "Another view of it."},
        {"video": "a", "start_s": 2, "text": "later"},
    )
    rows = source(folder, annotations=[form], licence="CC0")
    first, second = rows_of(rows)
    empty = {"text": "", "question": "", "answer": ""}
    assert first == {
        "url": f"{folder}/a.mp4",
        "video": "a.mp4",
        "segment_start_s": 0.0,
        "segment_end_s": None,
        "text": "A film.",
        "annotations": [
            {**empty, "start_s": None, "end_s": None, "question": "How many?", "answer": "Two."},
            {**empty, "start_s": None, "end_s": None, "text": "Another view of it."},
            {"start_s": 0.5, "end_s": 1.0, "text": "first", "question": "Q?", "answer": "A."},
            {**empty, "start_s": 2.0, "end_s": None, "text": "later"},
        ],
        "timed": True,
        "home_shard": 0,
        "segments": 1,
        "first_frame_s": None,
        "start_time_s": None,
        "duration_s": None,
        "licence": "CC0",
    }
    assert (second["video"], second["text"], second["annotations"]) == ("sub/b.MP4", "", [])
    assert rows.annotation_counts == Counter(read=6, placed=5, duplicate=1)


def test_long_videos_become_spans(tmp_path: Path, film: bytes) -> None:
    folder = place(tmp_path / "v", film, "long.mp4")
    starts = (0, 1.49, 1.5, 2.9, 3.1)
    form = plain(
        tmp_path,
        *({"video": "long.mp4", "start_s": start, "text": str(start)} for start in starts),
        {"video": "long.mp4", "text": "All."},
        {"video": "long.mp4", "question": "Of all?", "answer": "Yes."},
    )
    rows = source(folder, annotations=[form], segment_s=2)
    first, second = rows_of(rows)
    assert [(row["segment_start_s"], row["segment_end_s"]) for row in (first, second)] == [(0.0, 1.5), (1.5, None)]
    assert (texts_of(first), texts_of(second)) == (["Of all?", "0", "1.49"], ["1.5", "2.9", "3.1"])
    assert [each["start_s"] for each in first["annotations"]] == [None, 0.0, 1.49]
    assert [each["start_s"] for each in second["annotations"]] == [1.5, 2.9, 3.1]
    assert first["text"] == second["text"] == "All."
    assert [(row["home_shard"], row["segments"], row["timed"], row["first_frame_s"]) for row in (first, second)] == [
        (0, 2, True, 0)
    ] * 2
    assert first["duration_s"] == pytest.approx(3.0, abs=0.1)


@pytest.mark.parametrize(
    ("duration_s", "starts"),
    [(None, [0.0]), (0.0, [0.0]), (600.0, [0.0]), (600.1, [0.0, 300.05]), (1800.0, [0.0, 600.0, 1200.0])],
)
def test_segment_starts(duration_s: float | None, starts: list[float]) -> None:
    assert segment_starts(duration_s, 600.0) == starts


def test_a_video_that_cannot_be_read_is_one_row(tmp_path: Path, film: bytes) -> None:
    folder = place(tmp_path / "v", film, "cut.mp4", "empty.mp4", "long.mp4")
    truncate(tmp_path / "v" / "cut.mp4", 0.5)
    truncate(tmp_path / "v" / "empty.mp4", 0)
    rows = rows_of(source(folder, segment_s=1, max_duration_s=2))
    assert [(row["video"], row["segment_end_s"]) for row in rows] == [
        (f"{n}.mp4", None) for n in ("cut", "empty", "long")
    ]


def test_what_is_left_out_is_counted(tmp_path: Path, film: bytes) -> None:
    folder = place(tmp_path / "v", film, "a/1.mp4", "b/1.mp4", "c.mp4")
    form = plain(
        tmp_path,
        {"video": "a/1.mp4", "text": "of a"},
        {"video": "1.mp4", "text": "of which?"},
        {"video": "gone.mp4", "text": "x"},
        {"video": "gone.mp4", "start_s": 2, "text": "y"},
        {"video": "d/1.mp4", "text": "another folder's"},
        {"text": "of nothing"},
    )
    captions = [{"idx": "1", "content": "A part."}, {"idx": "-1", "content": "The whole."}]
    shared = tmp_path / "shared.jsonl"
    shared.write_text(json.dumps({"video_id": "c", "captions": captions}))
    forms = [form, {"kind": "sharegpt4video", "files": [str(shared)]}]
    rows = source(folder, f"{folder}/c.mp4", annotations=forms)
    assert [(row["video"], row["text"]) for row in rows_of(rows)] == [
        ("a/1.mp4", "of a"),
        ("b/1.mp4", ""),
        ("c.mp4", "The whole."),
    ]
    assert rows.counts == {"read": 6, "bad_name": 0, "duplicate_video": 1, "no_video_file": 2, "not_sampled": 0}
    assert rows.annotation_counts == Counter(
        read=8, placed=2, ambiguous_video=1, no_video_file=3, no_time=1, no_video=1
    )
    assert list(source_notices("films", rows.notes))[-1] == (
        "films: of 8 annotations 6 are not used: ambiguous_video 1, no_time 1, no_video 1, no_video_file 3"
    )
    assert [(fault.line, fault.reason) for fault in rows.bad_records] == [(6, "no_video")]
    assert len(rows_of(rows)) == 3 and len(rows.bad_records) == 1  # read again, counted anew


def test_urls(tmp_path: Path, film: bytes) -> None:
    folder = place(tmp_path / "v", film, "here.mp4")
    form = plain(
        tmp_path,
        {"video": "here.mp4", "text": "lies here"},
        {"video": "dir/ü 1", "start_s": 5000, "text": "far on"},
        {"video": "dir/ü 1.mp4", "text": "under the prefix"},
        {"video": "https://b.example/x.webm?t=1", "text": "a URL of its own"},
        {"video": "c", "text": "listed"},
    )
    listed = "https://a.example/c.mp4?key=%20"
    rows = source(folder, listed, "https://a.example/all/", annotations=[form])
    assert [(row["url"], row["video"], row["text"], len(row["annotations"])) for row in rows_of(rows)] == [
        (f"{folder}/here.mp4", "here.mp4", "lies here", 0),
        (listed, "c.mp4", "listed", 0),
        ("https://a.example/all/dir/%C3%BC%201.mp4", "dir/ü 1.mp4", "under the prefix", 1),
        ("https://b.example/x.webm?t=1", "x.webm", "a URL of its own", 0),
    ]
    with pytest.raises(SettingsError, match="only one URL"):
        source("https://a.example/", "https://b.example/")


def test_urls_that_are_none_are_rows_for_the_download_to_judge(tmp_path: Path) -> None:
    names = {
        "http://[::1/a.mp4": "a.mp4",
        "http://[x]/b%20c.mp4?d/e#f/g": "b c.mp4",
        "https://[::1]@": "https://[::1]@",
        "http://host/%ff/%zz.mp4": "%zz.mp4",
        "http://a!b": "http://a!b",
    }
    form = plain(tmp_path, *({"video": url, "text": "a"} for url in [*names, "\ud800", "http://host/\udcff.mp4"]))
    rows = source("https://a.example/all/", annotations=[form])
    assert {row["url"]: row["video"] for row in rows_of(rows)} == names
    assert [fault.reason for fault in rows.bad_records] == ["bad_text", "bad_text"]


@pytest.fixture
def bucket() -> Iterator[str]:
    fs = fsspec.filesystem("memory")
    fs.pipe_file("/bucket/deep/a.mp4", b"not looked at")
    yield "memory://bucket"
    fs.rm("/bucket", recursive=True)


def test_videos_in_a_store_are_one_row_each(bucket: str) -> None:
    (row,) = rows_of(source(bucket, segment_s=1))
    assert (row["url"], row["video"], row["segment_end_s"]) == ("memory:///bucket/deep/a.mp4", "deep/a.mp4", None)


def test_samples_grow(tmp_path: Path, film: bytes) -> None:
    folder = place(tmp_path / "v", film, *(f"{number}.mp4" for number in range(6)))
    form = plain(tmp_path, *({"video": str(at % 6), "start_s": at / 4, "text": f"{at}"} for at in range(12)))

    def drawn(**settings: Any) -> list[tuple[str, float]]:
        rows = rows_of(source(folder, annotations=[form], segment_s=2, **settings))
        return [(row["video"], row["segment_start_s"]) for row in rows]

    few, more = drawn(sample_rows=5), drawn(sample_rows=8)
    assert len(few) == 5 and more[:5] == few and len(more) == 8
    assert sorted(drawn(sample_rows=100)) == sorted(drawn()) and len(drawn()) == 12
    orders = {tuple(drawn(sample_rows=5, seed=seed)) for seed in range(8)}
    assert len(orders) > 1, "another seed draws others; the names of the files depend on the folder of this test"


def test_gathered_into_shards(tmp_path: Path, film: bytes) -> None:
    folder = place(tmp_path / "v", film, "a.mp4", "b.mp4", "c.mp4")
    form = plain(tmp_path, {"video": "a", "start_s": 1, "text": "one"})
    rows = source(folder, annotations=[form], shard_rows=2)
    assert [(shard.num_rows, shard.schema) for shard in rows.shards()] == [(2, VIDEO_COLUMNS), (1, VIDEO_COLUMNS)]
    name = source_fingerprint(rows)
    index = write_source_shards(Workspace(tmp_path / "w"), "films", rows, name)
    assert (index.rows, len(index.shards), index.counts["read"]) == (3, 2, 3)
    assert source_fingerprint(source(folder, annotations=[form], shard_rows=2, probe_threads=1)) == name
    changed = plain(tmp_path, {"video": "a", "start_s": 1, "text": "one more"})
    assert source_fingerprint(source(folder, annotations=[changed], shard_rows=2)) != name


def test_nothing_found(tmp_path: Path, film: bytes) -> None:
    folder = place(tmp_path / "v", film, "notes.txt")
    for pattern in (folder, f"{folder}/*.mp4", f"{folder}/a.mp4", "nosuch://x"):
        with pytest.raises(SettingsError, match="videos: "):
            source(pattern).identity()
    with pytest.raises(SettingsError, match="annotations: "):
        place(tmp_path / "v", film, "a.mp4")
        source(folder, annotations=[{"kind": "plain", "files": [f"{folder}/none.json"]}]).identity()


def test_settings_name_the_nearest_key() -> None:
    with pytest.raises(SettingsError, match=r"annotations\.0\.file: unknown key; did you mean 'files'"):
        source("v", annotations=[{"kind": "llava", "files": ["a"], "file": "b"}])


def test_videos_of_one_name_are_told_apart(tmp_path: Path, film: bytes) -> None:
    one, other = (place(tmp_path / name, film, "film.mp4", f"{name}.mp4") for name in ("a", "b"))
    rows = rows_of(source(one, other))
    assert [row["video"] for row in rows] == ["a.mp4", f"{one}/film.mp4", "b.mp4", f"{other}/film.mp4"]


def test_what_is_no_video_is_counted_but_not_annotations_beside_the_videos(tmp_path: Path, film: bytes) -> None:
    folder = place(tmp_path, film, "v/film [1].mp4", "v/film [1].srt", "v/film [1].en.srt")
    form = plain(tmp_path / "v", {"video": "film [1]", "text": "A film."})
    rows = source(folder + "/v", annotations=[form])
    rows.identity()
    assert rows.notes["not_read"]["files"] == {"unsupported_extension": 2}
    rows = source(f"{folder}/v/film [1].mp4", annotations=[{**form, "files": [f"{folder}/v"]}])
    rows.identity()
    assert [row["text"] for row in rows_of(rows)] == ["A film."]
    assert rows.notes["not_read"]["files"] == {"unsupported_extension": 2}
