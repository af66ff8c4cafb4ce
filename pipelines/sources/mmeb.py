"""Sources `mmeb` and `mme5`: Parquet rows of a query, a positive and maybe negatives, each with a text or an image.

MMEB-train (VLM2Vec): `qry`, `qry_image_path`, `pos_text`, `pos_image_path`, in some subsets `neg_text` and
`neg_image_path`: strings, "" where a side has no such thing. A text whose image goes with it begins with a token,
`<|image_1|>`; it is taken out. mmE5-synthetic has the same fields, but its negatives are strings that hold a Python
list. (arXiv 2410.05160, 2502.08468)
"""

from __future__ import annotations

import ast
import re
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any, ClassVar, Literal

from pydantic import Field, field_validator

from corpus.settings import SettingsError
from pipelines.sources.column_mapping import require_paths
from pipelines.sources.files import NO_DATA, FileInfo, find_files
from pipelines.sources.json_records import BadRecord, BadRecordError, text_of
from pipelines.sources.mmeb_tasks import (
    MME5_SUBSETS,
    SUBSETS,
    Subset,
    resolve_subset,
    split_instruction,
    task_of_subsets,
)
from pipelines.sources.pair_rows import Side, SourcePair
from pipelines.sources.pair_source import PairDatasetSource, PairReader

QUERY_FIELDS = ("qry", "qry_image_path")
POSITIVE_FIELDS = ("pos_text", "pos_image_path")
NEGATIVE_FIELDS = ("neg_text", "neg_image_path")
MODALITY = "modality"  # in mmE5: "IT2T", "T2I" ...: what the query has and what the positive has

MAX_LIST_CHARACTERS = 200_000  # of a string that holds a list
MAX_LIST_ENTRIES = 1000  # of a list

_TOKEN = re.compile(r"<\|image_[0-9]+\|>\n?")
_SPLIT = re.compile(r"(.+)-[0-9]+-of-[0-9]+\.parquet")  # original-00000-of-00001.parquet


class _SixFields(PairDatasetSource):
    known: ClassVar[Mapping[str, Subset]]

    folder: str = Field(".", description="The folder or fsspec URL that has a folder of each subset's name.")
    subsets: dict[str, Subset] = Field(
        description="The subsets that are read, by name or as a list of names, all of one task."
    )
    split: str = Field("original", description="The split that is read, where a subset's folder has files of several.")
    strip_prefixes: tuple[str, ...] = Field(
        (), description="Prefixes of images' paths; the first one that a path begins with is removed from it."
    )

    @field_validator("subsets", mode="before", json_schema_input_type=dict[str, Subset | None] | list[str])
    @classmethod
    def _names_alone(cls, value: Any) -> Any:
        if isinstance(value, list | tuple) and all(isinstance(name, str) for name in value):
            return {name: {} for name in value}
        return {name: subset or {} for name, subset in value.items()} if isinstance(value, dict) else value

    @field_validator("subsets")
    @classmethod
    def _have_one_task(cls, value: dict[str, Subset]) -> dict[str, Subset]:
        subsets = {name: resolve_subset(name, subset, cls.known) for name, subset in value.items()}
        task_of_subsets(subsets)
        return subsets

    def reader(self) -> MmebReader:
        return MmebReader(self)

    @property
    def has_labels(self) -> bool:
        return any(subset.label for subset in self.subsets.values())


class MmebSource(_SixFields):
    """Settings of MMEB-train: which of its subsets."""

    known = SUBSETS
    summary = (
        "VLM2Vec's six fields; the task and the instruction of MMEB-train's twenty subsets are known, others are set"
    )
    kind: Literal["mmeb"] = Field(description="MMEB-train's subsets, or others with its six fields.")


class Mme5Source(_SixFields):
    """Settings of mmE5-synthetic, or of MMEB with mmE5's hard negatives: which of their subsets."""

    known = {**SUBSETS, **MME5_SUBSETS}
    summary = "the same fields of mmE5; negatives that are lists in strings are read without `eval`"
    kind: Literal["mme5"] = Field(description="Subsets of mmE5-synthetic, or of MMEB with mmE5's hard negatives.")
    split: str = Field("train", description="The split that is read, where a subset's folder has files of several.")


