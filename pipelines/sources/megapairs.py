"""Source `megapairs`: an image and what is to be changed about it -> another image, with given hard negatives.

One record a line: `q_img` (a path), `q_text` (several texts, of which one is used), `t_img`, `hns` (paths, best first).
MegaPairs puts the query image itself first among the negatives, on purpose: so a model cannot ignore the text. It
stays there. (arXiv 2412.14475)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

from pydantic import Field

from corpus.sampling import choose_option, derive_seed
from pipelines.sources.files import NO_DATA, FileInfo, find_files
from pipelines.sources.json_records import BadRecord, BadRecordError, text_of
from pipelines.sources.pair_rows import Side, SourcePair
from pipelines.sources.pair_source import PairDatasetSource, PairReader
from pipelines.sources.parquet_records import Row
from pipelines.sources.records import ROW_ENDINGS

MAX_RECORD_LIST = 1000  # of a list in a record: more is no MegaPairs


class MegaPairsSource(PairDatasetSource):
    """Settings of MegaPairs: the annotations, and the names of their fields."""

    summary = "image + text → image, the set's hard negatives in their order, the query image among them on purpose"

    kind: Literal["megapairs"] = Field(
        description="MegaPairs: triplets of an image with a text, an image, and hard negatives."
    )
    files: tuple[str, ...] = Field(
        min_length=1,
        description="JSON-lines files (.gz too) with the annotations: paths, folders, globs or fsspec URLs.",
    )
    query_image_key: str = Field("q_img", description="The key with the path of the query's image.")
    texts_key: str = Field("q_text", description="The key with the list of texts of a query.")
    target_image_key: str = Field("t_img", description="The key with the path of the positive's image.")
    negatives_key: str = Field("hns", description="The key with the list of paths of the negatives' images.")
    strip_prefixes: tuple[str, ...] = Field(
        (), description="Prefixes of images' paths; the first one that a path begins with is removed from it."
    )

    def reader(self) -> MegaPairsReader:
        return MegaPairsReader(self)


class MegaPairsReader(PairReader[MegaPairsSource]):
    """The reader of MegaPairs: triplets of a query with a text and an image, positive with an image, negatives in their
    order.

    Reasons: those of `read_records`; no_image, one of the two is missing; no_text, all texts are empty;
    bad_text, no string where there should be one; bad_list, one is missing or absurdly long.
    """

    def find(self) -> list[FileInfo]:
        return find_files(self.settings.files, ROW_ENDINGS, "files", self.not_read, NO_DATA)

    def pairs(self) -> Iterator[SourcePair]:
        settings = self.settings
        keys = (settings.query_image_key, settings.texts_key, settings.target_image_key, settings.negatives_key)
        for file, _ in self.readable():
            for line, record in self.records(file, keys):
                try:
                    yield read_triplet(record, settings, file.url, line)
                except BadRecordError as error:
                    self.bad_records.append(BadRecord(file.url, line, error.reason, error.detail))


def read_triplet(record: Row, settings: MegaPairsSource, file: str = "", line: int = 0) -> SourcePair:
    """Reads the pair of one record. Raises BadRecordError."""
    query = _image(record, settings.query_image_key, settings)
    target = _image(record, settings.target_image_key, settings)
    texts = [text for text in _strings(record, settings.texts_key) if text]
    if not texts:
        raise BadRecordError("no_text", f"{settings.texts_key!r} has no text")
    negatives = _strings(record, settings.negatives_key)
    return SourcePair(
        Side(choose_text(texts, f"{query}\n{target}", settings.seed), (query,)),
        Side("", (target,)),
        tuple(Side("", (_stripped(name, settings.strip_prefixes),)) for name in negatives if name),
        file=file,
        line=line,
    )


def choose_text(texts: Sequence[str], record: str, seed: int) -> str:
    """Chooses one of the texts by the record and the seed, wherever the record stands."""
    return texts[choose_option(texts, derive_seed(seed, record))]


def _image(record: Row, key: str, settings: MegaPairsSource) -> str:
    name = _stripped(text_of(record.get(key)), settings.strip_prefixes)
    if not name:
        raise BadRecordError("no_image", f"no {key!r}")
    return name


def _strings(record: Row, key: str) -> list[str]:
    """Gets a list of strings; a string alone is a list of one."""
    values = record.get(key)
    if isinstance(values, str):
        values = [values]
    if not isinstance(values, list):
        raise BadRecordError("bad_list", f"no list {key!r}")
    if len(values) > MAX_RECORD_LIST:
        raise BadRecordError("bad_list", f"{key!r} has {len(values)} entries")
    return [text_of(value) for value in values]


def _stripped(name: str, prefixes: Sequence[str]) -> str:
    for prefix in prefixes:
        if name.startswith(prefix):
            return name[len(prefix) :].removeprefix("./")
    return name.removeprefix("./")
