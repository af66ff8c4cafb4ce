"""Builds the run graph of a configuration: which stages run over which source and dataset, and what each reads.

STAGES is the list of all stages, in an order in which each finds what it reads: gather, judge, pair. What a stage
reads, where it applies and which roles its table has, it declares itself (`corpus.stage.Stage`).

    images   download or index -> image_stats -> quality -> (item_vectors -> item_neighbours ->) duplicates -> caption
             -> pairs
    videos   download -> clips -> groups -> caption -> pairs
                                               `-> windows -> window_caption -> pairs
    pairs    texts -> text_duplicates -> labels -> dedup_by_image -> pairs, and of the images that they name
             images -> image_stats -> quality -> duplicates -> dedup_by_image

After `pairs` come the stages over pairs (`over_pairs`), whose columns publishing adds to those of the pairs.

Evaluation sets are gathered and measured by the same stages (`over_evaluation`), indexed by `evaluation_index`, and
held against all others by `leaks`, after the duplicates and groups, and by `pair_leaks`, after `pairs`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from corpus.pool import PoolRead, PoolScope
from corpus.stage import PAIR_VERDICT, PAIRS, ROWS, SourceInfo, Stage
from corpus.workspace import TableKey
from filters.agreement.filter import AgreementFilter
from filters.agreement.stage import Agreement
from filters.decontamination.decontaminate import Decontaminate, DecontaminatePairs
from filters.decontamination.leaks import Leaks
from filters.decontamination.pair_leaks import PairLeaks
from filters.image.dedup import Duplicates
from filters.image.head_filter import HeadFilter
from filters.image.heads import Heads
from filters.image.quality import Quality
from filters.image.stats import ImageStats
from filters.text.concept_balance import ConceptBalance
from filters.text.concepts import Concepts
from filters.text.dedup import TextDuplicates
from filters.text.pair_counts import TextCounts
from filters.text.pair_filter import TextFilter
from filters.text.pair_stats import TextStats
from filters.text.quality import Texts
from mining.embed import Embed
from mining.item_neighbours import ItemNeighbours
from mining.item_vectors import ClipVectors, ItemVectors
from mining.neighbours import NeighbourSearch
from pipelines.download.images import Download
from pipelines.download.img2dataset_index import IndexTars
from pipelines.download.referenced_images import PairImages
from pipelines.download.videos import DownloadVideos
from pipelines.evaluation.index import EvaluationIndex
from pipelines.labels.stage import Labels
from pipelines.pairs.best_caption import DedupByImage, LongestCaptions
from pipelines.pairs.clusters import PairClusters
from pipelines.pairs.judge import JudgePairs
from pipelines.pairs.negatives import Negatives
from pipelines.plan import Node, Step
from recaption.stage import Caption, WindowCaption
from video.stages.clips import Clips
from video.stages.groups import Groups
from video.stages.windows import Windows

if TYPE_CHECKING:
    from pipelines.config import Config

STAGES: tuple[type[Stage], ...] = (
    Download,
    DownloadVideos,
    IndexTars,
    Texts,
    TextDuplicates,
    Labels,
    PairImages,
    ImageStats,
    Quality,
    ItemVectors,
    Heads,
    HeadFilter,
    ItemNeighbours,
    Duplicates,
    LongestCaptions,
    DedupByImage,
    Clips,
    Groups,
    ClipVectors,
    EvaluationIndex,
    Leaks,
    Decontaminate,
    Caption,
    Windows,
    WindowCaption,
    PairLeaks,
    DecontaminatePairs,
    TextStats,
    TextCounts,
    TextFilter,
    Agreement,
    AgreementFilter,
    Concepts,
    ConceptBalance,
    PairClusters,
    Embed,
    NeighbourSearch,
    JudgePairs,
    Negatives,
)

Tables = dict[str, TableKey]  # by the names and roles that stages know them by


def build_graph(config: Config) -> list[Step]:
    """Returns the steps of a configuration, in an order in which each finds what it reads."""
    builder = _GraphBuilder(config)
    for stage in config.chosen_stages:
        if not stage.over_pairs:
            builder.add(stage)
    builder.add_pairs()
    for stage in config.chosen_stages:
        if stage.over_pairs:
            builder.add_of_pairs(stage)
    return [Step(name, tuple(nodes)) for name, nodes in builder.nodes.items()]


class _GraphBuilder:
    """Builds the nodes by stage; knows the tables that later stages may read, by their names and roles."""

    def __init__(self, config: Config) -> None:
        self.nodes: dict[str, list[Node]] = {}
        self._config = config
        self._sets = config.evaluation_sets
        self._plugs = {**config.sources, **config.evaluation_sources}
        rows = {name: TableKey("tables", name, ROWS) for name in self._plugs}
        self._tables: dict[tuple[str, str], Tables] = {(name, ""): {ROWS: key} for name, key in rows.items()}
        self._of_pairs: dict[tuple[str, str], Tables] = {}  # by dataset and source
        self._run: dict[TableKey, tuple[TableKey, bool]] = {key: (key, True) for key in rows.values()}

    def add(self, stage: type[Stage]) -> None:
        """Adds a stage over each source that it applies to."""
        for name in self._plugs:
            if name in self._sets and not stage.over_evaluation:
                continue
            readable = self._tables.get((name, stage.branch), self._tables[name, ""])
            datasets = tuple(each for each in self._config.datasets.values() if name in each.sources)
            source = self._info(name, readable, datasets=datasets)
            if stage.applies_to(source):
                instance = stage.create(source)
                table = self._node(instance, name, readable, TableKey("tables", name, instance.name))
                tables = self._tables.setdefault((name, stage.branch), {})
                tables |= dict.fromkeys((instance.name, *instance.roles), table)

    def add_pairs(self) -> None:
        """Adds, for each source of each dataset, the stage that makes its pairs."""
        for name, dataset in self._config.datasets.items():
            for source in dataset.sources:
                known = self._tables[source, dataset.branch]
                instance = dataset.pairs_stage(self._info(source, known, name, (dataset,)))
                table = self._node(instance, source, known, TableKey("pairs", f"{name}/{source}", instance.name), name)
                self._of_pairs[name, source] = {**known, instance.name: table}

    def add_of_pairs(self, stage: type[Stage]) -> None:
        """Adds a stage over the pairs of each dataset that it applies to."""
        for (name, source), known in self._of_pairs.items():
            info = self._info(source, known, name, (self._config.datasets[name],))
            if stage.applies_to(info):
                instance = stage.create(info)
                if PAIR_VERDICT in stage.optional_reads and PAIR_VERDICT in known:
                    instance.reads = (*instance.reads, PAIR_VERDICT)
                key = TableKey("pairs", known[PAIRS].owner, instance.name)
                table = self._node(instance, source, known, key, name)
                known.update(dict.fromkeys((instance.name, *instance.roles), table))

    def _info(self, name: str, known: Tables, dataset: str = "", datasets: tuple[object, ...] = ()) -> SourceInfo:
        config = self._config
        plug = self._plugs[name]
        tables, is_evaluation = frozenset(known), name in self._sets
        return SourceInfo(
            name, plug, config.stages, config.workspace, tables, datasets, dataset, is_evaluation, self._sets
        )

    def _node(
        self, stage: Stage, source: str, known: Mapping[str, TableKey], table: TableKey, dataset: str = ""
    ) -> TableKey:
        """Adds a node, and records which run of rows its table has, and whether it filters these."""
        if missing := [name for name in stage.reads if name not in known]:
            raise RuntimeError(f"stage {stage.name} over {source} reads {missing[0]!r}, which no earlier stage writes")
        reads = tuple((name, known[name]) for name in stage.reads)
        pools = tuple((read, self._pool(read, dataset)) for read in stage.pools)
        primary = [self._run[key] for name, key in reads if name not in stage.side_inputs]
        first, counted = primary[0]
        counted = counted and stage.filters_rows
        self._run[table] = (table, counted) if stage.fan_out else (first, primary[0][1])
        self.nodes.setdefault(stage.name, []).append(Node(stage, source, table, reads, dataset, pools, counted))
        return table

    def _pool(self, read: PoolRead, dataset: str) -> tuple[tuple[str, TableKey], ...]:
        """Returns the tables of a pool, each once, with their sources."""
        of_dataset = read.scope is PoolScope.DATASET
        of_evaluation = read.scope is PoolScope.EVALUATION
        known = self._of_pairs if of_dataset else self._tables
        found = [
            (owner[1] if of_dataset else owner[0], tables[read.name])
            for owner, tables in known.items()
            if read.name in tables
            and (owner[0] == dataset if of_dataset else (owner[0] in self._sets) == of_evaluation)
        ]
        return tuple(dict.fromkeys(found))
