"""Summarizes mixtures and labels before anything is published, from the tables that exist; runs no stage.

A mixture's summary has, for each dataset, the pairs that are available and selected, its share of batches and its
epochs; that of labels, which of them are merged and which contain which.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from corpus.settings import SettingsError
from corpus.stage import ROWS
from corpus.workspace import TableKey, Workspace
from pipelines.config import Config
from pipelines.labels.hierarchy import Relations
from pipelines.labels.merge import merge_labels
from pipelines.labels.vocabulary import LabelNames
from pipelines.plan import Plan, Selection
from pipelines.publish.candidates import PairTable, read_candidate_pairs
from pipelines.publish.mixture import MixtureDataset, MixtureSettings, PublishError
from pipelines.publish.pair_contents import negatives_per_pair
from pipelines.publish.sample_order import arrange_dataset
from pipelines.publish.weights import DatasetSize, dataset_weights
from pipelines.status import plan_run, read_sources


@dataclass(frozen=True)
class DatasetSummary:
    """The figures of one dataset of a mixture."""

    dataset: str
    task: str
    available: int  # kept pairs, each once
    selected: int  # samples that are published
    weight: float = 0.0
    share: float = 0.0  # of all batches
    epochs: float = 0.0  # passes over its samples in the mixture's steps
    notices: tuple[str, ...] = ()
    is_complete: bool = True  # all its tables exist


@dataclass(frozen=True)
class MixtureSummary:
    """The figures of a mixture, and the number of steps that epochs are counted for."""

    name: str
    rule: str
    batch_size: int
    steps: int
    steps_requested: bool  # else as many as all samples fill, each as often as it is repeated
    datasets: tuple[DatasetSummary, ...]


def mixture_summaries(
    config: Config, names: Sequence[str] | None = None, steps: int | None = None
) -> list[MixtureSummary]:
    """Summarizes the mixtures of these names, or all.

    Epochs are counted for `steps`; None: for one pass over all samples.
    """
    plan = plan_run(config, Selection(), check=False)
    with Workspace(config.workspace).caching_footers() as workspace:
        context = _Context(config, workspace, plan, config.stages.labels.lists)
        return [_summarize(context, name, steps) for name in names or config.mixtures]


@dataclass(frozen=True)
class _Context:
    """A configuration, and what its datasets are counted in."""

    config: Config
    workspace: Workspace
    plan: Plan
    labels: LabelNames


def _summarize(context: _Context, name: str, steps: int | None) -> MixtureSummary:
    mixture = context.config.mixtures[name]
    datasets = [_count(context, mixture, dataset) for dataset in sorted(mixture.datasets)]
    filled = sum(each.selected * mixture.datasets[each.dataset].repeats for each in datasets) // mixture.batch_size
    counted_steps = filled if steps is None else steps
    weighted = tuple(_with_weights(context.config, mixture, datasets, counted_steps))
    return MixtureSummary(name, mixture.weights.rule, mixture.batch_size, counted_steps, steps is not None, weighted)


def _count(context: _Context, mixture: MixtureSettings, name: str) -> DatasetSummary:
    dataset = context.config.datasets[name]
    shards = context.plan.dataset_tables(name)
    done = [list(takewhile(lambda table: table.state == "done", tables)) for tables in shards]
    present = sorted([each.task.output for each in tables] for tables in done if tables)
    pairs = [PairTable(path, tuple(later)) for path, *later in present]
    notices = []
    if unread := [source for source in dataset.sources if source in context.plan.unread]:
        notices.append(f"source {', '.join(unread)} is not read yet, or has changed")
    elif missing := sum(len(tables) < len(planned) for tables, planned in zip(done, shards, strict=True)):
        notices.append(f"{missing:,} of {len(shards):,} shards are not done: counted is what is there")
    is_complete = not notices
    candidates, selected = read_candidate_pairs(context.workspace, pairs), 0
    try:
        sample_order = arrange_dataset(candidates, name, mixture, context.labels)
    except PublishError as error:
        notices.append(str(error))
    else:
        selected = len(sample_order.chosen)
        set_negatives = negatives_per_pair(context.workspace, pairs, candidates, sample_order.chosen)
        notices += _shortfalls(mixture.datasets[name], len(candidates), set_negatives)
        if sample_order.runs is not None:
            notices += sample_order.runs.warnings(mixture.members_per_batch)
        if selected < mixture.batch_size:
            notices.append(f"{selected:,} samples are less than a batch of {mixture.batch_size:,}")
    return DatasetSummary(
        name, str(dataset.task), len(candidates), selected, notices=tuple(notices), is_complete=is_complete
    )


def _shortfalls(requested: MixtureDataset, available: int, set_negatives: np.ndarray) -> Iterator[str]:
    """Yields what is requested beyond what is available: pairs, or negatives of the selected pairs (int64[m])."""
    if requested.pairs is not None and requested.pairs > available:
        yield f"pairs: {requested.pairs:,} asked for, {available:,} are there"
    short = set_negatives < requested.negatives
    if short.any():
        rest = f"the rest, {int((requested.negatives - set_negatives[short]).sum()):,} in all, is filled at random"
        share = "all" if short.all() else f"{int(short.sum()):,} of {len(short):,} ({short.mean():.1%})"
        yield f"negatives: {requested.negatives:,} asked for; {share} of the pairs have fewer; {rest}"


def _with_weights(
    config: Config, mixture: MixtureSettings, datasets: Sequence[DatasetSummary], steps: int
) -> Iterator[DatasetSummary]:
    sizes = {}
    for each in datasets:
        entry = mixture.datasets[each.dataset]
        sizes[each.dataset] = DatasetSize(
            config.datasets[each.dataset].task, each.selected, entry.weight, entry.repeats
        )
    weights = dataset_weights(mixture.weights, sizes)
    total = sum(weights[each.dataset] for each in datasets if each.selected) or 1.0
    for each in datasets:
        share = weights[each.dataset] / total if each.selected else 0.0
        epochs = share * steps * mixture.batch_size / each.selected if each.selected else 0.0
        yield replace(each, weight=weights[each.dataset], share=share, epochs=epochs)


def label_summary(config: Config) -> Iterator[str]:
    """Yields a line for each merge of labels and for each pair of related ones, from the rows that have been read.

    Raises SettingsError for sources that have not been read.
    """
    workspace = Workspace(config.workspace)
    labelled = {name: source for name, source in config.sources.items() if source.has_labels}
    if not labelled:
        yield "no source has labels"
        return
    read = read_sources(workspace, config.model_copy(update={"sources": labelled}), write=False)
    if read.unread:
        raise SettingsError(
            f"{', '.join(read.unread)}: not read yet, or changed: run first (`--stage labels` is enough)"
        )
    labels_by_set: dict[str, set[str]] = {}
    for source, index in read.indexes.items():
        table_key = TableKey("tables", source, ROWS)
        paths = [table_key.path(shard, name) for shard, name in index.shards]
        for rows in workspace.read_tables(paths, ["label", "subset"]):
            add_labels(labels_by_set, source, rows)
    settings = config.stages.labels
    merged = merge_labels(labels_by_set, settings)
    yield from merged.report()
    for row in Relations(merged.table.column("merged").to_pylist(), settings.lists).table().to_pylist():
        yield f"{row['label']} and {row['other']} are related ({row['why']})"


def add_labels(labels_by_set: dict[str, set[str]], source: str, rows: pa.Table) -> None:
    """Adds the labels of some rows of a source (columns `label`, `subset`) to those of its sets."""
    distinct = rows.filter(pc.not_equal(rows.column("label"), "")).group_by(["label", "subset"]).aggregate([])
    for row in distinct.to_pylist():
        labels_by_set.setdefault(row["subset"] or source, set()).add(row["label"])
