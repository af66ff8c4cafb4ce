"""Opens the models behind the backends `vllm` and `openai`, whatever stage they work for."""

from __future__ import annotations

from corpus.image.pixel_budget import PixelBudget
from corpus.settings import SettingsError
from serving.models import VisionModel, find_model, pinned_revision, revision_of
from serving.openai.settings import EndpointSettings
from serving.request import SamplingSettings
from serving.vllm.client import VllmClient
from serving.vllm.settings import VllmSettings


def check_vllm(backend: VllmSettings) -> None:
    """Raises ValueError or SettingsError where vLLM cannot run the model, or its revision is set twice."""
    model = find_model(backend.model, backend.family)
    if not model.in_vllm:
        raise ValueError(f"vLLM has no {backend.model}: serve it elsewhere and use `kind: openai`")
    pinned_revision(model, backend.revision, backend.engine_args)


def model_and_revision(backend: VllmSettings | EndpointSettings) -> tuple[str, str]:
    """Returns the name and the revision of a backend's model, as fingerprints have them."""
    if isinstance(backend, EndpointSettings):
        return backend.model, backend.revision
    model = find_model(backend.model, backend.family)
    return backend.model, revision_of(model.repository, backend.revision or model.revision)


def default_budget(backend: VllmSettings | EndpointSettings) -> PixelBudget:
    """Returns the pixel budget of the backend's model. Raises SettingsError for a model of no known family."""
    try:
        return find_model(backend.model, backend.family).budget
    except SettingsError:
        if isinstance(backend, VllmSettings) or backend.family:
            raise
        return PixelBudget()  # an endpoint may have any name for its model


def engine_settings(backend: VllmSettings, budget: PixelBudget, images: int) -> VllmSettings:
    """Returns vLLM's settings: the model's repository, and the arguments with which it takes so many images of `budget`
    without resizing them.
    """
    model = find_model(backend.model, backend.family)
    needed = {**model.engine_args, "mm_processor_kwargs": model.mm_processor_kwargs(budget)}
    arguments = {**{key: value for key, value in needed.items() if value}, **backend.engine_args}
    pinned = pinned_revision(model, backend.revision, backend.engine_args)
    revision = pinned.pop("revision")
    update = {
        "model": model.repository,
        "revision": revision,
        "max_model_len": backend.max_model_len or model.context_length(budget, images),
        "engine_args": arguments | pinned,
    }
    return backend.model_copy(update=update)


def open_vllm_client(backend: VllmSettings, sampling: SamplingSettings, budget: PixelBudget, images: int) -> VllmClient:
    """Opens a client of an engine of this process's own, which is started at the first request."""
    model: VisionModel = find_model(backend.model, backend.family)
    return VllmClient(
        engine_settings(backend, budget, images),
        sampling,
        images=images,
        chat_template=model.chat_template,
        stop_token_ids=model.stop_token_ids,
    )
