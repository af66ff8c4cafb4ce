"""The bucket that the recipe's two files name, in miniature: every set in the form in which it is published."""

from __future__ import annotations

import io
import json
import tarfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.sources.mmeb_tasks import SUBSETS, Subset
from tests.helpers.videos import Shot, make_video

ROWS = 6  # of each set
LABELS = ("Yes", "No", "dog", "Dog", "tabby_cat", "Theater")
TEXT_SETS: Mapping[str, tuple[str, ...]] = {  # preset -> its columns of texts
    "msmarco": ("query", "positive_passages", "negative_passages"),
    "nq": ("query", "answer"),
    "hotpotqa": ("anchor", "positive", "negative"),
    "triviaqa": ("query", "answer"),
    "squad": ("question", "context"),
    "fever": ("query", "positive", *(f"negative_{number}" for number in range(50))),
    "allnli": ("anchor", "positive", "negative"),
}

_TOKEN = "<|image_1|>\n"
_REPRESENT = f"{_TOKEN}Represent the given image.\n"
_FIELDS = ("qry", "qry_image_path", "pos_text", "pos_image_path", "neg_text", "neg_image_path")
_SYLLABLES = ("ba", "co", "du", "fe", "gi", "lo", "mu", "na", "pe", "ri", "so", "tu", "va", "we", "xi", "zo")


def fill_bucket(folder: Path) -> Path:
    """Write all sets but LAION's, which is a web."""
    bucket = _Bucket(folder)
    for preset in TEXT_SETS:
        bucket.texts(preset)
    for subset, words in SUBSETS.items():
        bucket.mmeb(subset, words)
    bucket.megapairs()
    bucket.mme5()
    bucket.pages("vidore/colpali", {"image_filename": "page.pdf", "answer": "7", "page": "1"})
    bucket.pages("visrag/train-00000", {"source": "ArxivQA"})
    bucket.hound()
    bucket.films()
    return folder


