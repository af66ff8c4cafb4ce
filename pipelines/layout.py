"""From settings to steps: which stages run over which source, and what each reads.

This is the one place that knows the order of the house: gather, judge, pair.

    images   download or index -> inspect -> quality -> duplicates -> caption -> pairs
    videos   download -> clips -> groups -> caption -> pairs
                                               `-> windows -> window_caption -> pairs
    pairs    texts -> text_duplicates -> labels -> best_pairs -> pairs, and of the images that they name
             images -> inspect -> quality -> duplicates -> best_pairs
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from corpus.stages import ITEMS, JUDGED, ROWS, Stage
from corpus.workspace import TableKey
from filters.duplicates import Duplicates
from filters.inspect import Inspect
from filters.quality import Quality
from filters.text_duplicates import TextDuplicates
from filters.text_stage import Texts
from pipelines.best_pairs import BEST_PAIRS, BestPairs
from pipelines.best_texts import BestTexts
from pipelines.clip_pairs import ClipPairs, ClipPairSettings
from pipelines.config import Config, sources_of
from pipelines.download import open_download
from pipelines.download_videos import DownloadVideos
from pipelines.gather import Source
from pipelines.given_pairs import ALSO, LABELS, GivenPairs, GivenPairSettings
from pipelines.labels.stage import Labels
from pipelines.pair_images import PairImages
from pipelines.pairs import Pairs, PairSettings
from pipelines.plan import Node, Step
from pipelines.sources.documents import DocumentsRows, DocumentsSource
from pipelines.sources.img2dataset import Img2datasetRows, Img2datasetSource
from pipelines.sources.img2dataset_tars import IndexTars
from pipelines.sources.laion import LaionRows
from pipelines.sources.llava_hound import LlavaHoundRows, LlavaHoundSource
from pipelines.sources.mapped import MappedRows, MappedSource
from pipelines.sources.mbeir import MbeirRows, MbeirSource
from pipelines.sources.megapairs import MegaPairsRows, MegaPairsSource
from pipelines.sources.mmeb import Mme5Source, MmebRows, MmebSource
from pipelines.sources.pair_sampling import PairSource
from pipelines.sources.tevatron import TevatronRows, TevatronSource
from pipelines.sources.text_pairs import TextPairsRows, TextPairsSource
from pipelines.sources.videos import VideosRows, VideosSource
from recaption.schema import CAPTION
from recaption.stage import Caption, WindowCaption
from video.stages.clips import Clips
from video.stages.groups import Groups
from video.stages.windows import Windows

_GIVEN: dict[type[PairSource], Callable[[Any], Source]] = {
    MegaPairsSource: MegaPairsRows,
    MmebSource: MmebRows,
    Mme5Source: MmebRows,
    LlavaHoundSource: LlavaHoundRows,
    TextPairsSource: TextPairsRows,
    DocumentsSource: DocumentsRows,
    MappedSource: MappedRows,
    MbeirSource: MbeirRows,
    TevatronSource: TevatronRows,
}


def open_source(settings: object) -> Source:
    """What reads the rows of a source."""
    if isinstance(settings, Img2datasetSource):
        return Img2datasetRows(settings)
    if isinstance(settings, VideosSource):
        return VideosRows(settings)
    for kind, rows in _GIVEN.items():
        if isinstance(settings, kind):
            return rows(settings)
    return LaionRows(settings)  # type: ignore[arg-type]


def layout(config: Config) -> list[Step]:
    """The steps of a configuration, in an order in which each finds what it reads."""
    house = _House(config.sources)
    videos = config.videos
    lying = [name for name, source in config.sources.items() if isinstance(source, Img2datasetSource)]
    named = {name: source.images for name, source in config.given.items() if source.images is not None}
    fetched = [name for name in config.sources if name not in (*videos, *config.given, *lying)]
    images = [*fetched, *lying, *named]
    stages = config.stages

    downloads: dict[str, Stage] = dict.fromkeys(fetched, open_download(stages.download))
    house.add(downloads | dict.fromkeys(videos, DownloadVideos(stages.download_videos)), ITEMS)
    house.add(dict.fromkeys(lying, IndexTars()), ITEMS)
    house.add(dict.fromkeys(config.given, Texts(stages.texts)))
    house.add(dict.fromkeys(config.given, TextDuplicates(stages.text_duplicates, "texts")))
    house.add(dict.fromkeys((name for name in config.given if config.labelled(name)), Labels(stages.labels)))
    finders = {
        name: PairImages(stages.images, tuple(where.resolvers(config.workspace, name))) for name, where in named.items()
    }
    house.add(finders, ITEMS)
    house.add(dict.fromkeys(images, Inspect(stages.inspect)), JUDGED)
    judged = [name for name in images if name not in named or config.given[name].keep_images == "good"]
    house.add(dict.fromkeys(judged, Quality(stages.quality)))
    house.add(dict.fromkeys(judged, Duplicates(stages.duplicates)), JUDGED)
    texts = {data.source for data in config.datasets.values() if isinstance(data, PairSettings) and data.best_text}
    house.add({name: BestTexts() for name in images if name in texts})
    best = [name for name in named if name in judged and config.given[name].one_pair_per_image]
    house.add(dict.fromkeys(best, BestPairs()))
    house.add(dict.fromkeys(videos, Clips(stages.clips)))
    house.add(dict.fromkeys(videos, Groups(stages.groups)), ROWS, ITEMS, JUDGED)
    house.add({name: Caption(name, stages.caption, config.frames(name)) for name in stages.caption.sources}, CAPTION)

    windows = {
        name: Windows(settings, captions=name in stages.caption.sources)
        for name, settings in stages.windows.sources.items()
    }
    house.add(windows, ROWS, ITEMS, JUDGED, branch=True)
    captions = {
        name: WindowCaption(name, stages.caption, stages.windows.sources[name].frames)
        for name in stages.caption.windows
    }
    house.add(captions, CAPTION, of_windows=True)
    house.add_pairs(config)
    return house.steps


class _House:
    """Steps as they are added, and where the tables lie that the next ones read: of clips or images, and of windows."""

    def __init__(self, sources: Iterable[str]) -> None:
        self.steps: list[Step] = []
        self._known: dict[str, dict[str, TableKey]] = {name: {ROWS: TableKey("tables", name, ROWS)} for name in sources}
        self._windows: dict[str, dict[str, TableKey]] = {}

    def add(self, stages: Mapping[str, Stage], *roles: str, branch: bool = False, of_windows: bool = False) -> None:
        """A step with a stage for each source; from now on its tables have these roles: for the windows' stages only,
        if it is the `branch` to them."""
        nodes = []
        for source, stage in stages.items():
            known = self._windows[source] if of_windows else self._known[source]
            table_key = TableKey("tables", source, stage.name)
            nodes.append(Node(stage, source, table_key, tuple((name, known[name]) for name in stage.reads)))
            if branch:
                known = self._windows.setdefault(source, {})
            known |= dict.fromkeys((stage.name, *roles), table_key)
        if nodes:
            self.steps.append(Step(nodes[0].stage.name, tuple(nodes)))

    def add_pairs(self, config: Config) -> None:
        """The last step: a stage for each dataset, and for each of its sources."""
        nodes = []
        for dataset, settings in config.datasets.items():
            for source in sources_of(settings):
                known = self._known[source]
                stage: Stage
                if isinstance(settings, GivenPairSettings):
                    more = [name for name in (LABELS, BEST_PAIRS) if name in known]
                    stage = GivenPairs(dataset, settings, ITEMS in known, more)
                elif isinstance(settings, ClipPairSettings):
                    stage = ClipPairs(dataset, settings)
                    known = self._windows[source] if settings.windows else known
                else:
                    stage = Pairs(dataset, settings)
                owner = dataset if source == settings.source else f"{dataset}{ALSO}{source}"
                reads = tuple((name, known[name]) for name in stage.reads)
                nodes.append(Node(stage, source, TableKey("pairs", owner, stage.name), reads))
        if nodes:
            self.steps.append(Step("pairs", tuple(nodes)))
