"""What the settings of captioning resolve to, and what they refuse."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from corpus.settings import SettingsError, parse_settings
from recaption.settings import CaptionSettings
from recaption.stage import Caption, WindowCaption
from serving.models import MODELS
from tests.helpers.vllm_arguments import vllm_settings


def settings(**given: Any) -> CaptionSettings:
    return parse_settings({"sources": {"a": {}}, **given}, CaptionSettings)


def test_the_default_is_no_model_and_says_so() -> None:
    name, revision = settings().model()
    assert "no model" in name and revision


def test_a_name_becomes_what_vllm_loads() -> None:
    chosen = settings(backend={"kind": "vllm", "model": "glm-4v-9b"})
    told = vllm_settings(chosen)
    assert told.model == MODELS["glm-4v-9b"].repository
    assert told.revision == MODELS["glm-4v-9b"].revision == chosen.producer()["revision"]
    assert {told.engine_args[name] for name in ("code_revision", "tokenizer_revision")} == {told.revision}
    assert told.engine_args["hf_overrides"] == {"architectures": ["GLM4VForCausalLM"]}
    assert told.max_model_len == MODELS["glm-4v-9b"].max_model_len
    own = settings(backend={"kind": "vllm", "model": "glm-4v-9b", "max_model_len": 999, "engine_args": {"seed": 5}})
    assert (vllm_settings(own).max_model_len, vllm_settings(own).engine_args["seed"]) == (999, 5)


def test_the_pixel_budget_is_the_models_and_can_be_set() -> None:
    backend = {"kind": "vllm", "model": "qwen2.5-vl-7b"}
    assert settings(backend=backend).budget() == MODELS["qwen2.5-vl-7b"].budget
    less = settings(backend=backend, max_pixels=200_000)
    assert less.budget().max_pixels == 200_000
    assert vllm_settings(less).engine_args["mm_processor_kwargs"]["max_pixels"] == 200_000
    assert Caption("a", less).fingerprint_inputs() != Caption("a", settings(backend=backend)).fingerprint_inputs()


def test_windows_have_prompts_of_their_own() -> None:
    assert settings().windows == {}
    with pytest.raises(SettingsError, match=r"windows\.a: prompts\.window_frame: neither a purpose"):
        settings(windows={"a": {"prompts": {"window_frame": 1}}})
    settings(sources={"a": {"prompts": {"clip_frames": 1}}})  # how many images a source has is not known here


def test_a_source_may_have_a_model_of_its_own() -> None:
    """GLM-4V sees one picture at a time, and is no hindrance to captions of clips in the same file."""
    glm, qwen = {"kind": "vllm", "model": "glm-4v-9b"}, {"kind": "vllm", "model": "qwen2.5-vl-7b", "tensor_parallel": 2}
    chosen = settings(
        backend=glm, sources={"a": {}, "films": {"backend": qwen}}, windows={"films": {"backend": {"kind": "dummy"}}}
    )
    images, clips, windows = Caption("a", chosen), Caption("films", chosen, 8), WindowCaption("films", chosen, 8)
    assert [stage.fingerprint_inputs()["producer"]["model"] for stage in (images, clips)] == [
        "glm-4v-9b",
        "qwen2.5-vl-7b",
    ]
    assert "no model" in windows.fingerprint_inputs()["producer"]["model"]
    assert [stage.resources.gpus for stage in (images, clips, windows)] == [1, 2, 0]
    assert images.fingerprint_inputs() == Caption("a", settings(backend=glm)).fingerprint_inputs(), (
        "the others' models are not its own"
    )
    alone = settings(backend=qwen, sources={"films": {}})
    assert clips.fingerprint_inputs() == Caption("films", alone, 8).fingerprint_inputs(), "wherever the model is named"
    with pytest.raises(SettingsError, match=r"sources\.films: glm-4v-9b takes 1 image"):
        Caption("films", settings(backend=qwen, sources={"films": {"backend": glm}}), 8)


def test_what_vllm_does_not_have_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"cogvlm2-19b.*kind: openai"):
        settings(backend={"kind": "vllm", "model": "cogvlm2-19b"})
    endpoint = settings(backend={"kind": "openai", "model": "cogvlm2-19b", "endpoints": ["http://gpu:23333/v1"]})
    assert endpoint.budget() == MODELS["cogvlm2-19b"].budget
    with pytest.raises(SettingsError, match="family"):
        settings(backend={"kind": "vllm", "model": "nobody/knows-this"})


def test_an_endpoint_may_call_its_model_anything() -> None:
    chosen = settings(backend={"kind": "openai", "model": "ours", "revision": "7", "endpoints": ["http://gpu:1/v1"]})
    assert chosen.model() == ("ours", "7")
    assert chosen.budget().max_pixels > 0


def test_what_is_only_speed_is_no_part_of_a_caption() -> None:
    base = {"kind": "vllm", "model": "qwen2-vl-2b"}
    for more in ({"max_num_seqs": 7}, {"gpus": 0}, {"stall_timeout_s": 5}, {"max_in_flight": 9}):
        changed = settings(backend={**base, **more}, decode_threads=3, shards_in_flight=5)
        assert Caption("a", changed).fingerprint_inputs() == Caption("a", settings(backend=base)).fingerprint_inputs()
    for more in ({"revision": "abc"}, {"dtype": "float16"}, {"tensor_parallel": 2}):
        changed = settings(backend={**base, **more})
        assert Caption("a", changed).fingerprint_inputs() != Caption("a", settings(backend=base)).fingerprint_inputs()
    assert Caption("a", settings(backend=base, screening={"min_words": 9})).fingerprint_inputs() != (
        Caption("a", settings(backend=base)).fingerprint_inputs()
    )


def test_a_checkpoint_that_was_replaced_is_another_revision(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "qwen2_vl"}')
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    backend = {"kind": "vllm", "model": str(tmp_path)}
    before = settings(backend=backend).model()[1]
    (tmp_path / "model.safetensors").write_bytes(b"WEIGHTS")
    assert settings(backend=backend).model()[1] != before


def test_resources_follow_the_backend() -> None:
    assert not Caption("a", settings()).resources.holds_model
    replica = Caption("a", settings(backend={"kind": "vllm", "model": "glm-4v-9b", "tensor_parallel": 2})).resources
    assert (replica.gpus, replica.holds_model, replica.in_flight) == (2, True, 2)
    with pytest.raises(SettingsError, match="no prompts for source 'b'"):
        Caption("b", settings())


def test_prompts_that_are_not_there_are_refused_with_the_settings() -> None:
    with pytest.raises(SettingsError, match=r"sources\.a: prompts\.detialed: neither a purpose"):
        settings(sources={"a": {"prompts": {"detialed": 1}}})
