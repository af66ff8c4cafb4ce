"""Kinds of sources; SOURCES lists them."""

from pipelines.sources.base import SourceSettings
from pipelines.sources.documents import DocumentsSource
from pipelines.sources.generic_pairs import GenericPairsSource
from pipelines.sources.img2dataset import Img2datasetSource
from pipelines.sources.laion import LaionSource
from pipelines.sources.llava_hound import LlavaHoundSource
from pipelines.sources.mbeir import MbeirSource
from pipelines.sources.megapairs import MegaPairsSource
from pipelines.sources.mmeb import Mme5Source, MmebSource
from pipelines.sources.tevatron import TevatronSource
from pipelines.sources.text_pairs import TextPairsSource
from pipelines.sources.videos import VideosSource

SOURCES: tuple[type[SourceSettings], ...] = (
    LaionSource,
    Img2datasetSource,
    VideosSource,
    MegaPairsSource,
    MmebSource,
    Mme5Source,
    LlavaHoundSource,
    TextPairsSource,
    DocumentsSource,
    GenericPairsSource,
    MbeirSource,
    TevatronSource,
)
