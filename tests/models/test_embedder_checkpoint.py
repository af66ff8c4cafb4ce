"""The test embedder in the repository, by transformers and by real vLLM: a caption finds the scene it describes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from demo.vlm import EMBEDDER
from demo.vlm.scenes import OPTIONAL, VlmScene, draw_shapes
from demo.vlm.training import checkpoint_files as files
from demo.vlm.training.embedder_batches import (
    CLOSING,
    IMAGE_INSTRUCTION,
    OPENING,
    QUERY_INSTRUCTION,
    fits,
    held_out_scenes,
    side_tokens,
)
from mining.encoders.qwen_vl import IMAGE_PLACEHOLDER
from serving.vllm.torchvision_shim import patch_imports
from tests.helpers.training_runs import assert_training

Vectors = NDArray[np.float32]

HELD_OUT = held_out_scenes()


@pytest.fixture(scope="module")
def llm() -> Iterator[Any]:
    patch_imports()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VLLM_CPU_KVCACHE_SPACE", "1")
        patch.setenv("VLLM_ENABLE_V1_MULTIPROCESSING", "0")  # a child of its own would have to mend its imports too
        from vllm import LLM
        from vllm.config import PoolerConfig

        yield LLM(
            model=str(EMBEDDER),
            runner="pooling",
            pooler_config=PoolerConfig(seq_pooling_type="LAST", use_activation=True),
            hf_overrides=flat_positions,
            dtype="bfloat16",
            max_model_len=512,
            enforce_eager=True,
            enable_prefix_caching=False,
            limit_mm_per_prompt={"image": 1, "video": 0},
        )


def flat_positions(config: Any) -> Any:
    """The text model's config with plain rotary positions."""
    text = config.get_text_config()
    theta = (getattr(text, "rope_parameters", None) or {}).get("rope_theta", 10000.0)
    text.rope_parameters = {"rope_type": "default", "rope_theta": theta}
    return config


def pictures(scenes: Sequence[VlmScene], seed: int) -> list[NDArray[np.uint8]]:
    rng = np.random.default_rng(seed)
    return [draw_shapes(scene, rng, 224 if place % 2 else 112) for place, scene in enumerate(scenes)]


def vllm_vectors(llm: Any, texts: Sequence[str], images: Sequence[NDArray[np.uint8]] | None = None) -> Vectors:
    prompts: list[dict[str, Any]] = [
        {"prompt": OPENING + IMAGE_PLACEHOLDER * bool(images) + text + CLOSING} for text in texts
    ]
    for prompt, image in zip(prompts, images or (), strict=False):
        prompt["multi_modal_data"] = {"image": Image.fromarray(image)}
    vectors = np.array([output.outputs.embedding for output in llm.embed(prompts, use_tqdm=False)], np.float32)
    assert np.abs(np.linalg.norm(vectors, axis=1) - 1).max() < 1e-3
    return vectors


@cache
def reference_model() -> tuple[Any, Any, Any]:
    patch_imports()
    import torch
    from transformers import AutoImageProcessor, AutoTokenizer, Qwen2VLForConditionalGeneration

    model = Qwen2VLForConditionalGeneration.from_pretrained(EMBEDDER, dtype=torch.float32)
    return model.eval(), AutoTokenizer.from_pretrained(EMBEDDER), AutoImageProcessor.from_pretrained(EMBEDDER)


def reference_vectors(texts: Sequence[str], images: Sequence[NDArray[np.uint8]] | None = None) -> Vectors:
    """The vectors by transformers' own forward pass, with positions 0, 1, 2 ... on all three axes."""
    import torch

    model, tokenizer, processor = reference_model()
    encode = partial(tokenizer.encode, add_special_tokens=False)
    ids, last = side_tokens(encode, texts, images=int(bool(images)))
    pixels = processor(images=list(images), return_tensors="pt") if images else {}
    with torch.no_grad():
        states = model.model(
            input_ids=torch.from_numpy(ids),
            position_ids=torch.arange(ids.shape[1]).expand(3, len(ids), -1),
            **pixels,
        ).last_hidden_state
        chosen = states[torch.arange(len(ids)), torch.from_numpy(last)]
        return torch.nn.functional.normalize(chosen, dim=-1).numpy()


def precision_at_1(captions: Vectors, scenes: Vectors, true: NDArray[np.bool_]) -> float:
    """The share of captions whose nearest scene is one that they truly describe."""
    nearest = (captions @ scenes.T).argmax(axis=1)
    return float(true[np.arange(len(captions)), nearest].mean())


def test_it_is_small() -> None:
    assert sum(path.stat().st_size for path in EMBEDDER.rglob("*") if path.is_file()) <= 8_000_000
    assert (EMBEDDER / "model.safetensors").stat().st_size > 1_000_000


def test_the_files_beside_the_weights_are_the_scripts_own(tmp_path: Path) -> None:
    files.write(tmp_path)
    for path in tmp_path.iterdir():
        assert path.read_bytes() == (EMBEDDER / path.name).read_bytes(), path.name


def test_training_lowers_the_loss_and_is_seeded(tmp_path: Path) -> None:
    few = ["--steps", "16", "--scenes", "96", "--copies", "1"]
    assert_training("demo.vlm.training.embedder", few, EMBEDDER, tmp_path)


def test_captions_find_their_scenes_through_transformers() -> None:
    some = HELD_OUT[:300]
    scenes = reference_vectors([""] * len(some), pictures(some, seed=1))
    captions = reference_vectors([scene.caption for scene in some])
    assert precision_at_1(captions, scenes, np.eye(len(some), dtype=bool)) >= 0.9


def test_captions_find_their_scenes_through_vllm(llm: Any) -> None:
    scenes = vllm_vectors(llm, [""] * len(HELD_OUT), pictures(HELD_OUT, seed=2))
    captions = vllm_vectors(llm, [scene.caption for scene in HELD_OUT])
    own = np.eye(len(HELD_OUT), dtype=bool)
    unseen = [place for place, scene in enumerate(HELD_OUT) if scene.held_out]
    assert len(unseen) == 648  # neither in the training of the captioner, whose vision tower this is
    assert precision_at_1(captions, scenes, own) >= 0.9
    assert precision_at_1(captions[unseen], scenes, own[unseen]) >= 0.9
    assert precision_at_1(scenes, captions, own) >= 0.9  # from scenes to captions
    some = slice(0, 50)
    assert (scenes[some] * reference_vectors([""] * 50, pictures(HELD_OUT[some], seed=2))).sum(axis=1).min() > 0.99


def test_instructions_make_no_difference(llm: Any) -> None:
    some = HELD_OUT[:200]
    scenes = vllm_vectors(llm, [IMAGE_INSTRUCTION] * len(some), pictures(some, seed=3))
    captions = vllm_vectors(llm, [QUERY_INSTRUCTION + scene.caption for scene in some])
    assert precision_at_1(captions, scenes, np.eye(len(some), dtype=bool)) >= 0.9


def test_partial_captions_find_scenes_that_they_fit(llm: Any) -> None:
    some, rng = HELD_OUT[:500], np.random.default_rng(4)
    stated = [tuple(rng.permutation(OPTIONAL)[:3].tolist()) for _ in some]
    scenes = vllm_vectors(llm, [""] * len(some), pictures(some, seed=4))
    captions = vllm_vectors(llm, [scene.partial_caption(names) for scene, names in zip(some, stated, strict=True)])
    true = fits(some, stated)
    assert true.sum() > 2 * len(some)  # most captions fit several scenes
    assert precision_at_1(captions, scenes, true) >= 0.85
