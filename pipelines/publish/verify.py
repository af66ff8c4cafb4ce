"""Verifying a corpus: everything that it promises is read again. The corpus needs nothing but itself for this.

Also whether what it calls an image or a video is one, and whether an image shows what was judged.
"""

from __future__ import annotations

import hashlib
import importlib.util
import io
import json
import os
import re
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from enum import StrEnum
from typing import IO, Any

import numpy as np

from corpus.image.decode import Pixels
from corpus.image.stock_reader import UndecodableError
from corpus.item_ids import first_of_run, join_id
from corpus.schema import Modality
from corpus.storage import Store
from corpus.tars import TarReader
from pipelines.publish.checkpoint import Tar, list_files
from pipelines.publish.manifest import (
    BLEND,
    INDEX,
    MANIFEST,
    ManifestError,
    energon_blend,
    listed_files,
    read_manifest,
    wids_index,
)
from pipelines.publish.pictures import judged_as, near, shown_hash, stock_picture
from pipelines.publish.sample import clip_sides, judged_pictures, named_media, wrong_json
from pipelines.publish.webdataset_reader import require_webdataset, webdataset_picture, webdataset_samples
from video.budget import Budget
from video.decoding.integrity import mp4_error

_CHUNK_BYTES = 1 << 20
_FLAT = 3.0  # standard deviation of grey levels below which a picture's hash is one of its noise
_MOST_WORK_S = 600.0  # on a video
_MOST_BYTES = 1 << 31  # of a member, which is held as a whole
_OF_ENERGON = re.compile(r"(.*/)?\.nv-meta/.*|.*\.tar\.idx")  # what `energon prepare` adds
_FRAME, _VIDEO = re.compile(r"\w+\.frame_\d\d+\.jpg"), re.compile(r"\w+\.mp4")


@dataclass(frozen=True)
class Verified:
    """The result of verifying a corpus. Each fault names the file, the sample and what is wrong."""

    faults: list[str]
    tars: int = 0
    samples: int = 0
    images: int = 0
    bytes: int = 0
    videos: int = 0
    damaged: int = 0  # JPEGs whose damage looks different at the fraction of their size at which they were judged
    opened: bool = True  # videos were decoded; else only their first bytes were looked at
    fast: bool = False  # of videos only the first frame was decoded

    def summary(self) -> str:
        """A line of text that counts what was read."""
        counts = [f"{self.tars:,} tars", f"{self.samples:,} samples", f"{self.images:,} images"]
        if self.videos:
            decoded = "first frame of each decoded" if self.fast else "each decoded to its last frame"
            how = decoded if self.opened else "not opened: PyAV is not installed"
            counts.append(f"{self.videos:,} videos ({how})")
        if self.damaged:
            counts.append(f"{self.damaged:,} damaged JPEGs that look different at full size")
        return ", ".join([*counts, f"{self.bytes:,} bytes"])


class Reader(StrEnum):
    """What reads the tars."""

    OWN = "own"
    WEBDATASET = "webdataset"  # the library, which is an extra


def verify(corpus: str, workers: int = 0, reader: Reader = Reader.OWN, fast: bool = False) -> Verified:
    """Read every byte of a corpus and hold it against its manifest and against what every corpus promises.

    Digests, sizes and counts; unique keys; the same members in every sample of a dataset, as its modality wants them;
    JSON of the promised shape; images and frames that decode to the last pixel, and show what was judged; videos of
    which every packet of pictures and sound decodes, and that have as many frames as their headers count; groups that
    are whole; shards of equal size, none of them empty; indexes; no file too many; a funnel that adds up.

    `fast`: of videos nothing is decoded but the first frame, so damage behind it is not found. `workers` threads (0:
    one for each core) hold one sample each. With another `reader`, that library finds the samples and decodes the
    images; ImportError if it is not there.
    """
    if reader == Reader.WEBDATASET:
        require_webdataset()
    store = Store(corpus)
    try:
        manifest = read_manifest(store)
    except ManifestError as error:
        return Verified([f"{MANIFEST}: {fault}" for fault in error.faults])
    if manifest is None:
        return Verified([f"{MANIFEST}: there is none: the corpus does not exist, or was not finished"])
    present = list_files(store)
    faults = [*_wrong_files(store, manifest, present), *_wrong_counts(manifest)]
    jobs = [
        (name, entry, shard)
        for name, entry in manifest["datasets"].items()
        for shard in entry["shards"]
        if f"{name}/{shard['name']}" in present
    ]
    with ThreadPoolExecutor(workers or os.cpu_count()) as pool, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's, of images that it reads nevertheless
        found = list(pool.map(lambda job: _read_tar(store, reader, fast, *job), jobs))
    faults += [fault for tar in found for fault in tar.faults]
    faults += [*_repeated_keys(found), *_torn_groups(found), *_wrong_clusters(manifest, found)]
    totals = {what: sum(getattr(tar, what) for tar in found) for what in ("samples", "images", "videos", "damaged")}
    size = sum(tar.size for tar in found)
    return Verified(faults, len(found), bytes=size, opened=can_open_videos(), fast=fast, **totals)


