"""Encoder `openai`: servers that speak OpenAI's embeddings protocol (`serving.openai.embeddings`)."""

from __future__ import annotations

from functools import partial
from typing import ClassVar, Literal

from pydantic import Field

from corpus.image.pixel_budget import PixelBudget
from corpus.settings import tuning
from corpus.stage import Resources
from mining.encoders.base import Encoder, EncoderSettings
from serving.openai.embeddings import EmbeddingsAccess, EmbeddingsClient


class OpenAiSettings(EncoderSettings, EmbeddingsAccess):
    """Settings of vectors from one or several servers that speak OpenAI's embeddings protocol."""

    summary: ClassVar[str] = "servers with OpenAI's embeddings API: texts, and images where the server is vLLM's"

    kind: Literal["openai"] = Field(description="One or several servers with OpenAI's embeddings API.")
    pixels: PixelBudget = Field(PixelBudget(), description="The sizes at which images are sent.")
    shards_in_flight: int = tuning(2, ge=1, description="Shards of one client at a time.")

    def encoder(self) -> Encoder:
        sent = {"image_format": self.image_format, "jpeg_quality": self.jpeg_quality} if self._reads_images else {}
        return Encoder(
            self.kind,
            model=self.model,
            revision=self.revision,
            dimension=self.dimension,
            open=partial(EmbeddingsClient, self),
            budget=self.pixels,
            max_tokens=self.max_tokens,
            settings={"send_dimension": self.send_dimension, "extra_body": self.extra_body, **sent},
            reads_images=self._reads_images,
            resources=Resources(holds_model=True, in_flight=self.shards_in_flight, waits_on_network=True),
        )

    @property
    def _reads_images(self) -> bool:
        return self.images != "none"
