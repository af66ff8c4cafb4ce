"""The same job as `benchmarks.whole_job`, as a user would write it with other tools, in an environment of their own.

    python benchmarks/whole_job_peers.py daft|img2dataset URLS.parquet FOLDER --min-sharpness 60

`daft`: its own download and decode in the native runner. `img2dataset`: its download, then a pool of processes over its
tars; shards that are complete are not downloaded again. Both: OpenCV's Laplacian at one size and a pHash by its DCT,
faiss's binary search over the hashes, the largest of near pictures kept, webdataset's ShardWriter.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import tarfile
from collections.abc import Iterator
from multiprocessing import Pool
from pathlib import Path
from typing import Any

import cv2
import numpy as np

MIN_SIDE_PX, MAX_ASPECT_RATIO, RADIUS_BITS = 128, 4.0, 4
MEASURED_PX = 256
WORKERS = 2
PAIRS_PER_SHARD = 1000
EXTENSIONS = {b"\xff\xd8": "jpg", b"\x89P": "png", b"RI": "webp", b"GI": "gif"}


def inspect(rgb: np.ndarray) -> dict[str, Any]:
    """Returns width, height, sharpness (the variance of the Laplacian) and pHash of an image."""
    height, width = rgb.shape[:2]
    grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
    scale = min(1.0, MEASURED_PX / max(height, width))
    small = cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    deviation = cv2.meanStdDev(cv2.Laplacian(small, cv2.CV_16S))[1]
    low = cv2.dct(cv2.resize(grey, (32, 32), interpolation=cv2.INTER_AREA).astype(np.float32))[:8, :8]
    phash = int.from_bytes(np.packbits(low > np.median(low)).tobytes(), "little")
    return {"width": width, "height": height, "sharpness": float(deviation[0, 0]) ** 2, "phash": phash}


def is_good(image: dict[str, Any], min_sharpness: float) -> bool:
    """Returns whether an image passes the filters."""
    short, long = sorted((image["width"], image["height"]))
    return short >= MIN_SIDE_PX and long <= MAX_ASPECT_RATIO * short and image["sharpness"] >= min_sharpness


def distinct(hashes: np.ndarray, pixels: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Returns the positions of the pictures that are kept: from the largest on, each that no kept one is near."""
    import faiss

    faiss.omp_set_num_threads(WORKERS)
    order = np.lexsort((-sizes, -pixels))
    words = hashes[order].view(np.uint8).reshape(-1, 8)
    index = faiss.IndexBinaryFlat(64)
    index.add(words)
    limits, _, near = index.range_search(words, RADIUS_BITS + 1)
    removed = np.zeros(len(order), bool)
    for at in range(len(order)):
        if not removed[at]:
            others = near[limits[at] : limits[at + 1]]
            removed[others[others > at]] = True
    return order[~removed]


def write(samples: Iterator[tuple[str, str, bytes]], folder: Path) -> None:
    """Writes (URL, caption, bytes) as tars of samples with an image, its text and its URL."""
    import webdataset

    with webdataset.ShardWriter(f"{folder}/pairs-%06d.tar", maxcount=PAIRS_PER_SHARD, verbose=0) as writer:
        for number, (url, caption, data) in enumerate(samples):
            sample = {"__key__": f"{number:08d}", "txt": caption, "json": {"url": url}}
            writer.write({**sample, EXTENSIONS.get(data[:2], "jpg"): data})


def by_daft(urls: Path, folder: Path, min_sharpness: float) -> None:
    """Runs the job on Daft's native runner."""
    import daft
    from daft import DataType, col

    daft.set_runner_native()
    fields = {"width": "int64", "height": "int64", "sharpness": "float64", "phash": "uint64"}
    row = DataType.struct({name: getattr(DataType, kind)() for name, kind in fields.items()})

    @daft.func.batch(return_dtype=row, unnest=True)
    def measure(images: daft.Series) -> list[dict[str, Any]]:
        return [inspect(pixels) for pixels in images.to_pylist()]

    width, height = col("width"), col("height")
    good = (width >= MIN_SIDE_PX) & (height >= MIN_SIDE_PX) & (col("sharpness") >= min_sharpness)
    good &= (width <= MAX_ASPECT_RATIO * height) & (height <= MAX_ASPECT_RATIO * width)

    found = (
        daft.read_parquet(str(urls))
        .where(col("caption") != "")
        .with_column("data", col("url").download(max_connections=32, on_error="null"))
        .where(col("data").not_null())
        .with_column("image", col("data").decode_image(on_error="null"))
        .where(col("image").not_null())
        .select("url", "caption", "data", measure(col("image")))
        .where(good)
        .to_arrow()
    )
    values = {name: found.column(name).to_numpy() for name in ("phash", "width", "height")}
    sizes = np.array([len(data.as_buffer()) for data in found.column("data")])
    kept = distinct(values["phash"], values["width"] * values["height"], sizes)
    columns = [found.column(name) for name in ("url", "caption", "data")]
    write((tuple(column[at].as_py() for column in columns) for at in np.sort(kept).tolist()), folder)  # type: ignore[misc]


def by_img2dataset(urls: Path, folder: Path, min_sharpness: float) -> None:
    """Runs the job with img2dataset, then over its tars."""
    os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"  # one of its imports would look for a newer version of itself
    from img2dataset import download

    downloaded = folder / "downloaded"
    with contextlib.redirect_stdout(io.StringIO()):
        download(
            url_list=str(urls),
            input_format="parquet",
            url_col="url",
            caption_col="caption",
            output_folder=str(downloaded),
            output_format="webdataset",
            processes_count=WORKERS,
            thread_count=32,
            number_sample_per_shard=PAIRS_PER_SHARD,
            disable_all_reencoding=True,
        )
    with Pool(WORKERS) as pool:
        inspected = pool.imap(inspect_tar, sorted(downloaded.glob("*.tar")))
        rows = [row for part in inspected for row in part if row["caption"] and is_good(row, min_sharpness)]
    pixels = np.array([row["width"] * row["height"] for row in rows])
    hashes, sizes = np.array([row["phash"] for row in rows], np.uint64), np.array([row["size"] for row in rows])
    kept = np.sort(distinct(hashes, pixels, sizes)).tolist()
    write(((rows[at]["url"], rows[at]["caption"], _read(rows[at])) for at in kept), folder)


def inspect_tar(path: Path) -> list[dict[str, Any]]:
    """Returns a row for each image of a tar of img2dataset that can be decoded."""
    cv2.setNumThreads(1)
    rows, row = [], {}
    with tarfile.open(path) as tar:
        for member in tar:
            file = tar.extractfile(member)
            assert file is not None
            if member.name.endswith(".jpg"):  # its name for all of them; the first member of a sample
                row = {"tar": str(path), "offset": member.offset_data, "size": member.size}
                pixels = cv2.imdecode(np.frombuffer(file.read(), np.uint8), cv2.IMREAD_COLOR_RGB)
                row |= inspect(pixels) if pixels is not None else {}
            elif member.name.endswith(".json") and "phash" in row:
                sample = json.load(file)
                rows.append(row | {"url": sample["url"], "caption": sample["caption"]})
    return rows


def _read(row: dict[str, Any]) -> bytes:
    with open(row["tar"], "rb") as file:  # noqa: PTH123 - thousands of them
        file.seek(row["offset"])
        return file.read(row["size"])


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tool", choices=["daft", "img2dataset"])
    parser.add_argument("urls", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--min-sharpness", type=float, required=True)
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    run = by_daft if options.tool == "daft" else by_img2dataset
    run(options.urls, options.folder, options.min_sharpness)


if __name__ == "__main__":
    main()
