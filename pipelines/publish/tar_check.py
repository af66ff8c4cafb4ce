"""Checks a tar of a corpus: its digests, and every sample in it.

The samples are read by the built-in reader, or as their users read them: by the library webdataset, which is an extra.
"""

from __future__ import annotations

import hashlib
import importlib.util
import io
import json
import re
import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import IO, Any

import numpy as np

from corpus.image.decode import Pixels
from corpus.image.stock_reader import UndecodableError, decoder_errors, error_message
from corpus.schema import Modality
from corpus.storage import Store
from corpus.tars import TarReader
from pipelines.publish.images import check_image, stock_pixels
from pipelines.publish.sample_schema import clip_sides, inspected_images, json_faults, named_media
from video.budget import Budget
from video.decoding.integrity import mp4_error

_CHUNK_BYTES = 1 << 20
_MAX_WORK_S = 600.0  # on a video
_MAX_MEMBER_BYTES = 1 << 31  # a member is held in memory


class Reader(StrEnum):
    """The reader of the tars."""

    BUILTIN = "builtin"
    WEBDATASET = "webdataset"


@dataclass
class TarReport:
    """The report on a tar: counts, keys and groups of its samples, and faults."""

    path: str
    samples: int = 0
    images: int = 0
    videos: int = 0
    damaged: int = 0
    size: int = 0
    keys: list[bytes] = field(default_factory=list)
    groups: list[str] = field(default_factory=list)  # of each sample, in order
    clustered: int = 0
    faults: list[str] = field(default_factory=list)

    def fault(self, what: str, key: str = "") -> None:
        """Adds a fault of the tar, or of the sample with this key."""
        self.faults.append(f"{self.path}: {key}: {what}" if key else f"{self.path}: {what}")


def check_tar(
    store: Store, reader: Reader, fast: bool, name: str, entry: Mapping[str, Any], shard: Mapping[str, Any]
) -> TarReport:
    """Reads a tar (`shard`, an entry of the manifest) of the dataset `name`, and checks it. `fast`: see `verify`."""
    report = TarReport(f"{name}/{shard['name']}")
    with store.open(report.path) as file:
        digested = _DigestingReader(file)
        tar = TarReader(digested, digested.length)
        builtin = reader == Reader.BUILTIN
        samples = _read_samples(tar, report) if builtin else webdataset_samples(digested, report.path)
        decode = stock_pixels if builtin else webdataset_pixels
        try:
            for key, members in samples:
                report.samples += 1
                sample = _check_sample(report, name, entry, key, members, decode, fast)
                report.groups.append(sys.intern(sample.get("group", "")))
        except EOFError as error:
            report.fault(f"not a complete tar: {error}")
        if tar.fault:
            report.fault(f"not a complete tar: {tar.fault}")
        digested.seek(digested.length)
    report.size = digested.size
    for what in ("sha256", "md5"):
        if digested.digests[what].hexdigest() != shard[what]:
            report.fault(f"its {what} is not the manifest's")
    for what, is_now in (("samples", report.samples), ("bytes", report.size)):
        if is_now != shard[what]:
            report.fault(f"{is_now} {what}, {shard[what]} in the manifest")
    return report


