"""Readers of a published corpus: `verify`, and publishing anew, over a damaged manifest, tar or index."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from corpus.storage import StorageError
from pipelines.publish.mixture import PublishError
from pipelines.publish.verify import verify

from ..formats import JSON, json_value, tar_checksums, tar_field
from ..target import Reader, Target, Unexpected
from .files import several


def _world(folder: Path) -> Callable[[Path, int], None]:
    """What publishes a small workspace, images with negatives, groups and captions: where, with so many negatives."""
    from pipelines.publish.publish import publish
    from tests.helpers.small_worlds import InlineEngine, World, image_pair, mixture

    world = World(str(folder))
    images = world.pictures(4)
    rows = [image_pair("clips", str(n), image, group=f"video {n // 2}") for n, image in enumerate(images)]
    world.dataset("clips", rows)
    world.captions("laion", 3)

    def publish_in(corpus: Path, negatives: int) -> None:
        settings = mixture(corpus, {"clips": {"negatives": negatives}, "laion": {}})
        publish(world.workspace, world.given(), settings, InlineEngine())

    return publish_in


def _files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def _lay(files: Mapping[str, bytes], folder: Path) -> None:
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)


def _verify(damaged: tuple[str, ...], folder: Path) -> Reader:
    corpus, making = folder / "corpus", folder / "making"
    publish_in = _world(making / "work")
    publish_in(making / "corpus", 1)
    whole = _files(making / "corpus")
    shutil.rmtree(making)
    _lay(whole, corpus)
    files = {name: [data] for name, data in whole.items() if name.endswith(damaged)}
    own = (tar_field, json_value) if ".tar" in damaged else JSON
    repairs = {name: tar_checksums for name in files if name.endswith(".tar")}
    return several(corpus, files, lambda: verify(str(corpus), 1), (StorageError,), own, repairs)


def _publish_over(folder: Path) -> Reader:
    """Publishing where another corpus lies, whose manifest anybody may have written: nothing outside of it goes."""
    corpus, outside = folder / "home" / "corpus", folder / "up"
    publish_in = _world(folder / "work")
    publish_in(corpus, 1)
    before = _files(corpus)
    manifest = before["manifest.json"]
    up = manifest.replace(b'"clips-000000.tar"', b'"../../../up"').replace(b'"README.md"', b'"../../up"')

    def read(data: bytes) -> None:
        shutil.rmtree(corpus)
        _lay({**before, "manifest.json": data}, corpus)
        outside.write_bytes(b"somebody's")
        try:
            publish_in(corpus, 0)
        finally:
            if not outside.is_file() or outside.read_bytes() != b"somebody's":
                raise Unexpected("publishing went outside of its folder")

    return Reader(read, [manifest, up], (PublishError, StorageError), (json_value,))


TARGETS = (
    Target("corpora.tars", 5_500, partial(_verify, (".tar",))),
    Target("corpora.manifest", 4_000, partial(_verify, (".json", ".yaml", ".md"))),
    Target("corpora.publish_over", 500, _publish_over),
)
