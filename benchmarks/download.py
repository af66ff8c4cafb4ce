"""Measures the stage `download` on the local engine against img2dataset: the same URLs, the same images kept.

    python -m benchmarks.download             bytes stored as they came
    python -m benchmarks.download --resize    longest side 384, JPEG quality 90

Both fetch photographs (650×650 JPEGs of some 60 KB, each with bytes of its own) from a web server on loopback, hash
them and write them into tars beside a table, with two worker processes and shards of one size (4,000 URLs; 800 with
`--resize`).
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import hashlib
import io
import json
import multiprocessing
import os
import shutil
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.harness import versus

if TYPE_CHECKING:
    from corpus.execution import ShardTask

# The workers of both sides import this module again when they start, so what it needs is imported where it is used.

SIDE_PX, RESIZED_PX, QUALITY = 650, 384, 90
WORKERS = 2
# The kept images: URL -> digest of the stored bytes, or (width, height) of re-encoded ones.
Kept = dict[str, bytes | tuple[int, int]]
Responses = Callable[[int], tuple[int, bytes]]  # the status and the body of each number


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--resize", action="store_true")
    resize = parser.parse_args().resize
    shard_rows = 800 if resize else 4000
    with serve() as port, tempfile.TemporaryDirectory(prefix="rzen-corpus-bench-") as folder:
        root = Path(folder)
        urls = [f"http://127.0.0.1:{port}/{number:08d}.jpg" for number in range(4 * shard_rows)]
        tasks = write_shards(root / "ours", urls, shard_rows)
        rows = write_urls(root / "urls.parquet", urls)
        versus(
            "download_resize" if resize else "download",
            "images/s",
            len(urls),
            partial(ours, root / "ours", tasks, port, resize),
            partial(peer, root / "peer", rows, shard_rows, resize),
            "img2dataset",
            partial(_same, root, len(urls), resize),
        )


def ours(workspace: Path, tasks: list[ShardTask], port: int, resize: bool) -> None:
    """Runs the stage over the shards, into the workspace."""
    from corpus.execution import MapJob
    from pipelines.download.images import DownloadSettings, ReencodeSettings, open_download
    from pipelines.engines import EngineSettings, open_engine
    from pipelines.fetch import FetchSettings

    fetch = FetchSettings(private_allowlist=(f"127.0.0.1:{port}",), concurrency=16, concurrency_per_host=16)
    reencode = ReencodeSettings(longest_side_px=RESIZED_PX, jpeg_quality=QUALITY) if resize else None
    engine = open_engine(EngineSettings(kind="local", workers=WORKERS))
    work = MapJob(open_download(DownloadSettings(fetch=fetch, reencode=reencode)), str(workspace))
    try:
        for outcome in engine.map(work, tasks):
            assert not outcome.error, outcome.error
    finally:
        engine.close()


def peer(folder: Path, rows: Path, shard_rows: int, resize: bool) -> None:
    """Runs img2dataset, into the folder."""
    os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"  # one of its imports would look for a newer version of itself
    from img2dataset import download

    shrink = {
        "image_size": RESIZED_PX,
        "resize_mode": "keep_ratio_largest",
        "resize_only_if_bigger": True,
        "encode_quality": QUALITY,
    }
    # It prints its progress to the standard output, which is the result's.
    with contextlib.redirect_stdout(io.StringIO()):
        download(
            url_list=str(rows),
            input_format="parquet",
            url_col="url",
            caption_col="caption",
            output_folder=str(folder),
            output_format="webdataset",
            processes_count=WORKERS,
            thread_count=32,
            number_sample_per_shard=shard_rows,
            compute_hash="sha256",
            **(shrink if resize else {"disable_all_reencoding": True}),
        )


def _same(root: Path, images: int, resize: bool, *_: None) -> None:
    """Checks that both kept every image, and the same ones; removes the results."""
    ours_kept, peer_kept = _our_kept(root / "ours", resize), _peer_kept(root / "peer", resize)
    assert len(ours_kept) == images, f"kept {len(ours_kept)} of {images}"
    assert ours_kept == peer_kept, "not the same images"
    for folder in (root / "ours/media", root / "ours/tables/bench/download", root / "peer"):
        shutil.rmtree(folder)


def _our_kept(workspace: Path, resize: bool) -> Kept:
    import pyarrow.parquet as pq

    kept: Kept = {}
    for path in sorted((workspace / "tables/bench/download").iterdir()):
        table = pq.read_table(path)
        urls = pq.read_table(workspace / "tables/bench/rows" / path.name.replace(".download.", ".rows.")).column("url")
        for url, row in zip(urls.to_pylist(), table.to_pylist(), strict=True):
            if row["status"] == "kept":
                with (workspace / row["media"]).open("rb") as tar:
                    tar.seek(row["offset"])
                    kept[url] = _content(tar.read(row["size"]), resize)
    return kept


def _peer_kept(folder: Path, resize: bool) -> Kept:
    kept: Kept = {}
    for path in sorted(folder.glob("*.tar")):
        images: dict[str, bytes] = {}
        with tarfile.open(path) as tar:
            for member in tar:
                key, _, ext = member.name.partition(".")
                file = tar.extractfile(member)
                assert file is not None
                if ext == "jpg":
                    images[key] = file.read()
                elif ext == "json":
                    kept[json.load(file)["url"]] = _content(images.pop(key), resize)
    return kept


def _content(data: bytes, resize: bool) -> bytes | tuple[int, int]:
    from PIL import Image

    return Image.open(io.BytesIO(data)).size if resize else hashlib.sha256(data).digest()


def write_urls(path: Path, urls: list[str], captions: list[str] | None = None) -> Path:
    """Writes the list of URLs that img2dataset reads, each with a caption; returns its path."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    captions = captions or [f"photograph {at}" for at in range(len(urls))]
    pq.write_table(pa.table({"url": urls, "caption": captions}), path)
    return path


