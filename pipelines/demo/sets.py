"""The demo's sets of given pairs: one of every kind, in miniature, in the form in which such sets are published.

    FOLDER/sets/<source>/    what a set's authors give: annotations, archives of images, a PDF
    FOLDER/sets/truth.json   what must become of every row (`pipelines.demo.planted`)

All pictures are drawn scenes, unlike each other but for copies that are planted.
"""

from __future__ import annotations

import hashlib
import io
import shutil
import tarfile
import time
import zipfile
from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from corpus.records import Status
from pipelines.demo.pictures import Pixels, distances, encode, is_clear, looks, scaled
from pipelines.demo.planted import Pair, Planted, SetsTruth, Side, write_truth
from pipelines.demo.scenes import Scene, draw, invent
from pipelines.demo.set_texts import plant_mapped, plant_text_pairs, write_lines
from pipelines.demo.world import FAR, NEAR

TOKEN = "<|image_1|>\n"
CLASSES = {  # subset -> its instruction; label -> (merged label, images)
    "VOC2007": (
        "Identify the object shown in the image",
        {"dog": ("dog", 9), "cat": ("cat", 6), "aeroplane": ("airplane", 5), "sofa": ("sofa", 2)},
    ),
    "ImageNet_1K": (
        "Represent the given image for classification",
        {"Dog": ("dog", 10), "airplane": ("airplane", 7), "goldfish, Carassius auratus": ("goldfish", 5)},
    ),
}


def build_sets(folder: str | Path, seed: int = 0) -> Path:
    """Write the sets, in place of any that lie there; returns where the truth lies. The same seed, the same bytes."""
    home = Path(folder) / "sets"
    shutil.rmtree(home, ignore_errors=True)
    painter = _Painter(seed)
    sets = {
        "megapairs": _plant_megapairs(home / "megapairs", painter),
        "mmeb": _plant_mmeb(home / "mmeb", painter),
        "passages": plant_text_pairs(home / "passages", painter.caption),
        "documents": _plant_documents(home / "documents", painter),
        "records": plant_mapped(home / "records", painter.caption),
        "tars": _plant_tars(home / "tars", painter),
    }
    write_truth(home / "truth.json", SetsTruth(sets, painter.images, painter.pages))
    return home / "truth.json"


class _Painter:
    """Makes pictures and sentences, from one stream of random numbers; remembers what they are called."""

    def __init__(self, seed: int) -> None:
        self._rng = np.random.default_rng([seed, 5])
        self._seen = np.zeros((0, 128), np.bool_)
        self._captions: set[str] = set()
        self.images: dict[str, str] = {}
        self.pages: dict[str, str] = {}

    def scene(self) -> Scene:
        """One whose caption nobody had before."""
        while (scene := invent(self._rng)).caption in self._captions:
            pass
        self._captions.add(scene.caption)
        return scene

    def caption(self) -> str:
        return self.scene().caption

    def picture(self) -> tuple[Pixels, str]:
        """A clear one unlike all before it, and its caption."""
        while True:
            picture = draw(scene := self.scene(), self._rng)
            bits = looks(picture.pixels)
            if is_clear(picture.pixels) and (not len(self._seen) or min(distances(self._seen, bits)) > FAR):
                self._seen = np.vstack([self._seen, bits])
                return picture.pixels, scene.caption

    def image(self, name: str) -> bytes:
        """The file of a new picture that is called so."""
        data = encode(self.picture()[0], quality=80)
        self.images[hashlib.sha256(data).hexdigest()] = name
        return data

    def twins(self, name: str) -> tuple[bytes, bytes]:
        """The file of a new picture, and a smaller one that shows the same, however it is decoded."""
        while True:
            pixels, _ = self.picture()
            files = encode(pixels), encode(scaled(pixels, 0.8), quality=70)
            flags = (cv2.IMREAD_COLOR, cv2.IMREAD_REDUCED_COLOR_2)
            seen = [cv2.imdecode(np.frombuffer(data, np.uint8), flag) for data in files for flag in flags]
            bits = [looks(pixels) for pixels in seen if pixels is not None]
            if all(max(distances(each, bits[0])) <= NEAR for each in bits):
                self.images[hashlib.sha256(files[0]).hexdigest()] = name
                return files


def _plant_megapairs(folder: Path, painter: _Painter) -> Planted:
    """Sixty triplets. The query's image is among its negatives, as in MegaPairs, and must stay there."""
    names = [f"images/{number:03d}.jpg" for number in range(60)]
    files = {name: painter.image(name) for name in names}
    files[names[3]], files["images/copy.jpg"] = painter.twins(names[3])
    files["images/broken.jpg"] = painter.image("")[:3000]
    planted, lines = Planted(), []

    def triplet(query: str, text: str, target: str, *negatives: str) -> dict[str, object]:
        return {"q_img": query, "q_text": [text], "t_img": target, "hns": [query, *negatives]}

    for number, query in enumerate(names):
        target, other = names[(number + 1) % 60], names[(number + 7) % 60]
        text = f"the same, but with {painter.caption()}"
        gone = ["images/gone.jpg", "images/broken.jpg"][: number % 3]  # negatives that are left out
        lines.append(triplet(query, text, target, *gone, other))
        planted.keep(Pair(Side(text, query), Side("", target), (Side("", query), Side("", other))))
    copied = planted.pairs[3]
    lines.append(triplet("images/copy.jpg", copied.query.text, copied.positive.image, copied.negatives[1].image))
    planted.kept += 1  # a row of its own, and the same pair
    lines += [
        triplet(names[8], painter.caption(), "images/gone.jpg"),
        triplet("images/broken.jpg", painter.caption(), names[9]),
        triplet(names[10], "", names[11]),
        triplet(names[12], painter.caption(), ""),
    ]
    planted.remove("positive_missing_image", Status.FAILED)
    planted.remove("query_truncated", Status.FAILED)
    for reason in ("no_text", "no_image", "not_json"):
        planted.remove(reason)
    write_lines(folder / "megapairs.jsonl", [*lines, '{"q_img": "images/000.jpg"'])
    order = list(files)
    _write_tar(folder / "one.tar", {name: files[name] for name in order[:20]})
    _write_zip(folder / "two.zip", {name: files[name] for name in order[20:40]})
    _write_files(folder / "loose", {name: files[name] for name in order[40:]})
    return planted