def _wrong_files(store: Store, manifest: Mapping[str, Any], present: set[str]) -> Iterator[str]:
    files = {file["name"]: file for file in manifest["files"]}
    listed = listed_files(manifest)
    for path in sorted(present - listed - {MANIFEST}):
        if not _OF_ENERGON.fullmatch(path):
            yield f"{path}: not listed in the manifest"
    for path in sorted(listed - present):
        yield f"{path}: listed in the manifest, but it is not there"
    for path in sorted(set(files) & present):
        data = store.read(path)
        if hashlib.sha256(data).hexdigest() != files[path]["sha256"]:
            yield f"{path}: its sha256 is not the manifest's"
        elif path == BLEND and data != energon_blend(manifest["datasets"]):
            yield f"{path}: does not blend the manifest's datasets by its weights"
    for name, entry in manifest["datasets"].items():
        path = f"{name}/{INDEX}"
        if path in present and store.read(path) != wids_index(name, entry["shards"]):
            yield f"{path}: does not list the manifest's shards"


def _wrong_counts(manifest: Mapping[str, Any]) -> Iterator[str]:
    for name, entry in manifest["datasets"].items():
        where, sizes = f"{MANIFEST}: {name}", [shard["samples"] for shard in entry["shards"]]
        if [shard["name"] for shard in entry["shards"]] != [Tar.named(name, number) for number in range(len(sizes))]:
            yield f"{where}: the names of its shards are not consecutive"
        if not _fits_modality(entry["modality"], entry["fields"][1:]):
            yield f"{where}: of modality {entry['modality']}, but its media are {entry['fields'][1:]}"
        if sum(sizes) != entry["samples"]:
            yield f"{where}: {entry['samples']} samples, but {sum(sizes)} in its shards"
        if not sizes or min(sizes) < 1:
            yield f"{where}: an empty shard, or none at all"
        elif len(set(sizes[:-1])) > 1 or sizes[-1] > sizes[0]:
            yield f"{where}: shards of {sorted(set(sizes))} samples: only the last may be smaller"
    for source, counts in manifest["funnel"].items():
        removed = sum(rows for reasons in counts["removed"].values() for rows in reasons.values())
        if counts["rows_in"] != counts["kept"] + removed:
            yield (
                f"{MANIFEST}: funnel of {source}: {counts['rows_in']} rows in, but {counts['kept']} kept and "
                f"{removed} removed"
            )


def _fits_modality(modality: str, fields: Sequence[str]) -> bool:
    """Whether samples of a dataset can have these media: clips are frames or mp4, and nothing else is an mp4."""
    if modality == Modality.CLIP:
        return bool(fields) and all(_FRAME.fullmatch(name) or _VIDEO.fullmatch(name) for name in fields)
    return not (fields if modality == Modality.TEXT else [name for name in fields if _VIDEO.fullmatch(name)])


@dataclass
class _TarFound:
    """The content of a tar, as it was read."""

    path: str
    samples: int = 0
    images: int = 0
    videos: int = 0
    damaged: int = 0
    size: int = 0
    keys: list[bytes] = field(default_factory=list)
    groups: set[str] = field(default_factory=set)
    clustered: int = 0
    faults: list[str] = field(default_factory=list)

    def fault(self, what: str, key: str = "") -> None:
        self.faults.append(f"{self.path}: {key}: {what}" if key else f"{self.path}: {what}")


