"""Stage `download`: the URLs of a shard become items in a media tar, or rows that say why not."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar, Literal

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from corpus.image.encode import reencode
from corpus.image.header import sniff
from corpus.image.limits import HEADER_REASONS, JPEG_MAX_SIDE_PX, UNDECODABLE, ImageLimits, reject_reason
from corpus.image.stock_reader import UndecodableError, error_message
from corpus.journal import Journal
from corpus.media import MediaWriter
from corpus.schema import LOCATION_FIELDS, SHA256, Status, id_of_digest, table_schema
from corpus.settings import Settings, tuning
from corpus.stage import ITEMS, ROWS, Gives, MapStage, Resources, Shard, SourceInfo
from pipelines.fetch import ROW_REASONS, Fetched, FetchSettings, fetch


class ReencodeSettings(Settings):
    """Resize and re-encode at download. The default keeps all that 1280 visual tokens of 28×28 pixels can show."""

    longest_side_px: int = Field(
        1024,
        ge=1,
        le=JPEG_MAX_SIDE_PX,
        description="The longest side of a stored image; larger ones are shrunk, smaller and animated ones stay as "
        "they came.",
    )
    jpeg_quality: int = Field(90, ge=1, le=100, description="The quality of the JPEG that is written.")


class DownloadSettings(ImageLimits):
    """Settings of the download of images."""

    backend: Literal["fetch", "img2dataset"] = Field(
        "fetch",
        description="Who downloads. img2dataset connects to any address that a URL, a redirect or DNS leads to, "
        "in this machine's own network as well: `fetch.private_allowlist` does not apply. It is for "
        "trusted URLs only.",
    )
    fetch: FetchSettings = Field(FetchSettings(), description="Deadlines, limits and politeness of downloads.")
    reencode: ReencodeSettings | None = Field(
        None, description="How images are re-encoded before they are stored; null stores their bytes as they came."
    )
    reencode_threads: int = tuning(2, ge=1, description="Threads that re-encode images.")


@dataclass(frozen=True, slots=True)
class Stored:
    """The result of a row's URL. `sha256` is of the downloaded bytes, before any re-encode."""

    status: str
    reason: str
    item_id: bytes | None = None
    media: str | None = None
    offset: int | None = None
    size: int | None = None
    ext: str | None = None
    downloaded_sha256: bytes | None = None
    stored_sha256: bytes | None = None
    downloaded_bytes: int | None = None
    orientation: int | None = None  # EXIF, of the stored bytes: 1 where a re-encode applied it
    http_status: int | None = None
    attempts: int | None = None
    detail: str = ""


ITEMS_SCHEMA = pa.schema(
    [
        *LOCATION_FIELDS,
        pa.field("downloaded_sha256", SHA256),
        pa.field("stored_sha256", SHA256),
        pa.field("downloaded_bytes", pa.int64()),
        pa.field("orientation", pa.int8()),
        pa.field("http_status", pa.int16()),
        pa.field("attempts", pa.int16()),
        pa.field("detail", pa.string()),
    ]
)

# What the journal has of each URL: its item with the bytes.
_JOURNAL_SCHEMA = pa.schema(
    [
        pa.field("url", pa.string()),
        *[field for field in table_schema(ITEMS_SCHEMA) if field.name != "media"],
        pa.field("content", pa.large_binary()),
    ]
)


class Download(MapStage):
    """Fetches a shard's URLs with the project's own fetcher."""

    name = "download"
    reads = (ROWS,)
    settings_key = "download"
    settings_type = DownloadSettings
    over = frozenset({Gives.IMAGES})
    over_evaluation = True
    summary = "where the bytes lie, with digests before and after a re-encode; or why there are none"
    reasons = {**ROW_REASONS, **HEADER_REASONS, **UNDECODABLE}
    roles = (ITEMS,)
    schema = ITEMS_SCHEMA
    nondeterministic: ClassVar[bool] = True
    writes_media: ClassVar[bool] = True
    journal_schema: ClassVar[pa.Schema | None] = _JOURNAL_SCHEMA

    def __init__(self, settings: DownloadSettings) -> None:
        super().__init__(settings)
        self._settings = settings
        # While a shard waits for its last slow servers, the next one keeps the line busy.
        self.resources = Resources(cpus=1, in_flight=2, waits_on_network=True)

    @classmethod
    def applies_to(cls, source: SourceInfo) -> bool:
        return super().applies_to(source) and not source.plug.in_place

    @classmethod
    def create(cls, source: SourceInfo) -> MapStage:
        return open_download(cls.settings_of(source))

    def setup(self) -> Callable[[Shard], pa.Table]:
        return lambda shard: download_shard(shard, partial(self.download, journal=shard.journal))

    def download(self, urls: list[str], media: MediaWriter, journal: Journal | None = None) -> list[Stored]:
        """Returns the item of each URL; images are in `media` then. What the journal has is not fetched again."""
        settings = self._settings
        known = dict(journaled_items(journal, media)) if journal is not None else {}
        remaining = [at for at, url in enumerate(urls) if url not in known]
        stored = [known.get(url) or Stored(Status.FAILED, "not_downloaded") for url in urls]

        def keep(result: tuple[int, Stored]) -> None:
            stored[result[0]] = result[1]

        def stored_with_index(fetched: Fetched) -> tuple[int, Stored]:
            at = remaining[fetched.index]
            found, data = accept_body(fetched, settings)
            placed = place_item(found, data, media)
            if journal is not None:
                note_item(journal, urls[at], placed, data)
            return at, placed

        requested = [urls[at] for at in remaining]
        if settings.reencode is None:  # quick enough to be done between network events
            fetch(requested, settings.fetch, lambda fetched: keep(stored_with_index(fetched)))
        else:
            fetch(requested, settings.fetch, keep, process=stored_with_index, threads=settings.reencode_threads)
        return stored


