"""Opening the captioner that the settings name."""

from __future__ import annotations

from recaption.describe import Describe
from recaption.endpoint_settings import EndpointSettings
from recaption.endpoints import Endpoints
from recaption.engine_client import VllmCaptioner
from recaption.models import find_model, pinned_revision
from recaption.requests import Captioner
from recaption.settings import CaptionSettings
from recaption.vllm_settings import VllmSettings


def open_captioner(settings: CaptionSettings, images: int = 1) -> Captioner:
    """A captioner of this worker's own, for requests of so many images at most.

    A model is loaded now or at the first request; that may take minutes.
    """
    backend = settings.backend
    if isinstance(backend, VllmSettings):
        model = find_model(backend.model, backend.family)
        return VllmCaptioner(
            vllm_settings(settings, images),
            settings.sampling,
            images=images,
            chat_template=model.chat_template,
            stop_token_ids=model.stop_token_ids,
        )
    if isinstance(backend, EndpointSettings):
        return Endpoints(backend, settings.sampling)
    return Describe()


def vllm_settings(settings: CaptionSettings, images: int = 1) -> VllmSettings:
    """What vLLM is told: the model's repository, and all that this model needs to see images in our size, so many in a
    request."""
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
    told = {"model": model.repository, "revision": revision, "max_model_len": length, "engine_args": arguments}
    return backend.model_copy(update=told)
