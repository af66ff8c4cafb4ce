"""Presets of the text sets of the recipe's first stage: where each lies in public, and in which form.

Beside each stands where its columns are known from. Files, form and names of columns can all be replaced in the
settings.
A licence stands here only where the set's own card names it.
"""

from __future__ import annotations

from dataclasses import dataclass

from pipelines.sources.text_forms import AnyTextForm, ColumnsForm, TevatronForm

_HUB = "hf://datasets"
_PAIRS = ColumnsForm(kind="columns", query="query", positive="answer")
_TRIPLETS = ColumnsForm(kind="columns", query="anchor", positive="positive", negatives=("negative",))


@dataclass(frozen=True)
class Preset:
    """A public set. `files` need the extra `hf`."""

    files: tuple[str, ...]
    form: AnyTextForm
    licence: str = ""


PRESETS = {
    # Its loading script: query_id, query, positive_passages and negative_passages of {docid, text}; title may lack.
    "msmarco": Preset((f"{_HUB}/Tevatron/msmarco-passage/train.jsonl.gz",), TevatronForm(kind="tevatron")),
    # The example in its card, and training scripts that read it; the card's list of columns says "question".
    "nq": Preset((f"{_HUB}/sentence-transformers/natural-questions/pair/train-*.parquet",), _PAIRS),
    # Its card.
    "hotpotqa": Preset((f"{_HUB}/sentence-transformers/hotpotqa/triplet/train-*.parquet",), _TRIPLETS),
    # Its card.
    "triviaqa": Preset((f"{_HUB}/sentence-transformers/trivia-qa/pair/train-*.parquet",), _PAIRS),
    # The passage that a question was written about, not the few words that answer it.
    "squad": Preset(
        (f"{_HUB}/rajpurkar/squad/plain_text/train-*.parquet",),
        ColumnsForm(kind="columns", query="question", positive="context", key="id"),
        "cc-by-sa-4.0",
    ),
    # Its card says query and 52 columns in all, and of the subset beside it also positive: 49 or 50 negatives, which
    # are found by their numbers.
    "fever": Preset(
        (f"{_HUB}/lightonai/nv-embed-supervised/fever/train-*.parquet",),
        ColumnsForm(kind="columns", query="query", positive="positive"),
    ),
    # Its card.
    "allnli": Preset((f"{_HUB}/sentence-transformers/all-nli/triplet/train-*.parquet",), _TRIPLETS),
}
