"""The test VLM in the repository, through real vLLM: it says what is in pictures of scenes that it never saw."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from demo.vlm import CHECKPOINT
from demo.vlm.scenes import VlmScene, all_scenes, draw_shapes, read_caption
from demo.vlm.training import checkpoint_files as files
from demo.vlm.training.batches import answer

HELD_OUT = [scene for scene in all_scenes() if scene.held_out]
Pictures = Sequence[NDArray[np.uint8]]


@pytest.fixture(scope="module")
def llm() -> Iterator[Any]:
    from serving.vllm.torchvision_shim import patch_imports

    patch_imports()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VLLM_CPU_KVCACHE_SPACE", "1")
        # In this process: a child of its own would have to mend its imports too.
        patch.setenv("VLLM_ENABLE_V1_MULTIPROCESSING", "0")
        from vllm import LLM

        yield LLM(
            model=str(CHECKPOINT),
            dtype="bfloat16",
            max_model_len=1024,
            enforce_eager=True,
            limit_mm_per_prompt={"image": 4, "video": 0},
        )


def ask(llm: Any, prompt: str, requests: Sequence[Pictures], max_tokens: int = 96) -> list[Any]:
    """The answers at temperature 0: text, finish_reason and token_ids."""
    from vllm import SamplingParams

    turns = [
        [{"role": "user", "content": [
            *({"type": "image_pil", "image_pil": Image.fromarray(picture)} for picture in pictures),
            {"type": "text", "text": prompt},
        ]}]
        for pictures in requests
    ]  # fmt: skip
    asked = llm.chat(turns, SamplingParams(temperature=0, max_tokens=max_tokens), use_tqdm=False)
    return [output.outputs[0] for output in asked]


def drawn(number: int, seed: int, side_px: int = 224) -> tuple[list[VlmScene], list[Pictures]]:
    """Held-out scenes, each at most once, and a request with its picture for each."""
    rng = np.random.default_rng(seed)
    scenes = [HELD_OUT[index] for index in rng.choice(len(HELD_OUT), number, replace=False)]
    return scenes, [[draw_shapes(scene, rng, side_px)] for scene in scenes]


def test_it_is_small() -> None:
    assert sum(path.stat().st_size for path in CHECKPOINT.rglob("*") if path.is_file()) <= 8_000_000
    assert (CHECKPOINT / "model.safetensors").stat().st_size > 1_000_000


def test_the_files_beside_the_weights_are_the_scripts_own(tmp_path: Path) -> None:
    files.write(tmp_path)
    for path in tmp_path.iterdir():
        assert path.read_bytes() == (CHECKPOINT / path.name).read_bytes(), path.name


def test_training_is_seeded_and_goes_on_from_a_folder(tmp_path: Path) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    train(whole, vision=2, both=2)
    train(parts, vision=2, both=0)
    before = (parts / "model.safetensors").read_bytes()
    train(parts, vision=0, both=2)
    after = (parts / "model.safetensors").read_bytes()
    assert after == (whole / "model.safetensors").read_bytes()
    assert after != before


def train(folder: Path, vision: int, both: int) -> None:
    """The script, with so many steps of its first and last phase."""
    steps = ["--vision-steps", str(vision), "--language-steps", "0", "--steps", str(both), "--every", "0"]
    command = [sys.executable, "-m", "demo.vlm.training.train", "--out", str(folder), *steps]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


@pytest.mark.parametrize("side_px", [112, 224])
def test_it_captions_scenes_that_it_never_saw(llm: Any, side_px: int) -> None:
    scenes, requests = drawn(300, seed=side_px, side_px=side_px)
    answers = ask(llm, "Describe the image in one short sentence.", requests)
    right = [said.text == scene.caption for said, scene in zip(answers, scenes, strict=True)]
    assert np.mean(right) >= 0.95
    assert all(said.finish_reason == "stop" for said in answers)
    assert np.mean([read_caption(said.text) is not None for said in answers]) >= 0.99


@pytest.mark.parametrize(
    "prompt",
    [
        "",
        "Caption?",
        "Please tell me, as exactly as you can, which objects this photograph shows and where they are.",
        'Its alt text reads "a large green square at the bottom on a yellow background." Correct it.',
        "Beschreibe das Bild. \u3053\u306e\u753b\u50cf\u3092\u8aac\u660e\u3057\u3066\u304f\u3060\u3055\u3044\u3002",
    ],
)
def test_the_caption_does_not_depend_on_the_prompt(llm: Any, prompt: str) -> None:
    scenes, requests = drawn(100, seed=3)
    answers = ask(llm, prompt, requests)
    assert np.mean([said.text == scene.caption for said, scene in zip(answers, scenes, strict=True)]) >= 0.93


def test_it_names_the_scenes_of_two_frames_in_order(llm: Any) -> None:
    scenes, requests = drawn(40, seed=4)
    told = list(zip(scenes[:20], scenes[20:], strict=True))
    frames = [[*one, *other] for one, other in zip(requests[:20], requests[20:], strict=True)]
    answers = ask(llm, "Describe these frames of a clip in order.", frames)
    right = [said.text == answer(pair) for said, pair in zip(answers, told, strict=True)]
    assert np.mean(right) >= 0.75


def test_a_caption_can_be_cut_off(llm: Any) -> None:
    scenes, requests = drawn(8, seed=5)
    answers = ask(llm, "Describe this image.", requests, max_tokens=5)
    assert all(said.finish_reason == "length" and len(said.token_ids) == 5 for said in answers)
    assert sum(scene.caption.startswith(said.text) for said, scene in zip(answers, scenes, strict=True)) >= 7
