from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from demo.vlm import CHECKPOINT
from demo.vlm.scenes import all_scenes, draw_shapes
from serving.request import GenerateRequest, GenerateResponse, Pixels, SamplingSettings, YesNoRequest
from serving.vllm.client import VllmClient
from serving.vllm.settings import VllmSettings
from serving.vllm.torchvision_shim import patch_imports
from tests.helpers.processes import ends

SIDE_PX = 112
PROMPT = "Describe the image in one short sentence."
WAIT_S = 1800  # a start takes half a minute on two quiet cores
SETTINGS = VllmSettings(
    kind="vllm", model=str(CHECKPOINT), max_model_len=512, max_num_seqs=32, enforce_eager=True, stall_timeout_s=60
)


@pytest.fixture(scope="module")
def captioner() -> Iterator[VllmClient]:
    vllm = VllmClient(SETTINGS, SamplingSettings(max_tokens=40), images=2)
    yield vllm
    vllm.close()


def some_scenes(count: int, seed: int) -> list[tuple[str, Pixels]]:
    """Captions and pictures."""
    rng = np.random.default_rng(seed)
    scenes = all_scenes()
    chosen = [scenes[place] for place in rng.permutation(len(scenes))[:count]]
    return [(scene.caption, draw_shapes(scene, rng, SIDE_PX)) for scene in chosen]


def ask(captioner: VllmClient, *requests: GenerateRequest) -> list[GenerateResponse]:
    futures = [captioner.submit(request) for request in requests]
    return [future.result(WAIT_S) for future in futures]


def right_share(answers: list[GenerateResponse], scenes: list[tuple[str, Pixels]]) -> float:
    right = [answer.payload.strip() == caption for answer, (caption, _) in zip(answers, scenes, strict=True)]
    return sum(right) / len(right)


