"""What a mixture comes to, before it is published: counted in the tables that are there, nothing is run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile

import numpy as np
from rich.table import Table

from corpus.workspace import Workspace
from pipelines.config import Config
from pipelines.inputs import dataset_tables
from pipelines.labels.vocabulary import LabelNames
from pipelines.plan import Plan, Selection
from pipelines.publish.mixture import (
    MixtureDataset,
    MixtureSettings,
    PublishError,
    arrange_dataset,
    read_candidate_pairs,
)
from pipelines.publish.pair_contents import negatives_per_pair
from pipelines.publish.pair_tables import PairTable
from pipelines.publish.weights import DatasetSize, dataset_weights
from pipelines.report.terminal import Terminal, print_line
from pipelines.run import plan


@dataclass(frozen=True)
class MixRow:
    """A dataset of a mixture."""

    dataset: str
    task: str
    available: int  # kept pairs, each once
    taken: int  # samples that are published
    weight: float = 0.0
    share: float = 0.0  # of all batches
    epochs: float = 0.0  # how often its samples are gone through in the mixture's steps
    notes: tuple[str, ...] = ()  # what a person should know of it
    whole: bool = True  # all its tables are there


@dataclass(frozen=True)
class Mix:
    """A mixture, and the steps that epochs are counted for."""

    name: str
    rule: str
    batch_size: int
    steps: int
    given_steps: bool  # as asked for; else as many as all samples fill, each as often as it is repeated
    rows: tuple[MixRow, ...]


def mixes(config: Config, names: Sequence[str] | None = None, steps: int | None = None) -> list[Mix]:
    """The mixtures of these names, or all. Epochs are counted for `steps`; None: for going through all samples once."""
    planned = plan(config, Selection(), check=False)
    context = _Context(config, Workspace(config.workspace), *planned, config.stages.labels.lists)
    return [_mix(context, name, steps) for name in names or config.mixtures]


@dataclass(frozen=True)
class _Context:
    """What is counted in."""

    config: Config
    workspace: Workspace
    plan: Plan
    unread: Sequence[str]  # sources whose shards are not known
    names: LabelNames


def _mix(context: _Context, name: str, steps: int | None) -> Mix:
    mixture = context.config.mixtures[name]
    counted = [_counted(context, mixture, dataset) for dataset in sorted(mixture.datasets)]
    filled = sum(row.taken * mixture.datasets[row.dataset].repeats for row in counted) // mixture.batch_size
    drawn = filled if steps is None else steps
    rows = tuple(_weighed(context.config, mixture, counted, drawn))
    return Mix(name, mixture.weights.rule, mixture.batch_size, drawn, steps is not None, rows)


def _counted(context: _Context, mixture: MixtureSettings, name: str) -> MixRow:
    dataset = context.config.datasets[name]
    shards = dataset_tables(context.plan, name)
    done = [list(takewhile(lambda table: table.state == "done", tables)) for tables in shards]
    present = sorted([each.task.output for each in tables] for tables in done if tables)
    pairs = [PairTable(path, tuple(later)) for path, *later in present]
    notes = []
    if unread := [source for source in dataset.sources if source in context.unread]:
        notes.append(f"source {', '.join(unread)} is not read yet, or has changed")
    elif missing := sum(len(tables) < len(planned) for tables, planned in zip(done, shards, strict=True)):
        notes.append(f"{missing:,} of {len(shards):,} shards are not done: counted is what is there")
    whole = not notes
    candidates, taken = read_candidate_pairs(context.workspace, pairs), 0
    try:
        arranged = arrange_dataset(candidates, name, mixture, context.names)
    except PublishError as error:
        notes.append(str(error))
    else:
        taken = len(arranged.chosen)
        own = negatives_per_pair(context.workspace, pairs, candidates, arranged.chosen)
        notes += _shortfalls(mixture.datasets[name], len(candidates), own)
        if arranged.unplaced:
            notes.append(f"{arranged.unplaced:,} pairs are left out: their groups would make shards unequal")
        if taken < mixture.batch_size:
            notes.append(f"{taken:,} samples are less than a batch of {mixture.batch_size:,}")
    return MixRow(name, str(dataset.task), len(candidates), taken, notes=tuple(notes), whole=whole)


def _shortfalls(requested: MixtureDataset, available: int, own_negatives: np.ndarray) -> Iterator[str]:
    """Where more is asked for than there is: pairs, or negatives of those that are taken (int64[m])."""
    if requested.pairs is not None and requested.pairs > available:
        yield f"pairs: {requested.pairs:,} asked for, {available:,} are there"
    short = own_negatives < requested.negatives
    if short.any():
        rest = f"the rest, {int((requested.negatives - own_negatives[short]).sum()):,} in all, is filled at random"
        share = "all" if short.all() else f"{int(short.sum()):,} of {len(short):,} ({short.mean():.1%})"
        yield f"negatives: {requested.negatives:,} asked for; {share} of the pairs have fewer; {rest}"


def _weighed(config: Config, mixture: MixtureSettings, rows: Sequence[MixRow], steps: int) -> Iterator[MixRow]:
    drawn = {}
    for row in rows:
        entry = mixture.datasets[row.dataset]
        drawn[row.dataset] = DatasetSize(config.datasets[row.dataset].task, row.taken, entry.weight, entry.repeats)
    weights = dataset_weights(mixture.weights, drawn)
    total = sum(weights[row.dataset] for row in rows if row.taken) or 1.0
    for row in rows:
        share = weights[row.dataset] / total if row.taken else 0.0
        epochs = share * steps * mixture.batch_size / row.taken if row.taken else 0.0
        yield replace(row, weight=weights[row.dataset], share=share, epochs=epochs)


def show_mix(console: Terminal, mix: Mix) -> None:
    """Print the table, what it assumes, and what is to be said of single datasets."""
    table = Table(title=f"{mix.name}: weights {mix.rule.replace('_', ' ')}", title_justify="left")
    for column in ("dataset", "task", "available", "taken", "weight", "share", "epochs"):
        left = column in ("dataset", "task")
        table.add_column(column, justify="left" if left else "right", overflow="fold")
    for row in mix.rows:
        numbers = (f"{row.available:,}", f"{row.taken:,}", f"{row.weight:.4g}", f"{row.share:.1%}", f"{row.epochs:.2f}")
        table.add_row(row.dataset, row.task, *numbers, style="yellow" if row.notes else "")
    available, taken = (sum(getattr(row, name) for row in mix.rows) for name in ("available", "taken"))
    table.add_section()
    table.add_row("all", "", f"{available:,}", f"{taken:,}", "", "", "")
    console.print(table)
    steps = "as asked for" if mix.given_steps else "as many as all that is taken fills, `repeats` counted"
    lines = [
        f"share: of the batches, each of which comes from one dataset, drawn by weight. epochs: how often a dataset is "
        f"gone through in {mix.steps:,} steps of {mix.batch_size:,} samples ({steps}).",
        *(f"{row.dataset}: {note}" for row in mix.rows for note in row.notes),
    ]
    if not all(row.whole for row in mix.rows):
        lines.append("not all is done: `run` finishes it, and then these figures change")
    for line in lines:
        print_line(console, line)