class MmebReader(PairReader[_SixFields]):
    """The reader of MMEB's subsets, one after the other. An instruction that a query begins with lies in `instruction`,
    one that a positive begins with in `positive_instruction`.

    Reasons: empty_query, empty_positive, neither text nor image; no_image, there should be one; bad_text, no string;
    bad_list, negatives that are no list of strings. Instructions of negatives are those of positives, and taken out.
    """

    def __init__(self, settings: _SixFields) -> None:
        super().__init__(settings)
        self.text_counts: Counter[str] = Counter()

    @cached_property
    def _by_subset(self) -> dict[str, list[FileInfo]]:
        return {name: self._files_of(name, subset) for name, subset in self.settings.subsets.items()}

    def find(self) -> list[FileInfo]:
        return [file for files in self._by_subset.values() for file in files]

    def require(self, present: set[str], file: str) -> None:
        require_paths(QUERY_FIELDS + POSITIVE_FIELDS, present, file)

    def pairs(self) -> Iterator[SourcePair]:
        self.text_counts = Counter()
        reader = RowReader(self.settings, self.text_counts)
        for name, files in self._by_subset.items():
            for file, _ in self.readable(files):
                for line, row in self.records(file, {*QUERY_FIELDS, *POSITIVE_FIELDS, *NEGATIVE_FIELDS, MODALITY}):
                    try:
                        pair = reader.pair(row, self.settings.subsets[name], file.url, line)
                        yield replace(pair, subset=name)
                    except BadRecordError as error:
                        self.bad_records.append(BadRecord(file.url, line, error.reason, error.detail))

    @property
    def notes(self) -> dict[str, Any]:
        """Counts of texts (see RowReader), and the rows that are malformed, for people."""
        counts = {reason: count for reason, count in sorted(self.text_counts.items()) if count}
        return {**super().notes, **({"texts": counts} if counts else {})}

    def _files_of(self, name: str, subset: Subset) -> list[FileInfo]:
        patterns = subset.files or (f"{self.settings.folder.rstrip('/')}/{name}",)
        files = find_files(patterns, (".parquet",), f"subsets.{name}", self.not_read, NO_DATA)
        splits = {match[1] for file in files if (match := _SPLIT.fullmatch(file.name.rpartition("/")[2]))}
        if len(splits) < 2:
            return files
        if self.settings.split not in splits:
            raise SettingsError(f"split: {self.settings.split}: {name} has {', '.join(sorted(splits))}")
        return [file for file in files if file.name.rpartition("/")[2].startswith(f"{self.settings.split}-")]


