"""Exports the tars of a corpus: a shuffle gathers the pairs of each tar, and its reducer writes the tar.

Only texts and locations of media go through the shuffle. A worker holds the texts of the tars of one partition and a
few MiB of media, never a complete tar.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa

from corpus.image.encode import JPEG_QUALITY
from corpus.item_ids import split_ids
from corpus.item_index import Locations
from corpus.outages import patient_storage, storage_retry_s
from corpus.stage import Resources
from corpus.storage import Store
from corpus.urls import published_url
from corpus.workspace import Workspace
from pipelines.engines import Engine
from pipelines.publish.candidates import PairTable
from pipelines.publish.checkpoint import Checkpoint, Tar
from pipelines.publish.claim import Claim
from pipelines.publish.mixture import PublishError
from pipelines.publish.pair_contents import ROLES, first_entries
from pipelines.publish.sample import MediaFacts, SampleFields, random_negative, sample_jsons, side_names, to_bytes
from pipelines.publish.tar_writer import Sample, write_tar

_SAMPLES_PER_PARTITION = 16_000  # their text takes some 30 MB
_MIN_PARTITIONS = 64  # more than workers, which keeps them busy to the end

_TAR_SCHEMA = pa.schema(
    [
        ("key", pa.uint64()),
        ("name", pa.string()),
        ("samples", pa.int64()),
        ("bytes", pa.int64()),
        ("sha256", pa.string()),
        ("md5", pa.string()),
    ]
)

# Lists, an entry for each medium: its location, and the pHash where it is re-encoded, null where not.
_LOCATION_COLUMNS = ("media", "offset", "size", "rewrite")

SELF = -1  # the `slot` of a pair itself; others are numbers of its negatives


@dataclass(frozen=True)
class ExportTarget:
    """The export target: the properties of a dataset that a worker needs."""

    name: str
    task: str
    stage: int
    sample_fields: SampleFields
    fingerprint: str  # of its tars
    first_key: int  # of the shuffle, for its first tar; those of the others follow
    signatures: tuple[str, ...]  # removed from URLs, see `corpus.urls.SIGNATURES`
    jpeg_quality: int = JPEG_QUALITY  # of images that are re-encoded


@dataclass(frozen=True, eq=False)
class PairRows:
    """Rows of one pairs table, each with the sample of which it is the pair or a random negative."""

    target: ExportTarget
    pairs: PairTable
    rows: np.ndarray  # int64[n]
    key: np.ndarray  # uint64[n], the sample's tar
    position: np.ndarray  # int64[n], of the sample in its tar
    slot: np.ndarray  # int64[n], SELF or the number of the negative
    locations: Locations  # of all their items


@dataclass(frozen=True)
class ReadPairs:
    """The mapping work: it reads rows of a pairs table, and emits texts and locations of media for their samples."""

    workspace: str
    storage_retry_s: float = field(default_factory=storage_retry_s)

    @property
    def resources(self) -> Resources:
        return Resources()

    def open(self) -> Callable[[PairRows], pa.Table]:
        workspace = Workspace(self.workspace)

        def read_pairs(item: PairRows) -> pa.Table:
            with patient_storage(self.storage_retry_s):
                return _read_pairs(workspace, item)

        return read_pairs

    def on_worker_lost(self, item: PairRows, why: str) -> pa.Table:
        raise PublishError(f"{item.pairs.path}: {why}")


def _read_pairs(workspace: Workspace, item: PairRows) -> pa.Table:
    table = item.pairs.read(workspace)
    sample_fields, is_pair = item.target.sample_fields, item.slot == SELF
    complete, donors = table.take(item.rows[is_pair]), table.take(item.rows[~is_pair])
    complete = _with_published_urls(complete, item.target.signatures)
    sides = {role: _items(complete, role, len(sample_fields.negatives), item.locations) for role in ROLES}
    media_facts = {role: _media_facts(rows_of_items, item.locations) for role, (_, rows_of_items) in sides.items()}
    samples = sample_jsons(complete, item.target.name, item.target.task, item.target.stage, sample_fields, media_facts)
    donor_items = _items(donors, "positive", 0, item.locations)
    drawn, donor_facts = donors.column("positive").combine_chunks(), _media_facts(donor_items[1], item.locations)
    columns = (drawn.field("text").to_pylist(), drawn.field("clip").to_pylist(), item.slot[~is_pair].tolist())
    negatives = [
        random_negative(side, text, sample_fields.negatives[slot], donor_facts.of_side(row), clip, sample_fields.clip)
        for row, (side, text, clip, slot) in enumerate(zip(side_names(drawn), *columns, strict=True))
    ]
    parts = [
        _locations(complete.num_rows, list(sides.values()), item.locations),
        _locations(donors.num_rows, [donor_items], item.locations),
    ]
    order = np.concatenate([np.flatnonzero(is_pair), np.flatnonzero(~is_pair)])
    return pa.table(
        {
            "key": item.key[order],
            "position": item.position[order],
            "slot": item.slot[order],
            "name": pa.array([sample["pair_id"] for sample in samples] + [""] * len(negatives), pa.string()),
            "json": pa.array([to_bytes(value).decode() for value in [*samples, *negatives]], pa.string()),
            **{name: pa.concat_arrays([part[name] for part in parts]) for name in _LOCATION_COLUMNS},
        }
    )


def _with_published_urls(pairs: pa.Table, signatures: tuple[str, ...]) -> pa.Table:
    at = pairs.schema.get_field_index("source_url")
    urls = [url and published_url(url, signatures) for url in pairs.column(at).to_pylist()]
    return pairs.set_column(at, pairs.schema.field(at), pa.array(urls, pa.string()))


def _items(pairs: pa.Table, role: str, negatives: int, locations: Locations) -> tuple[np.ndarray, pa.ListArray]:
    """Returns the pair that each side of a role belongs to, int64[n], and where in the locations its items are
    (lists)."""
    owner, side = np.arange(pairs.num_rows), pairs.column(role).combine_chunks()
    if role == "negatives":
        used = first_entries(side, negatives)
        owner, side = np.repeat(owner, used.value_lengths().to_numpy()), used.flatten()
    items = side.field("items")
    offsets = np.concatenate([[0], np.cumsum(items.value_lengths().to_numpy())]).astype(np.int32)
    rows = locations.find(split_ids(items.flatten()))
    return owner, pa.ListArray.from_arrays(pa.array(offsets), pa.array(rows))


def _media_facts(rows_of_items: pa.ListArray, locations: Locations) -> MediaFacts:
    """Returns the results of inspection for the items of each side."""
    rows = rows_of_items.values.to_numpy()
    digits = locations.phash[rows].astype(">u8").tobytes().hex()
    inspected = locations.inspected[rows].tolist()
    hashes = [digits[16 * at : 16 * at + 16] if known else "" for at, known in enumerate(inspected)]
    rewritten = locations.rewrite[rows].tolist()
    bounds = list(pairwise(rows_of_items.offsets.to_pylist()))
    return MediaFacts([hashes[start:stop] for start, stop in bounds], [rewritten[start:stop] for start, stop in bounds])


def _locations(
    pairs: int, sides: Sequence[tuple[np.ndarray, pa.ListArray]], locations: Locations
) -> dict[str, pa.Array]:
    """Returns the locations of each pair's items in the order of its fields, and which are re-encoded: lists."""
    owner = np.concatenate(
        [np.repeat(owner, rows_of_items.value_lengths().to_numpy()) for owner, rows_of_items in sides]
    )
    rows = np.concatenate([rows_of_items.values.to_numpy() for _, rows_of_items in sides])
    rows = rows[np.argsort(owner, kind="stable")]
    offsets = pa.array(np.concatenate([[0], np.cumsum(np.bincount(owner, minlength=pairs))]), pa.int32())
    names = pa.array(locations.media_names, pa.string()).take(pa.array(locations.media[rows]))
    columns = (
        names,
        pa.array(locations.offset[rows]),
        pa.array(locations.size[rows]),
        pa.array(locations.phash[rows], mask=~locations.rewrite[rows]),
    )
    return {
        name: pa.ListArray.from_arrays(offsets, column) for name, column in zip(_LOCATION_COLUMNS, columns, strict=True)
    }