def _read_tar(
    store: Store, reader: Reader, fast: bool, name: str, entry: Mapping[str, Any], shard: Mapping[str, Any]
) -> _TarFound:
    found = _TarFound(f"{name}/{shard['name']}")
    group = ""
    with store.open(found.path) as file:
        digested = _Digested(file)
        tar = TarReader(digested, digested.length)
        own = reader == Reader.OWN
        samples = _samples(tar, found) if own else webdataset_samples(digested, found.path)
        decode = stock_picture if own else webdataset_picture
        try:
            for key, members in samples:
                found.samples += 1
                sample = _check_sample(found, name, entry, key, members, decode, fast)
                following = sample.get("group", "")
                if following and following != group and following in found.groups:
                    found.fault(f"group {following!r} does not lie together", key)
                found.groups.add(following)
                group = following
        except EOFError as error:
            found.fault(f"not a whole tar: {error}")
        if tar.fault:
            found.fault(f"not a whole tar: {tar.fault}")
        digested.seek(digested.length)
    found.size = digested.size
    for what in ("sha256", "md5"):
        if digested.digests[what].hexdigest() != shard[what]:
            found.fault(f"its {what} is not the manifest's")
    for what, is_now in (("samples", found.samples), ("bytes", found.size)):
        if is_now != shard[what]:
            found.fault(f"{is_now} {what}, {shard[what]} in the manifest")
    return found


class _Digested:
    """A file that is hashed while it is read, and so only forwards. `size`: of what was read."""

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
        """Read on to there, or to the end of the file."""
        while self.size < offset and self.read(min(_CHUNK_BYTES, offset - self.size)):
            pass
        return self.size


def _samples(tar: TarReader, found: _TarFound) -> Iterator[tuple[str, list[tuple[str, bytes]]]]:
    """Runs of members with the same key: the key, and (field, bytes) of each member that can be read."""
    current, members = "", list[tuple[str, bytes]]()
    for member in tar:
        key, _, name = member.name.partition(".")
        if key != current and members:
            yield current, members
            members = []
        current = key
        if member.fault:
            found.fault(f"{name}: {member.fault}: {member.detail}", key)
        elif member.size > _MOST_BYTES:
            found.fault(f"{name}: {member.size} bytes, {_MOST_BYTES} are read at most", key)
        else:
            members.append((name, tar.content(member)))
    if members:
        yield current, members


def _check_sample(
    found: _TarFound,
    name: str,
    entry: Mapping[str, Any],
    key: str,
    members: Sequence[tuple[str, bytes]],
    decode: Callable[[bytes], Pixels],
    fast: bool,
) -> dict[str, Any]:
    """Record the faults of a sample; returns its JSON, empty if it can't be used."""
    if not re.fullmatch(r"[0-9a-f]{32}", key):
        found.fault("not a key: 32 lower-case hexadecimal digits", key)
    else:
        found.keys.append(bytes.fromhex(key))
    fields = [field for field, _ in members]
    if fields != entry["fields"]:
        found.fault(f"members {fields}, expected {entry['fields']}", key)
    clips = clip_sides(entry["fields"][1:]) if entry["modality"] == Modality.CLIP else ()
    sample = _read_json(found, key, dict(members).get("json", b""), clips)
    judged = judged_pictures(sample) if sample else {}
    for field_name, content in members:
        if field_name.endswith(".jpg"):
            found.images += 1
            seen = see(content, *judged.get(field_name, ("", False)), decode)
            found.damaged += seen.damaged
            if seen.fault:
                found.fault(f"{field_name} {seen.fault}", key)
        elif field_name.endswith(".mp4"):
            found.videos += 1
            if why := unplayable(content, can_open_videos(), fast):
                found.fault(f"{field_name} does not play: {why}", key)
    if not sample:
        return {}
    expected = {"pair_id": key, "dataset": name, "task": entry["task"], "stage": entry["stage"]}
    for what, value in expected.items():
        if sample[what] != value:
            found.fault(f"{what} is {sample[what]!r}, expected {value!r}", key)
    if len(sample["negatives"]) != entry["negatives"]:
        found.fault(f"{len(sample['negatives'])} negatives, expected {entry['negatives']}", key)
    found.clustered += bool(sample["query_cluster"] or sample["positive_cluster"])
    if named_media(sample) != fields[1:]:
        found.fault(f"json names the media {named_media(sample)}, but its members are {fields[1:]}", key)
    return sample


