"""Stage `index`: finds the image of each row of source `img2dataset` in the tars."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace

import pyarrow as pa

from corpus.image.header import sniff
from corpus.image.limits import HEADER_REASONS, JPEG_MAX_SIDE_PX, PILLOW_MAX_PIXELS, UNDECODABLE, reject_reason
from corpus.media import read_contents
from corpus.printable import printable
from corpus.schema import Status, id_of_digest
from corpus.settings import Settings
from corpus.stage import ITEMS, ROWS, Gives, MapStage, Shard, SourceInfo
from corpus.storage import Store
from corpus.tars import index_tar
from pipelines.download.images import ITEMS_SCHEMA, Stored, items_table
from pipelines.sources.img2dataset import SHA256_HEX

_IMAGE_ENDINGS = {"jpg", "jpeg", "png", "webp"}
_READ = ["tar", "missing", "key", "download_status", "download_error", "download_sha256"]
_NO_MEMBER = Stored(Status.FAILED, "no_member")
_MAX_NAMES = 3  # names in a detail
_MAX_IMAGE_BYTES = 1 << 28  # which are in memory at once

Range = tuple[int, int]  # offset and size in a tar


class IndexTars(MapStage):
    """Records where each row's image lies in its tar, and the id of its bytes. Reads every byte once, copies none."""

    name = "index"
    reads = (ROWS,)
    over = frozenset({Gives.IMAGES})
    over_evaluation = True
    summary = "where the bytes lie in the existing tars; nothing is copied"
    reasons = {
        **HEADER_REASONS,
        **UNDECODABLE,
        "filtered_by_img2dataset": "outside the sizes that its user had set",
        "download_failed": "img2dataset recorded an error that is none of those of a download here",
    }
    roles = (ITEMS,)
    schema = ITEMS_SCHEMA

    def __init__(self, settings: Settings | None = None) -> None:
        super().__init__(settings or Settings())

    @classmethod
    def applies_to(cls, source: SourceInfo) -> bool:
        return super().applies_to(source) and source.plug.in_place

    def setup(self) -> Callable[[Shard], pa.Table]:
        return index_rows


def index_rows(shard: Shard) -> pa.Table:
    """Makes ITEMS_SCHEMA of the live rows. Rows fail that img2dataset failed, and those without a complete image."""
    rows = shard[ROWS].select(_READ).to_pylist()
    tars: dict[str, _Tar] = {}
    stored: list[Stored] = []
    located: list[tuple[int, str, Range]] = []  # place among the rows, and where the image lies
    for place, row in enumerate(rows):
        if row["download_status"] != "success":
            stored.append(failed_row(row["download_status"], row["download_error"]))
            continue
        tar = row["tar"]
        if row["missing"]:
            stored.append(Stored(Status.FAILED, "missing_archive", detail=row["missing"]))
            continue
        if tar not in tars:
            tars[tar] = _read_tar(shard.store, tar)
        image = tars[tar].find(row["key"])
        if isinstance(image, Stored):
            stored.append(image)
        else:
            stored.append(_NO_MEMBER)  # until its bytes were read
            located.append((place, tar, image))
    locations = pa.table(
        {
            "media": pa.array([tar for _, tar, _ in located], pa.string()),
            "offset": pa.array([offset for _, _, (offset, _) in located], pa.int64()),
            "size": pa.array([size for _, _, (_, size) in located], pa.int64()),
        }
    )
    for at, data in read_contents(shard.store, locations):
        place, tar, (offset, size) = located[at]
        stored[place] = _item_of(data, tar, offset, size, rows[place]["download_sha256"])
    return items_table(stored)


@dataclass(frozen=True)
class _Tar:
    """The images in a tar by their keys: by full names, and by the last parts of these."""

    by_name: dict[str, _Image]
    by_last_part: dict[str, dict[str, _Image]]  # last part -> full name -> image
    fault: str  # why it can't be read further

    def find(self, key: str) -> Range | Stored:
        """Finds where the image of a key lies, or the outcome of a row that has none.

        Tars that were packed again have `./KEY.jpg` or `images/train/KEY.jpg`.
        """
        if key in self.by_name:
            return self.by_name[key].place
        candidates = self.by_last_part.get(key, {})
        if len(candidates) == 1:
            return next(iter(candidates.values())).place
        if candidates:
            names = ", ".join(sorted(candidates)[:_MAX_NAMES])
            return Stored(Status.FAILED, "ambiguous_member", detail=f"{len(candidates)} images of key {key!r}: {names}")
        if self.fault:
            return Stored(Status.FAILED, "damaged_archive", detail=f"no image of key {key!r}; {self.fault}")
        present = ", ".join(repr(image.name) for image in list(self.by_name.values())[:_MAX_NAMES]) or "none"
        return replace(_NO_MEMBER, detail=f"no image of key {key!r} in the tar; of its images the first are {present}")


