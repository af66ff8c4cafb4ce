"""Exporting: a shuffle brings the pairs of each tar together, then the tar is written.

Only text and places go through the shuffle. A worker holds the text of the tars of one partition and a few MiB of
media, never a whole tar.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa

from corpus.stages import Resources
from corpus.storage import Store
from corpus.urls import published_url
from corpus.workspace import Workspace
from pipelines.engines import Engine
from pipelines.publishing.claim import Claim
from pipelines.publishing.locate import Locations, split_ids
from pipelines.publishing.mixture import PublishError
from pipelines.publishing.progress import Progress, Tar
from pipelines.publishing.sample import Layout, random_negative, sample_jsons, to_bytes
from pipelines.publishing.sides import first_entries
from pipelines.publishing.tars import Sample, write_tar

_SAMPLES_OF_PARTITION = 16_000  # their text takes some 30 MB
_FEWEST_PARTITIONS = 64  # more than workers, so that none waits long for the last one

_WRITTEN = pa.schema(
    [
        ("key", pa.uint64()),
        ("name", pa.string()),
        ("samples", pa.int64()),
        ("bytes", pa.int64()),
        ("sha256", pa.string()),
        ("md5", pa.string()),
    ]
)

OWN = -1  # the `slot` of a pair itself; others are numbers of its negatives


@dataclass(frozen=True)
class Target:
    """What a worker must know of a dataset."""

    name: str
    task: str
    stage: int
    layout: Layout
    fingerprint: str  # of its tars
    first_key: int  # its tars are keys of the shuffle: this one, and so many that follow
    signatures: tuple[str, ...]  # left out of URLs, as in `corpus.urls.SIGNATURES`


@dataclass(frozen=True, eq=False)
class PairRows:
    """Rows of one pairs table and the samples that they go to: as the pair itself, or as a random negative."""

    target: Target
    path: str
    rows: np.ndarray  # int64[n]
    key: np.ndarray  # uint64[n], the sample's tar
    position: np.ndarray  # int64[n], of the sample in its tar
    slot: np.ndarray  # int64[n], OWN or the number of the negative
    locations: Locations  # of all their items


@dataclass(frozen=True)
class ReadPairs:
    """From rows of a pairs table to the text and the places of media that a tar is written from."""

    workspace: str

    @property
    def resources(self) -> Resources:
        return Resources()

    def open(self) -> Callable[[PairRows], pa.Table]:
        workspace = Workspace(self.workspace)
        return lambda item: _read_pairs(workspace, item)

    def lost(self, item: PairRows, why: str) -> pa.Table:
        raise PublishError(f"{item.path}: {why}")


def _read_pairs(workspace: Workspace, item: PairRows) -> pa.Table:
    table = workspace.read_table(item.path)
    layout, own = item.target.layout, item.slot == OWN
    whole, donors = table.take(item.rows[own]), table.take(item.rows[~own])
    whole = _with_published_urls(whole, item.target.signatures)
    samples = sample_jsons(whole, item.target.name, item.target.task, item.target.stage, layout)
    donated = donors.column("positive").combine_chunks().field("text").to_pylist()
    slots = item.slot[~own].tolist()
    negatives = [random_negative(text, layout.negatives[slot]) for text, slot in zip(donated, slots, strict=True)]
    parts = [
        _places(whole, ("query", "positive", "negatives"), len(layout.negatives), item.locations),
        _places(donors, ("positive",), 0, item.locations),
    ]
    order = np.concatenate([np.flatnonzero(own), np.flatnonzero(~own)])
    return pa.table(
        {
            "key": item.key[order],
            "position": item.position[order],
            "slot": item.slot[order],
            "name": pa.array([sample["pair_id"] for sample in samples] + [""] * len(negatives), pa.string()),
            "json": pa.array([to_bytes(value).decode() for value in [*samples, *negatives]], pa.string()),
            **{name: pa.concat_arrays([part[name] for part in parts]) for name in ("media", "offset", "size")},
        }
    )


def _with_published_urls(pairs: pa.Table, signatures: tuple[str, ...]) -> pa.Table:
    at = pairs.schema.get_field_index("source_url")
    urls = [url and published_url(url, signatures) for url in pairs.column(at).to_pylist()]
    return pairs.set_column(at, pairs.schema.field(at), pa.array(urls, pa.string()))


def _places(pairs: pa.Table, roles: Sequence[str], negatives: int, locations: Locations) -> dict[str, pa.Array]:
    """For each pair the places of its items, in the order of its fields: lists of media, offset and size."""
    owners, found = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for role in roles:
        owner, side = np.arange(pairs.num_rows), pairs.column(role).combine_chunks()
        if role == "negatives":
            used = first_entries(side, negatives)
            owner, side = np.repeat(owner, used.value_lengths().to_numpy()), used.values
        items = side.field("items")
        owners.append(np.repeat(owner, items.value_lengths().to_numpy()))
        found.append(locations.find(split_ids(items.flatten())))
    owner, rows = np.concatenate(owners), np.concatenate(found)
    rows = rows[np.argsort(owner, kind="stable")]
    offsets = pa.array(np.concatenate([[0], np.cumsum(np.bincount(owner, minlength=pairs.num_rows))]), pa.int32())
    names = pa.array(locations.media_names, pa.string()).take(pa.array(locations.media[rows]))
    return {
        "media": pa.ListArray.from_arrays(offsets, names),
        "offset": pa.ListArray.from_arrays(offsets, pa.array(locations.offset[rows])),
        "size": pa.ListArray.from_arrays(offsets, pa.array(locations.size[rows])),
    }


@dataclass(frozen=True)
class WriteTars:
    """The reducing side: all rows of some tars together -> tars in the corpus, and a row for each of them."""

    workspace: str
    corpus: str
    targets: tuple[Target, ...]
    claim: Claim | None = None

    def __call__(self, rows: pa.Table) -> pa.Table:
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
            tar = write_tar(media, corpus, f"{target.name}/{name}", samples, target.layout.fields, check)
            Progress(corpus).note(target.fingerprint, tar)
            written.append({"key": key, **tar.to_json()})
        return pa.Table.from_pylist(written, schema=_WRITTEN)

    def target(self, key: int) -> Target:
        """The dataset that a tar belongs to."""
        return self.targets[bisect_right([target.first_key for target in self.targets], key) - 1]


def _samples(rows: pa.Table) -> list[Sample]:
    """The samples of one tar, from its rows in order: each pair's own, then those of its random negatives."""
    samples: list[Sample] = []
    fill: list[list[str]] = []
    starts = rows.column("media").combine_chunks().offsets.to_pylist()
    media, offsets, sizes = (rows.column(name).combine_chunks().flatten() for name in ("media", "offset", "size"))
    places = list(zip(media.to_pylist(), offsets.to_pylist(), sizes.to_pylist(), strict=True))
    texts, names = rows.column("json").to_pylist(), rows.column("name").to_pylist()
    for name, text, (start, stop) in zip(names, texts, pairwise(starts), strict=True):
        ranges = places[start - starts[0] : stop - starts[0]]
        if name:
            samples.append(Sample(name, text.encode(), ranges))
            fill.append([])
        else:
            samples[-1].ranges += ranges
            fill[-1].append(text)
    for sample, negatives in zip(samples, fill, strict=True):
        if negatives:
            whole = json.loads(sample.json)
            whole["negatives"] += [json.loads(negative) for negative in negatives]
            sample.json = to_bytes(whole)
    return samples


def export(
    workspace: Workspace,
    corpus: Store,
    targets: Sequence[Target],
    items: Sequence[PairRows],
    engine: Engine,
    claim: Claim | None = None,
) -> Iterator[tuple[Target, Tar]]:
    """Write the tars that the items name. Yields each with its dataset, as they come.

    No tar gets its name when the claim is another publisher's by then: PublishError.
    """
    keys = np.unique(np.concatenate([np.zeros(0, np.uint64), *(item.key for item in items)]))
    samples = sum(int((item.slot == OWN).sum()) for item in items)
    partitions = max(min(len(keys), _FEWEST_PARTITIONS), -(-samples // _SAMPLES_OF_PARTITION))
    if not len(keys):
        return
    write = WriteTars(workspace.store.url, corpus.url, tuple(targets), claim)
    for table in engine.map_reduce(ReadPairs(workspace.store.url), items, write, partitions):
        for row in table.to_pylist():
            key = row.pop("key")
            yield write.target(key), Tar(**row)
