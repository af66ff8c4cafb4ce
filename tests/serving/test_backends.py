"""What is known of a backend before it is opened, and the settings with which vLLM runs its model."""

from __future__ import annotations

import pytest

from corpus.image.pixel_budget import PixelBudget
from corpus.settings import SettingsError
from serving.backends import check_vllm, default_budget, engine_settings, model_and_revision, open_vllm_client
from serving.models import find_model
from serving.openai.settings import EndpointSettings
from serving.request import SamplingSettings
from serving.vllm.settings import VllmSettings

ENDPOINT = EndpointSettings(kind="openai", model="house-model", endpoints=("http://host/v1",), revision="3")


def test_a_named_model_has_its_budget_and_its_revision_and_an_endpoint_any_name() -> None:
    qwen = VllmSettings(kind="vllm", model="qwen2.5-vl-7b")
    model = find_model("qwen2.5-vl-7b")
    assert default_budget(qwen) == model.budget
    assert model_and_revision(qwen)[0] == "qwen2.5-vl-7b"
    assert default_budget(ENDPOINT) == PixelBudget() and model_and_revision(ENDPOINT) == ("house-model", "3")
    with pytest.raises(SettingsError):
        default_budget(VllmSettings(kind="vllm", model="someone/unknown-model"))


def test_an_engine_takes_so_many_images_of_the_budget_without_resizing_them() -> None:
    backend = VllmSettings(kind="vllm", model="qwen2.5-vl-7b", engine_args={"seed": 5})
    model, budget = find_model("qwen2.5-vl-7b"), PixelBudget(max_pixels=56 * 56)
    settings = engine_settings(backend, budget, 8)
    assert settings.model == model.repository
    assert settings.max_model_len == model.context_length(budget, 8)
    assert settings.engine_args["mm_processor_kwargs"] == model.mm_processor_kwargs(budget)
    assert settings.engine_args["seed"] == 5
    longer = engine_settings(backend.model_copy(update={"max_model_len": 9999}), budget, 8)
    assert longer.max_model_len == 9999


def test_a_client_is_opened_without_starting_its_engine() -> None:
    client = open_vllm_client(VllmSettings(kind="vllm", model="qwen2.5-vl-7b"), SamplingSettings(), PixelBudget(), 2)
    assert client.process_group is None
    client.close()


def test_a_model_that_vllm_lacks_is_refused() -> None:
    with pytest.raises(ValueError, match="use `kind: openai`"):
        check_vllm(VllmSettings(kind="vllm", model="cogvlm2-19b"))