def open_download(settings: DownloadSettings) -> MapStage:
    """Creates the download stage with the backend that the settings name."""
    if settings.backend == "img2dataset":
        from pipelines.download.img2dataset import Img2datasetDownload

        return Img2datasetDownload(settings)
    return Download(settings)


def download_shard(shard: Shard, download: Callable[[list[str], MediaWriter], list[Stored]]) -> pa.Table:
    """Downloads each distinct URL of the live rows once; returns one row of ITEMS_SCHEMA for each live row."""
    assert shard.media is not None
    codes = pc.fill_null(shard[ROWS].column("url").combine_chunks(), "").dictionary_encode()
    return items_table(download(codes.dictionary.to_pylist(), shard.media)).take(codes.indices)


def accept_body(fetched: Fetched, settings: DownloadSettings) -> tuple[Stored, bytes]:
    """Returns the item of one download, and its bytes; these are still to be put into the media tar."""
    fields: dict[str, Any] = {
        "http_status": fetched.http_status or None,
        "attempts": fetched.attempts,
        "detail": fetched.detail,
    }
    if fetched.reason == "opted_out":
        return Stored(Status.FILTERED, fetched.reason, **fields), b""
    if fetched.reason != "ok":
        return Stored(Status.FAILED, fetched.reason, **fields), b""
    return accept_image(fetched.body, settings, fields)


def accept_image(data: bytes, settings: DownloadSettings, fields: Mapping[str, Any]) -> tuple[Stored, bytes]:
    """Checks a downloaded body by its header, and re-encodes it where settings say so. Returns its item and bytes.

    `fields` is what is known of the download: more values of `Stored`.
    """
    header, digest = sniff(data), hashlib.sha256(data).digest()
    fields = {**fields, "downloaded_sha256": digest, "downloaded_bytes": len(data)}
    if reason := reject_reason(header, settings.max_pixels, settings.max_side_px):
        return Stored(Status.FAILED, reason, **fields), b""
    ext, orientation = header.ext, header.orientation
    if settings.reencode is not None and not header.animated:  # else `quality` would see a still picture
        try:
            data, _, _ = reencode(data, settings.reencode.longest_side_px, settings.reencode.jpeg_quality, orientation)
        except UndecodableError as error:
            return Stored(Status.FAILED, error.reason, **{**fields, "detail": error_message(error)}), b""
        ext, orientation, digest = "jpg", 1, hashlib.sha256(data).digest()
    item = id_of_digest(digest)  # hashed once: it is the dearest thing done to the bytes
    fields |= {"stored_sha256": digest, "orientation": orientation}
    return Stored(Status.KEPT, "", item, size=len(data), ext=ext, **fields), data


def place_item(stored: Stored, data: bytes, media: MediaWriter) -> Stored:
    """Puts the bytes of an item into the media tar, and returns where it lies; of one that has none, the same."""
    if stored.item_id is None:
        return stored
    offset, _ = media.add(stored.item_id, stored.ext or "", data)
    return replace(stored, media=media.path, offset=offset)


def store_image(data: bytes, settings: DownloadSettings, media: MediaWriter, fields: Mapping[str, Any]) -> Stored:
    """Checks an image as `accept_image` does, and puts it into the media tar."""
    return place_item(*accept_image(data, settings, fields), media)


def note_item(journal: Journal, url: str, stored: Stored, data: bytes) -> None:
    """Notes the item of a URL in the journal."""
    values = {name: getattr(stored, name) for name in _JOURNAL_SCHEMA.names[1:-1]}
    journal.add({"url": url, **values, "content": data if stored.item_id is not None else None})


def journaled_items(journal: Journal, media: MediaWriter) -> Iterator[tuple[str, Stored]]:
    """Yields the items that earlier attempts have noted, by URL; their bytes are in the media tar then."""
    for table in journal.read():
        for row in table.to_pylist():
            url, data = row.pop("url"), row.pop("content")
            if row["item_id"] is None or hashlib.sha256(data or b"").digest() == row["stored_sha256"]:
                yield url, place_item(Stored(**row), data, media)


def items_table(stored: list[Stored]) -> pa.Table:
    """Returns a table of ITEMS_SCHEMA with `status` and `reason`, one row for each."""
    schema = table_schema(ITEMS_SCHEMA)
    return pa.table([[getattr(one, field.name) for one in stored] for field in schema], schema=schema)
