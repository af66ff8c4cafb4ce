"""What a mixture is published from: the tables of a plan whose steps are done."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from corpus.stage import ITEMS, Gives
from filters.image_stats import Inspect
from pipelines.config import Config
from pipelines.plan import Plan, Planned
from pipelines.publish.mixture import DatasetInput, PublishInput


def dataset_tables(plan: Plan, dataset: str) -> list[list[Planned]]:
    """Of each shard of a dataset's sources: the table of its pairs, then those of the stages over pairs, in order."""
    found: dict[tuple[str, str], list[Planned]] = {}
    for _, planned in plan.steps:
        for table in planned:
            if table.node.dataset == dataset:
                found.setdefault((table.node.source, table.task.shard), []).append(table)
    return list(found.values())


def publish_input(
    config: Config, mixture: str, plan: Plan, funnels: Mapping[str, Any], versions: Mapping[str, str]
) -> PublishInput:
    """The datasets that the mixture names, the item tables that their pairs refer to, and the funnel of each source."""
    items: dict[str, set[str]] = {}
    inspected: dict[str, str] = {}
    for step, planned in plan.steps:
        for table in planned:
            node, task = table.node, table.task
            read = [path for name, path in task.inputs if name == ITEMS]
            items.setdefault(node.source, set()).update(read)
            if step.name == Inspect.name:
                inspected.update(dict.fromkeys(read, task.output))
    datasets = []
    for name in sorted(config.mixtures[mixture].datasets):
        settings = config.datasets[name]
        pairs = [[table.task.output for table in tables] for tables in dataset_tables(plan, name)]
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
            )
        )
    sources = {source for dataset in datasets for source in dataset.sources}
    # What stands for a duplicate image of a given pair may lie in any source.
    needed = set(items) if sources & set(config.giving(Gives.PAIRS)) else sources
    return PublishInput(
        name=mixture,
        datasets=tuple(datasets),
        items=tuple(sorted(path for source in needed for path in items.get(source, ()))),
        funnel={source: funnels[source] for source in sorted(sources)},
        made_by=dict(versions),
        inspected=inspected,
        names=config.stages.labels.lists,
        near_texts=config.stages.text_duplicates,
    )
