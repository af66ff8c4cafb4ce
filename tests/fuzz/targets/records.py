"""Readers of JSON: sets of pairs, plain and compressed, and annotations of videos."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from corpus.settings import SettingsError
from corpus.storage import StorageError
from pipelines.sources.generic_pairs import GenericPairsReader, GenericPairsSource
from pipelines.sources.json_records import BadRecordError, BadRecords
from pipelines.sources.llava_hound import LlavaHoundReader, LlavaHoundSource
from pipelines.sources.megapairs import MegaPairsReader, MegaPairsSource
from pipelines.sources.mmeb import string_list
from pipelines.sources.text_pairs import TextPairsReader, TextPairsSource
from pipelines.sources.video_annotations import AnyForm, Llava, Plain, ShareGpt4Video, Vript, read_annotations

from ..formats import JSON, inside_gzip
from ..target import Reader, Target

_REFUSALS = (SettingsError, StorageError)


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()


def _lines(values: Sequence[Any]) -> bytes:
    return b"\n".join(map(_json, values)) + b"\n"


def _rows(source: Callable[[str], Any], seeds: Sequence[bytes], ending: str, folder: Path) -> Reader:
    """All rows, and the notes, of a source with one file."""
    path = folder / f"a{ending}"

    def read(data: bytes) -> object:
        path.write_bytes(data)
        rows = source(str(path))
        count = sum(len(table) for table in rows.shards())
        return count, dict(rows.counts), rows.notes

    own = [inside_gzip(change) for change in JSON] if ending.endswith(".gz") else JSON
    return Reader(read, seeds, _REFUSALS, own)


_MAPPED: dict[str, Any] = {
    "kind": "jsonl",
    "query": {"text": "{title}: {question}"},
    "positive": {"text": "answers.text.0", "images": "picture"},
    "negatives": [{"text": "others"}],
    "id": "id",
    "url": "meta.url",
}
_PAIRS = [
    {"title": "a", "question": "b?", "answers": {"text": ["x", "y"]}, "picture": "a.png", "others": ["z"], "id": 1},
    {"title": None, "question": "é", "answers": {"text": ["x"]}, "others": [], "meta": {"url": "http://example.com"}},
    {"title": "c", "question": "d", "answers": None, "picture": "b.png", "meta": None},
]


def _mapped(ending: str, folder: Path) -> Reader:
    seeds = [_lines(_PAIRS), _json(_PAIRS), _json(_PAIRS[1])]
    if ending.endswith(".gz"):
        seeds = [gzip.compress(seed, mtime=0) for seed in seeds] + [seeds[0]]
    return _rows(lambda path: GenericPairsReader(GenericPairsSource(files=(path,), **_MAPPED)), seeds, ending, folder)


def _megapairs(folder: Path) -> Reader:
    record = {"q_img": "a.jpg", "q_text": ["the same in red", "red"], "t_img": "b.jpg", "hns": ["c.jpg", "a.jpg"]}
    seeds = [_lines([record, {**record, "hns": []}])]
    return _rows(
        lambda path: MegaPairsReader(MegaPairsSource(kind="megapairs", files=(path,))), seeds, ".jsonl", folder
    )


def _text_pairs(folder: Path) -> Reader:
    seeds = [_lines([{"query": "q", "pos": ["p", "r"], "neg": ["n"], "prompt": "Find.", "id": 1}] * 2)]

    def source(path: str) -> TextPairsReader:
        return TextPairsReader(TextPairsSource(kind="text_pairs", files=(path,), format={"kind": "flagembedding"}))

    return _rows(source, seeds, ".jsonl", folder)


def _turns(*values: str) -> list[dict[str, str]]:
    return [{"from": ("human", "gpt")[at % 2], "value": value} for at, value in enumerate(values)]


def _llava_hound(folder: Path) -> Reader:
    (folder / "frames" / "v1").mkdir(parents=True, exist_ok=True)
    (folder / "frames" / "v1" / "c01_0001.jpeg").write_bytes(b"")
    record = {
        "id": "1",
        "video": "v1",
        "conversations": _turns("<video>\nWhat happens?", "It rains.", "Why?", "Clouds."),
    }

    def source(path: str) -> LlavaHoundReader:
        return LlavaHoundReader(
            LlavaHoundSource(kind="llava_hound", files=(path,), frames_folder=str(folder / "frames"), pair_type="qa")
        )

    return _rows(source, [_lines([record] * 2), _json([record])], ".json", folder)


_FILES = ("files.json",)
_FORMS: dict[str, tuple[AnyForm, list[Any]]] = {
    "plain": (
        Plain(kind="plain", files=_FILES),
        [{"video": "a.mp4", "start_s": 1, "end_s": "00:00:02.5", "text": "a dog", "question": "who?", "answer": "it"}],
    ),
    "sharegpt4video": (
        ShareGpt4Video(kind="sharegpt4video", files=_FILES, times_key="timestamp"),
        [
            {
                "video_id": "a",
                "captions": [{"idx": "0", "content": "x"}, {"idx": "-1", "content": "y"}],
                "timestamp": [0, 2],
            }
        ],
    ),
    "llava": (
        Llava(kind="llava", files=_FILES),
        [{"video": "a.mp4", "start": 0.5, "end": 3, "conversations": _turns("<video>\nWhat?", "Rain.")}],
    ),
    "vript": (
        Vript(kind="vript", files=_FILES),
        [
            {
                "meta": {"video_id": "a"},
                "data": {"a-Scene-001": {"caption": {"content": "x"}, "start": "0:01", "end": 2}},
            }
        ],
    ),
}


def _annotations(kind: str, folder: Path) -> Reader:
    form, values = _FORMS[kind]
    whole, lines = folder / "a.json", folder / "a.jsonl"

    def read(data: bytes) -> object:
        path = lines if data[:1] == b"\n" else whole
        path.write_bytes(data)
        bad_records = BadRecords()
        cuts = [str(path)] if kind == "vript" else []
        return list(read_annotations(form, [str(path)], cuts, bad_records)), bad_records.counts

    return Reader(read, [_json(values), b"\n" + _lines(values * 2), _json(values[0])], (StorageError,), JSON)


def _string_list(folder: Path) -> Reader:
    seeds = [str(value).encode() for value in ([], ["a", "b'c"], ['d"', "é\n", ""], "alone")]

    def read(data: bytes) -> object:
        return string_list(data.decode("utf-8", "surrogateescape"), "neg_text")

    return Reader(read, seeds, (BadRecordError,), JSON)


TARGETS = (
    Target("records.jsonl", 40_000, partial(_mapped, ".jsonl")),
    Target("records.json", 15_000, partial(_mapped, ".json")),
    Target("records.jsonl_gz", 15_000, partial(_mapped, ".jsonl.gz")),
    Target("records.megapairs", 15_000, _megapairs),
    Target("records.text_pairs", 15_000, _text_pairs),
    Target("records.llava_hound", 10_000, _llava_hound),
    *(Target(f"records.annotations_{kind}", 8_000, partial(_annotations, kind)) for kind in _FORMS),
    Target("records.string_list", 30_000, _string_list),
)