def members(group: int) -> dict[int, str]:
    """The living processes of a group, with what they call themselves."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            state, _, its_group = (folder / "stat").read_text().rpartition(")")[2].split()[:3]
            if int(its_group) == group and state != "Z":
                found[int(folder.name)] = (folder / "cmdline").read_text().replace("\0", " ")
        except (FileNotFoundError, ProcessLookupError):  # it ended meanwhile
            continue
    return found


def test_every_caption_belongs_to_its_own_picture(captioner: VllmClient) -> None:
    scenes = some_scenes(64, seed=1)
    answers = ask(captioner, *(GenerateRequest(PROMPT, (picture,)) for _, picture in scenes))
    assert right_share(answers, scenes) >= 0.95
    assert {answer.finish_reason for answer in answers} == {"stop"}
    figures = captioner.stats()
    assert (figures.images, figures.restarts) == (64, 0)
    assert figures.completion_tokens == sum(answer.completion_tokens for answer in answers) > 64
    assert figures.prompt_tokens == sum(answer.prompt_tokens for answer in answers)
    assert figures.started_s > 0


def test_what_the_processor_refuses_costs_its_own_row(captioner: VllmClient) -> None:
    scenes = some_scenes(8, seed=2)
    good = [GenerateRequest(PROMPT, (picture,)) for _, picture in scenes]
    no_size, too_long = np.zeros((0, 5, 3), np.uint8), np.zeros((1, 4000, 3), np.uint8)
    bad = [
        GenerateRequest(PROMPT, (no_size,)),
        GenerateRequest(PROMPT, (too_long,)),
        GenerateRequest(PROMPT * 500, (scenes[0][1],)),
        GenerateRequest(PROMPT, (scenes[0][1],) * 3),  # of which two are allowed
        GenerateRequest(PROMPT, (scenes[0][1],), json_schema='{"type": "no such type"}'),
    ]
    answers = ask(captioner, *good[:4], *bad, *good[4:])
    assert [answer.error for answer in answers] == [""] * 4 + ["refused_input"] * 5 + [""] * 4
    assert all(answer.detail and not answer.payload for answer in answers[4:9])
    assert right_share(answers[:4] + answers[9:], scenes) >= 0.8


def test_several_images(captioner: VllmClient) -> None:
    """Each image adds its tokens, and the order counts."""
    (_, first), (_, second) = some_scenes(2, seed=3)
    none, one, two = ask(
        captioner, *(GenerateRequest(PROMPT, pictures) for pictures in ((), (first,), (first, second)))
    )
    assert not two.error
    per_image = one.prompt_tokens - none.prompt_tokens
    assert per_image >= (SIDE_PX // 28) ** 2
    assert two.prompt_tokens - one.prompt_tokens == per_image


def yes_of(question: str, image: Pixels) -> float:
    """P(Yes) against P(No) by transformers: of the first tokens that the tokenizer has for them, Y, y, N and n."""
    patch_imports()
    import torch
    from transformers import AutoProcessor, Qwen2VLForConditionalGeneration

    processor = AutoProcessor.from_pretrained(CHECKPOINT)
    model = Qwen2VLForConditionalGeneration.from_pretrained(CHECKPOINT, dtype=torch.float32)
    content = [{"type": "image"}, {"type": "text", "text": question}]
    prompt = processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)
    inputs = processor(text=[prompt], images=[Image.fromarray(image)], return_tensors="pt")
    with torch.inference_mode():
        probability = model(**inputs).logits[0, -1].softmax(0)
    yes, no = (
        sum(float(probability[processor.tokenizer.convert_tokens_to_ids(token)]) for token in tokens)
        for tokens in ("Yy", "Nn")
    )
    return yes / (yes + no)


def test_the_probability_of_yes_is_that_of_the_model(captioner: VllmClient) -> None:
    scenes = some_scenes(3, 7)
    questions = [f"Is this {caption}? Reply with Yes or No." for caption, _ in scenes]
    futures = [
        captioner.submit(YesNoRequest(question, (image,)))
        for question, (_, image) in zip(questions, scenes, strict=True)
    ]
    caption = ask(captioner, GenerateRequest(PROMPT, (scenes[0][1],)))[0]
    answers = [future.result(WAIT_S) for future in futures]
    expected = [yes_of(question, image) for question, (_, image) in zip(questions, scenes, strict=True)]
    assert [answer.error for answer in answers] == [""] * 3
    assert np.allclose([float(answer.payload[0]) for answer in answers], expected, atol=0.02), (answers, expected)
    assert caption.payload, "texts and questions go through one engine"


def test_an_answer_by_a_schema(captioner: VllmClient) -> None:
    schema = {
        "type": "object",
        "properties": {"colour": {"enum": ["red", "blue"]}, "shape": {"enum": ["circle", "square"]}},
        "required": ["colour", "shape"],
        "additionalProperties": False,
    }
    ((_, picture),) = some_scenes(1, seed=4)
    (answer,) = ask(captioner, GenerateRequest(PROMPT, (picture,), json_schema=json.dumps(schema)))
    told = json.loads(answer.payload)
    assert set(told) == {"colour", "shape"}
    assert told["colour"] in ("red", "blue") and told["shape"] in ("circle", "square")


def test_an_engine_that_is_killed_is_started_again(captioner: VllmClient) -> None:
    scenes = some_scenes(200, seed=5)
    before = captioner.stats().restarts
    futures = [captioner.submit(GenerateRequest(PROMPT, (picture,))) for _, picture in scenes[:60]]
    futures[0].result(WAIT_S)
    assert captioner.process_group
    (core,) = [process for process, name in members(captioner.process_group).items() if "EngineCore" in name]
    futures += [captioner.submit(GenerateRequest(PROMPT, (picture,))) for _, picture in scenes[60:120]]
    os.kill(core, signal.SIGKILL)
    futures += [captioner.submit(GenerateRequest(PROMPT, (picture,))) for _, picture in scenes[120:]]
    answers = [future.result(WAIT_S) for future in futures]
    assert right_share(answers, scenes) >= 0.95
    assert captioner.stats().restarts == before + 1
    assert ends(core)


def test_nothing_outlives_close(captioner: VllmClient) -> None:
    """The last of the tests that need this engine."""
    ask(captioner, GenerateRequest(PROMPT, ()))
    assert captioner.process_group
    processes = members(captioner.process_group)
    assert len(processes) >= 2  # one that talks to us, and vLLM's own
    captioner.close()
    assert all(ends(process) for process in processes)


PARENT = """
import json, sys
from serving.vllm.client import VllmClient
from serving.request import GenerateRequest, SamplingSettings
from serving.vllm.settings import VllmSettings
from serving.vllm.torchvision_shim import patch_imports

captioner = VllmClient(VllmSettings.model_validate_json(sys.argv[1]), SamplingSettings(temperature=1.0, max_tokens=400))
asked = [captioner.submit(GenerateRequest("Describe the image.", (), seed)) for seed in (1, 1, 2)]
print(json.dumps([future.result().payload for future in asked]), flush=True)
print(captioner.process_group, flush=True)
while True:
    captioner.submit(GenerateRequest("Describe the image.", ()))
"""


def test_no_engine_outlives_a_killed_parent() -> None:
    """Killed in the middle of its work. And on the way: the same seed draws the same caption, another one another."""
    command = [sys.executable, "-c", PARENT, SETTINGS.model_dump_json()]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    parent = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    assert parent.stdout
    with parent.stdout:
        same, again, another = json.loads(parent.stdout.readline())
        processes = members(int(parent.stdout.readline()))
    parent.kill()
    parent.wait()
    assert same == again != another
    assert len(processes) >= 2
    assert all(ends(process) for process in processes)
