"""Settings of a kind of source describe it to all others: its kinds, what it gives and the modality of its pairs."""

from __future__ import annotations

from typing import ClassVar, Literal

import pytest

from corpus.schema import Modality
from corpus.settings import SettingsError, parse_settings
from corpus.stage import Gives
from pipelines.sources import SOURCES
from pipelines.sources.base import SourceSettings


class Drawings(SourceSettings):
    gives: ClassVar[Gives] = Gives.IMAGES
    kind: Literal["drawings", "sketches"]


class Films(SourceSettings):
    gives: ClassVar[Gives] = Gives.CLIPS
    kind: Literal["films"]


def test_a_source_has_what_follows_from_what_it_gives() -> None:
    drawings, films = Drawings(kind="sketches"), Films(kind="films")
    assert Drawings.kinds() == ("drawings", "sketches") and Films.kinds() == ("films",)
    assert (drawings.modality, films.modality) == (Modality.IMAGE, Modality.CLIP)
    assert drawings.has_images and not films.has_images
    assert not drawings.has_labels and drawings.filters_images and list(drawings.conflicts(None)) == []
    with pytest.raises(NotImplementedError):
        drawings.reader()
    with pytest.raises(SettingsError, match="kind"):
        parse_settings({"kind": "photographs"}, Drawings)


def test_every_kind_has_one_source_which_says_what_it_is() -> None:
    kinds = [kind for source in SOURCES for kind in source.kinds()]
    assert len(kinds) == len(set(kinds)) > 10
    assert all(source.summary and source.gives in Gives for source in SOURCES)
