"""What the tests of both download backends share: a served folder of small images, and a run of the stage over URLs."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
from PIL import Image

from corpus.execution import MapJob, Outcome, ShardTask
from corpus.schema import Status
from corpus.stage import ROWS
from corpus.workspace import Workspace
from demo.server import RunningServer, serve
from pipelines.download.images import DownloadSettings, open_download
from tests.helpers.small_worlds import picture

ROTATED = 6  # EXIF: the first row is the right side


def rotated(seed: int) -> bytes:
    """A JPEG of 24 × 16 pixels that is to be seen as one of 16 × 24, red above and blue below."""
    upright = Image.new("RGB", (16, 24), (220, 30, 30))
    upright.paste((30, 30, 220), (0, 12, 16, 24))
    exif = Image.Exif()
    exif[274] = ROTATED
    file = io.BytesIO()
    upright.transpose(Image.Transpose.ROTATE_90).save(file, "JPEG", quality=90 + seed, exif=exif)
    return file.getvalue()


@dataclass(frozen=True)
class Site:
    """A served folder, and the images in it by name."""

    serving: RunningServer
    images: dict[str, bytes]

    def urls(self, paths: Sequence[str]) -> list[str]:
        """Full URLs; what is one already stays as it is."""
        return [path if ":" in path else f"{self.serving.base_url}/{path}" for path in paths]

    @property
    def allow(self) -> str:
        return self.serving.base_url.removeprefix("http://")


@contextmanager
def site(folder: Path) -> Iterator[Site]:
    """Serve a.jpg, b.png, c.webp, rotated.jpg, cut.jpg (no end), hollow.png (no pixels), bomb.png (too many) ..."""
    images = {"a.jpg": picture(1), "b.png": picture(2, "PNG"), "c.webp": picture(3, "WEBP"), "rotated.jpg": rotated(0)}
    images["cut.jpg"] = images["a.jpg"][:-40]
    data = images["b.png"].index(b"IDAT") + 8
    images["hollow.png"] = images["b.png"][:data] + bytes(len(images["b.png"]) - data - 20) + images["b.png"][-20:]
    images["zdjęcie 1.jpg"] = picture(4)
    bomb = io.BytesIO()
    Image.new("1", (4000, 4000)).save(bomb, "PNG")
    images["bomb.png"] = bomb.getvalue()
    (folder / "www").mkdir(parents=True)
    for name, data in images.items():
        (folder / "www" / name).write_bytes(data)
    with serve(folder) as serving:
        yield Site(serving, images)


def settings(site: Site, **changes: Any) -> DownloadSettings:
    """Quick to give up, and allowed to reach the site only."""
    fetch = {
        "private_allowlist": [site.allow],
        "max_attempts": 1,
        "total_timeout_s": 5,
        "read_timeout_s": 1,
        "max_bytes": 100_000,
    }
    fetch |= changes.pop("fetch", {})
    return DownloadSettings.model_validate({"fetch": fetch, "max_pixels": 1_000_000, **changes})


def run_stage(workspace: Workspace, urls: Sequence[str], settings: DownloadSettings) -> tuple[Outcome, str]:
    """Run the stage over one shard of these URLs; what came of it, and where its table lies."""
    rows = {"url": urls, "status": [str(Status.KEPT)] * len(urls), "reason": [""] * len(urls)}
    workspace.write_table("rows.parquet", pa.table(rows), {})
    media = workspace.media_stem("s", "000000", "f")
    task = ShardTask("s", "000000", 0, ((ROWS, "rows.parquet"),), "download.parquet", media, {})
    outcome = MapJob(open_download(settings), workspace.store.url).open()(task)
    return outcome, task.output
