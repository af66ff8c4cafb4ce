"""Rows of MMEB-train as they are published, one of each subset, and how tests write and read such rows.

Texts may be shortened. Negatives of CIRR and WebQA are added: rows of theirs that are quoted have none.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from corpus.schema import Task
from corpus.settings import parse_settings
from pipelines.sources.mmeb import Mme5Source, MmebReader, MmebSource
from pipelines.sources.pair_rows import PAIR_ROWS

TOKEN = "<|image_1|>\n"
FIELDS = ("qry", "qry_image_path", "pos_text", "pos_image_path", "neg_text", "neg_image_path")
GIVEN = f"{TOKEN}Represent the given image.\n"
QUESTION = "Represent the given image with the following question: "
CHANGES = "Given an image, find a similar everyday image with the described changes: "
CAPTION = "Find me an everyday image that matches the given caption: "
SIMILAR = "Find a day-to-day image that looks similar to the provided image."
WIKIPEDIA = "Represent the given Wikipedia image with related text information: "
NEWS = "Represent the given news image with the following caption for domain classification: "
HATEFUL = (
    "Represent the given image for binary classification to determine whether it constitutes hateful speech or not"
)
DIALOGUE = "Represent the given dialogue about an image, which is used for image retrieval: "
OBJECT = "Select the portion of the image that isolates the object labeled as "
CROPPED = f"{TOKEN}Represent the given cropped image of the object"

# Subset, the row's fields; what is expected: task, instruction, query text, positive text, label.
PUBLISHED: list[tuple[str, tuple[str, ...], tuple[Task, str, str, str, str]]] = [
    (
        "ImageNet_1K",
        (f"{TOKEN}Represent the given image for classification\n", "images/ImageNet_1K/Train/image_0.jpg",
         "plane, carpenter's plane, woodworking plane", "", "", ""),
        (Task.IMAGE_CLASSIFICATION, "Represent the given image for classification", "",
         "plane, carpenter's plane, woodworking plane", "plane, carpenter's plane, woodworking plane"),
    ),
    (
        "N24News",
        (f"{TOKEN}{NEWS}Danai Gurira in a theater at New York University.\n",
         "images/N24News/Train/N24News_image_0.jpg", "Theater", "", "Global Business", ""),
        (Task.IMAGE_CLASSIFICATION, NEWS, "Danai Gurira in a theater at New York University.", "Theater", "Theater"),
    ),
    (
        "HatefulMemes",
        (f"{TOKEN}{HATEFUL}\n", "images/HatefulMemes/Train/HatefulMemes_image_0.jpg", "Yes", "", "No", ""),
        (Task.IMAGE_CLASSIFICATION, HATEFUL, "", "Yes", "Yes"),
    ),
    (
        "VOC2007",
        (f"{TOKEN}Identify the object shown in the image\n", "images/VOC2007/Train/1.jpg", "bus", "", "car", ""),
        (Task.IMAGE_CLASSIFICATION, "Identify the object shown in the image", "", "bus", "bus"),
    ),
    (
        "SUN397",
        (f"{TOKEN}Identify the scene shown in the image\n", "images/SUN397/Train/1.jpg", "raft", "", "", ""),
        (Task.IMAGE_CLASSIFICATION, "Identify the scene shown in the image", "", "raft", "raft"),
    ),
    *(
        (
            subset,
            (f"{TOKEN}{QUESTION}How many values are below 40?\n", f"images/{subset}/Train/1.jpg", "6", "", "9.5", ""),
            (Task.IMAGE_QA, QUESTION, "How many values are below 40?", "6", ""),
        )
        for subset in ("OK-VQA", "A-OKVQA", "DocVQA", "InfographicsVQA", "ChartQA", "Visual7W")
    ),
    (
        "VisDial",
        (f"{DIALOGUE}Q:is the photo in color\nA:yes\nQ:is it daytime\nA:i don't see windows\n\n", "",
         f"{TOKEN}Represent the given image\n", "images/VisDial/Train/VisDial_image_0.jpg", "",
         "images/VisDial/Train/VisDial_image_61616.jpg"),
        (Task.IMAGE_RETRIEVAL, DIALOGUE, "Q:is the photo in color\nA:yes\nQ:is it daytime\nA:i don't see windows", "",
         ""),
    ),
    (
        "CIRR",
        (f"{TOKEN}{CHANGES}Many hamster together.\n", "images/CIRR/Train/train-11991-2-img1.jpg", GIVEN,
         "images/CIRR/Train/train-5270-1-img0.jpg", GIVEN, "images/CIRR/Train/train-1-1-img0.jpg"),
        (Task.IMAGE_RETRIEVAL, CHANGES, "Many hamster together.", "", ""),
    ),
    (
        "VisualNews_t2i",
        ("Retrieve an image of this news caption. Jersey Shore cast.\n", "", GIVEN, "images/VisualNews_t2i/Train/1.jpg",
         "", ""),
        (Task.IMAGE_RETRIEVAL, "Retrieve an image of this news caption. ", "Jersey Shore cast.", "", ""),
    ),
    (
        "VisualNews_i2t",
        (f"{TOKEN}Find a caption for the news in the given photo.\n", "images/VisualNews_i2t/Train/1.jpg", "Cucidati.",
         "", "Friggen Fried Ice Cream.", ""),
        (Task.IMAGE_RETRIEVAL, "Find a caption for the news in the given photo.", "", "Cucidati.", ""),
    ),
    (
        "MSCOCO_t2i",
        (f"{CAPTION}A teddy bear shop.\n", "", GIVEN, "images/MSCOCO_t2i/Train/1.jpg", "", ""),
        (Task.IMAGE_RETRIEVAL, CAPTION, "A teddy bear shop.", "", ""),
    ),
    (
        "MSCOCO_i2t",
        (f"{TOKEN}Find an image caption describing the given everyday image.\n",
         "images/MSCOCO_i2t/Train/COCO_train2014_000000376224.jpg",
         "A vase with two roses.", "", "", ""),
        (Task.IMAGE_RETRIEVAL, "Find an image caption describing the given everyday image.", "",
         "A vase with two roses.", ""),
    ),
    (
        "NIGHTS",
        (f"{TOKEN}{SIMILAR}\n", "images/NIGHTS/Train/ref_000_002.jpg", GIVEN,
         "images/NIGHTS/Train/distort_000_002_0.jpg", "", ""),
        (Task.IMAGE_RETRIEVAL, SIMILAR, "", "", ""),
    ),
    (
        "WebQA",
        (f"{TOKEN}Find a Wikipedia image that answers this question: Which part is on both?\n", "",
         f"{TOKEN}{WIKIPEDIA}1913-D Barber half obverse.\n", "images/WebQA/Train/1.jpg",
         f"{TOKEN}{WIKIPEDIA}NNC-US-1854\n", "images/WebQA/Train/2.jpg"),
        (Task.IMAGE_RETRIEVAL, "Find a Wikipedia image that answers this question: ", "Which part is on both?",
         "1913-D Barber half obverse.", ""),
    ),
    (
        "MSCOCO",
        (f'{TOKEN}{OBJECT}"hot dog"\n', "images/MSCOCO/Train/000000558840.jpg", CROPPED,
         "images/MSCOCO/Train/558840_object_hot dog.jpg", "", ""),
        (Task.IMAGE_GROUNDING, OBJECT, '"hot dog"', "", ""),
    ),
]  # fmt: skip


def write(path: Path, *rows: tuple[Any, ...], fields: tuple[str, ...] = FIELDS) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    columns = {name: [row[at] for row in rows] for at, name in enumerate(fields)}
    pq.write_table(pa.table(columns), path, row_group_size=2)
    return path


def source(folder: Path, *subsets: str, kind: str = "mmeb", **settings: Any) -> MmebReader:
    model: Any = MmebSource if kind == "mmeb" else Mme5Source
    values = {"kind": kind, "folder": str(folder), "subsets": list(subsets), **settings}
    return MmebReader(parse_settings(values, model))


def rows_of(rows: MmebReader) -> list[dict[str, Any]]:
    """All rows, after a look at whether the counts add up."""
    shards = list(rows.shards())
    assert all(shard.schema == PAIR_ROWS for shard in shards)
    found = [row for shard in shards for row in shard.to_pylist()]
    assert rows.counts["read"] == len(found) + sum(n for reason, n in rows.counts.items() if reason != "read")
    return found


def one(tmp_path: Path, subset: str, row: tuple[Any, ...], **settings: Any) -> dict[str, Any]:
    write(tmp_path / subset / "original-00000-of-00001.parquet", row)
    (found,) = rows_of(source(tmp_path, subset, **settings))
    return found
