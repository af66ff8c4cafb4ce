"""Verifies a published corpus: reads all of it again, and checks it against its manifest.

Nothing but the corpus is needed for this.
"""

from __future__ import annotations

import hashlib
import os
import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from corpus.item_ids import first_of_run, join_id
from corpus.schema import Modality
from corpus.storage import Store
from pipelines.publish.checkpoint import Tar, list_files
from pipelines.publish.group_runs import count_runs, torn_groups
from pipelines.publish.manifest import (
    BLEND,
    INDEX,
    MANIFEST,
    MAX_EVALUATION_HITS,
    ManifestError,
    energon_blend,
    listed_files,
    read_manifest,
    wids_index,
)
from pipelines.publish.tar_check import Reader, TarReport, can_open_videos, check_tar, require_webdataset

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
    damaged: int = 0  # damaged JPEGs, which were inspected at a fraction of their size
    opened: bool = True  # videos were decoded; else only their first bytes were checked
    fast: bool = False  # only the first frame of each video was decoded
    evaluation_sets: int = 0  # that the corpus was checked against, by its manifest

    def summary(self) -> str:
        """Returns the counts in one line of text."""
        counts = [f"{self.tars:,} tars", f"{self.samples:,} samples", f"{self.images:,} images"]
        if self.videos:
            decoded = "first frame of each decoded" if self.fast else "each decoded to its last frame"
            how = decoded if self.opened else "not opened: PyAV is not installed"
            counts.append(f"{self.videos:,} videos ({how})")
        if self.damaged:
            counts.append(f"{self.damaged:,} damaged JPEGs that look different at full size")
        sets = f"checked against {self.evaluation_sets:,}" if self.evaluation_sets else "not checked against any"
        return ", ".join([*counts, f"{self.bytes:,} bytes", f"{sets} evaluation set{'s' * (self.evaluation_sets > 1)}"])


