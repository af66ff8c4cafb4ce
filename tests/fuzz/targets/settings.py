"""Readers of what users write: settings, prompts, names of labels, filters, shard lists."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa

from corpus.settings import SettingsError, load_settings
from pipelines.config import Config, parse_shards
from pipelines.labels.vocabulary import load_names
from pipelines.sources.laion import ALIASES
from pipelines.sources.row_filter import RowFilter
from recaption.prompts import load_library

from ..formats import TEXT
from ..target import Reader, Target

_CONFIGS = Path(__file__).parents[3] / "configs"
_ALL = b"""
workspace: /tmp/work
engine: {kind: local, workers: 2}
sources:
  films: {kind: videos, videos: [/data], annotations: [{kind: plain, files: [a.jsonl]}]}
  ours: {kind: jsonl, files: [a.jsonl], query: {text: "{title}: {question}"}, positive: {text: answer.text}}
  laion: {kind: laion, files: [a.parquet], filter: "similarity > 0.28 and punsafe < 0.5"}
stages:
  caption:
    backend: {kind: openai, endpoints: ["http://127.0.0.1:8000/v1"], model: m}
    sources: {laion: {prompts: {short: 1}}}
datasets:
  pairs: &given {kind: existing_pairs, source: ours, task: text_retrieval}
  more: {<<: *given, stage: 2}
mixtures:
  mix: {corpus: /tmp/corpus, datasets: {pairs: {weight: 2}}}
"""


def _yaml(load: Callable[[Path], object], seeds: list[bytes], folder: Path) -> Reader:
    path = folder / "a.yaml"

    def read(data: bytes) -> object:
        path.write_bytes(data)
        return load(path)

    return Reader(read, seeds, (SettingsError,), TEXT)


def _config(folder: Path) -> Reader:
    seeds = [_ALL, _ALL, *(path.read_bytes() for path in sorted(_CONFIGS.glob("*.yaml")))]
    return _yaml(lambda path: load_settings(path, Config), seeds, folder)


def _prompts(folder: Path) -> Reader:
    seeds = [
        b"prompts:\n  fuzzed-one:\n    purpose: short\n    text: 'Describe it. {context}'\n    images: [1, 2]\n",
        b'prompts:\n  fuzzed-two:\n    purpose: detailed\n    text: |\n      As JSON: {"caption": "..."}\n'
        b"    json_schema: {type: object, properties: {caption: {type: string}}}\n    caption_field: caption\n",
    ]
    return _yaml(lambda path: load_library([path]), seeds, folder)


def _label_names(folder: Path) -> Reader:
    seeds = [
        b"synonyms: [[sofa, couch], [dog, hound]]\nhyponyms: {tool: [hammer, saw]}\nnot_hyponyms: [hot dog]\n"
        b"ambiguous: [crane]\nrename: {ImageNet_1K: {crane#134: crane bird}}\n"
    ]
    return _yaml(lambda path: load_names(path, built_in=False), seeds, folder)


def _filter(folder: Path) -> Reader:
    table = pa.table({"similarity": [0.3, None], "punsafe": [0.1, 1.0], "width": [1, 2], "text": ["a", None]})
    seeds = [
        b"similarity > 0.28 and punsafe < 0.5",
        b"(width * 2 - 1 >= 3 or not text == 'a') and similarity is not None",
        b"text in ('a', 'b') or width not in [1, 2, -3]",
        b'0.1 < similarity <= 1e3 and TEXT != ""',
    ]

    def read(data: bytes) -> object:
        row_filter = RowFilter(data.decode("utf-8", "surrogateescape"), ALIASES)
        row_filter.check(table.column_names)
        return row_filter.apply(table)

    return Reader(read, seeds, (SettingsError,), TEXT, parses_python=True)


def _shards(folder: Path) -> Reader:
    return Reader(
        lambda data: parse_shards(data.decode("latin-1")), [b"3,7-12", b"0", b"1-9, 4"], (SettingsError,), TEXT
    )


TARGETS = (
    Target("settings.config", 8_000, _config),
    Target("settings.prompts", 3_000, _prompts),
    Target("settings.label_names", 8_000, _label_names),
    Target("settings.filter", 30_000, _filter),
    Target("settings.shards", 10_000, _shards),
)
