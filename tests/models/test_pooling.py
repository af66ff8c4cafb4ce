"""Embeddings through real vLLM, against transformers' forward pass; and that against numbers of the released code."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

from demo.vlm import CHECKPOINT
from serving.request import EmbedRequest, ModelClient, ModelResponse, Pixels
from serving.transformers_client import TransformersClient, TransformersSettings
from serving.vllm.client import POOLING, VllmClient
from serving.vllm.settings import PoolingModelSettings, Positions
from tests.helpers.embedding_inputs import PIXELS, inputs, picture, rzen_prompt

WAIT_S = 1800
POISON = "~"  # of whose token one weight is no number, in the checkpoint of the tests
MAX_IMAGES = 8

# The first six numbers, and the tokens, of what RzenEmbed's released code (its forward pass, with transformers 4.51.3,
# in float32) makes of `inputs()` with the test VLM.
RELEASED = {
    "text": (26, [-0.041025, -0.02063, -0.042418, 0.118511, 0.11075, -0.060412]),
    "image": (58, [0.041848, -0.160421, 0.016239, -0.008046, 0.012975, -0.144749]),
    "both": (44, [0.010547, -0.151459, -0.07847, -0.039804, 0.032879, -0.075405]),
    "frames": (198, [0.012786, -0.164259, 0.018879, -0.015834, -0.006723, -0.086687]),
}

Client = ModelClient[EmbedRequest, Any]
OpenEngine = Callable[[Positions, str], VllmClient]


@pytest.fixture(scope="module")
def poisoned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The test VLM; but the embedding of one token has a number that is none."""
    import torch
    from safetensors.torch import load_file, save_file

    folder = tmp_path_factory.mktemp("checkpoint") / "vlm"
    shutil.copytree(CHECKPOINT, folder)
    weights = load_file(folder / "model.safetensors")
    weights["model.embed_tokens.weight"][token(POISON), 7] = torch.nan
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    return folder


def token(text: str) -> int:
    from tokenizers import Tokenizer

    (number,) = Tokenizer.from_file(str(CHECKPOINT / "tokenizer.json")).encode(text, add_special_tokens=False).ids
    return int(number)


@pytest.fixture(scope="module")
def open_engine(poisoned: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenEngine]:
    """Opens engines, each once; without what earlier ones have found out about the model's class."""
    engines: dict[tuple[str, str], VllmClient] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VLLM_CACHE_ROOT", str(tmp_path_factory.mktemp("vllm")))

        def find(positions: Positions, dtype: str) -> VllmClient:
            if (positions, dtype) not in engines:
                engines[positions, dtype] = VllmClient(settings(poisoned, positions, dtype), images=8, engine=POOLING)
            return engines[positions, dtype]

        yield find
        for engine in engines.values():
            engine.close()


def settings(model: Path, positions: Positions, dtype: str = "float32") -> PoolingModelSettings:
    return PoolingModelSettings(
        model=str(model),
        positions=positions,
        dtype=dtype,
        gpus=0,
        max_num_seqs=32,
        enforce_eager=True,
        stall_timeout_s=120,
    )


@pytest.fixture(scope="module")
def references() -> dict[str, dict[str, np.ndarray]]:
    """The vector of each of `inputs()` by transformers, flat and with M-RoPE."""
    found = {}
    for positions in ("flat", "mrope"):
        client = reference(CHECKPOINT, positions)
        found[positions] = dict(zip(inputs(), vectors(client, list(inputs().values())), strict=True))
        client.close()
    return found


def reference(model: Path, positions: Literal["flat", "mrope"]) -> TransformersClient:
    settings = TransformersSettings(kind="transformers")
    pixels = {"min_pixels": PIXELS, "max_pixels": PIXELS}
    return TransformersClient(settings, str(model), positions=positions, max_tokens=2000, **pixels)


def ask(client: Client, requests: Sequence[EmbedRequest]) -> list[ModelResponse[Any]]:
    futures: list[Future[ModelResponse[Any]]] = [client.submit(request) for request in requests]
    return [future.result(WAIT_S) for future in futures]


def vectors(client: Client, requests: Sequence[EmbedRequest]) -> list[np.ndarray]:
    answers = ask(client, requests)
    assert [answer.error for answer in answers] == [""] * len(answers), answers
    return [answer.payload for answer in answers]


def test_the_reference_is_the_released_forward_pass() -> None:
    client = reference(CHECKPOINT, "flat")
    for (name, (tokens, numbers)), answer in zip(RELEASED.items(), ask(client, list(inputs().values())), strict=True):
        assert answer.prompt_tokens == tokens, name
        np.testing.assert_allclose(answer.payload[:6], numbers, atol=2e-6, err_msg=name)
        assert answer.payload.dtype == np.float32 and abs(np.linalg.norm(answer.payload) - 1) < 1e-6
    client.close()


