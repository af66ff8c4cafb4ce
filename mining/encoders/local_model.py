"""Settings of encoders whose model runs in the worker's own process."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pydantic import Field

from mining.encoders.base import EncoderSettings
from serving.local_model import LocalModelSettings
from serving.request import BackendError

MIXED = "mixed_side"  # a side of a text and images, of a model that reads one of them at a time
SEVERAL_IMAGES = "several_images"  # a side of several images, of a model that reads one at a time


class LocalEncoderSettings(LocalModelSettings, EncoderSettings):
    """Settings that encoders have in common whose model runs in the worker's own process."""

    dimension: int = Field(ge=1, description="The numbers of a vector; a model with another number ends the run.")

    def check_dimension(self, model: str, found: int | None, advice: str = "") -> None:
        """Raises BackendError for a model whose vectors have another number of numbers."""
        if found != self.dimension:
            raise BackendError(f"model {model}: its vectors have {found} numbers: set `dimension` to that{advice}")

    def missing_packages(self, error: ImportError) -> BackendError:
        return BackendError(f"encoder {self.kind}: {super().missing_packages(error)}")


def groups(keys: Iterable[Any]) -> dict[Any, list[int]]:
    """Returns the places of equal keys."""
    found: dict[Any, list[int]] = {}
    for place, key in enumerate(keys):
        found.setdefault(key, []).append(place)
    return found
