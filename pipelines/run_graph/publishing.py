"""Publishes the mixtures of a run, each as soon as all that it is made of exists."""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from corpus.stage import EVALUATION_INDEX, ITEMS, Gives
from corpus.workspace import Workspace
from filters.image.stats import ImageStats
from pipelines.config import Config
from pipelines.engines import Engine
from pipelines.plan import Node, Plan
from pipelines.plugins import installed_versions
from pipelines.publish.manifest import batch_lines, size_line
from pipelines.publish.mixture import DatasetInput, PublishInput
from pipelines.publish.publish import publish
from pipelines.report.evaluation import evaluation_lines, evaluation_report
from pipelines.report.funnel import funnels
from pipelines.report.table_counts import TableCounts


@dataclass(frozen=True)
class PublishedMixture:
    """The outcome of publishing one mixture."""

    corpus: str  # its folder or URL
    batches: list[str] = field(default_factory=list)  # how hard its batches are, in lines
    evaluation: list[str] = field(default_factory=list)  # what evaluation sets were checked, in lines
    samples: dict[str, int] = field(default_factory=dict)  # of each dataset
    size: str = ""  # how much it holds, in a line


@dataclass(frozen=True)
class Publisher:
    """The mixtures of a configuration: what each is made of, and how it is published."""

    config: Config
    workspace: Workspace
    plan: Plan
    counts: TableCounts
    engine: Engine

    def sources(self, mixture: str) -> set[str]:
        """Returns the sources of the datasets of a mixture."""
        config = self.config
        return {source for name in config.mixtures[mixture].datasets for source in config.datasets[name].sources}

    def nodes(self, mixture: str, nodes: Sequence[Node]) -> list[int]:
        """Returns which nodes all tables must exist of, for the mixture and its funnels: their numbers."""
        config = self.config
        datasets, sources = config.mixtures[mixture].datasets, self.sources(mixture)
        items = _sources_of_items(config, sources, set(config.sources))
        read = {key for node in nodes if node.source in items for name, key in node.reads if name == ITEMS}
        counted: dict[str, str] = {}  # source -> the dataset whose pairs its funnel counts
        for node in nodes:
            if node.dataset and node.filters_rows:
                counted.setdefault(node.source, node.dataset)
        return [
            number
            for number, node in enumerate(nodes)
            if node.dataset in datasets
            or (node.source in sources and node.filters_rows and node.dataset in ("", counted.get(node.source)))
            or (node.source in items and (node.table_key in read or node.stage.name == ImageStats.name))
            or (node.source in config.evaluation_sets and node.stage.name == EVALUATION_INDEX)
        ]

    def publish(
        self, mixture: str, existing: set[str], progress: Callable[[int, int], None] | None = None
    ) -> PublishedMixture:
        """Publishes a mixture; `existing` has the paths of the tables of its sources that exist."""
        counted = funnels(self.counts, self.plan, existing, self.sources(mixture))
        inputs = publish_input(self.config, mixture, self.plan, counted, versions())
        found = publish(self.workspace, inputs, self.config.mixtures[mixture], self.engine, progress)
        lines = list(evaluation_lines(inputs.evaluation, inputs.unchecked))
        entries = found.manifest["datasets"]
        samples = {name: entry["samples"] for name, entry in entries.items()}
        return PublishedMixture(found.path, list(batch_lines(entries)), lines, samples, size_line(entries))


def publish_input(
    config: Config, mixture: str, plan: Plan, funnels: Mapping[str, Any], versions: Mapping[str, str]
) -> PublishInput:
    """Returns the datasets of a mixture, the item tables that their pairs refer to, and the funnel of each source."""
    sources = {source for name in config.mixtures[mixture].datasets for source in config.datasets[name].sources}
    needed = _sources_of_items(config, sources, set(config.sources))
    nodes = [node for step, _ in plan.steps for node in step.nodes if node.source in needed]
    keys = {key for node in nodes for name, key in node.reads if name == ITEMS}
    items: set[str] = set()
    inspected: dict[str, str] = {}
    for step, planned in plan.steps:
        if any(node.table_key in keys for node in step.nodes):
            items.update(table.task.output for table in planned if table.node.table_key in keys)
        if step.name == ImageStats.name:
            for table in planned:
                inspected.update({path: table.task.output for name, path in table.task.inputs if name == ITEMS})
    datasets = []
    for name in sorted(config.mixtures[mixture].datasets):
        settings = config.datasets[name]
        pairs = [[table.task.output for table in tables] for tables in plan.dataset_tables(name)]
        datasets.append(
            DatasetInput(
                name=name,
                task=settings.task,
                stage=settings.stage,
                modality=config.sources[settings.source].modality,
                licence="; ".join(dict.fromkeys(config.sources[source].licence for source in settings.sources)),
                sources=settings.sources,
                pairs=tuple(sorted(first for first, *_ in pairs)),
                later={first: tuple(later) for first, *later in pairs if later},
                search_by=getattr(config.stages.negatives.datasets.get(name), "search_by", "query"),
            )
        )
    return PublishInput(
        name=mixture,
        datasets=tuple(datasets),
        items=tuple(sorted(items)),
        funnel={source: funnels[source] for source in sorted(sources)},
        versions=dict(versions),
        inspected=inspected,
        names=config.stages.labels.lists,
        evaluation=evaluation_report(
            Workspace(config.workspace), plan, sources, config.mixtures[mixture].datasets, config.evaluation_sets
        ),
        unchecked=tuple(config.absent_evaluation_sets),
    )


def _sources_of_items(config: Config, sources: set[str], known: set[str]) -> set[str]:
    """Returns the sources whose items the pairs of some sources may refer to."""
    # The representative of a duplicate image of an existing pair may be an item of any source.
    return known if sources & set(config.giving(Gives.PAIRS)) else sources


def versions() -> dict[str, str]:
    """Returns the versions of this program, of the libraries that a corpus's bytes depend on, and of plug-ins."""
    found = {"python": platform.python_version(), **installed_versions()}
    for package in ("rzen-corpus", "pyarrow", "numpy", "opencv-python-headless", "pillow"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found
