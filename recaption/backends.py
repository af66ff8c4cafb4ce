"""Opening the model client that the settings name."""

from __future__ import annotations

from recaption.dummy import DummyBackend
from recaption.settings import CaptionSettings
from serving.models import find_model, pinned_revision
from serving.openai.client import OpenAiClient
from serving.openai.settings import EndpointSettings
from serving.request import GenerateRequest, ModelClient
from serving.vllm.client import VllmClient
from serving.vllm.settings import VllmSettings


def open_client(settings: CaptionSettings, images: int = 1) -> ModelClient[GenerateRequest, str]:
    """A client of this worker's own, for requests of so many images at most.

    A model is loaded now or at the first request; that may take minutes.
    """
    backend = settings.backend
    if isinstance(backend, VllmSettings):
        model = find_model(backend.model, backend.family)
        return VllmClient(
            vllm_settings(settings, images),
            settings.sampling,
            images=images,
            chat_template=model.chat_template,
            stop_token_ids=model.stop_token_ids,
        )
    if isinstance(backend, EndpointSettings):
        return OpenAiClient(backend, settings.sampling)
    return DummyBackend()


def vllm_settings(settings: CaptionSettings, images: int = 1) -> VllmSettings:
    """vLLM's settings: the model's repository, and what this model needs to see so many images in our size."""
    backend = settings.backend
    assert isinstance(backend, VllmSettings)
    model = find_model(backend.model, backend.family)
    budget = settings.budget(images)
    needed = {**model.engine_args, "mm_processor_kwargs": model.mm_processor_kwargs(budget)}
    arguments = {**{key: value for key, value in needed.items() if value}, **backend.engine_args}
    length = backend.max_model_len or model.length(budget, images)
    pinned = pinned_revision(model, backend.revision, backend.engine_args)
    revision = pinned.pop("revision")
    arguments |= pinned
    update = {"model": model.repository, "revision": revision, "max_model_len": length, "engine_args": arguments}
    return backend.model_copy(update=update)
