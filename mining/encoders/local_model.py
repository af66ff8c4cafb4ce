"""Settings of encoders whose model runs in the worker's own process."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar, Literal

from pydantic import Field

from corpus.image.pixel_budget import PixelBudget
from corpus.settings import tuning
from corpus.stage import Resources
from mining.encoders.base import EncoderSettings
from serving.request import BackendError

MIXED = "mixed_side"  # a side of a text and images, of a model that reads one of them at a time
SEVERAL_IMAGES = "several_images"  # a side of several images, of a model that reads one at a time


class LocalModelSettings(EncoderSettings):
    """Settings that encoders have in common whose model runs in the worker's own process."""

    packages: ClassVar[str]  # the extra that installs what the model takes

    dimension: int = Field(ge=1, description="The numbers of a vector; a model with another number ends the run.")
    dtype: Literal["float32", "float16", "bfloat16"] = Field("float32", description="The type of the model's weights.")
    pixels: PixelBudget = Field(
        PixelBudget(), description="The sizes at which the model's own image processor is given images."
    )
    device: str = tuning("", description="The device of the model, such as cuda; empty takes a GPU if there is one.")
    gpus: float = tuning(0.0, ge=0, description="The GPUs that one worker reserves.")
    batch_size: int = tuning(32, ge=1, description="The most sides that the model computes at once.")
    shards_in_flight: int = tuning(2, ge=1, description="Shards of one model at a time: one is decoded meanwhile.")

    @property
    def resources(self) -> Resources:
        """What one worker takes."""
        return Resources(gpus=self.gpus, holds_model=True, in_flight=self.shards_in_flight)

    def torch_device(self) -> str:
        """Returns the device on which the model runs here. Raises BackendError without torch."""
        try:
            import torch
        except ImportError as error:
            raise self.missing_packages(error) from error
        return self.device or ("cuda" if torch.cuda.is_available() else "cpu")

    def check_dimension(self, model: str, found: int | None, advice: str = "") -> None:
        """Raises BackendError for a model whose vectors have another number of numbers."""
        if found != self.dimension:
            raise BackendError(f"model {model}: its vectors have {found} numbers: set `dimension` to that{advice}")

    def missing_packages(self, error: ImportError) -> BackendError:
        """Returns the error of a model whose packages are not installed."""
        return BackendError(f"encoder {self.kind}: {error}. Install rzen-corpus[{self.packages}]")


def groups(keys: Iterable[Any]) -> dict[Any, list[int]]:
    """Returns the places of equal keys."""
    found: dict[Any, list[int]] = {}
    for place, key in enumerate(keys):
        found.setdefault(key, []).append(place)
    return found