class _DigestingReader:
    """A file that is hashed while it is read, which only goes forwards. `size`: the bytes that were read."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.digests = {"sha256": hashlib.sha256(), "md5": hashlib.md5(usedforsecurity=False)}
        self.size = 0
        self.length = file.seek(0, io.SEEK_END)
        file.seek(0)

    def read(self, size: int) -> bytes:
        data = self._file.read(size)
        self.size += len(data)
        for digest in self.digests.values():
            digest.update(data)
        return data

    def seek(self, offset: int) -> int:
        """Reads forward to `offset`, or to the end of the file."""
        while self.size < offset and self.read(min(_CHUNK_BYTES, offset - self.size)):
            pass
        return self.size


def _read_samples(tar: TarReader, report: TarReport) -> Iterator[tuple[str, list[tuple[str, bytes]]]]:
    """Yields the samples, as runs of members with one key: the key, and (field, bytes) of each readable member."""
    current, members = "", list[tuple[str, bytes]]()
    for member in tar:
        key, _, name = member.name.partition(".")
        if key != current and members:
            yield current, members
            members = []
        current = key
        if member.fault:
            report.fault(f"{name}: {member.fault}: {member.detail}", key)
        elif member.size > _MAX_MEMBER_BYTES:
            report.fault(f"{name}: {member.size} bytes, {_MAX_MEMBER_BYTES} are read at most", key)
        else:
            members.append((name, tar.content(member)))
    if members:
        yield current, members


def _check_sample(
    report: TarReport,
    name: str,
    entry: Mapping[str, Any],
    key: str,
    members: Sequence[tuple[str, bytes]],
    decode: Callable[[bytes], Pixels],
    fast: bool,
) -> dict[str, Any]:
    """Records the faults of a sample; returns its JSON, empty if it can't be used."""
    if not re.fullmatch(r"[0-9a-f]{32}", key):
        report.fault("not a key: 32 lower-case hexadecimal digits", key)
    else:
        report.keys.append(bytes.fromhex(key))
    fields = [field for field, _ in members]
    if fields != entry["fields"]:
        report.fault(f"members {fields}, expected {entry['fields']}", key)
    clips = clip_sides(entry["fields"][1:]) if entry["modality"] == Modality.CLIP else ()
    sample = _read_json(report, key, dict(members).get("json", b""), clips)
    inspected = inspected_images(sample) if sample else {}
    for field_name, content in members:
        if field_name.endswith(".jpg"):
            report.images += 1
            image = check_image(content, *inspected.get(field_name, ("", False)), decode)
            report.damaged += image.damaged
            if image.fault:
                report.fault(f"{field_name} {image.fault}", key)
        elif field_name.endswith(".mp4"):
            report.videos += 1
            if why := unplayable(content, can_open_videos(), fast):
                report.fault(f"{field_name} does not play: {why}", key)
    if not sample:
        return {}
    expected = {"pair_id": key, "dataset": name, "task": entry["task"], "stage": entry["stage"]}
    for what, value in expected.items():
        if sample[what] != value:
            report.fault(f"{what} is {sample[what]!r}, expected {value!r}", key)
    if len(sample["negatives"]) != entry["negatives"]:
        report.fault(f"{len(sample['negatives'])} negatives, expected {entry['negatives']}", key)
    report.clustered += bool(sample["query_cluster"] or sample["positive_cluster"])
    if named_media(sample) != fields[1:]:
        report.fault(f"json names the media {named_media(sample)}, but its members are {fields[1:]}", key)
    return sample


def _read_json(report: TarReport, key: str, content: bytes, clips: Collection[str]) -> dict[str, Any]:
    """Parses a sample's JSON; empty, with faults in the report, if it can't be used."""
    try:
        sample = json.loads(content)
    except ValueError as error:
        report.fault(f"json can't be read: {error}", key)
        return {}
    faults = json_faults(sample, clips)
    for what in faults:
        report.fault(what, key)
    return {} if faults else sample


def can_open_videos() -> bool:
    """Returns whether PyAV is installed; without it only the first bytes of a video are checked."""
    return importlib.util.find_spec("av") is not None


def unplayable(content: bytes, opened: bool, first_frame: bool = False) -> str:
    """Returns why an mp4 can't be played; "" for a sound one.

    `opened`: all its packets must decode, or, with `first_frame`, those up to its first frame. Else it must only begin
    as an mp4 does, with a box `ftyp` (ISO/IEC 14496-12, 4.3).
    """
    if content[4:8] != b"ftyp":
        return "it does not begin with a box ftyp"
    return mp4_error(content, Budget(_MAX_WORK_S), first_frame) if opened else ""


def require_webdataset() -> None:
    """Raises ImportError, with what to do, where webdataset is not installed."""
    if importlib.util.find_spec("webdataset") is None:
        raise ImportError("the reader webdataset is an extra: pip install 'rzen-corpus[webdataset]'")


def webdataset_samples(file: Any, url: str) -> Iterator[tuple[str, list[tuple[str, bytes]]]]:
    """Yields the samples of a tar by webdataset: the key, and (field, bytes) of each member.

    Raises EOFError for a tar that the library can't read.
    """
    import webdataset as wds

    members = wds.tariterators.tar_file_expander([{"url": url, "stream": file}])
    try:
        for sample in wds.tariterators.group_by_keys(members):
            yield sample["__key__"], [(name, data) for name, data in sample.items() if not name.startswith("__")]
    except Exception as error:
        message = next((str(part) for part in error.args if isinstance(part, str)), "")  # others are streams and URLs
        raise EOFError(f"{type(error).__name__}: {message}") from error


def webdataset_pixels(content: bytes) -> Pixels:
    """Decodes an image to RGB pixels (height, width, 3) by webdataset's `.decode("pil")`.

    Raises UndecodableError with Pillow's message.
    """
    import webdataset as wds

    with decoder_errors():
        try:
            [sample] = wds.decode("pil")([{"__key__": "", "jpg": content}])
        except wds.autodecode.DecodingError as error:
            raise UndecodableError(
                error_message(error.__cause__ if isinstance(error.__cause__, Exception) else error)
            ) from error
        return np.asarray(sample["jpg"])
