"""Settings of models that run in the worker's own process, by torch."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from corpus.image.pixel_budget import PixelBudget
from corpus.settings import Settings, tuning
from corpus.stage import Resources
from serving.request import BackendError


class LocalModelSettings(Settings):
    """Settings that models have in common which run in the worker's own process."""

    packages: ClassVar[str] = ""  # the extra that installs what the model takes

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

    def missing_packages(self, error: ImportError) -> BackendError:
        """Returns the error of a model whose packages are not installed."""
        return BackendError(f"{error}. Install rzen-corpus[{self.packages}]")
