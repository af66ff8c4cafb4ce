"""Source `llava_hound`: videos that lie as folders of frames, with a caption or questions about each.

JSON lines `{id, video, conversations: [{from: human | gpt, value}]}`; `video` is a folder of frames
(`c01_0001.jpeg` ...) and the first turn has the token `<video>`. (arXiv 2404.01258; MMEB-V2 trains on its captions,
both ways, and on its questions.) A video's side is the list of its frames, in the order of time.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from pydantic import Field

from corpus.schema import Modality
from corpus.storage import StorageError, Store
from pipelines.sources.files import NO_DATA, FileInfo, find_files
from pipelines.sources.json_records import TIME_KEYS, BadRecord, BadRecordError, refuse_unsupported_times, text_of
from pipelines.sources.pair_rows import PAIR_ROWS, Side, SourcePair
from pipelines.sources.pair_source import PairDatasetSource, PairReader
from pipelines.sources.parquet_records import Row
from pipelines.sources.records import ROW_ENDINGS
from pipelines.sources.video_annotations import asks_for_description

FRAME_ENDINGS = (".jpg", ".jpeg", ".png", ".webp")

_DIGITS = re.compile(r"([0-9]+)")
_KEYS = ("id", "video", "conversations", *TIME_KEYS)
_MAX_NAME_BYTES = 255  # bytes that file systems allow


class LlavaHoundSource(PairDatasetSource):
    """Settings of LLaVA-Hound: the annotations, where the frames lie, and which pairs are made of them."""

    summary = "captions and questions about folders of frames"

    kind: Literal["llava_hound"] = Field(description="LLaVA-Hound: captions of videos and questions about them.")
    image_filter: Literal["quality", "decodable"] = Field(
        "decodable",
        description="Which frames are kept: those that pass the stage quality, without duplicates, or all that "
        "can be decoded.",
    )
    files: tuple[str, ...] = Field(
        min_length=1, description="JSON-lines files with the annotations: paths, folders, globs or fsspec URLs."
    )
    frames_folder: str = Field(description="The folder or fsspec URL that has a folder of frames for each video.")
    pair_type: Literal["text_to_video", "video_to_text", "qa"] = Field(
        "text_to_video",
        description="Which pairs are made: captions that find videos, videos that find captions, or questions "
        "about videos with their answers.",
    )
    frames_per_video: int = Field(
        8,
        ge=1,
        description="The frames of a video, evenly spread over those that it has; where it has fewer, some are "
        "repeated.",
    )
    placeholder_tokens: tuple[str, ...] = Field(
        ("<video>", "<image>"), description="Placeholders of media that are removed from texts."
    )
    description_prompts: tuple[str, ...] = Field(
        (), description="Prompts that are no questions, in addition to those that plainly request a description."
    )

    def reader(self) -> LlavaHoundReader:
        return LlavaHoundReader(self)

    @property
    def modality(self) -> Modality:
        return Modality.CLIP


class LlavaHoundReader(PairReader[LlavaHoundSource]):
    """The reader of LLaVA-Hound: one row for a caption, or for each question with its answer.

    Reasons: no_video; unsupported_time, it is about a part of the video while all frames would be taken; bad_turns,
    not a human and then the model; no_text; bad_text; no_question, of questions a record that only asks for
    descriptions (one beside questions is passed over); those of `read_records`. Beside what PairReader counts:
    no_frames, of a row whose video has none (checked once the sample is drawn).
    """

    def find(self) -> list[FileInfo]:
        return find_files(self.settings.files, ROW_ENDINGS, "files", self.not_read, NO_DATA)

    def pairs(self) -> Iterator[SourcePair]:
        for file, _ in self.readable():
            for line, record in self.records(file, _KEYS):
                try:
                    yield from read_record(record, self.settings, file.url, line)
                except BadRecordError as error:
                    self.bad_records.append(BadRecord(file.url, line, error.reason, error.detail))

    def shards(self) -> Iterator[pa.Table]:
        """Reads the shards as PairReader; until the sample is drawn, a video's only image is its folder."""
        store = Store(self.settings.frames_folder)
        no_frames = 0
        for shard in super().shards():
            rows = [_with_frames(row, store, self.settings.frames_per_video) for row in shard.to_pylist()]
            kept = [row for row in rows if row["query"]["images"] or row["positive"]["images"]]
            no_frames += len(rows) - len(kept)
            if kept:
                yield pa.Table.from_pylist(kept, PAIR_ROWS)
        self.counts |= {"no_frames": no_frames}


