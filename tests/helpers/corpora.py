"""Changes published corpora by hand: one thing is wrong, and the rest agrees with it."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from corpus.media import TarWriter
from pipelines.publish.manifest import to_json, wids_index

Members = list[tuple[str, bytes]]


def read_members(tar: Path) -> Members:
    with tarfile.open(tar) as archive:
        return [(member.name, archive.extractfile(member).read()) for member in archive]  # type: ignore[union-attr]


def rewrite_tar(corpus: Path, tar: str, members: Members) -> None:
    """Write a tar anew, and bring manifest and index up to date with it: its content is the only fault."""
    file = io.BytesIO()
    writer = TarWriter(file)
    for name, content in members:
        writer.add(name, content)
    writer.close()
    (corpus / tar).write_bytes(file.getvalue())
    digests = {what: hashlib.new(what, file.getvalue()).hexdigest() for what in ("sha256", "md5")}
    dataset = tar.partition("/")[0]

    def relist(manifest: dict[str, Any]) -> None:
        entry = manifest["datasets"][dataset]
        [shard] = [shard for shard in entry["shards"] if f"{dataset}/{shard['name']}" == tar]
        samples = len({name.partition(".")[0] for name, _ in members})
        entry["samples"] += samples - shard["samples"]
        shard |= {"bytes": len(file.getvalue()), "samples": samples} | digests

    change_manifest(corpus, relist)


def change_manifest(corpus: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    """Change the manifest, and bring the indexes up to date with it."""
    manifest = json.loads((corpus / "manifest.json").read_bytes())
    change(manifest)
    for file in manifest["files"]:
        dataset, _, name = file["name"].rpartition("/")
        if name == "index.json" and dataset in manifest["datasets"]:
            data = wids_index(dataset, manifest["datasets"][dataset]["shards"])
            (corpus / file["name"]).write_bytes(data)
            file["sha256"] = hashlib.sha256(data).hexdigest()
    (corpus / "manifest.json").write_bytes(to_json(manifest))
