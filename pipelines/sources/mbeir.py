"""Source `mbeir`: queries of M-BEIR with the ids of their candidates, and the pool in which these lie.

A query: `{qid, query_txt, query_img_path, query_modality, pos_cand_list: [did], neg_cand_list: [did]}`; a candidate:
`{did, txt, img_path, modality}`; null is what there is not. (arXiv 2311.17136)
"""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any, Literal

from pydantic import Field, field_validator

from corpus.sampling import choose_option, derive_seed
from corpus.settings import SettingsError
from corpus.storage import Store
from pipelines.sources.column_mapping import Template, require_paths
from pipelines.sources.document_join import Document, DocumentsSettings, ids_at, names_at
from pipelines.sources.document_pairs import DocumentPairReader, DocumentPairSource, NamedPair
from pipelines.sources.files import NO_DATA, FileInfo, find_files
from pipelines.sources.json_records import BadRecordError, text_of
from pipelines.sources.mbeir_tasks import MBEIR_SETS, Key, task_of_sets
from pipelines.sources.pair_rows import Side, SourcePair
from pipelines.sources.parquet_records import Row
from pipelines.sources.records import ROW_ENDINGS

_POSITIVES, _NEGATIVES = "pos_cand_list", "neg_cand_list"
_COLUMNS = ("qid", "query_txt", "query_img_path", "query_modality", _POSITIVES, _NEGATIVES)