@dataclass(frozen=True)
class _Image:
    """An image in a tar."""

    name: str
    place: Range | Stored


def _read_tar(store: Store, path: str) -> _Tar:
    index = index_tar(store, path)
    tar = _Tar({}, {}, index.fault)
    for member in index.members.to_pylist():
        key, _, ending = member["name"].removeprefix("./").rpartition(".")
        if ending.lower() not in _IMAGE_ENDINGS:
            continue
        place: Range | Stored = (member["offset"], member["size"])
        if member["fault"]:
            place = Stored(Status.FAILED, member["fault"], detail=f"{member['name']}: {member['detail']}")
        elif member["size"] > _MAX_IMAGE_BYTES:
            place = Stored(Status.FAILED, "too_large", detail=f"{member['name']}: {member['size']} bytes")
        tar.by_name[key] = _Image(member["name"], place)  # the last one of a name counts, complete or not
        tar.by_last_part.setdefault(key.rpartition("/")[2], {})[key] = tar.by_name[key]
    return tar


def _item_of(data: bytes, tar: str, offset: int, size: int, recorded_sha256: str) -> Stored:
    """Makes the item of an image in a tar. `download_sha256` is of the download, "" where it is unknown."""
    header = sniff(data)
    digest = hashlib.sha256(data).digest()
    downloaded = bytes.fromhex(recorded_sha256) if SHA256_HEX.fullmatch(recorded_sha256) else digest
    if reason := reject_reason(header, PILLOW_MAX_PIXELS, JPEG_MAX_SIDE_PX):
        return Stored(Status.FAILED, reason, downloaded_sha256=downloaded)
    return Stored(
        Status.KEPT,
        "",
        id_of_digest(digest),
        tar,
        offset,
        size,
        header.ext,
        downloaded_sha256=downloaded,
        stored_sha256=digest,
        orientation=header.orientation,
    )


# Words in the errors that img2dataset records (its own, urllib's and the system's), and the reason for each.
_REASONS = (
    ("disallowed by X-Robots-Tag", "opted_out"),
    ("is not allowed", "unsupported_scheme"),  # a redirect to file:// and the like
    ("unknown url type: '", "bad_url"),  # has no scheme
    ("unknown url type", "unsupported_scheme"),
    ("no host given", "bad_url"),
    ("can't contain control characters", "bad_url"),
    ("codec can't encode", "bad_url"),
    ("infinite loop", "redirect_loop"),
    ("timed out", "timeout"),
    ("IncompleteRead", "truncated"),
    ("Connection refused", "connection_failed"),
    ("unreachable", "connection_failed"),
    ("Connection reset", "connection_reset"),
    ("closed connection without response", "connection_reset"),
    ("Name or service not known", "dns_failed"),
    ("No address associated", "dns_failed"),
    ("name resolution", "dns_timeout"),
    ("SSL: ", "tls_failed"),
)
# Images outside the sizes that its user had set.
_FILTERED = ("image too small", "image area too large", "aspect ratio too large")


def failed_row(status: str, error: str) -> Stored:
    """Makes the outcome of a row that img2dataset failed, of its `status` and `error_message`."""
    detail = printable(" ".join(error.split()))
    if status == "failed_to_resize":
        if error in _FILTERED:
            return Stored(Status.FILTERED, "filtered_by_img2dataset", detail=detail)
        return Stored(Status.FAILED, "undecodable", detail=detail)
    reason = next((reason for words, reason in _REASONS if words in error), "")
    number = error.removeprefix("HTTP Error ")[:3]
    if error.startswith("HTTP Error ") and number.isascii() and number.isdecimal():
        return Stored(Status.FAILED, reason or f"http_{number}", http_status=int(number), detail=detail)
    if reason == "opted_out":
        return Stored(Status.FILTERED, reason, detail=detail)
    return Stored(Status.FAILED, reason or "download_failed", detail=detail)
