"""Builds the demo's sets of existing pairs: one of every kind, in miniature, in its published form.

    FOLDER/sets/<source>/    the files of a set: annotations, archives of images, a PDF
    FOLDER/sets/truth.json   the outcome of every row (`demo.pairs.truth`)

All pictures are drawn scenes, different from each other except for planted copies and postcards in another light.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import pyarrow as pa
import pyarrow.parquet as pq

from corpus.schema import Status
from demo.images.image_factory import ImageFactory
from demo.pairs.builders import (
    plant_llava_hound,
    plant_mme5,
    plant_mme5_classes,
    plant_mmeb,
    write_files,
    write_lines,
    write_plain_tar,
    write_rows,
    write_zip,
)
from demo.pairs.documents import plant_mbeir, plant_tevatron
from demo.pairs.mined_images import plant_postcards
from demo.pairs.mined_texts import plant_guide
from demo.pairs.texts import plant_mapped, plant_text_pairs
from demo.pairs.truth import ExpectedSet, Pair, SetSide, SetsTruth, write_truth


def build_sets(folder: str | Path, seed: int = 0, progress: Callable[[int, int], None] | None = None) -> Path:
    """Writes the sets, in place of existing ones; returns the path of the truth. The same seed gives the same bytes.

    `progress` is called with the number of sets that are written, and of all.
    """
    home = Path(folder) / "sets"
    shutil.rmtree(home, ignore_errors=True)
    painter = ImageFactory(seed)
    planters: dict[str, Callable[[Path], ExpectedSet]] = {
        "megapairs": lambda folder: _plant_megapairs(folder, painter),
        "mmeb": lambda folder: plant_mmeb(folder, painter),
        "passages": lambda folder: plant_text_pairs(folder, painter.caption),
        "documents": lambda folder: _plant_documents(folder, painter),
        "records": lambda folder: plant_mapped(folder, painter.caption),
        "tars": lambda folder: _plant_tars(folder, painter),
        "mme5": lambda folder: plant_mme5(folder, painter),
        "mme5_classes": lambda folder: plant_mme5_classes(folder, painter),
        "llava_hound": lambda folder: plant_llava_hound(folder, painter),
        "table": lambda folder: _plant_table(folder, painter),
        "mbeir": lambda folder: plant_mbeir(folder, painter),
        "tevatron": lambda folder: plant_tevatron(folder, painter.caption),
        "guide": plant_guide,
        "postcards": lambda folder: plant_postcards(folder, painter),
    }
    sets = {}
    for number, (name, plant) in enumerate(planters.items(), 1):
        sets[name] = plant(home / name)
        if progress is not None:
            progress(number, len(planters))
    write_truth(home / "truth.json", SetsTruth(sets, painter.images, painter.pages))
    return home / "truth.json"


def _plant_megapairs(folder: Path, painter: ImageFactory) -> ExpectedSet:
    """Builds sixty triplets. The query's image is among its negatives, as in MegaPairs, and must stay there."""
    names = [f"images/{number:03d}.jpg" for number in range(60)]
    files = {name: painter.image(name) for name in names}
    files[names[3]], files["images/copy.jpg"] = painter.twins(names[3])
    files["images/broken.jpg"] = painter.image("")[:3000]
    planted, lines = ExpectedSet(), []

    def triplet(query: str, text: str, target: str, *negatives: str) -> dict[str, object]:
        return {"q_img": query, "q_text": [text], "t_img": target, "hns": [query, *negatives]}

    for number, query in enumerate(names):
        target, other = names[(number + 1) % 60], names[(number + 7) % 60]
        text = f"the same, but with {painter.caption()}"
        missing = ["images/gone.jpg", "images/broken.jpg"][: number % 3]  # negatives that are left out
        lines.append(triplet(query, text, target, *missing, other))
        planted.keep(Pair(SetSide(text, query), SetSide("", target), (SetSide("", query), SetSide("", other))))
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
    write_plain_tar(folder / "one.tar", {name: files[name] for name in order[:20]})
    write_zip(folder / "two.zip", {name: files[name] for name in order[20:40]})
    write_files(folder / "loose", {name: files[name] for name in order[40:]})
    return planted


def _plant_documents(folder: Path, painter: ImageFactory) -> ExpectedSet:
    """Builds a PDF, and questions about its pages."""
    from PIL import Image

    planted, pages, lines = ExpectedSet(), [], []
    for page in range(1, 7):
        pixels, caption = painter.page(f"page {page}")
        pages.append(Image.fromarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)))
        for query in (f"On which page is {caption}?", f"The page with {caption}, as page {page} has it"):
            lines.append({"query": query, "pdf": "pages.pdf", "page": page})
            planted.keep(Pair(SetSide(query), SetSide("", f"page {page}")))
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


def _plant_tars(folder: Path, painter: ImageFactory) -> ExpectedSet:
    """Builds an output of img2dataset: a tar, and a Parquet file with the failed downloads."""
    planted = ExpectedSet()
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
            planted.keep(Pair(SetSide(caption), SetSide("", f"tars/{key}")))
        files |= {f"{key}.jpg": data, f"{key}.txt": caption.encode()}
    write_plain_tar(folder / "00000.tar", files)
    pq.write_table(pa.Table.from_pylist(rows), folder / "00000.parquet")
    return planted


def _plant_table(folder: Path, painter: ImageFactory) -> ExpectedSet:
    """Builds questions about pictures, in Parquet with embedded pictures and unusual columns."""
    planted = ExpectedSet()
    rows: list[tuple[Any, ...]] = []

    def row(image: bytes | None, question: str, answers: list[str]) -> None:
        picture = None if image is None else {"bytes": image, "path": None}
        rows.append((picture, {"text": question}, answers, f"q{len(rows)}"))

    for number in range(10):
        data = painter.image(name := f"table/{number}")
        question, answer, other = (f"{start} {painter.caption()}." for start in ("Ask for", "It is", "It is not"))
        row(data, question, [answer, other])
        planted.keep(Pair(SetSide(question, name), SetSide(answer), (SetSide(other),)))
    row(painter.image(""), painter.caption(), [])
    row(painter.image("")[:3000], painter.caption(), ["Who knows?"])
    row(None, painter.caption(), ["A question about no picture"])
    planted.remove("no_positive")
    planted.remove("query_truncated", Status.FAILED)
    planted.remove("query_missing_image", Status.FAILED)
    write_rows(folder / "questions.parquet", ("picture", "asked", "answers", "key"), rows)
    return planted