def _plant_mmeb(folder: Path, painter: _Painter) -> Planted:
    """Two subsets of classes, some of which mean the same."""
    planted = Planted()
    for subset, (instruction, classes) in CLASSES.items():
        rows: list[tuple[str, ...]] = []
        files: dict[str, bytes] = {}
        asked = f"{TOKEN}{instruction}\n"
        for label, (merged, count) in classes.items():
            for number in range(count):
                name = f"images/{subset}/Train/{merged}_{number}.jpg"
                files[name] = painter.image(name)
                other = "bus" if subset == "VOC2007" else ""
                rows.append((asked, name, label, "", other, ""))
                negatives = (Side(other),) if other else ()
                planted.keep(Pair(Side("", name), Side(label), negatives, merged, instruction))
        name = next(iter(files))
        gone = f"images/{subset}/Train/gone.jpg"
        rows += [(asked, "", "dog", "", "", ""), (asked, name, " ", "", "", ""), (asked, gone, "cat", "", "", "")]
        planted.remove("no_image")
        planted.remove("empty_positive")
        planted.remove("query_missing_image", Status.FAILED)
        fields = ("qry", "qry_image_path", "pos_text", "pos_image_path", "neg_text", "neg_image_path")
        columns = dict(zip(fields, map(list, zip(*rows, strict=True)), strict=True))
        (folder / subset).mkdir(parents=True)
        pq.write_table(pa.table(columns), folder / subset / "original-00000-of-00001.parquet")
        _write_files(folder, files)
    return planted


def _plant_documents(folder: Path, painter: _Painter) -> Planted:
    """A PDF, and what is asked about its pages."""
    from PIL import Image

    planted, pages, lines = Planted(), [], []
    for page in range(1, 7):
        pixels, caption = painter.picture()
        painter.pages[f"page {page}"] = "".join("01"[bit] for bit in looks(pixels).astype(int))
        pages.append(Image.fromarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)))
        for query in (f"On which page is {caption}?", f"The page with {caption}, as page {page} has it"):
            lines.append({"query": query, "pdf": "pages.pdf", "page": page})
            planted.keep(Pair(Side(query), Side("", f"page {page}")))
    lines += [
        {"query": painter.caption(), "pdf": "pages.pdf", "page": 7},
        {"query": painter.caption(), "pdf": "pages.pdf", "page": 0},
        {"query": painter.caption(), "pdf": "gone.pdf", "page": 1},
        {"query": painter.caption(), "pdf": "page.pdf", "page": 1},
        {"query": "", "pdf": "pages.pdf", "page": 2},
    ]
    for reason in ("no_page", "missing_image", "not_a_pdf"):
        planted.remove(f"positive_{reason}", Status.FAILED)
    planted.remove("bad_page")
    planted.remove("no_query")
    write_lines(folder / "queries.jsonl", lines)
    written = time.gmtime(0)
    first, *rest = pages
    first.save(
        folder / "pages.pdf", save_all=True, append_images=rest, quality=90, creationDate=written, modDate=written
    )
    (folder / "page.pdf").write_text("<html><body>Not here.</body></html>", encoding="utf-8")
    return planted


def _plant_tars(folder: Path, painter: _Painter) -> Planted:
    """img2dataset's output: a tar, and a Parquet file that tells of downloads that failed too."""
    planted = Planted()
    rows: list[dict[str, str | None]] = []
    files: dict[str, bytes] = {}
    for number in range(12):
        key, caption = f"{number:05d}", painter.caption()
        row = {"url": f"http://example.org/{key}.jpg", "caption": caption, "key": key, "status": "success"}
        rows.append({**row, "error_message": None, "sha256": None})
        if number == 5:
            rows[-1] |= {"status": "failed_to_download", "error_message": "HTTP Error 404: Not Found"}
            planted.remove("http_404", Status.FAILED)
            continue
        data = painter.image(f"tars/{key}")
        if number == 7:
            data = data[:-4000]
            planted.remove("truncated", Status.FAILED)
        elif number == 9:
            planted.remove("no_member", Status.FAILED)
            continue
        else:
            planted.keep(Pair(Side(caption), Side("", f"tars/{key}")))
        files |= {f"{key}.jpg": data, f"{key}.txt": caption.encode()}
    _write_tar(folder / "00000.tar", files)
    pq.write_table(pa.Table.from_pylist(rows), folder / "00000.parquet")
    return planted


def _write_tar(path: Path, files: Mapping[str, bytes]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))


def _write_zip(path: Path, files: Mapping[str, bytes]) -> None:
    """Every second member deflated, the others stored."""
    with zipfile.ZipFile(path, "w") as archive:
        for number, (name, data) in enumerate(files.items()):
            kind = zipfile.ZIP_DEFLATED if number % 2 else zipfile.ZIP_STORED
            archive.writestr(zipfile.ZipInfo(name), data, kind)


def _write_files(folder: Path, files: Mapping[str, bytes]) -> None:
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
