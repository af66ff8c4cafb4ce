"""The text sets of the recipe's first stage: where each lies in public, and in which form.

What nobody could look at is said so beside it; files, form and names of columns can all be replaced in the settings.
A licence stands here only where the set's own card names it.
"""

from __future__ import annotations

from dataclasses import dataclass

from pipelines.sources.text_forms import AnyTextForm, ColumnsForm, TevatronForm

_HUB = "hf://datasets"


@dataclass(frozen=True)
class Preset:
    """A public set. `files` need the extra `hf`."""

    files: tuple[str, ...]
    form: AnyTextForm
    licence: str = ""


PRESETS = {
    # Its loading script: query_id, query, positive_passages and negative_passages of {docid, text}; title may lack.
    "msmarco": Preset((f"{_HUB}/Tevatron/msmarco-passage/train.jsonl.gz",), TevatronForm(kind="tevatron")),
    # Its card says "question" in words, but shows rows of query and answer: so the usual names are tried.
    "nq": Preset(
        (f"{_HUB}/sentence-transformers/natural-questions/pair/train-*.parquet",), ColumnsForm(kind="columns")
    ),
    "hotpotqa": Preset(
        (f"{_HUB}/sentence-transformers/hotpotqa/triplet/train-*.parquet",),
        ColumnsForm(kind="columns", query="anchor", positive="positive", negatives=("negative",)),
    ),
    # The file is there; its columns are unverified (query and answer elsewhere in that collection).
    "triviaqa": Preset((f"{_HUB}/sentence-transformers/trivia-qa/pair/train-*.parquet",), ColumnsForm(kind="columns")),
    # The passage that a question was written about, not the few words that answer it.
    "squad": Preset(
        (f"{_HUB}/rajpurkar/squad/plain_text/train-*.parquet",),
        ColumnsForm(kind="columns", query="question", positive="context", key="id"),
        "cc-by-sa-4.0",
    ),
    # Files and `query` are verified; positive and negative_0 ... are those of a sister set's card (unverified here).
    "fever": Preset((f"{_HUB}/lightonai/nv-embed-supervised/fever/train-*.parquet",), ColumnsForm(kind="columns")),
    # Files unverified by name, the folder is there; anchor, positive, negative as everywhere in that collection.
    "allnli": Preset(
        (f"{_HUB}/sentence-transformers/all-nli/triplet/train-*.parquet",),
        ColumnsForm(kind="columns", query="anchor", positive="positive", negatives=("negative",)),
    ),
}
