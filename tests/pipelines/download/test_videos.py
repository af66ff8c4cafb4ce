"""The stage `download` for videos, over a real server: what is fetched, what stays where it is, and what is neither."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fsspec
import pyarrow as pa
import pytest
from fsspec.spec import AbstractFileSystem

from corpus.execution import MapJob, Outcome, ShardTask
from corpus.media import MAX_BYTES, read_contents
from corpus.schema import item_id, table_schema
from corpus.settings import SettingsError, parse_settings
from corpus.stage import ROWS
from corpus.tars import index_tar
from corpus.workspace import Workspace
from demo.server import RunningServer, serve
from pipelines.download.images import ITEMS_SCHEMA
from pipelines.download.videos import DownloadVideos, VideoDownloadSettings
from pipelines.fetch import fetcher as fetch_run
from tests.helpers.memory import traced
from tests.helpers.videos import Shot, make_video

MIB = 2**20
LARGE_BYTES = 30 * MIB


@dataclass(frozen=True)
class VideoSite:
    serving: RunningServer
    www: Path
    real: bytes  # a small real video
    large: bytes

    def url(self, path: str) -> str:
        return f"{self.serving.base_url}/{path}"

    def settings(self, **fetch: Any) -> VideoDownloadSettings:
        """Quick to give up, and allowed to reach the site only."""
        allow = [self.serving.base_url.removeprefix("http://")]
        quick = {
            "private_allowlist": allow,
            "max_attempts": 1,
            "total_timeout_s": 10,
            "read_timeout_s": 1,
            "max_bytes": 40 * MIB,
        }
        return VideoDownloadSettings.model_validate({"fetch": quick | fetch})


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VideoSite]:
    folder = tmp_path_factory.mktemp("films")
    (folder / "www").mkdir()
    make_video(folder / "www/a.mp4", [Shot(10)], size=(160, 120))
    real = (folder / "www/a.mp4").read_bytes()
    (folder / "www/named.jpg").write_bytes(real)
    with (folder / "www/large.mp4").open("wb") as file:
        file.write(real + b"".join(number.to_bytes(4, "big") * 256 for number in range(LARGE_BYTES // 1024)))
        file.truncate(LARGE_BYTES)
    with serve(folder) as serving:
        yield VideoSite(serving, folder / "www", real, (folder / "www/large.mp4").read_bytes())


def run_videos(
    workspace: Workspace, urls: Sequence[str | None], settings: VideoDownloadSettings
) -> tuple[Outcome, list[dict[str, Any]]]:
    """Run the stage over one shard of these URLs; what came of it, and its rows."""
    rows = {"url": pa.array(urls, pa.string()), "status": ["kept"] * len(urls), "reason": [""] * len(urls)}
    workspace.write_table("rows.parquet", pa.table(rows), {})
    media = workspace.media_stem("s", "000000", "f")
    task = ShardTask("s", "000000", 0, ((ROWS, "rows.parquet"),), "download.parquet", media, {})
    outcome = MapJob(DownloadVideos(settings), workspace.store.url).open()(task)
    return outcome, [] if outcome.error else workspace.read_table(task.output).to_pylist()


def test_every_video_ends_with_a_status_and_a_reason(films: VideoSite, tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").touch()
    web_ends = {
        "images/a.mp4": ("kept", ""),
        "redirect/a.mp4": ("kept", ""),
        "unlabelled/a.mp4": ("kept", ""),
        "chunked/a.mp4": ("kept", ""),
        "unsized/a.mp4": ("kept", ""),
        "images/absent.mp4": ("failed", "http_404"),
        "status/503/a.mp4": ("failed", "http_503"),
        "loop/a/a.mp4": ("failed", "redirect_loop"),
        "elsewhere/private/a.mp4": ("failed", "private_address"),
        "elsewhere/inside/a.mp4": ("failed", "private_address"),
        "elsewhere/file/a.mp4": ("failed", "unsupported_scheme"),
        "stall/a.mp4": ("failed", "timeout"),
        "endless/a.mp4": ("failed", "too_large"),
        "declared_huge/a.mp4": ("failed", "too_large"),
        "short/large.mp4": ("failed", "truncated"),
        "reset/first/a.mp4": ("failed", "connection_reset"),
        "robots/noai/a.mp4": ("filtered", "opted_out"),
        "html/a.mp4": ("failed", "not_a_video"),
        "empty/a.mp4": ("failed", "empty_file"),
    }
    ends = {films.url(path): end for path, end in web_ends.items()} | {
        "http://10.0.0.1/a.mp4": ("failed", "private_address"),
        "http://": ("failed", "bad_url"),
        "": ("failed", "bad_url"),
        "nobody://knows/a.mp4": ("failed", "unsupported_scheme"),
        str(films.www / "a.mp4"): ("kept", ""),
        str(films.www / "absent.mp4"): ("failed", "missing_file"),
        f"file://{films.www}/absent.mp4": ("failed", "missing_file"),
        "memory://nothing/absent.mp4": ("failed", "missing_file"),
        str(tmp_path / "empty.mp4"): ("failed", "empty_file"),
    }
    workspace = Workspace(tmp_path / "w")
    outcome, rows = run_videos(workspace, list(ends), films.settings())
    assert outcome.error == ""
    assert sum(outcome.counts.values()) == len(ends)
    assert {url: (row["status"], row["reason"]) for url, row in zip(ends, rows, strict=True)} == ends
    assert workspace.read_table("download.parquet").schema == table_schema(ITEMS_SCHEMA)
    for row in rows:
        location = [row[name] for name in ("media", "offset", "size", "ext")]
        assert all(value is not None for value in location) == (row["status"] == "kept")
        assert (row["item_id"] is None) == (row["stored_sha256"] is None)


def test_fetched_videos_lie_in_the_media_tar(films: VideoSite, store_url: str) -> None:
    workspace = Workspace(store_url)
    urls = [films.url(path) for path in ("images/large.mp4", "images/named.jpg", "redirect/a.mp4")]
    _, rows = run_videos(workspace, urls, films.settings())
    contents = dict(read_contents(workspace.store, workspace.read_table("download.parquet")))
    for place, data in enumerate((films.large, films.real, films.real)):
        row = rows[place]
        assert contents[place] == data
        assert row["item_id"] == item_id(data)
        assert row["downloaded_sha256"] == row["stored_sha256"] == hashlib.sha256(data).digest()
        assert (row["downloaded_bytes"], row["size"], row["ext"]) == (len(data), len(data), "mp4")
        assert (row["http_status"], row["attempts"], row["detail"]) == (200, 1, "")
    assert rows[1]["offset"] == rows[2]["offset"], "the same bytes lie there once"
    assert index_tar(workspace.store, rows[0]["media"]).members.num_rows == 2


def test_videos_in_a_folder_or_a_bucket_stay_where_they_are(films: VideoSite, tmp_path: Path) -> None:
    with fsspec.open("memory://bucket/deep/B.WEBM", "wb") as file:
        file.write(b"12345")
    urls = [str(films.www / "large.mp4"), "memory://bucket/deep/B.WEBM"]
    _, rows = run_videos(Workspace(tmp_path), urls, films.settings())
    places = [(row["media"], row["offset"], row["size"], row["ext"]) for row in rows]
    assert places == [(urls[0], 0, LARGE_BYTES, "mp4"), (urls[1], 0, 5, "webm")]
    assert {row[name] for row in rows for name in ("item_id", "downloaded_sha256", "http_status", "attempts")} == {None}
    assert not (tmp_path / "media").exists()


def test_the_rows_of_one_video_are_served_by_one_fetch(films: VideoSite, tmp_path: Path) -> None:
    films.serving.reset()
    video, local = films.url("images/a.mp4"), str(films.www / "a.mp4")
    gone = films.url("status/404/x")
    _, rows = run_videos(Workspace(tmp_path), [video, local, video, gone, video, local, gone], films.settings())
    assert rows[0] == rows[2] == rows[4]
    assert rows[1] == rows[5]
    assert rows[3] == rows[6]
    assert films.serving.requests() == {"/images/a.mp4": 1, "/status/404/x": 1}


def run_alone(
    folder: Path, temporary: Path, url: str, settings: VideoDownloadSettings
) -> tuple[Outcome, list[dict[str, Any]]]:
    """`run_videos` in a process whose temporary files lie elsewhere."""
    tempfile.tempdir = str(temporary)
    fetch_run.keep_freed_blocks = lambda: None  # takes 8 MiB for a moment
    return run_videos(Workspace(folder), [url], settings)


def test_a_large_video_needs_no_memory_and_leaves_no_file(films: VideoSite, tmp_path: Path) -> None:
    (temporary := tmp_path / "temporary").mkdir()
    small = (tmp_path / "warm", temporary, films.url("images/a.mp4"), films.settings())
    large = (tmp_path / "w", temporary, films.url("images/large.mp4"), films.settings())
    (outcome, rows), peak = traced(run_alone, *large, warm=small)
    assert outcome.counts == {"kept/": 1}
    assert rows[0]["size"] == LARGE_BYTES
    assert 0 < peak < 4 * MIB
    assert list(temporary.iterdir()) == []


class AwayFileSystem(AbstractFileSystem):
    """A store whose server is away."""

    protocol = "away"

    def info(self, path: str, **options: Any) -> dict[str, Any]:
        raise ConnectionError("no route")


def test_storage_that_is_down_is_no_fault_of_a_row(films: VideoSite, tmp_path: Path) -> None:
    fsspec.register_implementation("away", AwayFileSystem, clobber=True)
    urls = [str(films.www / "a.mp4"), "away://bucket/a.mp4"]
    outcome, _ = run_videos(Workspace(tmp_path), urls, films.settings())
    assert outcome.error == "StorageError: away://bucket/a.mp4: no route"


def test_a_full_temporary_folder_is_no_fault_of_a_row(films: VideoSite, tmp_path: Path) -> None:
    settings = films.settings().model_copy(
        update={"spool_folder": str(tmp_path / "absent"), "spool_threshold_bytes": 100}
    )
    outcome, _ = run_videos(Workspace(tmp_path / "w"), [films.url("images/a.mp4")], settings)
    assert outcome.error.startswith("StorageError: ")
    assert "absent: the temporary file of a download" in outcome.error
    assert not (tmp_path / "w/media").exists() or list((tmp_path / "w/media").rglob("*.tar")) == []


# Settings


def test_the_limits_are_made_for_videos() -> None:
    settings = VideoDownloadSettings().fetch
    assert (settings.total_timeout_s, settings.max_bytes, settings.read_timeout_s) == (600, 2 * 2**30, 10)
    assert VideoDownloadSettings.model_validate({"fetch": {"max_attempts": 5}}).fetch.total_timeout_s == 600


def test_more_than_a_tar_takes_is_refused() -> None:
    assert parse_settings({"fetch": {"max_bytes": MAX_BYTES}}, VideoDownloadSettings).fetch.max_bytes == 2**33 - 1
    with pytest.raises(SettingsError, match="max_bytes"):
        parse_settings({"fetch": {"max_bytes": 2**33}}, VideoDownloadSettings)


def test_only_what_changes_the_videos_is_part_of_the_fingerprint() -> None:
    plain = DownloadVideos(VideoDownloadSettings()).fingerprint_inputs()
    patient = {
        "fetch": {"total_timeout_s": 9, "concurrency": 2},
        "spool_threshold_bytes": 1,
        "spool_folder": "elsewhere",
    }
    assert DownloadVideos(VideoDownloadSettings.model_validate(patient)).fingerprint_inputs() == plain
    smaller = VideoDownloadSettings.model_validate({"fetch": {"max_bytes": 1000}})
    assert DownloadVideos(smaller).fingerprint_inputs() != plain


# Containers
