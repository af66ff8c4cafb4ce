"""Settings of evaluation sets: what a corpus must have nothing of."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Annotated

from pydantic import Field, model_validator

from corpus.settings import Settings, SettingsError
from pipelines.evaluation.media_files import MediaFilesSource
from pipelines.evaluation.presets import PresetSet, preset_names, read_preset
from pipelines.evaluation.table_rows import TableRowsSource
from pipelines.plugins import with_installed_sources
from pipelines.sources import SOURCES
from pipelines.sources.base import SourceSettings

EVALUATION_SOURCES: tuple[type[SourceSettings], ...] = (
    MediaFilesSource,
    TableRowsSource,
    *with_installed_sources(SOURCES),
)

if TYPE_CHECKING:
    AnyEvaluation = SourceSettings
else:
    AnyEvaluation = Annotated[reduce(or_, EVALUATION_SOURCES), Field(discriminator="kind")]


class EvaluationSet(Settings):
    """Settings of one evaluation set, or of the sets of a preset."""

    source: AnyEvaluation | None = Field(None, description="Where the set lies, as any source; null: it is a preset.")
    preset: str = Field("", description="The name of a list of sets, such as mmeb-v2, of which one folder has all.")
    folder: str = Field("", description="The folder or fsspec URL of a preset's sets.")
    only: tuple[str, ...] = Field((), description="Names of a preset's sets that are read; empty: all that are there.")
    texts: bool = Field(
        True, description="Whether its texts are held against those of pairs: not where they are names of classes."
    )
    frames: bool = Field(
        False, description="Whether its images are frames of videos, each in a folder of its own, which names it."
    )
    ignore: tuple[str, ...] = Field(
        (),
        description="Names of sources and datasets (`*` for any letters) that share their data with the set by design: "
        "nothing is removed there for its sake, and what is ignored is counted.",
    )

    @model_validator(mode="after")
    def _one_of_both(self) -> EvaluationSet:
        if (self.source is None) == (not self.preset):
            raise ValueError("name either a source or a preset")
        if self.preset:
            if self.preset not in preset_names():
                raise ValueError(f"preset: no {self.preset!r}; there is {', '.join(preset_names())}")
            if not self.folder:
                raise ValueError("folder: where do the preset's sets lie?")
            known = [each.name for each in read_preset(self.preset)]
            if unknown := sorted({*self.only} - {*known}):
                raise ValueError(f"only: no set {unknown[0]!r} in {self.preset}; there is {', '.join(known)}")
        return self

    def sets(self, name: str) -> dict[str, EvaluationSet]:
        """Returns the sets by name: itself, or those of its preset that are there, named after both.

        Raises SettingsError where none of them is: a corpus must not go unchecked for a wrong path.
        """
        if self.source is not None:
            return {name: self}
        if not any(each.is_in(self.folder) for each in self._chosen):
            expected = ", ".join(self._chosen[0].folders)
            raise SettingsError(
                f"evaluation.{name}.folder: {self.folder}: none of the sets of {self.preset} is there, such as "
                f"{self._chosen[0].name} in {expected}"
            )
        return {
            f"{name}-{found.slug}": EvaluationSet(
                source=found.source(self.folder),
                texts=self.texts and found.texts,
                frames=found.frames,
                ignore=(*self.ignore, *found.ignore),
            )
            for found in self._chosen
            if found.is_in(self.folder)
        }

    def absent(self, name: str) -> list[str]:
        """Returns the names of the sets of its preset that are not in the folder."""
        return [f"{name}-{each.slug}" for each in self._chosen if not each.is_in(self.folder)]

    @property
    def _chosen(self) -> Sequence[PresetSet]:
        sets = read_preset(self.preset) if self.preset else ()
        return [each for each in sets if not self.only or each.name in self.only]