def verify(
    corpus: str,
    workers: int = 0,
    reader: Reader = Reader.BUILTIN,
    fast: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Verified:
    """Reads every byte of a corpus and checks it against its manifest and the format of a corpus.

    Digests, sizes and counts; unique keys; the same members in every sample of a dataset, which fit its modality; JSON
    of the schema of samples; images and frames that decode to the last pixel, and show the picture that was inspected;
    videos whose packets of pictures and sound all decode, and that have as many frames as their headers count; members
    of groups that lie together in runs, none over the end of a batch or a tar; shards of equal size, none of them
    empty; indexes; no unlisted file; a funnel that adds up, and counts of evaluation sets that do.

    `fast`: only the first frame of each video is decoded, so damage after it is not found. `workers` threads (0: one
    for each core) hold one sample each. With another `reader`, that library reads the samples and decodes the images.
    `progress` is called with the number of tars that were read, and of all. Raises ImportError if the library of
    `reader` is not installed.
    """
    if reader == Reader.WEBDATASET:
        require_webdataset()
    store = Store(corpus)
    try:
        manifest = read_manifest(store)
    except ManifestError as error:
        return Verified([f"{MANIFEST}: {fault}" for fault in error.faults])
    if manifest is None:
        return Verified([f"{MANIFEST}: missing: the corpus does not exist, or was not finished"])
    present = list_files(store)
    faults = [*_file_faults(store, manifest, present), *_count_faults(manifest), *_evaluation_faults(manifest)]
    jobs = [
        (name, entry, shard)
        for name, entry in manifest["datasets"].items()
        for shard in entry["shards"]
        if f"{name}/{shard['name']}" in present
    ]
    with ThreadPoolExecutor(workers or os.cpu_count()) as pool, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's, for images that it can read
        reports: list[TarReport] = []
        for report in pool.map(lambda job: check_tar(store, reader, fast, *job), jobs):
            reports.append(report)
            if progress is not None:
                progress(len(reports), len(jobs))
    faults += [fault for tar in reports for fault in tar.faults]
    faults += [*_repeated_keys(reports), *_group_faults(manifest, reports), *_cluster_faults(manifest, reports)]
    totals = {what: sum(getattr(tar, what) for tar in reports) for what in ("samples", "images", "videos", "damaged")}
    size = sum(tar.size for tar in reports)
    sets = len(manifest.get("evaluation", {}))
    opened = can_open_videos()
    return Verified(faults, len(reports), bytes=size, opened=opened, fast=fast, evaluation_sets=sets, **totals)


def _file_faults(store: Store, manifest: Mapping[str, Any], present: set[str]) -> Iterator[str]:
    files = {file["name"]: file for file in manifest["files"]}
    listed = listed_files(manifest)
    for path in sorted(present - listed - {MANIFEST}):
        if not _OF_ENERGON.fullmatch(path):
            yield f"{path}: not listed in the manifest"
    for path in sorted(listed - present):
        yield f"{path}: listed in the manifest, but missing"
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


def _count_faults(manifest: Mapping[str, Any]) -> Iterator[str]:
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


def _evaluation_faults(manifest: Mapping[str, Any]) -> Iterator[str]:
    """Yields where the counts of evaluation sets do not add up: their hits are the rows that were removed."""
    for name, checked in manifest.get("evaluation", {}).items():
        where, removed = f"{MANIFEST}: evaluation set {name}", sum(checked["removed"].values())
        listed = sum(hit["rows"] for hit in checked["hits"])
        if listed > removed or (listed < removed and len(checked["hits"]) < MAX_EVALUATION_HITS):
            yield f"{where}: {removed} rows removed, but {listed} in its hits"
        if checked["missed_by_hashes"] > removed:
            yield f"{where}: {checked['missed_by_hashes']} rows missed by hashes, of {removed} removed"


def _fits_modality(modality: str, fields: Sequence[str]) -> bool:
    """Returns whether samples of a modality can have these media: clips are frames or mp4, and only clips are mp4."""
    if modality == Modality.CLIP:
        return bool(fields) and all(_FRAME.fullmatch(name) or _VIDEO.fullmatch(name) for name in fields)
    return not (fields if modality == Modality.TEXT else [name for name in fields if _VIDEO.fullmatch(name)])


def _repeated_keys(reports: Sequence[TarReport]) -> Iterator[str]:
    ids = np.frombuffer(b"".join(key for tar in reports for key in tar.keys), ">u8").reshape(-1, 2).T
    order = np.lexsort((ids[1], ids[0]))
    repeats = order[~first_of_run(ids[:, order])]
    tar_of = np.repeat(np.arange(len(reports)), [len(tar.keys) for tar in reports])
    for at in np.sort(repeats):
        yield f"{reports[tar_of[at]].path}: {join_id(ids[:, at]).hex()}: repeated key"


def _cluster_faults(manifest: Mapping[str, Any], reports: Sequence[TarReport]) -> Iterator[str]:
    for name, entry in manifest["datasets"].items():
        tars = [tar for tar in reports if tar.path.rpartition("/")[0] == name]
        clustered = sum(tar.clustered for tar in tars)
        if clustered != entry["clustered"] and not any(tar.faults for tar in tars):
            yield f"{MANIFEST}: {name}: {entry['clustered']} samples in clusters, but {clustered} in its shards"


def _group_faults(manifest: Mapping[str, Any], reports: Sequence[TarReport]) -> Iterator[str]:
    """Yields where the members of groups do not lie as the manifest says: whole runs, each in one batch and one tar."""
    settings = (manifest["batch_size"], manifest["pairs_per_shard"], manifest["members_per_batch"])
    for name, entry in manifest["datasets"].items():
        tars = [tar for tar in reports if tar.path.rpartition("/")[0] == name]
        names = [group for tar in tars for group in tar.groups]
        if any(tar.faults for tar in tars) or len(names) != entry["samples"]:
            continue  # these say more
        codes = {group: code for code, group in enumerate(sorted({*names} - {""}))}
        group = np.array([codes.get(group, -1) for group in names], np.int64)
        expected = entry.get("group_runs")
        if expected is None:
            if codes:
                yield f"{MANIFEST}: {name}: {len(codes)} groups in its samples, but its order is not of groups"
            continue
        counts = count_runs(group, *settings).to_json()
        if counts != expected:
            torn = [sorted(codes)[code] for code in torn_groups(group, *settings)[:1]]
            example = f"; group {torn[0]!r} does not lie together" if torn else ""
            yield f"{MANIFEST}: {name}: its groups lie in {_listed(counts)}, {_listed(expected)} expected{example}"


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {what}" for what, count in counts.items())
