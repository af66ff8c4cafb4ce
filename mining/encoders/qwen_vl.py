"""Encoder `qwen_vl`: embedders made of models of the Qwen-VL family, through vLLM or transformers.

The vector is the hidden state of the last token. What the model reads is a template of its own, into which instruction,
images and text go: with another template the same checkpoint gives other vectors, so it is part of the fingerprint, as
are pixel limits, positions and the length of inputs. Nothing is cut: a side that is too long gets no vector.
"""

from __future__ import annotations

import re
from concurrent.futures import Future
from functools import partial
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from corpus.image.pixel_budget import PixelBudget
from corpus.settings import tuning
from corpus.stage import Resources
from mining.encoders.base import NO_CONTENT, EmbedClient, Encoder, EncoderSettings
from serving.checkpoint import hidden_size, read_config, token_side_px
from serving.models import VisionModel, pinned_revision, revision_of
from serving.request import EmbedRequest, ModelClient, ModelResponse, Vector, VectorResponse
from serving.transformers_client import TransformersClient, TransformersSettings
from serving.vllm.client import POOLING, VllmClient
from serving.vllm.settings import MIN_MODEL_LEN, PoolingModelSettings, PoolingSettings, Positions

HAS_SPECIAL_TOKENS = "special_tokens"  # the reason of a side whose text has tokens with a meaning of their own

IMAGE_PLACEHOLDER = "<|vision_start|><|image_pad|><|vision_end|>"
# As the processor of Qwen3-VL-Embedding renders a system and a user message: the instruction is the system's.
QWEN3_VL_TEMPLATE = (
    "<|im_start|>system\n{instruction}<|im_end|>\n<|im_start|>user\n{images}{text}<|im_end|>\n<|im_start|>assistant\n"
)

_SMALLEST = 4 * 28 * 28  # pixels: some sizes are a little below the fewest of their budget
_FIELDS = re.compile(r"(\{images\}|\{instruction\}|\{text\})")
_SPECIAL_TOKEN = re.compile(r"<\|[a-z_]+\|>")  # of the tokenizers of the family

EmbedBackend = Annotated[PoolingSettings | TransformersSettings, Field(discriminator="kind")]


