"""Builds the demo's sets in MMEB's six fields and of video frames, and writes the files of all sets."""

from __future__ import annotations

import io
import json
import tarfile
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from corpus.schema import Status
from demo.images.image_factory import ImageFactory
from demo.pairs.truth import ExpectedSet, Pair, SetSide

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


def plant_mmeb(folder: Path, painter: ImageFactory) -> ExpectedSet:
    """Builds two subsets of classes, some of which have the same meaning."""
    planted = ExpectedSet()
    for subset, (instruction, classes) in CLASSES.items():
        rows: list[tuple[str, ...]] = []
        files: dict[str, bytes] = {}
        query = f"{TOKEN}{instruction}\n"
        for label, (merged, count) in classes.items():
            for number in range(count):
                name = f"images/{subset}/Train/{merged}_{number}.jpg"
                files[name] = painter.image(name)
                other = "bus" if subset == "VOC2007" else ""
                rows.append((query, name, label, "", other, ""))
                negatives = (SetSide(other),) if other else ()
                planted.keep(Pair(SetSide("", name), SetSide(label), negatives, merged, instruction))
        name = next(iter(files))
        missing = f"images/{subset}/Train/gone.jpg"
        rows += [(query, "", "dog", "", "", ""), (query, name, " ", "", "", ""), (query, missing, "cat", "", "", "")]
        planted.remove("no_image")
        planted.remove("empty_positive")
        planted.remove("query_missing_image", Status.FAILED)
        write_rows(folder / subset / "original-00000-of-00001.parquet", FIELDS, rows)
        write_files(folder, files)
    return planted


def plant_mme5_classes(folder: Path, painter: ImageFactory) -> ExpectedSet:
    """Builds classes of mmE5, for one dataset with MMEB's: each row has its own question."""
    planted = ExpectedSet()
    rows: list[tuple[str, ...]] = []
    files: dict[str, bytes] = {}
    others = "driver's cab", 'sign "no entry"'
    for label, (merged, count) in MME5_CLASSES.items():
        for number in range(count):
            name = f"LAION/{merged}_{number}.jpg"
            files[name] = painter.image(name)
            question = f"What is this, beside {painter.caption()}?"
            rows.append((f"{TOKEN}{question}", name, label, "", str([*others]), str(["", ""]), "IT2T"))
            planted.keep(Pair(SetSide(question, name), SetSide(label), tuple(map(SetSide, others)), merged))
    rows.append((f"{TOKEN}What is it?", name, "dog", "", "[__import__('os').getcwd()]", "", "IT2T"))
    planted.remove("bad_list")
    write_rows(folder / "Classification" / "Classification.parquet", (*FIELDS, "modality"), rows)
    write_files(folder, files)
    return planted


def plant_mme5(folder: Path, painter: ImageFactory) -> ExpectedSet:
    """Builds triplets with images as negatives, and text-to-image rows, which the source does not select."""
    planted = ExpectedSet()
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
        planted.keep(Pair(SetSide(text, query), SetSide("", target), (SetSide("", negative), SetSide("", other))))
    for number in range(3):
        row(painter.caption(), "", names[number], [], [], "T2I")
        planted.remove("image_side_mismatch")
    row(painter.caption(), names[0], names[1], [represent], names[2:4])
    row(painter.caption(), "", names[5], [], [])
    planted.remove("bad_list")
    planted.remove("no_image")
    write_rows(folder / "Retrieval" / "Retrieval.parquet", (*FIELDS, "modality"), rows)
    write_zip(folder / "images" / "LAION.zip", files)
    return planted


def write_lines(path: Path, lines: Iterable[dict[str, Any] | str]) -> None:
    """Writes JSON lines; strings as they are."""
    path.parent.mkdir(parents=True, exist_ok=True)
    texts = [line if isinstance(line, str) else json.dumps(line, ensure_ascii=False) for line in lines]
    path.write_text("\n".join(texts) + "\n", encoding="utf-8")


def write_rows(path: Path, names: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Writes Parquet with columns of these names, from rows."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))), path)


def write_plain_tar(path: Path, files: Mapping[str, bytes]) -> None:
    """Writes a tar, its members in this order."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))


def write_zip(path: Path, files: Mapping[str, bytes]) -> None:
    """Writes a zip file, every second member deflated, the others stored."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for number, (name, data) in enumerate(files.items()):
            kind = zipfile.ZIP_DEFLATED if number % 2 else zipfile.ZIP_STORED
            archive.writestr(zipfile.ZipInfo(name), data, kind)


def write_files(folder: Path, files: Mapping[str, bytes]) -> None:
    """Writes each file below the folder, by its name."""
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)


FRAMES_PER_CLIP = 4  # of each pair, as the demo's settings have it
_CHOSEN = {  # frames that there are -> those of a pair, counted from 1
    4: (1, 2, 3, 4),
    11: (1, 4, 8, 11),
    5: (1, 2, 4, 5),
    2: (1, 1, 2, 2),
}


def plant_llava_hound(folder: Path, painter: ImageFactory) -> ExpectedSet:
    """Builds videos of many frames and of few; the tenth frame follows the ninth, whatever the order of their names."""
    planted = ExpectedSet()
    files: dict[str, bytes] = {}
    lines: list[dict[str, Any] | str] = []
    for number, (frames, chosen) in enumerate([*_CHOSEN.items(), (4, (1, 2, 3, 4))]):
        names = [f"frames/v_{number}/c01_{frame}.jpeg" for frame in range(1, frames + 1)]
        files |= {name: painter.image(name) for name in names}
        if number == 4:  # a video that begins as the first one does
            files[names[0]] = files["frames/v_0/c01_1.jpeg"]
            names[0] = "frames/v_0/c01_1.jpeg"
        text = f"First {painter.caption()}, then {painter.caption()}."
        lines.append(_record(f"v_{number}", text))
        planted.keep(Pair(SetSide(text), SetSide("", " + ".join(names[frame - 1] for frame in chosen))))
    files |= {f"frames/broken/c01_{frame}.jpeg": painter.image("")[:-4000] for frame in range(1, FRAMES_PER_CLIP + 1)}
    (folder / "frames" / "empty").mkdir(parents=True)
    lines += [
        _record("broken", painter.caption()),
        _record("empty", painter.caption()),
        _record("nowhere", painter.caption()),
        _record("../../..", painter.caption()),
        {**_record("v_0", ""), "conversations": [{"from": "gpt", "value": painter.caption()}]},
    ]
    planted.remove("positive_truncated", Status.FAILED)
    for reason in ("no_frames", "no_frames", "no_video", "bad_turns"):
        planted.remove(reason)
    write_lines(folder / "captions.jsonl", lines)
    write_files(folder, files)
    return planted


def _record(video: str, caption: str) -> dict[str, Any]:
    conversation = [{"from": "human", "value": "<video>\nWhat happens?"}, {"from": "gpt", "value": caption}]
    return {"id": video, "video": video, "conversations": conversation}
