"""Kinds of encoders, which turn the sides of pairs into vectors; ENCODERS lists them."""

from __future__ import annotations

from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from mining.encoders.base import EncoderSettings
from mining.encoders.descriptor import DescriptorSettings
from mining.encoders.openai import OpenAiSettings
from mining.encoders.openclip import OpenClipSettings
from mining.encoders.precomputed import PrecomputedSettings
from mining.encoders.qwen_vl import QwenVlSettings
from mining.encoders.rzenembed import RzenEmbedSettings
from mining.encoders.sentence_transformers import SentenceTransformersSettings
from mining.encoders.torchscript import TorchScriptSettings

ENCODERS: tuple[type[EncoderSettings], ...] = (
    DescriptorSettings,
    RzenEmbedSettings,
    QwenVlSettings,
    OpenClipSettings,
    OpenAiSettings,
    SentenceTransformersSettings,
    TorchScriptSettings,
    PrecomputedSettings,
)


def encoder_type(encoders: tuple[type[EncoderSettings], ...]) -> Any:
    """Returns the type of the settings of any of these encoders, told apart by `kind`."""
    return Annotated[reduce(or_, encoders), Field(discriminator="kind")] if len(encoders) > 1 else encoders[0]


if TYPE_CHECKING:
    AnyEncoder = EncoderSettings
else:
    AnyEncoder = encoder_type(ENCODERS)
