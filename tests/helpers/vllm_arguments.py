"""The settings with which captions start vLLM."""

from __future__ import annotations

from recaption.settings import CaptionSettings
from serving.backends import engine_settings
from serving.vllm.settings import VllmSettings


def vllm_settings(settings: CaptionSettings, images: int = 1) -> VllmSettings:
    """Returns vLLM's settings: the model's repository, and the arguments with which it takes so many images at our
    size.
    """
    backend = settings.backend
    assert isinstance(backend, VllmSettings)
    return engine_settings(backend, settings.budget(images), images)