@dataclass(frozen=True)
class WriteTars:
    """The reducer: it writes tars from all their rows, and returns a row for each tar."""

    workspace: str
    corpus: str
    targets: tuple[ExportTarget, ...]
    claim: Claim | None = None
    storage_retry_s: float = field(default_factory=storage_retry_s)

    def __call__(self, rows: pa.Table) -> pa.Table:
        with patient_storage(self.storage_retry_s):
            return self._write(rows)

    def _write(self, rows: pa.Table) -> pa.Table:
        media, corpus = Workspace(self.workspace).store, Store(self.corpus)
        rows = rows.sort_by([(name, "ascending") for name in ("key", "position", "slot")])
        keys = rows.column("key").to_numpy()
        starts = [0, *np.flatnonzero(np.diff(keys)) + 1, len(keys)]
        written: list[dict[str, Any]] = []
        for start, stop in pairwise(starts):
            key = int(keys[start])
            target = self.target(key)
            name = Tar.named(target.name, key - target.first_key)
            samples = _samples(rows.slice(start, stop - start))
            check = self.claim.check if self.claim is not None else None
            path, quality = f"{target.name}/{name}", target.jpeg_quality
            tar = write_tar(media, corpus, path, samples, target.sample_fields.fields, quality, check)
            Checkpoint(corpus).add(target.fingerprint, tar)
            written.append({"key": key, **tar.to_json()})
        return pa.Table.from_pylist(written, schema=_TAR_SCHEMA)

    def target(self, key: int) -> ExportTarget:
        """Returns the dataset that a tar belongs to."""
        return self.targets[bisect_right([target.first_key for target in self.targets], key) - 1]


