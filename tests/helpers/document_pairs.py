"""Queries and a corpus as files, and the source of their pairs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from corpus.settings import parse_settings
from pipelines.sources.generic_pairs import GenericPairsReader, GenericPairsSource
from tests.helpers.given_rows import write_lines

MAPPING = """
kind: jsonl
query: {text: question}
positive: {documents: right}
negatives: [{documents: wrong}, {text: spare}]
id: id
documents: {id: did, text: "{title}: {text}", images: pictures}
"""


def source(folder: Path, **settings: Any) -> GenericPairsReader:
    mapping = yaml.safe_load(MAPPING)
    mapping["documents"]["files"] = [str(folder / "corpus")]
    return GenericPairsReader(
        parse_settings({**mapping, "files": [str(folder / "queries")], **settings}, GenericPairsSource)
    )


def write(folder: Path, queries: list[Any], corpus: list[Any]) -> None:
    queries = [{"id": None, "spare": None, **each} if isinstance(each, dict) else each for each in queries]
    for name, records in (("queries", queries), ("corpus", corpus)):
        (folder / name).mkdir(exist_ok=True)
        write_lines(folder / name / "a.jsonl", records)


def document(did: Any, text: str | None = "says so", **more: Any) -> dict[str, Any]:
    return {"did": did, "text": text, "title": None, "pictures": None, **more}
