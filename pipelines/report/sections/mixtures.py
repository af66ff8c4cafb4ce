"""Mixtures: which share of a trainer's batches each dataset has, as published."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from corpus.printable import printable
from corpus.storage import StorageError, Store
from pipelines.publish.manifest import ManifestError, read_manifest
from pipelines.report.context import ReportContext
from pipelines.report.html.page import escape
from pipelines.report.html.stacked import BarPart, colour, stacked_bar_html
from pipelines.report.html.table import Column, table_html
from pipelines.report.sections.base import card, note, number_of
from pipelines.summaries import MixtureSummary, mixture_summaries

_MAX_ROWS = 300_000  # of all sources, up to which what is not published yet is counted
_COLUMNS = (
    Column("dataset"),
    Column("task", is_wide=True),
    Column("samples", is_number=True),
    Column("share", is_number=True),
    Column("negatives", is_number=True, is_wide=True),
    Column("at random", is_number=True, is_wide=True),
)


def mixtures_section(context: ReportContext) -> str:
    """Draws the shares of each mixture: of its manifest, or where it is not published of its tables."""
    return "".join(part for name in context.config.mixtures for part in _of_mixture(context, name))


def _of_mixture(context: ReportContext, name: str) -> Iterator[str]:
    corpus = context.config.mixtures[name].corpus
    try:
        manifest = read_manifest(Store(corpus))
    except (ManifestError, StorageError) as error:
        yield card(name, note(f"Its manifest cannot be read: {printable(str(error), 500)}"))
        return
    if manifest is not None:
        yield card(name, _published(manifest) + _warnings(manifest), printable(corpus))
    elif sum(index.rows for index in context.plan.indexes.values()) <= _MAX_ROWS:
        [summary] = mixture_summaries(context.config, [name])
        yield card(name, _summary(summary), "not published yet")
    else:
        yield card(name, note("Not published yet: `rzen-corpus mix` counts what it would have."))


def _published(manifest: dict[str, Any]) -> str:
    datasets = {name: entry for name, entry in sorted(manifest["datasets"].items()) if entry["samples"]}
    total = sum(entry["weight"] for entry in datasets.values()) or 1.0
    shares = {name: entry["weight"] / total for name, entry in datasets.items()}
    rows = []
    for at, (name, entry) in enumerate(datasets.items()):
        random = entry["random_negatives"] / max(1, entry["samples"] * entry["negatives"])
        figures = (str(entry["negatives"]), f"{random:.0%}" if entry["negatives"] else "")
        rows.append((_named(at, name), escape(entry["task"]), f"{entry['samples']:,}", f"{shares[name]:.1%}", *figures))
    samples = sum(entry["samples"] for entry in datasets.values())
    text = f"{number_of(samples, 'sample')} of {number_of(len(datasets), 'dataset')}; "
    text += f"batches of {manifest['batch_size']:,}."
    return note(text) + _bar(shares) + table_html(_COLUMNS, rows)


def _warnings(manifest: dict[str, Any]) -> str:
    lines = [f"{name}: {warning}" for name, entry in manifest["datasets"].items() for warning in entry["warnings"]]
    listed = "".join(f"<li>{escape(printable(line, 500))}</li>" for line in lines)
    return f'<ul class="faults">{listed}</ul>' if listed else ""


def _summary(mixture: MixtureSummary) -> str:
    rows = [
        (_named(at, each.dataset), escape(each.task), f"{each.selected:,}", f"{each.share:.1%}", "", "")
        for at, each in enumerate(mixture.datasets)
    ]
    notices = "".join(
        note(f"{each.dataset}: {printable(notice, 500)}") for each in mixture.datasets for notice in each.notices
    )
    return _bar({each.dataset: each.share for each in mixture.datasets}) + table_html(_COLUMNS, rows) + notices


def _bar(shares: dict[str, float]) -> str:
    parts = [BarPart(name, share, colour(at)) for at, (name, share) in enumerate(shares.items())]
    return stacked_bar_html(parts, labelled=True)


def _named(place: int, name: str) -> str:
    return f'<i class="swatch {colour(place)}"></i>{escape(name)}'
