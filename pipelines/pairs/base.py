"""Base of the kinds of datasets: settings, which tell the sources of its pairs and the stage that makes them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

from pydantic import Field

from corpus.schema import Task
from corpus.settings import Settings
from corpus.stage import Gives, MapStage, SourceInfo


class DatasetSettings(Settings):
    """The settings of a dataset of any kind. A subclass has a field `kind`, a Literal of its name."""

    needs: ClassVar[Gives]  # of its sources

    kind: str = Field(description="The kind of dataset.")
    source: str = Field(description="The name of the source that the pairs are made from.")
    task: Task = Field(description="The training task of the pairs.")
    stage: int = Field(1, description="The stage of the training recipe: 1 without instructions, 2 with.")
    query_instruction: str = Field("", description="The instruction of every query; empty for none.")
    positive_instruction: str = Field("", description="The instruction of every positive and negative; empty for none.")

    @property
    def sources(self) -> tuple[str, ...]:
        """The sources whose pairs are in the dataset."""
        return (self.source,)

    @property
    def branch(self) -> str:
        """The branch of stages (`corpus.stage.Stage.branch`) whose rows become pairs; "": the items."""
        return ""

    @property
    def crosses_modalities(self) -> bool:
        """Whether one side of each pair is a text alone, and the other an image or a clip alone."""
        return False

    def pairs_stage(self, source: SourceInfo) -> MapStage:
        """Returns the stage that makes the pairs of one of its sources; `source.dataset` is the dataset's name."""
        raise NotImplementedError

    def conflicts(self, stages: Any) -> Iterator[str]:
        """Lists `key: what is wrong` for each of its settings that does not go with those of the stages."""
        return iter(())
