"""Sources of mapped pairs over files that a test writes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from corpus.settings import parse_settings
from pipelines.sources.generic_pairs import GenericPairsReader, GenericPairsSource

MAPPING = """
kind: jsonl
query: {text: "{meta.title}: {question}", images: photo}
positive: {text: answers.0, images: [front, back]}
negatives:
  - {text: wrong.text, images: wrong.photo}
  - {text: spare}
label: class
id: id
url: meta.url
instruction: task
licence_column: meta.licence
"""


def source(folder: Path, mapping: str = MAPPING, **settings: Any) -> GenericPairsReader:
    return GenericPairsReader(
        parse_settings({**yaml.safe_load(mapping), "files": [str(folder)], **settings}, GenericPairsSource)
    )