def write_shards(workspace: Path, urls: list[str], shard_rows: int) -> list[ShardTask]:
    """Writes the tables of rows, and returns a task for each."""
    import pyarrow as pa

    from corpus.execution import ShardTask
    from corpus.stage import ROWS
    from corpus.workspace import Workspace

    tasks = []
    for at, start in enumerate(range(0, len(urls), shard_rows)):
        chosen = urls[start : start + shard_rows]
        rows = pa.table({"url": chosen, "status": ["kept"] * len(chosen), "reason": [""] * len(chosen)})
        name = f"{at:05d}"
        path = f"tables/bench/rows/{name}.rows.parquet"
        Workspace(workspace).write_table(path, rows, {})
        output = f"tables/bench/download/{name}.download.parquet"
        tasks.append(ShardTask("bench", name, at, ((ROWS, path),), output, f"media/bench/{name}.download", {}))
    return tasks


@contextlib.contextmanager
def serve(open_responses: Callable[[], Responses] | None = None) -> Iterator[int]:
    """Runs a web server in another process; yields its port. It serves photographs, unless it is given what to serve.

    `open_responses` is called in that process.
    """
    context = multiprocessing.get_context("spawn")
    receive, send = context.Pipe(duplex=False)
    process = context.Process(target=_serve, args=(send, open_responses or _photographs), daemon=True)
    process.start()
    try:
        yield receive.recv()
    finally:
        process.terminate()
        process.join()


class _ImageProtocol(asyncio.Protocol):
    """The protocol of GET /NUMBER.jpg over HTTP/1.1, with as little work as a server written in C would need."""

    def __init__(self, responses: Responses) -> None:
        self._responses = responses
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        *requests, self._buffer = (self._buffer + data).split(b"\r\n\r\n")
        for request in requests:
            status, body = self._responses(int(request[len(b"GET /") : request.index(b".jpg ")]))
            head = b"HTTP/1.1 %d %s\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n"
            self._transport.write(head % (status, b"OK" if status == 200 else b"Not Found", len(body)) + body)
            if b"\nconnection: close" in request.lower():
                self._transport.close()


def _serve(port: Connection, open_responses: Callable[[], Responses]) -> None:
    async def run() -> None:
        responses = open_responses()
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: _ImageProtocol(responses), "127.0.0.1", 0, backlog=1024)
        port.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(run())


def _photographs() -> Responses:
    halves = [(picture[:2], picture[2:]) for picture in _pictures()]

    def respond(number: int) -> tuple[int, bytes]:
        start, rest = halves[number % len(halves)]
        comment = b"\xff\xfe\x00\x0a" + number.to_bytes(8, "big")  # other bytes, the same picture
        return 200, start + comment + rest

    return respond


def _pictures() -> list[bytes]:
    """Returns 650×650 JPEGs of the photographs in scikit-image and scikit-learn."""
    import cv2

    from demo.images.photographs import photographs

    pictures = []
    for photograph in photographs():
        side = min(photograph.pixels.shape[:2])
        square = cv2.resize(photograph.pixels[:side, :side], (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_CUBIC)
        pictures.append(cv2.imencode(".jpg", square, [cv2.IMWRITE_JPEG_QUALITY, 75])[1].tobytes())
    return pictures


if __name__ == "__main__":
    main()
