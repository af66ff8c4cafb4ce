"""Sources `jsonl` and `parquet`: any set of pairs, by a mapping of its columns in the settings.

    kind: parquet
    files: [data/*.parquet]
    query: {text: "{title}: {question}", images: image}
    positive: {text: answers.text.0}
    negatives: [{text: hard_negatives}]
    key: id

How a column is named, see `pipelines.sources.column_templates`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any, Literal, cast

from pydantic import Field, field_validator, model_validator

from corpus.settings import Settings
from pipelines.sources.column_templates import Template, look_up, require_paths
from pipelines.sources.found_files import NO_DATA, FoundFile, find_files
from pipelines.sources.json_records import Fault, Malformed, text_of
from pipelines.sources.pair_rows import GivenPair, Side
from pipelines.sources.pair_sampling import PairRows, PairSource
from pipelines.sources.parquet_records import Row
from pipelines.sources.record_files import ROW_ENDINGS, named_apart
from pipelines.sources.text_pairs import true_negatives


class SideColumns(Settings):
    """Where a side's text lies, and the names of its images."""

    text: str = Field("", description="a column, or a template of several")
    images: tuple[str, ...] = Field((), description="columns, each of one name or a list of names")

    @field_validator("images", mode="before", json_schema_input_type=str | tuple[str, ...])
    @classmethod
    def _one_is_a_list(cls, value: Any) -> Any:
        return ([value] if value else []) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _names_something(self) -> SideColumns:
        if not self.text and not self.images:
            raise ValueError("names neither a text nor images")
        if self.text:
            Template(self.text)
        return self

    @property
    def paths(self) -> tuple[str, ...]:
        """All columns that are named."""
        return ((*Template(self.text).paths,) if self.text else ()) + self.images


class MappedSource(PairSource):
    """Which files, and which of their columns are what."""

    kind: Literal["jsonl", "parquet"] = Field(description="which files of a folder are read")
    files: tuple[str, ...] = Field(min_length=1, description="paths, folders, globs, fsspec URLs")
    query: SideColumns
    positive: SideColumns
    negatives: tuple[SideColumns, ...] = Field((), description="of a list column, each entry is a negative")
    instruction: str = ""
    label: str = ""
    key: str = ""
    url: str = ""
    licence_column: str = ""
    most_negatives: int | None = Field(16, ge=0, description="of a pair, from the first; null: all")

    @field_validator("instruction", "label", "key", "url", "licence_column")
    @classmethod
    def _templates_parse(cls, text: str) -> str:
        if text:
            Template(text)
        return text


_OTHERS = ("instruction", "label", "key", "url", "licence_column")


class MappedRows(PairRows[MappedSource]):
    """The pairs of any set, one for each row.

    Reasons why a row gives none: no_query, no_positive, bad_text, bad_images, bad_negatives, not_json, not_an_object,
    line_too_long. The notes count what became of negatives.
    """

    def __init__(self, settings: MappedSource) -> None:
        super().__init__(settings)
        self.told: Counter[str] = Counter()

    def find(self) -> list[FoundFile]:
        parquet = (".parquet",)
        endings = parquet if self.settings.kind == "parquet" else tuple(e for e in ROW_ENDINGS if e not in parquet)
        return find_files(self.settings.files, endings, "files", self.not_read, NO_DATA)

    def require(self, present: set[str], file: str) -> None:
        require_paths(self._paths, present, file)

    @property
    def _sides(self) -> tuple[SideColumns, ...]:
        return (self.settings.query, self.settings.positive, *self.settings.negatives)

    @property
    def _others(self) -> dict[str, Template]:
        return {name: Template(text) for name in _OTHERS if (text := getattr(self.settings, name))}

    @property
    def _paths(self) -> list[str]:
        """All columns that are named."""
        paths = [path for side in self._sides for path in side.paths]
        return paths + [path for template in self._others.values() for path in template.paths]

    def pairs(self) -> Iterator[GivenPair]:
        """The pair of each row. Raises SettingsError for a file without one of the columns."""
        self.told = Counter()
        others = self._others
        images = {path for side in self._sides for path in side.images}
        for file, _ in self.readable(named_apart(self.files)):
            for line, row in self.records(file, self._paths, images):
                try:
                    yield self._pair(row, others, file.url, line)
                except Malformed as error:
                    self.faults.append(Fault(file.url, line, error.reason, error.detail))

    def _pair(self, row: Row, others: dict[str, Template], file: str, line: int) -> GivenPair:
        query, positive = one_side(self.settings.query, row), one_side(self.settings.positive, row)
        for name, side in (("query", query), ("positive", positive)):
            if side == Side():
                raise Malformed(f"no_{name}", f"the {name} has neither a text nor an image")
        given = [side for columns in self.settings.negatives for side in several_sides(columns, row)]
        negatives = true_negatives(given, [positive], self.settings.most_negatives, self.told)
        said = {name: template.text(row) for name, template in others.items()}
        licence = said.pop("licence_column", "")
        return GivenPair(query, positive, tuple(negatives), file=file, line=line, licence=licence, **cast(Any, said))

    @property
    def notes(self) -> dict[str, Any]:
        """Rows that are malformed, and what became of negatives, for people."""
        return {**super().notes, **({"negatives": dict(sorted(self.told.items()))} if self.told else {})}


def one_side(columns: SideColumns, row: Row) -> Side:
    """The side that a row gives. Raises Malformed for what is no text or no name."""
    text = Template(columns.text).text(row) if columns.text else ""
    return Side(text, tuple(name for path in columns.images for name in _names(look_up(row, path), path)))


def several_sides(columns: SideColumns, row: Row) -> list[Side]:
    """The sides that a row's lists give: one for each entry. An entry of images may itself be a list.

    Raises Malformed for what is no text or no name, and where texts and images are not equally many.
    """
    parts: list[list[Side]] = []
    if columns.text:
        texts = Template(columns.text).texts(row)
        parts.append([Side(text) for text in ([texts] if isinstance(texts, str) and texts else texts)])
    for path in columns.images:
        value = look_up(row, path)
        entries = value if isinstance(value, list) else [value] if value else []
        parts.append([Side("", _names(entry, path)) for entry in entries])
    counts = sorted({len(part) for part in parts})
    if len(counts) > 1:
        raise Malformed("bad_negatives", f"{' and '.join(map(str, counts))} entries in {', '.join(columns.paths)}")
    return [
        Side("".join(side.text for side in each), tuple(name for side in each for name in side.images))
        for each in zip(*parts, strict=True)
    ]


def _names(value: Any, path: str) -> tuple[str, ...]:
    names = value if isinstance(value, list) else [value]
    try:
        return tuple(name for each in names if (name := text_of(each)))
    except Malformed as error:
        raise Malformed("bad_images", f"{path}: {error.detail}") from None