def _samples(rows: pa.Table) -> list[Sample]:
    """Returns the samples of one tar, from its rows in order: each pair is followed by its random negatives."""
    samples: list[Sample] = []
    added: list[list[str]] = []
    starts = rows.column("media").combine_chunks().offsets.to_pylist()
    *locations, hashes = (rows.column(name).combine_chunks().flatten().to_pylist() for name in _LOCATION_COLUMNS)
    ranges = list(zip(*locations, strict=True))
    texts, names = rows.column("json").to_pylist(), rows.column("name").to_pylist()
    for name, text, bounds in zip(names, texts, pairwise(starts), strict=True):
        start, stop = (at - starts[0] for at in bounds)
        if name:
            samples.append(Sample(name, text.encode(), []))
            added.append([])
        else:
            added[-1].append(text)
        first = len(samples[-1].ranges) - start
        samples[-1].ranges += ranges[start:stop]
        samples[-1].rewrite |= {first + at: hashes[at] for at in range(start, stop) if hashes[at] is not None}
    for sample, negatives in zip(samples, added, strict=True):
        if negatives:
            complete = json.loads(sample.json)
            complete["negatives"] += [json.loads(negative) for negative in negatives]
            sample.json = to_bytes(complete)
    return samples


def export(
    workspace: Workspace,
    corpus: Store,
    targets: Sequence[ExportTarget],
    items: Sequence[PairRows],
    engine: Engine,
    claim: Claim | None = None,
) -> Iterator[tuple[ExportTarget, Tar]]:
    """Writes the tars of the items. Yields each tar with its dataset, in the order in which they are ready.

    Raises PublishError, and publishes no further tar, where another process has taken the claim.
    """
    keys = np.unique(np.concatenate([np.zeros(0, np.uint64), *(item.key for item in items)]))
    samples = sum(int((item.slot == SELF).sum()) for item in items)
    partitions = max(min(len(keys), _MIN_PARTITIONS), -(-samples // _SAMPLES_PER_PARTITION))
    if not len(keys):
        return
    write = WriteTars(workspace.store.url, corpus.url, tuple(targets), claim)
    for table in engine.map_reduce(ReadPairs(workspace.store.url), items, write, partitions):
        for row in table.to_pylist():
            key = row.pop("key")
            yield write.target(key), Tar(**row)
