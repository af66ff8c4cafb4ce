"""Presets: lists of evaluation sets, and where each lies below the folder of its benchmark."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path

from pydantic import Field

from corpus.settings import Settings, load_settings
from corpus.storage import Store
from pipelines.evaluation.media_files import MediaFilesSource

_FOLDER = Path(__file__).parent / "presets"


class PresetSet(Settings):
    """One set of a preset: its media. What texts it has lies elsewhere."""

    name: str = Field(description="The benchmark's name of the set.")
    folders: tuple[str, ...] = Field(
        min_length=1, description="Where it lies below the benchmark's folder; the first that is there."
    )
    frames: bool = Field(False, description="Whether its images are frames of videos, each in a folder of its own.")
    texts: bool = Field(True, description="Whether text files beside its images are held against texts of pairs.")
    ignore: tuple[str, ...] = Field((), description="Names of sources and datasets that share its data by design.")

    @property
    def slug(self) -> str:
        """The name in letters that names of sources have."""
        return re.sub("[^a-z0-9]+", "-", self.name.lower()).strip("-")

    def source(self, folder: str) -> MediaFilesSource:
        """Returns how it is read, below the benchmark's folder, where it must be."""
        below = next(each for each in self.folders if _is_there(folder, each))
        return MediaFilesSource(kind="media_files", paths=(f"{folder.rstrip('/')}/{below}",))

    def is_in(self, folder: str) -> bool:
        """Tells whether one of its folders is there."""
        return any(_is_there(folder, each) for each in self.folders)


class EvaluationPreset(Settings):
    """A file of a preset."""

    origin: str = Field(description="Where the names and folders are from.")
    sets: tuple[PresetSet, ...] = Field(min_length=1, description="The sets.")


def preset_names() -> list[str]:
    """Returns the names of the presets."""
    return sorted(path.stem for path in _FOLDER.glob("*.yaml"))


@lru_cache(maxsize=8)
def read_preset(name: str) -> tuple[PresetSet, ...]:
    """Returns the sets of a preset."""
    return load_settings(_FOLDER / f"{name}.yaml", EvaluationPreset).sets


def _is_there(folder: str, below: str) -> bool:
    return any(True for _ in Store(folder).names(below))