def _read_json(found: _TarFound, key: str, content: bytes, clips: Collection[str]) -> dict[str, Any]:
    """A sample's JSON; empty if it can't be used, which is recorded."""
    try:
        sample = json.loads(content)
    except ValueError as error:
        found.fault(f"json can't be read: {error}", key)
        return {}
    faults = wrong_json(sample, clips)
    for what in faults:
        found.fault(what, key)
    return {} if faults else sample


def _repeated_keys(found: Sequence[_TarFound]) -> Iterator[str]:
    ids = np.frombuffer(b"".join(key for tar in found for key in tar.keys), ">u8").reshape(-1, 2).T
    order = np.lexsort((ids[1], ids[0]))
    repeats = order[~first_of_run(ids[:, order])]
    tar_of = np.repeat(np.arange(len(found)), [len(tar.keys) for tar in found])
    for at in np.sort(repeats):
        yield f"{found[tar_of[at]].path}: {join_id(ids[:, at]).hex()}: this key is there more than once"


def _wrong_clusters(manifest: Mapping[str, Any], found: Sequence[_TarFound]) -> Iterator[str]:
    for name, entry in manifest["datasets"].items():
        tars = [tar for tar in found if tar.path.rpartition("/")[0] == name]
        clustered = sum(tar.clustered for tar in tars)
        if clustered != entry["clustered"] and not any(tar.faults for tar in tars):
            yield f"{MANIFEST}: {name}: {entry['clustered']} samples in clusters, but {clustered} in its shards"


def _torn_groups(found: Sequence[_TarFound]) -> Iterator[str]:
    first: dict[tuple[str, str], str] = {}
    for tar in found:
        dataset = tar.path.rpartition("/")[0]  # several may have the same videos, and each its own order
        for group in sorted(tar.groups - {""}):
            if first.setdefault((dataset, group), tar.path) != tar.path:
                yield f"{tar.path}: group {group!r} began in {first[dataset, group]}"


@dataclass(frozen=True)
class Seen:
    """The result of decoding an image and comparing it with what was judged."""

    fault: str = ""
    damaged: bool = False  # it was judged at a fraction of its size, where its damage looks different


def see(content: bytes, phash: str, rewritten: bool, decode: Callable[[bytes], Pixels]) -> Seen:
    """Decode an image to its last pixel and hold it against the hash of what was judged ("": nothing was).

    A JPEG that is published as it was stored may differ if inspection finds that very hash in it.
    """
    try:
        pixels = decode(content)
    except UndecodableError as error:
        return Seen(f"does not decode: {error}")
    shown = shown_hash(pixels) if phash else 0
    if not phash or near(shown, int(phash, 16)):
        return Seen()
    if not rewritten and judged_as(content, int(phash, 16)):
        return Seen(damaged=float(pixels.std()) >= _FLAT)
    apart = (shown ^ int(phash, 16)).bit_count()
    return Seen(f"shows another picture than was judged: {apart} of the 64 bits of their hashes differ")


def can_open_videos() -> bool:
    """Whether PyAV is there; without it only the first bytes of a video are looked at."""
    return importlib.util.find_spec("av") is not None


def unplayable(content: bytes, opened: bool, first_frame: bool = False) -> str:
    """Why an mp4 can't be played; "" if nothing is wrong with it.

    `opened`: every packet of it must decode, or, with `first_frame`, those up to its first frame. Else it must only
    begin as an mp4 does, with a box `ftyp` (ISO/IEC 14496-12, 4.3).
    """
    if content[4:8] != b"ftyp":
        return "it does not begin with a box ftyp"
    return mp4_error(content, Budget(_MOST_WORK_S), first_frame) if opened else ""