def test_positions_make_a_difference_for_images_only(references: dict[str, dict[str, np.ndarray]]) -> None:
    cosine = {name: float(references["flat"][name] @ references["mrope"][name]) for name in inputs()}
    assert cosine["text"] > 0.999999
    assert all(cosine[name] < 0.995 for name in ("image", "both", "frames")), cosine


@pytest.mark.parametrize("positions", ["flat", "mrope"])
def test_vllm_computes_what_transformers_does(
    positions: Positions, open_engine: OpenEngine, references: dict[str, dict[str, np.ndarray]]
) -> None:
    """In mixed batches, and in any order."""
    engine = open_engine(positions, "float32")
    names = list(inputs()) * 8
    shuffled = [names[place] for place in np.random.default_rng(5).permutation(len(names))]
    for order in (names, shuffled, shuffled[::-1]):
        for name, vector in zip(order, vectors(engine, [inputs()[name] for name in order]), strict=True):
            assert float(vector @ references[positions][name]) > 0.9999, name
            assert vector.dtype == np.float32 and abs(np.linalg.norm(vector) - 1) < 1e-5, name
    assert engine.stats().restarts == 0


def test_what_bfloat16_costs(open_engine: OpenEngine, references: dict[str, dict[str, np.ndarray]]) -> None:
    found = vectors(open_engine("flat", "bfloat16"), list(inputs().values()))
    cosine = {name: float(vector @ references["flat"][name]) for name, vector in zip(inputs(), found, strict=True)}
    assert min(cosine.values()) > 0.999, cosine
    assert min(cosine.values()) < 1 - 1e-7, f"these are no numbers of bfloat16: {cosine}"


def test_nothing_is_cut(open_engine: OpenEngine) -> None:
    """What has one token too many is refused, a text as well as frames with a text; what just fits is not."""
    engine = open_engine("flat", "float32")
    frames = tuple(picture(number) for number in range(8))
    requests = []
    for images in ((), frames):
        (empty,) = ask(engine, [filled(0, images)])
        requests += [filled(2000 - empty.prompt_tokens, images), filled(2001 - empty.prompt_tokens, images)]
    fits, too_long, fits_too, too_long_too, last = ask(engine, [*requests, inputs()["image"]])
    for answer in (fits, fits_too):
        assert (answer.error, answer.prompt_tokens) == ("", 2000)
    for answer in (too_long, too_long_too):
        assert (answer.error, answer.prompt_tokens, answer.payload) == ("too_long", 2001, None)
        assert "2001 tokens" in answer.detail
    assert last.payload is not None


def filled(letters: int, images: tuple[Pixels, ...]) -> EmbedRequest:
    """An input with so many letters, each of which is a token."""
    return EmbedRequest(rzen_prompt("#" * letters, len(images)), images)


def test_the_reference_cuts_nothing_either() -> None:
    client = reference(CHECKPOINT, "flat")
    answers = ask(client, [EmbedRequest(rzen_prompt("#" * length, 0), ()) for length in (1000, 3000)])
    assert [answer.error for answer in answers] == ["", "too_long"]
    client.close()


def test_what_the_processor_refuses_costs_its_own_request(open_engine: OpenEngine) -> None:
    pictures = (picture(0),) * (MAX_IMAGES + 1)
    bad = [
        EmbedRequest(rzen_prompt("", MAX_IMAGES + 1), pictures),
        EmbedRequest(rzen_prompt("", 0), pictures[:1]),  # no place for the image
        EmbedRequest(rzen_prompt("", 1), (np.zeros((1, 4000, 3), np.uint8),)),
    ]
    answers = ask(open_engine("flat", "float32"), [*bad, inputs()["image"]])
    assert [answer.error for answer in answers] == ["refused_input"] * 3 + [""]


def test_a_vector_that_is_none_is_caught_and_spoils_no_other(
    poisoned: Path, open_engine: OpenEngine, references: dict[str, dict[str, np.ndarray]]
) -> None:
    bad = EmbedRequest(rzen_prompt(f"a {POISON} circle", 0), ())
    names = list(inputs()) * 4
    order = [*names[:8], "bad", *names[8:], "bad", *names]
    answers = ask(open_engine("flat", "float32"), [bad if name == "bad" else inputs()[name] for name in order])
    for name, answer in zip(order, answers, strict=True):
        if name == "bad":
            assert answer.error == "not_finite" and answer.payload is None
        else:
            assert float(answer.payload @ references["flat"][name]) > 0.9999, name
    client = reference(poisoned, "flat")
    assert [answer.error for answer in ask(client, [bad, inputs()["text"]])] == ["not_finite", ""]
    client.close()
