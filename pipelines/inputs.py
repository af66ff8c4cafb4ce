"""What a mixture is published from: the tables of a plan whose steps are done."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from corpus.records import Modality
from corpus.stages import ITEMS
from filters.inspect import Inspect
from pipelines.clip_pairs import AnyPairs, ClipPairSettings
from pipelines.config import Config, sources_of
from pipelines.given_pairs import ALSO
from pipelines.plan import Plan
from pipelines.publishing.mixture import DatasetInput, PublishInput
from pipelines.sources.llava_hound import LlavaHoundSource


def publish_input(
    config: Config, mixture: str, plan: Plan, funnels: Mapping[str, Any], versions: Mapping[str, str]
) -> PublishInput:
    """The datasets that the mixture names, the item tables that their pairs refer to, and the funnel of each source."""
    pairs: dict[str, list[str]] = {}
    items: dict[str, set[str]] = {}
    inspected: dict[str, str] = {}
    for step, planned in plan.steps:
        for table in planned:
            if step.name == "pairs":
                pairs.setdefault(table.node.table_key.owner.partition(ALSO)[0], []).append(table.task.output)
            read = [path for name, path in table.task.inputs if name == ITEMS]
            items.setdefault(table.node.source, set()).update(read)
            if step.name == Inspect.name:
                inspected.update(dict.fromkeys(read, table.task.output))
    datasets = []
    for name in sorted(config.mixtures[mixture].datasets):
        settings = config.datasets[name]
        datasets.append(
            DatasetInput(
                name=name,
                task=settings.task,
                stage=settings.stage,
                modality=_modality(config, settings),
                licence="; ".join(dict.fromkeys(config.sources[source].licence for source in sources_of(settings))),
                sources=sources_of(settings),
                pairs=tuple(sorted(pairs.get(name, []))),
            )
        )
    sources = {source for dataset in datasets for source in dataset.sources}
    # What stands for a duplicate image of a given pair may lie in any source.
    needed = set(items) if sources & set(config.given) else sources
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


def _modality(config: Config, settings: AnyPairs) -> Modality:
    if isinstance(settings, ClipPairSettings):
        return Modality.CLIP
    given = config.given.get(settings.source)
    if isinstance(given, LlavaHoundSource):
        return Modality.CLIP
    return Modality.TEXT if given is not None and given.images is None else Modality.IMAGE
