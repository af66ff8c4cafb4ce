"""The demo's sets in MMEB's six fields: classes of MMEB and mmE5, and mmE5's triplets with lists as strings."""

from __future__ import annotations

from pathlib import Path

from corpus.records import Status
from pipelines.demo.painter import Painter
from pipelines.demo.planted import Pair, Planted, Side
from pipelines.demo.set_files import write_files, write_rows, write_zip

FIELDS = ("qry", "qry_image_path", "pos_text", "pos_image_path", "neg_text", "neg_image_path")
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
MME5_CLASSES = {"a photo of a dog": ("dog", 3), "Goldfish": ("goldfish", 4), "windmill": ("windmill", 5)}


def plant_mmeb(folder: Path, painter: Painter) -> Planted:
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
        write_rows(folder / subset / "original-00000-of-00001.parquet", FIELDS, rows)
        write_files(folder, files)
    return planted


def plant_mme5_classes(folder: Path, painter: Painter) -> Planted:
    """Classes of mmE5, which go into one dataset with MMEB's: each row has a question of its own."""
    planted = Planted()
    rows: list[tuple[str, ...]] = []
    files: dict[str, bytes] = {}
    others = "driver's cab", 'sign "no entry"'
    for label, (merged, count) in MME5_CLASSES.items():
        for number in range(count):
            name = f"LAION/{merged}_{number}.jpg"
            files[name] = painter.image(name)
            question = f"What is this, beside {painter.caption()}?"
            rows.append((f"{TOKEN}{question}", name, label, "", str([*others]), str(["", ""]), "IT2T"))
            planted.keep(Pair(Side(question, name), Side(label), tuple(map(Side, others)), merged))
    rows.append((f"{TOKEN}What is it?", name, "dog", "", "[__import__('os').getcwd()]", "", "IT2T"))
    planted.remove("bad_list")
    write_rows(folder / "Classification" / "Classification.parquet", (*FIELDS, "modality"), rows)
    write_files(folder, files)
    return planted


def plant_mme5(folder: Path, painter: Painter) -> Planted:
    """Triplets with images as negatives; among them rows that find an image by words alone, which are not asked for."""
    planted = Planted()
    rows: list[tuple[str, ...]] = []
    names = [f"LAION/{number:03d}.jpg" for number in range(14)]
    files = {name: painter.image(name) for name in names}
    represent = f"{TOKEN}Represent the given image."

    def row(text: str, query: str, target: str, texts: list[str], images: list[str], modality: str = "IT2I") -> None:
        rows.append((f"{TOKEN}{text}", query, represent, target, str(texts), str(images), modality))

    for number, query in enumerate(names):
        target, negative, other = (names[(number + step) % 14] for step in (1, 4, 9))
        text = f"Find the same, but with {painter.caption()}."
        # One that is not in the archive, and one that is words alone, where an image is to be found.
        row(text, query, target, [represent, represent, 'it\'s "new"', represent], [negative, "gone.jpg", "", other])
        planted.keep(Pair(Side(text, query), Side("", target), (Side("", negative), Side("", other))))
    for number in range(3):
        row(painter.caption(), "", names[number], [], [], "T2I")
        planted.remove("other_sides")
    row(painter.caption(), names[0], names[1], [represent], names[2:4])
    row(painter.caption(), "", names[5], [], [])
    planted.remove("bad_list")
    planted.remove("no_image")
    write_rows(folder / "Retrieval" / "Retrieval.parquet", (*FIELDS, "modality"), rows)
    write_zip(folder / "images" / "LAION.zip", files)
    return planted