def read_record(record: Row, settings: LlavaHoundSource, file: str = "", line: int = 0) -> list[SourcePair]:
    """Reads the pairs of one record; a video is named by its folder. Raises BadRecordError."""
    video = text_of(record.get("video")).strip("/")
    if not _is_below(video):
        raise BadRecordError("no_video", f"'video' is {video!r}")
    refuse_unsupported_times(record)
    turns = _turns(record.get("conversations"), settings.placeholder_tokens)
    if settings.pair_type != "qa":
        turns = turns[:1]
    else:
        questions = [turn for turn in turns if not asks_for_description(turn[0], settings.description_prompts)]
        if turns and not questions:
            raise BadRecordError("no_question", f"asks for a description: {turns[0][0][:60]!r}")
        turns = questions
    pairs = []
    for question, answer in turns:
        if not answer or (settings.pair_type == "qa" and not question):
            raise BadRecordError("no_text", "an empty question or answer")
        frames = Side("", (video,))
        match settings.pair_type:
            case "text_to_video":
                sides, instruction = (Side(answer), frames), ""
            case "video_to_text":
                sides, instruction = (frames, Side(answer)), question
            case "qa":
                sides, instruction = (Side(question, (video,)), Side(answer)), ""
        pairs.append(
            SourcePair(*sides, instruction=instruction, key=text_of(_string(record.get("id"))), file=file, line=line)
        )
    return pairs


def spread_evenly(names: list[str], count: int) -> list[str]:
    """Chooses `count` of the names evenly, the first and the last among them (of one: the middle); of none, none.

    Where there are fewer, some come several times: all samples of a dataset have the same fields.
    """
    if not names or count == 1:
        return names[len(names) // 2 : len(names) // 2 + 1]
    return [names[at] for at in np.linspace(0, len(names) - 1, count).round().astype(int)]


def _is_below(video: str) -> bool:
    """Tells whether a name is a folder below another: no URL, no way out, and valid in file systems."""
    parts = video.split("/")
    is_unsafe = "://" in video or "\0" in video or ".." in parts
    return bool(video) and not is_unsafe and all(len(part.encode()) <= _MAX_NAME_BYTES for part in parts)


def _turns(turns: Any, tokens: tuple[str, ...]) -> list[tuple[str, str]]:
    """Reads the questions and answers of a conversation. Raises BadRecordError."""
    if not isinstance(turns, list) or not all(isinstance(turn, dict) for turn in turns):
        raise BadRecordError("bad_turns", "conversations are not a list of objects")
    dialogue = [turn for turn in turns if turn.get("from") != "system"]
    if not dialogue or [turn.get("from") for turn in dialogue] != ["human", "gpt"] * (len(dialogue) // 2):
        raise BadRecordError("bad_turns", "human and gpt do not take turns")
    values = [text_of(turn.get("value")) for turn in dialogue]
    for token in tokens:
        values = [value.replace(token, "").strip() for value in values]
    return list(zip(values[::2], values[1::2], strict=True))


def _with_frames(row: Row, store: Store, count: int) -> Row:
    """Puts the video's frames in place of its folder; none if there are none."""
    for side in ("query", "positive"):
        for video in row[side]["images"]:
            names = [name for name in _names(store, video) if name.lower().endswith(FRAME_ENDINGS)]
            chosen = spread_evenly(sorted(names, key=_natural_key), count)
            row[side] = {**row[side], "images": [posixpath.join(video, name) for name in chosen]}
    return row


def _names(store: Store, video: str) -> list[str]:
    try:
        return store.names(video)
    except StorageError as error:
        if isinstance(error.__cause__, NotADirectoryError):  # a video file, most likely
            return []
        raise


def _natural_key(name: str) -> list[tuple[int, str]]:
    """Returns the key that sorts frame 2 before frame 10."""
    return [(int(part), "") if part.isdigit() else (0, part) for part in _DIGITS.split(name)]


def _string(value: Any) -> str | None:
    return str(value) if isinstance(value, (int, float)) else value