class QwenVlSettings(EncoderSettings):
    """Settings of an embedder of the Qwen-VL family. The defaults are those of Qwen3-VL-Embedding."""

    summary = "any embedder made of Qwen2-VL, Qwen2.5-VL or Qwen3-VL: last token, M-RoPE, a template of your own"
    budget_type: ClassVar[type[PixelBudget]] = PixelBudget  # which has the rule of an image's size

    kind: Literal["qwen_vl"] = Field(description="A Qwen2-VL, Qwen2.5-VL or Qwen3-VL model with last-token pooling.")
    model: str = Field("Qwen/Qwen3-VL-Embedding-2B", min_length=1, description="A repository of the hub, or a folder.")
    revision: str = Field("", description="The revision of the repository: a commit; empty is the newest.")
    positions: Positions = Field(
        "mrope", description="The positions of tokens: the model's own (mrope), or 0, 1, 2 ... (flat)."
    )
    template: str = Field(
        QWEN3_VL_TEMPLATE, description="The whole input, with the fields {instruction}, {images} and {text}."
    )
    default_instruction: str = Field(
        "Represent the user's input.", description="The instruction of a side that has none."
    )
    image_placeholder: str = Field(IMAGE_PLACEHOLDER, description="The text that stands for one image in {images}.")
    min_pixels: int = Field(4 * 32 * 32, ge=1, description="The fewest pixels of an image; smaller ones are enlarged.")
    max_pixels: int = Field(1280 * 32 * 32, ge=1, description="The most pixels of an image; larger ones are shrunk.")
    frame_min_pixels: int = Field(160 * 32 * 32, ge=1, description="The fewest pixels of a clip's frame.")
    frame_max_pixels: int = Field(180 * 32 * 32, ge=1, description="The most pixels of a clip's frame.")
    video_frames: int = Field(
        8, ge=1, description="The frames of a clip that are given as images, from the first to the last; also the most "
        "images of a side."
    )  # fmt: skip
    max_tokens: int = Field(
        2000, ge=MIN_MODEL_LEN, description="The most tokens of an input; a longer one gets no vector."
    )
    backend: EmbedBackend = Field(PoolingSettings(), description="What runs the model.")
    shards_in_flight: int = tuning(
        2, ge=1, description="Shards of one model at a time: while one is computed, the next is decoded."
    )

    @model_validator(mode="after")
    def _check(self) -> QwenVlSettings:
        fields = [part for part in _FIELDS.split(self.template) if _FIELDS.fullmatch(part)]
        for name in ("{images}", "{text}"):
            if fields.count(name) != 1:
                raise ValueError(f"template: {name} must be in it once, it is there {fields.count(name)} times")
        for low, high in (("min_pixels", "max_pixels"), ("frame_min_pixels", "frame_max_pixels")):
            if getattr(self, low) > getattr(self, high):
                raise ValueError(f"{low}: {getattr(self, low)} is more than {high} ({getattr(self, high)})")
        if isinstance(self.backend, PoolingSettings):
            self.engine_settings(self.backend)
        return self

    def encoder(self) -> Encoder:
        config = read_config(self.model, self.revision)
        side = token_side_px(config)
        return Encoder(
            self.kind,
            model=self.model,
            revision=revision_of(self.model, self.revision),
            dimension=hidden_size(config),
            open=partial(_open_client, self),
            budget=self.budget_type(min_pixels=self.min_pixels, max_pixels=self.max_pixels, multiple=side),
            frame_budget=self.budget_type(
                min_pixels=self.frame_min_pixels, max_pixels=self.frame_max_pixels, multiple=side
            ),
            positions=self.positions,
            max_tokens=self.max_tokens,
            video_frames=self.video_frames,
            settings={
                "template": self.template,
                "default_instruction": self.default_instruction,
                "image_placeholder": self.image_placeholder,
                "backend": self.backend.canonical(),
            },
            resources=Resources(
                cpus=1, gpus=self.backend.gpus_per_replica, holds_model=True, in_flight=self.shards_in_flight
            ),
        )

    @property
    def pixel_limits(self) -> tuple[int, int]:
        """The limits of the model's own processor, which resizes neither an image nor a frame that fits its budget."""
        return min(self.min_pixels, self.frame_min_pixels, _SMALLEST), max(self.max_pixels, self.frame_max_pixels)

    def engine_settings(self, backend: PoolingSettings) -> PoolingModelSettings:
        """Returns the settings of a vLLM engine for this model."""
        low, high = self.pixel_limits
        model = VisionModel("qwen2_vl", PixelBudget(), self.max_tokens, repository=self.model)
        pinned = pinned_revision(model, self.revision, backend.engine_args)
        revision = pinned.pop("revision")
        pixels = {"min_pixels": low, "max_pixels": high}
        arguments = {"mm_processor_kwargs": pixels, **backend.engine_args, **pinned}
        return PoolingModelSettings(
            **{**backend.model_dump(), "engine_args": arguments},
            model=self.model,
            revision=revision,
            positions=self.positions,
            max_model_len=self.max_tokens,
        )

    def prompt(self, text: str, instruction: str, images: int) -> str:
        """Returns the whole input of a side."""
        values = {
            "{images}": self.image_placeholder * images,
            "{instruction}": instruction or self.default_instruction,
            "{text}": text,
        }
        return "".join(values.get(part, part) for part in _FIELDS.split(self.template))


def _open_client(settings: QwenVlSettings) -> EmbedClient:
    """Opens a client of this worker's own. The model is loaded at the first request; that may take minutes."""
    return TemplateClient(settings, _open_backend(settings))


def _open_backend(settings: QwenVlSettings) -> EmbedClient:
    backend = settings.backend
    if isinstance(backend, PoolingSettings):
        client: Any = VllmClient(settings.engine_settings(backend), images=settings.video_frames, engine=POOLING)
        return client
    low, high = settings.pixel_limits
    return TransformersClient(
        backend,
        settings.model,
        settings.revision,
        positions=settings.positions,
        max_tokens=settings.max_tokens,
        min_pixels=low,
        max_pixels=high,
    )


class TemplateClient:
    """A `ModelClient` that puts text, instruction and images of a side into a template, and passes it on.

    Reasons besides those of the model: no_content, special_tokens (a text that would be read as the end of a turn, or
    as the place of an image).
    """

    def __init__(self, settings: QwenVlSettings, client: ModelClient[EmbedRequest, Vector]) -> None:
        self._settings = settings
        self._client = client

    def submit(self, request: EmbedRequest) -> Future[VectorResponse]:
        """Submits the whole input."""
        reason = _reason(request)
        if reason:
            answer: Future[VectorResponse] = Future()
            answer.set_result(ModelResponse(error=reason))
            return answer
        prompt = self._settings.prompt(request.prompt, request.instruction, len(request.images))
        return self._client.submit(EmbedRequest(prompt, request.images))

    def close(self) -> None:
        """Stops the model."""
        self._client.close()


def _reason(request: EmbedRequest) -> str:
    """Returns why a side gets no vector; "" where it gets one."""
    if not request.images and not request.prompt.strip():
        return NO_CONTENT
    return HAS_SPECIAL_TOKENS if _SPECIAL_TOKEN.search(request.prompt) else ""
