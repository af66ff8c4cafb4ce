"""Measures publishing against webdataset's ShardWriter: samples per second into tars of 1,000.

Ours reads pairs and media from a workspace, by range and in shuffled order, with two workers; it plans, hashes each
tar twice, and flushes every file to the disk. The peer is one process that gets the same samples in memory and in
order, and leaves its bytes in the page cache.
"""

from __future__ import annotations

import argparse
import itertools
import os
import shutil
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from benchmarks.harness import versus
from corpus.media import TarWriter
from corpus.schema import (
    LOCATION_FIELDS,
    PAIR_SCHEMA,
    STATUS_FIELDS,
    Modality,
    Status,
    Task,
    item_id,
    pair_id,
    table_schema,
)
from corpus.workspace import Workspace
from pipelines.engines import Engine, EngineSettings
from pipelines.engines.local import LocalEngine
from pipelines.publish.mixture import DatasetInput, MixtureSettings, PublishInput
from pipelines.publish.publish import publish

DATASET = "laion"
SHARD = 1000


def build(workspace: Workspace, samples: int, size: int) -> PublishInput:
    """Writes a workspace of pairs, each with an item of `size` bytes on average, in shards of 1,000."""
    random = np.random.default_rng(0)
    items, pairs = [], []
    for shard in range(-(-samples // SHARD)):
        media = f"media/web/{shard:06d}.tar"
        locations, rows = [], []
        with workspace.store.writer(media) as file:
            tar = TarWriter(file)
            for number in range(shard * SHARD, min((shard + 1) * SHARD, samples)):
                content = random.bytes(int(random.integers(size // 2, size * 3 // 2)))
                item = item_id(content)
                offset = tar.add(f"{item.hex()}.jpg", content)
                kept = {"status": str(Status.KEPT), "reason": ""}
                locations.append(
                    {"item_id": item, "media": media, "offset": offset, "size": len(content), "ext": "jpg", **kept}
                )
                rows.append(_pair(f"a caption of some forty characters, {number}", item) | kept)
            tar.close()
        items.append(f"tables/web/download/{shard:06d}.parquet")
        workspace.write_table(
            items[-1], pa.Table.from_pylist(locations, pa.schema([*LOCATION_FIELDS, *STATUS_FIELDS])), {}
        )
        pairs.append(f"pairs/{DATASET}/pairs/{shard:06d}.parquet")
        workspace.write_table(pairs[-1], pa.Table.from_pylist(rows, table_schema(PAIR_SCHEMA)), {})
    dataset = DatasetInput(DATASET, Task.IMAGE_RETRIEVAL, 1, Modality.IMAGE, "", ("web",), tuple(pairs))
    return PublishInput("benchmark", (dataset,), tuple(items), {}, {})


def _pair(text: str, item: bytes) -> dict[str, object]:
    side = {"instruction": "", "text": text, "items": []}
    return {
        "pair_id": pair_id(DATASET, text, item),
        "query": side,
        "positive": {"instruction": "", "text": "", "items": [item]},
        "negatives": [],
        "positive_score": 0.3,
        "in_batch_negatives": True,
        "group": "",
        "label": "",
        "caption_origin": "original",
        "caption_model": "",
        "caption_prompt": "",
        "source_url": f"http://example.com/{item.hex()}.jpg",
        "source_sha256": bytes(32),
        "licence": "",
    }


def ours(workspace: Workspace, inputs: PublishInput, corpus: Path, engine: Engine) -> Path:
    """Publishes to a new folder; returns the folder of the tars."""
    settings = MixtureSettings.model_validate(
        {"corpus": str(corpus), "datasets": {DATASET: {}}, "pairs_per_shard": SHARD}
    )
    publish(workspace, inputs, settings, engine)
    return corpus / DATASET


def peer(samples: list[dict[str, object]], folder: Path) -> Path:
    """Writes samples from memory; returns the folder of the tars."""
    import webdataset

    folder.mkdir(parents=True)
    writer = webdataset.ShardWriter(f"{folder}/{DATASET}-%06d.tar", maxcount=SHARD, encoder=False, verbose=0)
    for sample in samples:
        writer.write(sample)
    writer.close()
    return folder


def members(folder: Path) -> Iterator[tuple[str, str, bytes]]:
    """Yields (tar, name, bytes) of every member."""
    for path in sorted(folder.glob("*.tar")):
        with tarfile.open(path) as archive:
            for member in archive:
                content = archive.extractfile(member)
                assert content is not None
                yield path.name, member.name, content.read()


def in_memory(folder: Path) -> list[dict[str, object]]:
    """Returns the published samples in the form that ShardWriter takes."""
    read = itertools.groupby(members(folder), key=lambda member: member[1].partition(".")[0])
    return [{"__key__": key, **{name.partition(".")[2]: data for _, name, data in found}} for key, found in read]


def same(published: Path, written: Path) -> None:
    """Checks for the same members with the same bytes in the same tars; then removes both folders, and flushes."""
    for our_member, peer_member in itertools.zip_longest(members(published), members(written)):
        assert our_member == peer_member, (our_member[:2], peer_member[:2])
    shutil.rmtree(published.parent)
    shutil.rmtree(written)
    os.sync()


def main() -> None:
    """Runs the command line: `python -m benchmarks.export`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=16_000)
    parser.add_argument("--bytes", type=int, default=63_000, help="of an image, on average")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="rzen-corpus-bench-") as folder:
        root = Path(folder)
        workspace = Workspace(root / "work")
        inputs = build(workspace, options.samples, options.bytes)
        engine = LocalEngine(EngineSettings(workers=options.workers))
        runs = itertools.count()
        first = ours(workspace, inputs, root / "first", engine)  # and the workers are up
        samples = in_memory(first)
        os.sync()
        versus(
            "export",
            "samples/s",
            options.samples,
            ours=lambda: ours(workspace, inputs, root / f"ours{next(runs)}", engine),
            peer=lambda: peer(samples, root / f"peer{next(runs)}"),
            peer_name="webdataset.ShardWriter",
            same=same,
            rounds=options.rounds,
        )
        engine.close()


if __name__ == "__main__":
    main()
