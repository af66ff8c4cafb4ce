"""A small world of evaluation sets and of sources into which parts of them have leaked, with the truth about each."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from rich.console import Console

from corpus.settings import parse_settings
from pipelines.config import Config
from pipelines.plan import Selection
from pipelines.runner import RunResult, run
from tests.helpers.img2dataset_folders import row, write_tar
from tests.helpers.noise_images import noise_jpeg
from tests.helpers.whole_runs import merged

QUESTION = "what is the man doing in this picture"  # that training and evaluation sets ask of other images, too
PASSAGE = (
    "the lighthouse on the northern cape was built of granite blocks that ships had carried over from the mainland "
    "before the great winter storms closed the harbour for several weeks"
)
CAPTION = "A ferry leaves the harbour at dawn."


def changed(seed: int, quality: int = 60, scale: float = 1.0, share: float = 1.0) -> bytes:
    """An image of noise, re-encoded, resized, or cropped in its middle to a share of both sides."""
    pixels = cv2.imdecode(np.frombuffer(noise_jpeg(seed), np.uint8), cv2.IMREAD_COLOR)
    assert pixels is not None
    height, width = (int(side * share) for side in pixels.shape[:2])
    top, left = (pixels.shape[0] - height) // 2, (pixels.shape[1] - width) // 2
    pixels = cv2.resize(pixels[top : top + height, left : left + width], None, fx=scale, fy=scale)
    return cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()


@dataclass
class LeakedWorld:
    """Evaluation sets and sources in a folder, and why each pair of the sources must go; "" for a clean one."""

    folder: Path
    reasons: dict[str, str] = field(default_factory=dict)  # by the query's text or the caption
    rows: list[dict[str, Any]] = field(default_factory=list)  # of the source vqa

    def __post_init__(self) -> None:
        for name in ("photos", "vqa", "eval-photos/deep", "eval-tar"):
            (self.folder / name).mkdir(parents=True)
        self._evaluation()
        self._questions()
        self._passages()
        self._captions()

    def _evaluation(self) -> None:
        for number in range(8):
            (self.folder / f"eval-photos/deep/{number}.jpg").write_bytes(noise_jpeg(number))
        (self.folder / "eval-photos/broken.jpg").write_bytes(noise_jpeg(99)[:500])
        with tarfile.open(self.folder / "eval-tar/0.tar", "w") as archive:
            for name, data in (("000.jpg", noise_jpeg(20)), ("000.txt", CAPTION.encode())):
                member = tarfile.TarInfo(name)
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))
        asked = [
            {
                "image": {"bytes": noise_jpeg(number), "path": None},
                "question": f"how many boats are in harbour {number}" if number != 11 else QUESTION,
                "answer": "on the left",
            }
            for number in range(8, 12)
        ]
        pq.write_table(pa.Table.from_pylist(asked), self.folder / "eval-vqa.parquet")
        lines = [{"id": "cape", "passage": PASSAGE}, {"id": "words", "passage": "who painted the night watch"}]
        lines.append({"id": "short", "passage": "red car"})
        (self.folder / "eval-texts.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))

    def _ask(self, image: bytes, question: str, reason: str, answer: str = "") -> None:
        name = f"{len(self.rows):03d}.jpg"
        (self.folder / "vqa" / name).write_bytes(image)
        self.reasons[question] = reason
        self.rows.append({"photo": name, "question": question, "answer": answer or f"answer {len(self.rows)}"})

    def _questions(self) -> None:
        for number in range(4):
            self._ask(noise_jpeg(100 + number), f"{number} what do people carry here", "", "on the left")
        self._ask(noise_jpeg(110), QUESTION, "")  # that an evaluation set asks of another image
        self._ask(noise_jpeg(0), "0 is it the same file", "same_media")
        self._ask(changed(1), "1 is it encoded anew", "same_media")
        self._ask(changed(2, scale=0.65), "2 is it smaller now", "same_media")
        self._ask(changed(3, quality=90, scale=1.7), "3 is it larger now", "same_media")
        self._ask(changed(8), "How many boats are in harbour 8?", "evaluation_pair")
        self._ask(changed(9, scale=0.6), "9 who lives in the house", "same_media")
        (self.folder / "vqa.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in self.rows))

    def _passages(self) -> None:
        words = PASSAGE.split()
        rows = {
            "where do storks spend the winter": ("They fly south over the strait and stay beside large rivers.", ""),
            "red car": ("A car that is red, of which there are many in every town and on every road.", ""),
            "Who painted the Night Watch?": ("A painter of Amsterdam, who was paid well for it.", "evaluation_text"),
            "how was the lighthouse built": (f"As the guide tells us, {PASSAGE}, and so on.", "evaluation_text"),
            "what ships carried": (" ".join(words[4:22]), "evaluation_text"),
            "half of it": (f"{' '.join(words[:21])} and then it goes on quite differently.", "evaluation_text"),
            "a few words of it": (f"{' '.join(words[:9])} and then the story is about something else.", ""),
        }
        self.reasons |= {query: reason for query, (_, reason) in rows.items()}
        lines = [{"query": query, "passage": passage} for query, (passage, _) in rows.items()]
        (self.folder / "texts.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))

    def _captions(self) -> None:
        images = {f"{number:05d}": noise_jpeg(200 + number) for number in range(8)}
        captions = {key: f"a view of place {key} in the evening" for key in images}
        images |= {"00008": changed(4), "00009": changed(20, scale=0.7), "00010": noise_jpeg(5)}
        captions |= {key: f"a view that leaks {key} from somewhere" for key in ("00008", "00009", "00010")}
        self.reasons |= {text: "evaluation_media" if "leaks" in text else "" for text in captions.values()}
        images["00011"], captions["00011"] = noise_jpeg(230), "a ferry leaves the harbour at dawn"
        self.reasons[captions["00011"]] = "evaluation_text"
        rows = [row(key, caption=captions[key]) for key in images]
        pq.write_table(pa.Table.from_pylist(rows), self.folder / "photos/00000.parquet")
        write_tar(self.folder / "photos/00000.tar", images)

    def settings(self, home: Path, changes: Mapping[str, Any] | None = None, **engine: Any) -> dict[str, Any]:
        """Settings for a run in `home`; `changes` are merged in, key by key."""
        images = {"archives": {"paths": [str(self.folder / "vqa")]}}
        data: dict[str, Any] = {
            "workspace": str(home / "workspace"),
            "engine": {"kind": "local", "workers": 1, **engine},
            "sources": {
                "photos": {"kind": "img2dataset", "folder": str(self.folder / "photos")},
                "vqa": {
                    "kind": "jsonl",
                    "files": [str(self.folder / "vqa.jsonl")],
                    "query": {"text": "question", "images": "photo"},
                    "positive": {"text": "answer"},
                    "images": images,
                    "shard_rows": 4,
                },
                "passages": {
                    "kind": "jsonl",
                    "files": [str(self.folder / "texts.jsonl")],
                    "query": {"text": "query"},
                    "positive": {"text": "passage"},
                    "shard_rows": 3,
                },
            },
            "evaluation": {
                "e-photos": {"source": {"kind": "media_files", "paths": [str(self.folder / "eval-photos")]}},
                "e-tar": {"source": {"kind": "media_files", "paths": [str(self.folder / "eval-tar")]}},
                "e-vqa": {
                    "source": {
                        "kind": "table_rows",
                        "files": [str(self.folder / "eval-vqa.parquet")],
                        "questions": ["question", "answer"],
                        "media": ["image"],
                    }
                },
                "e-texts": {
                    "source": {
                        "kind": "table_rows",
                        "files": [str(self.folder / "eval-texts.jsonl")],
                        "texts": ["passage"],
                        "id": "id",
                    }
                },
            },
            "datasets": {
                "captions": {"source": "photos"},
                "vqa": {"kind": "existing_pairs", "source": "vqa", "task": "image_qa"},
                "passages": {"kind": "existing_pairs", "source": "passages", "task": "text_retrieval"},
            },
            "mixtures": {
                "one": {
                    "corpus": str(home / "corpus"),
                    "pairs_per_shard": 10,
                    "batch_size": 2,
                    "datasets": {"captions": {}, "vqa": {}, "passages": {}},
                }
            },
        }
        return merged(data, changes or {})

    def config(self, home: Path, changes: Mapping[str, Any] | None = None, **engine: Any) -> Config:
        return parse_settings(self.settings(home, changes, **engine), Config)

    def run(self, home: Path, changes: Mapping[str, Any] | None = None, /, **engine: Any) -> RunResult:
        """Runs everything in `home`."""
        return self.run_settings(self.settings(home, changes, **engine))

    @staticmethod
    def run_settings(settings: Mapping[str, Any]) -> RunResult:
        """Runs settings as they are."""
        return run(parse_settings(dict(settings), Config), Selection(), Console(quiet=True))