class MbeirSource(DocumentPairSource):
    """Settings of M-BEIR: which of its sets, and where they lie."""

    summary = "M-BEIR's sixteen sets: queries joined with the candidate pool by id, each with its set's instruction"

    kind: Literal["mbeir"] = Field(description="M-BEIR's sets of queries and candidates.")
    folder: str = Field(description="The folder or fsspec URL that has query, cand_pool and mbeir_images.")
    subsets: tuple[str, ...] = Field(
        min_length=1, description="The sets that are read, such as visualnews_task0, all of one task."
    )
    split: str = Field("train", description="The split whose queries and candidate pool are read.")
    files: dict[str, tuple[str, ...]] = Field(
        {},
        description="The files of a subset's queries, where they are not query/<split>/mbeir_<subset>_<split>.jsonl.",
    )
    candidate_pool: tuple[str, ...] = Field(
        (),
        description="The files of the candidate pool, where they are not "
        "cand_pool/global/mbeir_union_<split>_cand_pool.jsonl.",
    )
    instruction_choice: Literal["first", "random"] = Field(
        "first",
        description="Whether all queries of a task have the first instruction, or each has one drawn at random.",
    )
    instructions_file: str = Field(
        "",
        description="M-BEIR's query_instructions.tsv; empty takes the first instruction of each set, which is "
        "built in.",
    )

    @field_validator("subsets")
    @classmethod
    def _known(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        task_of_sets(names)
        return names

    def reader(self) -> MbeirReader:
        return MbeirReader(self)


class MbeirReader(DocumentPairReader[MbeirSource]):
    """The pairs of the subsets, as of `DocumentPairReader`.

    The instruction is that of the dataset (which a query's id begins with), of what the query has and of what its
    positive has. The notes count the pairs for which there is none.
    """

    @cached_property
    def _by_subset(self) -> dict[str, list[FileInfo]]:
        folder, split = self.settings.folder.rstrip("/"), self.settings.split
        return {
            name: find_files(
                self.settings.files.get(name, (f"{folder}/query/{split}/mbeir_{name}_{split}.jsonl",)),
                *(ROW_ENDINGS, f"subsets.{name}", self.not_read, NO_DATA),
            )
            for name in self.settings.subsets
        }

    @cached_property
    def _subset_of(self) -> dict[str, str]:
        return {found.url: name for name, files in self._by_subset.items() for found in files}

    def find(self) -> list[FileInfo]:
        return [found for files in self._by_subset.values() for found in files]

    def require(self, present: set[str], file: str) -> None:
        require_paths(("qid", _POSITIVES), present, file)

    def identity(self) -> dict[str, Any]:
        """Returns the identity of any such source, with the instructions themselves."""
        return {**super().identity(), "prompts": sorted((list(key), each) for key, each in self._prompts.items())}

    @property
    def documents(self) -> DocumentsSettings:
        split = self.settings.split
        pool = f"{self.settings.folder.rstrip('/')}/cand_pool/global/mbeir_union_{split}_cand_pool.jsonl"
        columns = {"id": "did", "text": "txt", "images": ("img_path",), "optional": ("txt", "img_path")}
        return DocumentsSettings(files=self.settings.candidate_pool or (pool,), **columns)  # type: ignore[arg-type]

    def columns(self, present: set[str]) -> tuple[Collection[str], Collection[str]]:
        return _COLUMNS, ()

    def named(self, row: Row, file: str, line: int) -> NamedPair:
        query = Side(text_of(row.get("query_txt")), names_at(row, "query_img_path"))
        if query == Side():
            raise BadRecordError("no_query", "neither query_txt nor query_img_path")
        positives = ids_at(Template(_POSITIVES), row)
        if not positives:
            raise BadRecordError("no_positive", f"{_POSITIVES} names none")
        pair = SourcePair(
            query, Side(), key=Template("qid").text(row), file=file, line=line, subset=self._subset_of[file]
        )
        return NamedPair(pair, tuple(positives), tuple(ids_at(Template(_NEGATIVES), row)))

    def of_document(self, pair: SourcePair, document: Document) -> SourcePair:
        dataset = pair.key.partition(":")[0]
        known = MBEIR_SETS[pair.subset].key[0]
        key = (int(dataset) if dataset.isdecimal() else known, _modality(pair.query), _modality(document.side))
        prompts = self._prompts.get(key, ())
        if not prompts:
            self.negative_counts["instruction_not_found"] += 1
            return replace(pair, positive=document.side)
        prompt = prompts[0]
        if self.settings.instruction_choice == "random":
            prompt = prompts[choose_option(prompts, derive_seed(self.settings.seed, pair.key))]
        return replace(pair, positive=document.side, instruction=prompt + (" " if pair.query.text else ""))

    @cached_property
    def _prompts(self) -> Mapping[Key, tuple[str, ...]]:
        if not self.settings.instructions_file:
            return {known.key: (known.instruction,) for known in MBEIR_SETS.values()}
        return read_prompts(self.settings.instructions_file)


def read_prompts(path: str) -> dict[Key, tuple[str, ...]]:
    """Reads the instructions of M-BEIR's own table: of each dataset and pair of modalities those that are not empty.

    Its columns are query_modality, cand_modality, dataset_name, dataset_id and after these the instructions. Raises
    SettingsError for a file of another form, StorageError for one that cannot be read.
    """
    try:
        text = Store(".").read_bounded(path, _MAX_PROMPTS_BYTES).decode("utf-8-sig", "replace")
    except ValueError as error:
        raise SettingsError(f"instructions_file: {path}: {error}") from error
    rows = list(csv.reader(io.StringIO(text), delimiter="\t", quoting=csv.QUOTE_NONE))
    if not rows or [name.strip() for name in rows[0][:4]] != _HEAD:
        raise SettingsError(f"instructions_file: {path}: expected a table that begins with {', '.join(_HEAD)}")
    instructions = {}
    for number, row in enumerate(rows[1:], 2):
        prompts = tuple(prompt for each in row[4:] if (prompt := each.strip().strip('"')))
        if not prompts:
            continue
        if not row[3].strip().isdecimal():
            raise SettingsError(f"instructions_file: {path}, line {number}: dataset_id is {row[3]!r}, no number")
        instructions[int(row[3]), _ordered(row[0]), _ordered(row[1])] = prompts
    return instructions


_MAX_PROMPTS_BYTES = 16 << 20  # M-BEIR's own table has 20 kB
_HEAD = ["query_modality", "cand_modality", "dataset_name", "dataset_id"]


def _ordered(modality: str) -> str:
    return ",".join(sorted(part.strip() for part in modality.strip().strip('"').split(",")))


def _modality(side: Side) -> str:
    return ",".join([*(["image"] if side.images else []), *(["text"] if side.text else [])])
