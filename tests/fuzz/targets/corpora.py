"""Readers of a published corpus: `verify`, over a damaged manifest, tar or index."""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path

from corpus.storage import StorageError
from pipelines.publishing.verify import verify

from ..formats import JSON, json_value, tar_checksums, tar_field
from ..target import Reader, Target
from .files import several


def _published(folder: Path) -> dict[str, bytes]:
    """The files of a small corpus: images with negatives, groups, captions."""
    from small_worlds import InlineEngine, World, image_pair, mixture

    from pipelines.publishing.publish import publish

    world = World(str(folder / "work"))
    images = world.pictures(4)
    rows = [image_pair("clips", str(n), image, group=f"video {n // 2}") for n, image in enumerate(images)]
    world.dataset("clips", rows)
    world.captions("laion", 3)
    corpus = folder / "published"
    publish(world.workspace, world.given(), mixture(corpus, {"clips": {"negatives": 1}, "laion": {}}), InlineEngine())
    files = {str(path.relative_to(corpus)): path.read_bytes() for path in sorted(corpus.rglob("*")) if path.is_file()}
    shutil.rmtree(folder)
    return files


def _verify(damaged: tuple[str, ...], folder: Path) -> Reader:
    corpus = folder / "corpus"
    whole = _published(folder / "making")
    for name, data in whole.items():
        (corpus / name).parent.mkdir(parents=True, exist_ok=True)
        (corpus / name).write_bytes(data)
    files = {name: [data] for name, data in whole.items() if name.endswith(damaged)}
    own = (tar_field, json_value) if ".tar" in damaged else JSON
    repairs = {name: tar_checksums for name in files if name.endswith(".tar")}
    return several(corpus, files, lambda: verify(str(corpus), 1), (StorageError,), own, repairs)


TARGETS = (
    Target("corpora.tars", 6_000, partial(_verify, (".tar",))),
    Target("corpora.manifest", 4_000, partial(_verify, (".json", ".yaml", ".md"))),
)
