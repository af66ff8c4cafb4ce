"""Stage `download` for videos: where the bytes of each video lie. What is on the web is fetched into a media tar."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import PurePosixPath
from typing import IO, Any, ClassVar

import fsspec
import pyarrow as pa
from pydantic import Field

from corpus.media import MAX_BYTES, MediaWriter
from corpus.printable import printable
from corpus.schema import Status, id_of_digest
from corpus.settings import Settings, tuning
from corpus.stage import ITEMS, ROWS, Gives, MapStage, Resources, Shard
from corpus.storage import MissingError, Store
from pipelines.download.images import ITEMS_SCHEMA, Stored, download_shard
from pipelines.fetch import ROW_REASONS, Fetched, FetchSettings, Spool, fetch
from pipelines.sources.video_files import is_web
from video.decoding.container import HEAD_BYTES, container_of


class VideoFetchSettings(FetchSettings):
    """Settings of fetching with limits for videos. Bodies lie in temporary files on their way: the folder needs room
    for two shards of `concurrency` videos.
    """

    total_timeout_s: float = tuning(
        600.0, gt=0, description="The longest attempt, redirects included, from the first connection to the last byte."
    )
    max_bytes: int = Field(
        2 * 2**30, ge=1, le=MAX_BYTES, description="The largest video; a tar takes just under 8 GiB."
    )
    concurrency: int = tuning(
        16, ge=1, description="Downloads in flight at once in one shard; a worker has two shards in flight."
    )
    concurrency_per_host: int = tuning(4, ge=1, description="Downloads in flight at once from one host in one shard.")


class VideoDownloadSettings(Settings):
    """Settings of the download of videos on the web. Others stay where they are."""

    fetch: VideoFetchSettings = Field(
        VideoFetchSettings(), description="Deadlines, limits and politeness of downloads."
    )
    spool_threshold_bytes: int = tuning(
        2**20,
        ge=1,
        description="The bytes of a download that are held in memory; a larger one goes to a temporary file.",
    )
    spool_folder: str = tuning(
        "", description='The folder of those files; "" is the system\'s temporary folder (TMPDIR).'
    )


class DownloadVideos(MapStage):
    """Says where each video's bytes lie, and fetches those on the web. The rows of one video are served by one fetch.

    A video that lies in a folder or a bucket has no item id: nobody has read all its bytes.
    """

    name = "download"
    reads = (ROWS,)
    settings_key = "download_videos"
    settings_type = VideoDownloadSettings
    over = frozenset({Gives.CLIPS})
    over_evaluation = True
    summary = "where the video lies: in place, or downloaded"
    reasons = ROW_REASONS
    roles = (ITEMS,)
    schema = ITEMS_SCHEMA
    nondeterministic: ClassVar[bool] = True
    writes_media: ClassVar[bool] = True

    def __init__(self, settings: VideoDownloadSettings) -> None:
        super().__init__(settings)
        self._settings = settings
        # While a shard waits for its last slow servers, the next one keeps the line busy.
        self.resources = Resources(cpus=1, in_flight=2, waits_on_network=True)

    def setup(self) -> Callable[[Shard], pa.Table]:
        return lambda shard: download_shard(shard, lambda urls, media: self.locate(urls, media, shard.store))

    def locate(self, urls: list[str], media: MediaWriter, store: Store) -> list[Stored]:
        """Finds where each video lies: in `media`, where it was fetched, or at its URL, which `store` can read."""
        placed = [in_place(url, store) for url in urls]
        requested = [at for at, found in enumerate(placed) if found is None]
        stored = [found or Stored(Status.FAILED, "not_downloaded") for found in placed]

        def keep(result: tuple[int, Stored]) -> None:
            stored[requested[result[0]]] = result[1]

        def stored_with_index(fetched: Fetched) -> tuple[int, Stored]:
            return fetched.index, store_fetched(fetched, media)

        spool = Spool(self._settings.spool_threshold_bytes, self._settings.spool_folder or None)
        # In a thread: what has come is copied while more comes. The tar takes one at a time.
        fetch(
            [urls[at] for at in requested],
            self._settings.fetch,
            keep,
            process=stored_with_index,
            threads=1,
            spool=spool,
        )
        return stored


def in_place(url: str, store: Store) -> Stored | None:
    """Returns the item of a video that can be read where it lies, or why not; None for one that has to be fetched.

    Raises StorageError where storage cannot be asked.
    """
    if not url or is_web(url):
        return None
    scheme = url.partition("://")[0].rpartition("::")[2] if "://" in url else "file"
    try:
        fsspec.get_filesystem_class(scheme)
    except ValueError:  # nobody knows such
        return Stored(Status.FAILED, "unsupported_scheme", detail=printable(scheme))
    try:
        size = store.size(url)
    except MissingError as error:
        return Stored(Status.FAILED, "missing_file", detail=printable(str(error)))
    if not size:
        return Stored(Status.FAILED, "empty_file")
    ext = PurePosixPath(url).suffix.lower().removeprefix(".")
    return Stored(Status.KEPT, "", media=url, offset=0, size=size, ext=ext)


def store_fetched(fetched: Fetched, media: MediaWriter) -> Stored:
    """Returns the item of one download; a video is in the media tar then."""
    fields: dict[str, Any] = {
        "http_status": fetched.http_status or None,
        "attempts": fetched.attempts,
        "detail": fetched.detail,
    }
    body = fetched.spooled
    if fetched.reason == "opted_out":
        return Stored(Status.FILTERED, fetched.reason, **fields)
    if fetched.reason != "ok" or body is None:
        return Stored(Status.FAILED, fetched.reason, **fields)
    fields |= {"downloaded_sha256": body.sha256, "downloaded_bytes": body.size}
    ext = _container(body.file)
    if not ext:
        fields["detail"] = fetched.content_type
        return Stored(Status.FAILED, "not_a_video" if body.size else "empty_file", **fields)
    item = id_of_digest(body.sha256)
    offset, size = media.add_file(item, ext, body.file, body.size)
    return Stored(Status.KEPT, "", item, media.path, offset, size, ext, stored_sha256=body.sha256, **fields)


def _container(file: IO[bytes]) -> str:
    ext = container_of(file.read(HEAD_BYTES))
    file.seek(0)
    return ext