class _Bucket:
    """Sets of texts and pictures that nobody had before."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._rng = np.random.default_rng(5)

    def words(self, count: int = 9) -> str:
        """A sentence in a language that nobody speaks."""
        drawn = self._rng.choice(_SYLLABLES, (count, 3))
        return " ".join("".join(word) for word in drawn).capitalize()

    def picture(self) -> bytes:
        """A JPEG that no other looks like."""
        noise = self._rng.integers(0, 256, (9, 12, 3), np.uint8)
        pixels = cv2.resize(noise, (320, 240), interpolation=cv2.INTER_NEAREST)
        return cv2.imencode(".jpg", pixels)[1].tobytes()

    def path(self, name: str) -> Path:
        path = self._folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def lines(self, name: str, records: Sequence[Mapping[str, Any]]) -> None:
        self.path(name).write_text("".join(json.dumps(record) + "\n" for record in records))

    def parquet(self, name: str, records: Sequence[Mapping[str, Any]]) -> None:
        pq.write_table(pa.Table.from_pylist([dict(record) for record in records]), self.path(name))

    def texts(self, preset: str) -> None:
        """One of stage 1's sets of texts."""

        def value(column: str) -> Any:
            return [{"docid": "1", "text": self.words()}] if column.endswith("_passages") else self.words()

        records = [{"id": str(n), **{name: value(name) for name in TEXT_SETS[preset]}} for n in range(ROWS)]
        self.parquet(f"texts/{preset}.parquet", records)

    def mmeb(self, subset: str, words: Subset) -> None:
        """A subset's rows, and the zip of its images, in which names begin with the subset's or do not."""
        files: dict[str, bytes] = {}

        def image(wanted: bool | None, kind: str, number: int) -> str:
            if wanted is False:
                return ""
            files[f"Train/{kind}_{number}.jpg"] = self.picture()
            return f"images/{subset}/Train/{kind}_{number}.jpg"

        def text(instructions: Sequence[str], path: str) -> str:
            said = f"{instructions[0]}: {self.words()}" if instructions else self.words()
            return f"{_TOKEN if path else ''}{said}\n"

        rows = []
        for number in range(ROWS):
            query, found = image(words.query_image, "q", number), image(words.positive_image, "p", number)
            answer = LABELS[number] if words.label else text(words.positive_instruction, found)
            rows.append((text(words.instruction, query), query, answer, found, "", ""))
        self.parquet(f"mmeb-train/{subset}/original-00000-of-00001.parquet", _records(rows))
        above = f"{subset}/" if len(subset) % 2 else ""
        with zipfile.ZipFile(self.path(f"mmeb-train/images_zip/{subset}.zip"), "w") as archive:
            for name, data in files.items():
                archive.writestr(above + name, data)

    def megapairs(self) -> None:
        """Triplets, and a tar of their images."""
        names = [f"images/{number}.jpg" for number in range(ROWS)]
        with tarfile.open(self.path("megapairs/images/0.tar"), "w") as tar:
            for name in names:
                info, data = tarfile.TarInfo(name), self.picture()
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
        triplets = [
            {"q_img": one, "q_text": [self.words(), self.words()], "t_img": two, "hns": [one, three]}
            for one, two, three in zip(names, names[1:] + names[:1], names[2:] + names[:2], strict=True)
        ]
        self.lines("megapairs/0.jsonl", triplets)

    def mme5(self) -> None:
        """Three subsets; of one the rows have images on one side, on the other, and on both."""

        def image() -> str:
            name = f"LAION_Synthetic/{self.words(1)}{self.words(1)}.jpg"
            self.path(f"mme5-synthetic/{name}").write_bytes(self.picture())
            return name

        def side(images: str, text: str) -> tuple[str, str]:
            return (f"{_TOKEN}{text}\n", image()) if "I" in images else (text, "")

        def row(modality: str, label: str = "") -> tuple[str, ...]:
            query, _, found = modality.partition("2")
            texts, images = zip(*(side(found, _REPRESENT if found == "I" else self.words()) for _ in "12"), strict=True)
            positive = (label, "") if label else side(found, _REPRESENT if found == "I" else self.words())
            return (*side(query, self.words()), *positive, str([*texts]), str([*images]), modality)

        rows = {
            "Classification": [row("IT2T", label) for label in LABELS],
            "VQA": [row("IT2T") for _ in range(ROWS)],
            "Retrieval": [row(each) for each in ("T2I", "I2T", "IT2I") for _ in range(ROWS)],
        }
        for subset, found in rows.items():
            self.parquet(f"mme5-synthetic/{subset}/{subset}.parquet", _records(found, (*_FIELDS, "modality")))

    def pages(self, name: str, more: Mapping[str, str]) -> None:
        """Questions, and pages as images in Parquet."""
        records = [
            {"query": f"{self.words()}?", "image": {"bytes": self.picture(), "path": None}, **more} for _ in range(ROWS)
        ]
        self.parquet(f"{name}.parquet", records)

    def hound(self) -> None:
        """LLaVA-Hound: folders of frames, and what was said of them."""
        for number in range(ROWS):
            for frame in range(1, 11):
                self.path(f"llava-hound/frames/v_{number}/c01_{frame}.jpeg").write_bytes(self.picture())

        def record(number: int, asked: str) -> dict[str, Any]:
            turns = [{"from": "human", "value": f"<video>\n{asked}"}, {"from": "gpt", "value": self.words()}]
            return {"id": f"v_{number}", "video": f"v_{number}", "conversations": turns}

        folder = "llava-hound/video_instruction/train/sft"
        self.lines(f"{folder}/video_caption_300k.jsonl", [record(number, "What happens?") for number in range(ROWS)])
        self.lines(
            f"{folder}/video_240k_caption_15k.jsonl", [record(number, f"{self.words()}?") for number in range(ROWS)]
        )

    def films(self) -> None:
        """Short videos that are described as a whole; long ones with moments and questions, and one of scenes only."""

        def film(name: str, seconds: Sequence[int], seed: int) -> None:
            shots = [
                Shot(frames=each * 8, picture="photo", seed=seed + at, camera="pan") for at, each in enumerate(seconds)
            ]
            make_video(self.path(name), shots, rate=8, size=(224, 168), gop=16)

        told = []
        for number in range(3):
            film(f"sharegpt4video/videos/{number}.mp4", [3], number)
            told.append({"video_id": str(number), "captions": [{"idx": "-1", "content": self.words()}]})
        self.lines("sharegpt4video/sharegpt4video_40k.jsonl", told)
        said = []
        film("videochat-flash/videos/scenes.mp4", [8, 9, 10, 11, 12, 13], 10)
        for number in range(2):
            film(f"videochat-flash/videos/a/{number}.mp4", [14, 15, 16], 20 + 3 * number)
            for start in (1.0, 16.0, 32.0):
                for asked in ("", f"{self.words()}?"):
                    turns = [{"from": "human", "value": f"<image>\n{asked}"}, {"from": "gpt", "value": self.words()}]
                    moment = {"video": f"{number}.mp4", "start": start, "end": start + 6}
                    said.append({"id": len(said), **moment, "conversations": turns})
        self.path("videochat-flash/said.json").write_text(json.dumps(said))


def _records(rows: Sequence[Sequence[str]], names: Sequence[str] = _FIELDS) -> list[dict[str, str]]:
    return [dict(zip(names, row, strict=True)) for row in rows]
