"""The settings of captioning: backend, sampling, pixel budget, prompts and screening."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from corpus.image.pixel_budget import PixelBudget
from corpus.settings import Settings, SettingsError, tuning
from recaption import dummy
from recaption.prompts import PromptChoice, check_prompt_names
from recaption.screening.screen import ScreeningSettings
from serving.backends import check_vllm, default_budget, model_and_revision
from serving.models import find_model
from serving.openai.settings import EndpointSettings
from serving.request import SamplingSettings
from serving.vllm.settings import VllmSettings


class DummySettings(Settings):
    """Settings of the backend `dummy`, which has no model: it describes an image by its colours."""

    kind: Literal["dummy"] = Field("dummy", description="No model: captions are sentences made of a picture's colours.")


Backend = Annotated[DummySettings | VllmSettings | EndpointSettings, Field(discriminator="kind")]


class SourceCaptions(PromptChoice):
    """Settings of one source's captions: its prompts, and its backend where that is another."""

    backend: Backend | None = Field(
        None,
        description="The backend of this source, in place of that for all: for instance one model for images and "
        "one for clips.",
    )


class CaptionSettings(Settings):
    """Settings of captioning: the backend, how it samples, the pixel budget, prompts, screening."""

    backend: Backend = Field(DummySettings(), description="The model that writes the captions.")
    sampling: SamplingSettings = Field(SamplingSettings(), description="How the model samples tokens.")
    min_pixels: int | None = Field(
        None, ge=1, description="The fewest pixels of an image as the model sees it; null takes the model's own."
    )
    max_pixels: int | None = Field(
        None, ge=1, description="The most pixels of an image as the model sees it; null takes the model's own."
    )
    max_source_pixels: int = Field(100_000_000, ge=1, description="The largest image that is decoded.")
    screening: ScreeningSettings = Field(ScreeningSettings(), description="Which answers of the model are captions.")
    max_attempts: int = Field(
        2,
        ge=1,
        le=10,
        description="How often a caption is requested until screening accepts one, each time with another seed.",
    )
    retry_temperature: float = Field(
        0.7, ge=0, le=5, description="The lowest temperature of the second attempt and later ones."
    )
    decode_threads: int = tuning(
        0, ge=0, description="Threads that decode images for one model; 0 is one for each core, at most 8."
    )
    shards_in_flight: int = tuning(
        2, ge=1, description="Shards of one model at a time: while one is captioned, the next is decoded."
    )
    sources: dict[str, SourceCaptions] = Field({}, description="Which sources are captioned, and with which prompts.")
    windows: dict[str, SourceCaptions] = Field(
        {}, description="Which sources' windows of clips are captioned, and with which prompts."
    )

    @model_validator(mode="after")
    def _check_models(self) -> CaptionSettings:
        chosen = [*self.sources.values(), *self.windows.values()]
        for backend in (self.backend, *(each.backend for each in chosen)):
            if not isinstance(backend, VllmSettings):
                continue
            check_vllm(backend)
        return self

    @model_validator(mode="after")
    def _check_prompts(self) -> CaptionSettings:
        for key, choices in (("sources", self.sources), ("windows", self.windows)):
            for name, choice in choices.items():
                try:
                    check_prompt_names(choice)
                except SettingsError as error:
                    raise ValueError(f"{key}.{name}: {error}") from error
        return self

    def for_source(self, choice: SourceCaptions) -> CaptionSettings:
        """Returns the settings with a source's own backend, if it has one."""
        return self if choice.backend is None else self.model_copy(update={"backend": choice.backend})

    def producer(self, images: int = 1) -> dict[str, Any]:
        """Returns all that a caption depends on besides its images (at most so many) and its prompt: model, sampling,
        pixels.
        """
        name, revision = self.model()
        return {
            "backend": _identity(self.backend),
            "model": name,
            "revision": revision,
            "sampling": self.sampling.canonical(),
            "pixels": self.budget(images).canonical(),
        }

    def model(self) -> tuple[str, str]:
        """Returns the model's name and revision, as the caption table has them."""
        backend = self.backend
        if isinstance(backend, DummySettings):
            return dummy.MODEL, dummy.REVISION
        return model_and_revision(backend)

    def budget(self, images: int = 1) -> PixelBudget:
        """Returns the pixel budget of an image, or of each of several in a request."""
        budget = _backend_budget(self.backend)
        overrides = {"min_pixels": self.min_pixels, "max_pixels": self.max_pixels}
        budget = budget.model_copy(update={key: value for key, value in overrides.items() if value is not None})
        return budget.per_image(images)

    def check_images(self, images: int) -> None:
        """Raises SettingsError where the model can't take so many images in one request."""
        backend = self.backend
        if images == 1 or isinstance(backend, DummySettings):
            return
        try:
            model = find_model(backend.model, backend.family)
        except SettingsError:
            return  # an endpoint may have any name for its model
        if model.max_images is not None and images > model.max_images:
            raise SettingsError(
                f"{backend.model} takes {model.max_images} image(s) in a request at most, not {images}: "
                "clips and windows need a model of another family, such as qwen2.5-vl-7b"
            )
        min_tokens = images * model.image_tokens(self.budget(images)) + self.sampling.max_tokens
        if isinstance(backend, VllmSettings) and backend.max_model_len and min_tokens >= backend.max_model_len:
            raise SettingsError(
                f"backend.max_model_len: {images} images and a caption take {min_tokens} tokens and the prompt's, more "
                f"than {backend.max_model_len}: raise it, leave it out, or lower max_pixels (and min_pixels)"
            )


def _backend_budget(backend: DummySettings | VllmSettings | EndpointSettings) -> PixelBudget:
    return dummy.BUDGET if isinstance(backend, DummySettings) else default_budget(backend)


def _identity(backend: Settings) -> dict[str, Any]:
    """Returns the backend's settings without the names that `producer` resolves."""
    return {key: value for key, value in backend.canonical().items() if key not in ("model", "revision")}
