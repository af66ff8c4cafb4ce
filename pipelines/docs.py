"""Writes the tables in docs/ (sources, stages, encoders, thresholds) from their classes: `python -m pipelines.docs`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import get_args, get_type_hints

from corpus.stage import Gives, Stage
from corpus.thresholds import Bound, Threshold
from mining.encoders import ENCODERS
from mining.encoders.base import EncoderSettings
from pipelines.config import DATASETS
from pipelines.graph import STAGES
from pipelines.sources import SOURCES
from pipelines.sources.base import SourceSettings

_BLOCK = re.compile(r"(<!-- table: ([a-z ]+) -->\n).*?(<!-- end of table -->)", re.DOTALL)
_ROWS = {
    Gives.IMAGES: "a row for each image that the source's files list: URL, text, licence; a seeded sample",
    Gives.CLIPS: "a row for each video, or for each segment of a long one, with what annotations say of it",
    Gives.PAIRS: "a row for each pair: texts, names of images, instruction, label",
}
_KEEPS = {
    Bound.LOWER: "the value and more",
    Bound.ABOVE: "more than the value",
    Bound.UPPER: "the value and less",
    Bound.BELOW: "less than the value",
}


def tables(
    sources: Sequence[type[SourceSettings]] = SOURCES, stages: Sequence[type[Stage]] = STAGES
) -> dict[str, list[str]]:
    """Returns the lines of each table, by the name in the comment above it."""
    makers = [get_type_hints(dataset.pairs_stage)["return"] for dataset in DATASETS]
    of_rows = [stage for stage in stages if not stage.over_pairs]
    found = {"sources": _table(("kind", "gives", "what it reads"), map(_source_row, sources))}
    for gives in Gives:
        over = [stage for stage in (*of_rows, *makers) if gives in stage.over]
        rows = [("`rows`", "files", _ROWS[gives], "`sources.NAME`"), *map(_stage_row, over)]
        found[f"stages over {gives}"] = _table(("stage", "reads", "gives for each row", "settings"), rows)
    found["encoders"] = _table(("kind", "what it is"), ((f"`{_kind(each)}`", each.summary) for each in ENCODERS))
    over_pairs = map(_stage_row, (stage for stage in stages if stage.over_pairs))
    thresholds = [_threshold_row(stage, each) for stage in stages for each in stage.thresholds]
    found["thresholds"] = _table(("setting", "keeps", "removes as"), thresholds)
    found["stages after pairs"] = _table(("stage", "reads", "gives for each pair", "settings"), over_pairs)
    return found


def render(text: str) -> str:
    """Returns the text with its tables as they should be. Raises KeyError for a table that nobody knows."""
    known = tables()
    return _BLOCK.sub(lambda block: block[1] + "".join(f"{line}\n" for line in known[block[2]]) + block[3], text)


def _source_row(source: type[SourceSettings]) -> tuple[str, ...]:
    return ", ".join(f"`{kind}`" for kind in source.kinds()), source.gives, source.summary


def _kind(settings: type[EncoderSettings]) -> str:
    (kind,) = get_args(settings.model_fields["kind"].annotation)
    return str(kind)


def _stage_row(stage: type[Stage]) -> tuple[str, ...]:
    settings = f"`stages.{stage.settings_key}`" if stage.settings_key else ""
    reads = (*stage.reads, *(f"({name})" for name in stage.optional_reads))
    return f"`{stage.name}`", ", ".join(reads), stage.summary, settings or ("`datasets.NAME`" * (stage.name == "pairs"))


def _threshold_row(stage: type[Stage], threshold: Threshold) -> tuple[str, ...]:
    unit = f" ({threshold.unit})" if threshold.unit else ""
    reason = f"`{threshold.reason}`" if threshold.reason else ""
    setting = f"`{stage.settings_path('NAME')}.{threshold.setting}`"
    return setting, f"{threshold.measures}{unit}: {_KEEPS[threshold.bound]}", reason


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = [heads, ["---"] * len(heads), *rows]
    return [f"| {' | '.join(cells)} |".replace("|  |", "| |").replace("| --- ", "|---") for cells in lines]


if __name__ == "__main__":
    for page in sorted(Path("docs").glob("*.md")):
        page.write_text(render(page.read_text(encoding="utf-8")), encoding="utf-8")
