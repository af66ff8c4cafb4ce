"""Encoder `rzenembed`: RzenEmbed as its authors released it (W. Jian and others, RzenEmbed, arXiv 2510.27350).

The settings are those of the released code (https://github.com/360CVGroup/RzenEmbed): an instruction stands before the
text, without a separator; an image alone takes its instruction as text; images have 256 to 1,280 tokens; a clip is
eight frames of 160 to 180 tokens, given as images; the text model's positions are 0, 1, 2 ... also for images, where
Qwen2-VL has M-RoPE. Where that code cuts an input to 2,000 tokens, and with it the last token, there is no vector here.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from corpus.image.pixel_budget import PixelBudget, round_to_limits
from mining.encoders.qwen_vl import QwenVlSettings
from serving.vllm.settings import MIN_MODEL_LEN, Positions

TEMPLATE = (
    "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n"
    "<|im_start|>user\n{images}{instruction}{text}<|im_end|>\n"
    "<|im_start|>assistant\n<|endoftext|>"
)
_TOKEN_PIXELS = 28 * 28
_LOADED_PIXELS = (4 * _TOKEN_PIXELS, 16384 * _TOKEN_PIXELS)  # limits of an image as the released code loads it


class LoadedBudget(PixelBudget):
    """A pixel budget of images whose size is rounded twice: when they are loaded, then by the model's processor.

    So does the released code, which also resizes twice. Here pixels are resized once, to the size that comes out: it
    has the same tokens, and with the test VLM a cosine above 0.99999, or 0.9997 where a small image is enlarged.
    """

    def size(self, height: int, width: int) -> tuple[int, int]:
        """Returns height and width at which the model sees an image. Raises UnfitError, ValueError."""
        super().size(height, width)  # which raises for what has no size
        loaded = round_to_limits(height, width, self.multiple, *_LOADED_PIXELS)
        return round_to_limits(*loaded, self.multiple, self.min_pixels, self.max_pixels)


class RzenEmbedSettings(QwenVlSettings):
    """Settings of RzenEmbed, as released."""

    summary = "RzenEmbed as released: its prompt, pixel limits, flat positions, 8 frames of a clip"
    budget_type = LoadedBudget

    kind: Literal["rzenembed"] = Field(description="RzenEmbed, with its own template.")  # type: ignore[assignment]
    model: str = Field("RzenAI/RzenEmbed-v2-7B", min_length=1, description="A repository of the hub, or a folder.")
    positions: Positions = Field(
        "flat", description="The positions of tokens: 0, 1, 2 ... (flat), or the model's own (mrope)."
    )
    template: str = Field(TEMPLATE, description="The whole input, with the fields {instruction}, {images} and {text}.")
    default_instruction: str = Field("", description="The instruction of a side that has none.")
    min_pixels: int = Field(256 * _TOKEN_PIXELS, ge=1, description="The fewest pixels of an image.")
    max_pixels: int = Field(1280 * _TOKEN_PIXELS, ge=1, description="The most pixels of an image.")
    frame_min_pixels: int = Field(160 * _TOKEN_PIXELS, ge=1, description="The fewest pixels of a clip's frame.")
    frame_max_pixels: int = Field(180 * _TOKEN_PIXELS, ge=1, description="The most pixels of a clip's frame.")
    max_tokens: int = Field(
        MIN_MODEL_LEN, ge=MIN_MODEL_LEN, description="The most tokens of an input; a longer one gets no vector."
    )
