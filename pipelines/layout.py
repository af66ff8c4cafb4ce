"""From settings to steps: which stages run over which source, and what each reads.

This is the one place that knows the order of the house: gather, judge, pair.
"""

from __future__ import annotations

from collections.abc import Iterable

from corpus.stages import ITEMS, JUDGED, ROWS, Stage
from corpus.workspace import Series
from filters.duplicates import Duplicates
from filters.inspect import Inspect
from filters.quality import Quality
from pipelines.config import Config
from pipelines.download import open_download
from pipelines.gather import Source
from pipelines.pairs import Pairs
from pipelines.plan import Node, Step
from pipelines.sources.img2dataset import Img2datasetRows, Img2datasetSource, IndexTars
from pipelines.sources.laion import LaionRows
from recaption.caption import CAPTION, Caption


def open_source(settings: object) -> Source:
    """What reads the rows of a source."""
    if isinstance(settings, Img2datasetSource):
        return Img2datasetRows(settings)
    return LaionRows(settings)  # type: ignore[arg-type]


def layout(config: Config) -> list[Step]:
    """The steps of a configuration, in an order in which each finds what it reads."""
    known: dict[str, dict[str, Series]] = {source: {ROWS: Series("tables", source, ROWS)} for source in config.sources}
    steps: list[Step] = []

    def add(stage: Stage, sources: Iterable[str], role: str = "") -> None:
        nodes = []
        for source in sources:
            reads = tuple((name, known[source][name]) for name in stage.reads)
            series = Series("tables", source, stage.name)
            nodes.append(Node(stage, source, series, reads))
            known[source][stage.name] = series
            if role:
                known[source][role] = series
        if nodes:
            steps.append(Step(stage.name, tuple(nodes)))

    lying = [name for name, source in config.sources.items() if isinstance(source, Img2datasetSource)]
    add(open_download(config.stages.download), [name for name in config.sources if name not in lying], ITEMS)
    add(IndexTars(), lying, ITEMS)
    add(Inspect(config.stages.inspect), config.sources)
    add(Quality(config.stages.quality), config.sources)
    add(Duplicates(config.stages.duplicates), config.sources, JUDGED)
    captions = []
    for source in config.sources:
        if source in config.stages.caption.sources:
            stage = Caption(source, config.stages.caption)
            known[source][CAPTION] = series = Series("tables", source, CAPTION)
            captions.append(Node(stage, source, series, tuple((name, known[source][name]) for name in stage.reads)))
    if captions:
        steps.append(Step(CAPTION, tuple(captions)))
    pairs = []
    for dataset, settings in config.datasets.items():
        pairing = Pairs(dataset, settings)
        reads = tuple((name, known[settings.source][name]) for name in pairing.reads)
        pairs.append(Node(pairing, settings.source, Series("pairs", dataset, pairing.name), reads))
    if pairs:
        steps.append(Step("pairs", tuple(pairs)))
    return steps