class RowReader:
    """Makes pairs of rows. `counts` has figures for people: instruction_not_found (of queries) and
    positive_instruction_not_found, texts that do not begin as those of their subset do; token_without_image;
    image_without_token; empty_negative, nothing but an instruction.
    """

    def __init__(self, settings: _SixFields, counts: Counter[str]) -> None:
        self._prefixes = settings.strip_prefixes
        self._lists = isinstance(settings, Mme5Source)
        self._counts = counts

    def pair(self, row: Mapping[str, Any], subset: Subset, file: str = "", line: int = 0) -> SourcePair:
        """Reads the pair of one row. Raises BadRecordError."""
        query_image, positive_image = _expected_images(row.get(MODALITY), subset)
        instruction, query = self._side(row, QUERY_FIELDS, subset.instruction, query_image)
        positive_instruction, positive = self._side(row, POSITIVE_FIELDS, subset.positive_instruction, positive_image)
        self._counts["instruction_not_found"] += bool(subset.instruction and not instruction)
        self._counts["positive_instruction_not_found"] += bool(
            subset.positive_instruction and positive.text and not positive_instruction
        )
        if not (query.text or query.images):
            raise BadRecordError("empty_query", f"neither {QUERY_FIELDS[0]} nor {QUERY_FIELDS[1]}")
        if not (positive.text or positive.images):
            raise BadRecordError("empty_positive", f"neither {POSITIVE_FIELDS[0]} nor {POSITIVE_FIELDS[1]}")
        return SourcePair(
            query,
            positive,
            tuple(self._negatives(row, subset)),
            instruction,
            label=positive.text if subset.label else "",
            positive_instruction=positive_instruction,
            file=file,
            line=line,
        )

    def _side(
        self, row: Mapping[str, Any], names: tuple[str, str], instructions: tuple[str, ...], image: bool | None
    ) -> tuple[str, Side]:
        raw, path = text_of(row.get(names[0])), self._name(row.get(names[1]))
        if image and not path:
            raise BadRecordError("no_image", f"{names[1]} is empty")
        text = _TOKEN.sub("", raw).strip()
        self._counts["token_without_image"] += text != raw and not path
        self._counts["image_without_token"] += bool(text == raw and raw and path)
        instruction, text = split_instruction(text, instructions)
        return instruction, Side(text, (path,) if path else ())

    def _negatives(self, row: Mapping[str, Any], subset: Subset) -> Iterator[Side]:
        """Reads the negatives of a row, in order; empty ones are left out."""
        for text, path in self._paired(*(self._strings(row.get(name), name) for name in NEGATIVE_FIELDS)):
            _, text = split_instruction(_TOKEN.sub("", text).strip(), subset.positive_instruction)
            path = self._name(path)
            if text or path:
                yield Side(text, (path,) if path else ())
            else:
                self._counts["empty_negative"] += 1

    def _strings(self, value: Any, name: str) -> list[str]:
        """Reads a column's strings; one alone is a list of one, unless it is empty."""
        if isinstance(value, str) and self._lists:
            return string_list(value, name)
        values = value if isinstance(value, list) else [value]
        if len(values) > MAX_LIST_ENTRIES:
            raise BadRecordError("bad_list", f"{name} has {len(values)} entries")
        texts = [text_of(each) for each in values]
        return texts if any(texts) else []

    def _paired(self, texts: list[str], paths: list[str]) -> Iterator[tuple[str, str]]:
        """Pairs text and image of each negative. Where there are both, there must be as many of them."""
        texts = texts if any(texts) else [""] * len(paths)
        paths = paths if any(paths) else [""] * len(texts)
        if len(texts) != len(paths):
            raise BadRecordError("bad_list", f"{len(texts)} texts and {len(paths)} images of negatives")
        return zip(texts, paths, strict=True)

    def _name(self, path: Any) -> str:
        name = text_of(path)
        prefix = next((prefix for prefix in self._prefixes if name.startswith(prefix)), "")
        return name.removeprefix(prefix).removeprefix("./")


def _expected_images(modality: Any, subset: Subset) -> tuple[bool | None, bool | None]:
    """Tells whether query and positive should have an image, by the row's modality or else by the subset."""
    query, mark, positive = modality.partition("2") if isinstance(modality, str) else ("", "", "")
    if mark and query and positive and not (set(query + positive) - set("IT")):
        return "I" in query, "I" in positive
    return subset.query_image, subset.positive_image


# Quantifiers are possessive (*+): nothing is tried twice, whatever the string.
_STRING = r"""(?:'(?:[^'\\\n]|\\.)*+'|"(?:[^"\\\n]|\\.)*+")"""
_LIST = re.compile(rf"\[\s*+(?:{_STRING}\s*+(?:,\s*+{_STRING}\s*+)*+,?\s*+)?\]|{_STRING}")


def string_list(text: str, name: str) -> list[str]:
    """Parses a list of strings, or one string, that is written as `str(list)` writes it; "" is the empty list.

    mmE5's own reader gives such strings to `eval`. Here only brackets, commas and quoted strings reach
    `ast.literal_eval`, so that neither depth nor numbers can grow. Raises BadRecordError for all else, for strings that
    are no Unicode, and for more than MAX_CHARACTERS or MAX_ENTRIES.
    """
    text = text.strip()
    if not text:
        return []
    if len(text) > MAX_LIST_CHARACTERS:
        raise BadRecordError("bad_list", f"{name} has {len(text)} characters")
    if not _LIST.fullmatch(text):
        raise BadRecordError("bad_list", f"{name} holds no list of strings: {text[:60]!r}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of escapes such as "\d", which Python takes as they are
            value = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError) as error:
        raise BadRecordError("bad_list", f"{name} holds no list of strings: {error}") from None
    values = [value] if isinstance(value, str) else value
    if len(values) > MAX_LIST_ENTRIES:
        raise BadRecordError("bad_list", f"{name} has {len(values)} entries")
    return [text_of(each) for each in values]
