"""Tables of clips made by hand, as the stages `groups` and `windows` write them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from corpus.execution import MapJob, ShardTask
from corpus.schema import PAIR_SCHEMA, item_id, table_schema
from corpus.stage import ITEMS, ROWS, VERDICT
from corpus.workspace import Workspace
from pipelines.pairs.clips import ClipPairs, ClipPairSettings
from recaption.schema import CAPTION, CAPTION_SCHEMA
from video.schema import WINDOWS_SCHEMA

KEPT = {"status": "kept", "reason": ""}


@dataclass
class Clip:
    """A clip as a test plants it: five seconds from `at`."""

    name: str
    at: float = 0.0
    text: str | None = ""
    group: str = "g"
    video: str = "one"
    kind: str = "scenes"
    length_s: float = 5.0
    frames: int = 2
    mp4: bool = True
    caption: str | None = None
    questions: list[tuple[str, str]] = field(default_factory=list)
    other_texts: list[str] | None = None
    reason: str = ""  # of a clip that was removed

    def part(self, ext: str, number: int = 0) -> dict[str, Any]:
        content = f"{self.name} {ext} {number}".encode()
        place = {"media": "media/films/0.tar", "offset": 512, "size": len(content), "ext": ext}
        return {"item_id": item_id(content), **place}

    @property
    def frame_ids(self) -> list[bytes]:
        return [self.part("jpg", number)["item_id"] for number in range(self.frames)]

    @property
    def mp4_id(self) -> bytes:
        return self.part("mp4")["item_id"]

    @property
    def ident(self) -> bytes:
        return item_id(self.name.encode())

    def row(self) -> dict[str, Any]:
        parts = [self.part("jpg", number) for number in range(self.frames)] + [self.part("mp4")] * self.mp4
        return {
            "item_id": self.ident,
            "parts": parts,
            "url": f"http://example.org/{self.video}.mp4",
            "video": self.video,
            "licence": None,
            "downloaded_sha256": b"v" * 32,
            "kind": self.kind,
            "start_s": self.at,
            "end_s": self.at + self.length_s,
            "text": self.text,
            "other_texts": self.other_texts,
            "questions": [{"question": question, "answer": answer} for question, answer in self.questions],
            "group": self.group,
            "status": "filtered" if self.reason else "kept",
            "reason": self.reason,
        }


def make(root: Path, clips: list[Clip], **settings: Any) -> list[dict[str, Any]]:
    """The pairs that come of these clips, through all that happens around a stage."""
    workspace = Workspace(root)
    table = pa.Table.from_pylist([clip.row() for clip in clips], table_schema(WINDOWS_SCHEMA))
    said = [{"caption": clip.caption, "caption_model": "vlm", "prompt": "clip-01", **KEPT} for clip in clips]
    workspace.write_table("clips.parquet", table, {})
    workspace.write_table(f"{CAPTION}.parquet", pa.Table.from_pylist(said, table_schema(CAPTION_SCHEMA)), {})
    stage = ClipPairs("films", ClipPairSettings.model_validate({"kind": "clips", "source": "films", **settings}))
    files = dict.fromkeys((ROWS, ITEMS, VERDICT), "clips.parquet") | {CAPTION: f"{CAPTION}.parquet"}
    inputs = tuple((name, files[name]) for name in stage.reads)
    outcome = MapJob(stage, str(root)).open()(ShardTask("films", "000000", 0, inputs, "pairs.parquet", "m", {}))
    assert outcome.error == ""
    found = workspace.read_table("pairs.parquet")
    assert found.schema == table_schema(PAIR_SCHEMA)
    return found.to_pylist()
