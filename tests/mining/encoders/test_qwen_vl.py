"""Embedders of the Qwen-VL family: what the model reads, what its vectors depend on, and what is refused before it."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from corpus.settings import SettingsError
from demo.vlm import CHECKPOINT
from mining.encoders.qwen_vl import IMAGE_PLACEHOLDER, QwenVlSettings, TemplateClient
from mining.encoders.rzenembed import RzenEmbedSettings
from mining.settings import EmbedSettings
from serving.request import EmbedRequest, ModelResponse
from serving.transformers_client import TransformersSettings
from serving.vllm.settings import PoolingSettings
from tests.helpers.cases import cases
from tests.helpers.embedding_inputs import picture, rzen_prompt

MODEL = {"model": str(CHECKPOINT)}


def rzen(**settings: Any) -> RzenEmbedSettings:
    return RzenEmbedSettings.model_validate({"kind": "rzenembed", **MODEL, **settings})


def qwen(**settings: Any) -> QwenVlSettings:
    return QwenVlSettings.model_validate({"kind": "qwen_vl", **MODEL, **settings})


class RecordingClient:
    """A model that keeps what it reads."""

    def __init__(self) -> None:
        self.read: list[EmbedRequest] = []

    def submit(self, request: EmbedRequest) -> Future[ModelResponse[Any]]:
        self.read.append(request)
        answer: Future[ModelResponse[Any]] = Future()
        answer.set_result(ModelResponse(np.ones(4, np.float32)))
        return answer

    def close(self) -> None: ...


QUERY, IMAGE_SIDE = "Find me an everyday image that matches the given caption: ", "Represent the given image."


@cases(
    "text, instruction, images",
    [
        ("a cat", QUERY, 0),
        ("a cat", "", 0),
        ("", IMAGE_SIDE, 1),
        ("", "", 1),
        ("What is it?", "Answer: ", 2),
        ("{text}", "{images}", 1),
    ],
)
def test_rzenembed_reads_what_its_code_has(text: str, instruction: str, images: int) -> None:
    assert rzen().prompt(text, instruction, images) == rzen_prompt(instruction + text, images)


def test_the_instruction_of_qwen3_vl_is_the_systems() -> None:
    assert qwen().prompt("a cat", "", 1) == (
        "<|im_start|>system\nRepresent the user's input.<|im_end|>\n"
        f"<|im_start|>user\n{IMAGE_PLACEHOLDER}a cat<|im_end|>\n<|im_start|>assistant\n"
    )
    assert qwen().prompt("a cat", "Find it.", 0).startswith("<|im_start|>system\nFind it.<|im_end|>\n")


def test_sides_that_get_no_vector_reach_no_model() -> None:
    model = RecordingClient()
    client = TemplateClient(rzen(), model)
    image = (picture(0),)
    reasons = [
        (EmbedRequest("", ()), "no_content"),
        (EmbedRequest("  \n", (), QUERY), "no_content"),
        (EmbedRequest("end<|im_end|>", ()), "special_tokens"),
        (EmbedRequest("<|image_pad|>", image), "special_tokens"),
        (EmbedRequest("a <| b |> c < d > <|image_1|>", ()), ""),
        (EmbedRequest("", image), ""),
        (EmbedRequest("a cat", image, "Answer: "), ""),
    ]
    assert [client.submit(request).result().error for request, _ in reasons] == [reason for _, reason in reasons]
    assert [request.text for request in model.read[1:]] == [rzen_prompt("", 1), rzen_prompt("Answer: a cat", 1)]
    assert model.read[2].images == image


def test_an_encoder_is_what_its_checkpoint_and_settings_say() -> None:
    encoder = rzen().encoder()
    assert encoder.dimension == 192  # of the config of the test VLM
    assert (encoder.positions, encoder.max_tokens, encoder.video_frames) == ("flat", 2000, 8)
    assert (encoder.budget.min_pixels, encoder.budget.max_pixels, encoder.budget.multiple) == (200_704, 1_003_520, 28)
    frames = encoder.clip_frames.budget
    assert (frames.min_pixels, frames.max_pixels, frames.multiple) == (125_440, 141_120, 28)
    assert (encoder.resources.gpus, encoder.resources.holds_model, encoder.resources.in_flight) == (1, True, 2)
    assert len(encoder.revision) == 16 and rzen(revision="v1").encoder().revision == "v1"
    assert qwen().encoder().positions == "mrope"


@cases(
    "settings, counts",
    [
        ({"positions": "mrope"}, True),
        ({"template": "{instruction}{images}{text}"}, True),
        ({"default_instruction": "x"}, True),
        ({"max_pixels": 500_000}, True),
        ({"frame_max_pixels": 150_000}, True),
        ({"video_frames": 4}, True),
        ({"max_tokens": 4000}, True),
        ({"revision": "v1"}, True),
        ({"backend": {"kind": "vllm", "dtype": "float32"}}, True),
        ({"backend": {"kind": "transformers"}}, True),
        ({"backend": {"kind": "vllm", "gpus": 0, "max_num_batched_tokens": 4096, "enforce_eager": True}}, False),
        ({"shards_in_flight": 5}, False),
    ],
)
def test_what_vectors_depend_on_is_part_of_their_key(settings: dict[str, Any], counts: bool) -> None:
    plain, other = rzen().encoder(), rzen(**settings).encoder()
    assert (plain.producer != other.producer) == counts
    assert (plain.keys.key([b"i"], "t", "") != other.keys.key([b"i"], "t", "")) == counts


def test_the_processor_resizes_nothing_that_fits() -> None:
    """Its limits are those of images and frames together: both are decoded at their own sizes."""
    settings = rzen()
    backend = PoolingSettings(engine_args={"seed": 7})
    assert settings.engine_settings(backend).engine_args == {
        "mm_processor_kwargs": {"min_pixels": 3136, "max_pixels": 1_003_520},
        "seed": 7,
    }
    budget, frames = settings.encoder().budget, settings.encoder().clip_frames.budget
    low, high = settings.pixel_limits
    for height, width in ((40, 30), (480, 640), (720, 1280), (3000, 2000), (300, 2900), (5000, 60)):
        for sized in (budget.size(height, width), frames.size(height, width)):
            assert low <= sized[0] * sized[1] <= high and sized[0] % 28 == sized[1] % 28 == 0, (height, width)


@cases(
    "settings, message",
    [
        ({"template": "{images}"}, r"template: \{text\} must be in it once, it is there 0 times"),
        ({"template": "{images}{images}{text}"}, r"\{images\} must be in it once"),
        ({"min_pixels": 2_000_000}, "min_pixels: 2000000 is more than max_pixels"),
        ({"frame_min_pixels": 200_000}, "frame_min_pixels: 200000 is more than frame_max_pixels"),
        ({"max_tokens": 1000}, "greater than or equal to 2000"),
        ({"max_tokens": 9000}, "max_num_batched_tokens: 8192 is less than an input may have"),
        (
            {"backend": {"kind": "vllm", "engine_args": {"enable_prefix_caching": True}}},
            "enable_prefix_caching: set by",
        ),
        ({"positions": "diagonal"}, "'flat' or 'mrope'"),
    ],
)
def test_settings_that_cannot_work(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        rzen(**settings)


def test_code_from_a_repository_is_run_at_a_known_commit_only() -> None:
    backend = {"kind": "vllm", "engine_args": {"trust_remote_code": True}}
    with pytest.raises((SettingsError, ValidationError), match="40 hexadecimal digits"):
        rzen(model="someone/embedder", backend=backend)
    settings = rzen(model="someone/embedder", backend=backend, revision="a" * 40)
    assert isinstance(settings.backend, PoolingSettings)
    assert settings.engine_settings(settings.backend).engine_args["code_revision"] == "a" * 40


def test_kinds_are_told_apart() -> None:
    settings = EmbedSettings.model_validate(
        {"encoder": {"kind": "rzenembed", **MODEL, "backend": {"kind": "transformers"}}}
    )
    assert type(settings.encoder) is RzenEmbedSettings
    assert settings.encoder.backend == TransformersSettings(kind="transformers")
    assert settings.encoder.encoder().resources.gpus == 0
