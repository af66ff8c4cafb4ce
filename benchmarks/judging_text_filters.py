"""Judges the texts of `benchmarks.judging_texts` by our rules and by the peers'."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

import pyarrow as pa

from benchmarks.judging_peers import ask
from benchmarks.judging_score import Comparison, Score
from benchmarks.judging_texts import GOOD, PlantedText, planted_texts, read_texts
from filters.text.rules import AltTextRules, text_reasons

Found = Sequence[set[str]]

ALL = "all of these"
OURS = {  # the names that a good text may not have, by judge
    "mostly_symbols": {"mostly_symbols"},
    "repetitive": {"repetitive", "keyword_stuffing"},
    "wrong_language": {"wrong_language"},
    "alt_text": {"file_name", "date_only", "number_only", "placeholder", "mostly_url", "keyword_stuffing"},
}
PEERS = {  # likewise, by peer and judge
    "datatrove": {"mostly_symbols": {"quality"}, "repetitive": {"repetition"}, "wrong_language": {"language"}},
    "data_juicer": {
        "mostly_symbols": {"alphanumeric", "special characters"},
        "repetitive": {"character repetition", "word repetition"},
    },
    "datacomp": {"wrong_language": {"language"}, "alt_text": {"length", "language"}},
}
PEER_NAMES = {
    "datatrove": "datatrove 0.10.1",
    "data_juicer": "Data-Juicer 1.6.1",
    "datacomp": "DataComp's basic filter",
}


def our_reasons(texts: Sequence[PlantedText]) -> Found:
    """Returns our reason for each text, by the rules for alt texts."""
    reasons = text_reasons(pa.array([text.text for text in texts]), AltTextRules(languages=("en",)))
    return [{reason} - {""} for reason in reasons.to_pylist()]


def peer_findings(peer: str, texts: Sequence[PlantedText]) -> Found:
    """Returns the names of what a peer finds in each text."""
    with tempfile.TemporaryDirectory(prefix="rzen-corpus-bench-") as folder:
        file = Path(folder) / "texts.jsonl"
        file.write_text("".join(json.dumps(text.text) + "\n" for text in texts), encoding="utf-8")
        return [set(names) for names in ask(peer, str(file))]


def score_texts(texts: Sequence[PlantedText], found: Found, judge: str, names: set[str] | None) -> Score:
    """Scores one judge on the good texts and its own fault, or, without `names`, all on all.

    A fault is found under any name; a good text may not have the judge's own.
    """
    score = Score()
    for text, answer in zip(texts, found, strict=True):
        if text.fault == GOOD:
            score.add(False, bool(answer & names if names else answer), text.strength)
        elif names is None or text.fault == judge:
            score.add(True, bool(answer), text.strength)
    return score


def compare_texts(seeds: Iterable[int]) -> list[Comparison]:
    """Judges the texts of all worlds by our rules, and by each peer that is there."""
    english, foreign = read_texts(Path(ask("packages", "")))
    worlds = [list(planted_texts(seed, english, foreign)) for seed in seeds]
    ours = [our_reasons(world) for world in worlds]
    comparisons: dict[str, list[Comparison]] = defaultdict(list)
    for peer, names_by_judge in PEERS.items():
        if peer == "data_juicer" and "RZEN_DATA_JUICER_PYTHON" not in os.environ:
            print("Data-Juicer is left out: RZEN_DATA_JUICER_PYTHON is not set", file=sys.stderr)
            continue
        found = [peer_findings(peer, world) for world in worlds]
        for judge, names in [*names_by_judge.items(), (ALL, None)]:
            comparison = Comparison(
                judge,
                PEER_NAMES[peer],
                tuple(score_texts(*pair, judge, OURS.get(judge)) for pair in zip(worlds, ours, strict=True)),
                tuple(score_texts(*pair, judge, names) for pair in zip(worlds, found, strict=True)),
            )
            comparisons[judge].append(comparison)
    return [each for judge in comparisons.values() for each in judge]
