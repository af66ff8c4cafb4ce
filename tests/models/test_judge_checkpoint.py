"""The test judge in the repository, by transformers and through the judge of hard negatives with a real vLLM."""

from __future__ import annotations

import io
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from corpus.pool import Pool
from corpus.storage import Store
from demo.vlm.scenes import VlmScene, draw_shapes
from demo.vlm.training import checkpoint_files as files
from demo.vlm.training.embedder_batches import held_out_scenes
from demo.vlm.training.judge import (
    JUDGE_CHECKPOINT,
    JUDGE_PROMPT,
    STATED_ATTRIBUTES,
    SceneQuestion,
    changed,
    figures_of,
    hard_questions,
)
from mining.judge import Judge, JudgeSettings, Question, QuestionSide
from serving.vllm.torchvision_shim import patch_imports
from tests.helpers.small_worlds import World
from tests.helpers.training_runs import assert_training

HELD_OUT = held_out_scenes()  # scenes that the judge was not trained on


def picture(scene: VlmScene, rng: np.random.Generator) -> NDArray[np.uint8]:
    return draw_shapes(scene, rng, int(rng.choice([112, 224])))


def test_it_is_small_and_the_files_beside_the_weights_are_the_scripts_own(tmp_path: Path) -> None:
    assert sum(path.stat().st_size for path in JUDGE_CHECKPOINT.rglob("*") if path.is_file()) <= 5_000_000
    files.write(tmp_path)
    for path in tmp_path.iterdir():
        assert path.read_bytes() == (JUDGE_CHECKPOINT / path.name).read_bytes(), path.name


def test_training_lowers_the_loss_and_is_seeded(tmp_path: Path) -> None:
    few = ["--steps", "20", "--scenes", "64", "--every", "0"]
    assert_training("demo.vlm.training.judge", few, JUDGE_CHECKPOINT, tmp_path)


def reference_scores(questions: list[SceneQuestion], seed: int) -> NDArray[np.float32]:
    """P(Yes) against P(No) by transformers' own processor and forward pass, with a new picture for each question."""
    patch_imports()
    import torch
    from transformers import AutoProcessor, Qwen2VLForConditionalGeneration

    rng, scores = np.random.default_rng(seed), []
    processor = AutoProcessor.from_pretrained(JUDGE_CHECKPOINT)
    model = Qwen2VLForConditionalGeneration.from_pretrained(JUDGE_CHECKPOINT, dtype=torch.float32).eval()
    encode = partial(processor.tokenizer.encode, add_special_tokens=False)
    yes, no = ([encode(word)[0] for word in words] for words in (("Yes", "yes"), ("No", "no")))
    for question in questions:
        content = [{"type": "image"}, {"type": "text", "text": question.text}]
        prompt = processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)
        image = Image.fromarray(picture(question.scene, rng))
        inputs = processor(text=[prompt], images=[image], return_tensors="pt")
        with torch.inference_mode():
            likely = model(**inputs).logits[0, -1].softmax(0)
        scores.append(float(likely[yes].sum() / (likely[yes].sum() + likely[no].sum())))
    return np.array(scores, np.float32)


def test_it_tells_true_captions_from_those_with_one_wrong_attribute_through_transformers() -> None:
    questions = hard_questions(HELD_OUT[:100], seed=1)
    true = np.array([not question.wrong for question in questions])
    assert true.sum() == len(questions) / 2 and all(len(question.wrong) <= 1 for question in questions)
    figures = figures_of(reference_scores(questions, seed=1), true)
    assert figures.auc >= 0.95 and figures.precision >= 0.9 and figures.recall >= 0.9, figures


def png(pixels: NDArray[np.uint8]) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def judged(world: World, asked: list[tuple[str, VlmScene]]) -> NDArray[np.float32]:
    """The scores of captions as queries and new pictures of scenes as candidates, through vLLM."""
    rng = np.random.default_rng(2)
    ids = world.store([png(picture(scene, rng)) for _, scene in asked], "png")
    backend: dict[str, Any] = {"kind": "vllm", "model": str(JUDGE_CHECKPOINT), "dtype": "float32", "gpus": 0}
    backend |= {"enforce_eager": True, "max_model_len": 512, "max_num_seqs": 32}
    judge = Judge(JudgeSettings.model_validate({"backend": backend, "prompt": JUDGE_PROMPT, "video_frames": 1}), {})
    questions = [
        Question("", QuestionSide((), caption, False), QuestionSide((item,), "", False))
        for (caption, _), item in zip(asked, ids, strict=True)
    ]
    answers = judge.answer(Store(world.url), Pool(world.url, tuple(world.items)), questions)
    judge.close()
    assert not answers.reasons and answers.from_cache == 0
    return answers.scores


def test_false_negatives_and_hard_negatives_through_the_judge_and_vllm(tmp_path: Path) -> None:
    """A caption leaves an attribute and the place out: scenes that differ in these alone are false negatives of it."""
    rng, false, hard = np.random.default_rng(3), list[tuple[str, VlmScene]](), list[tuple[str, VlmScene]]()
    for scene in HELD_OUT[100:250]:
        left_out = str(rng.choice(STATED_ATTRIBUTES))
        stated = tuple(name for name in STATED_ATTRIBUTES if name != left_out)
        caption = scene.partial_caption(stated)
        others = [other for other in HELD_OUT if other != scene and not SceneQuestion(other, scene, stated).wrong]
        false += [(caption, other) for other in others[:1]]
        hard.append((caption, changed(scene, stated, rng)))
    assert len(false) >= 100
    scores = judged(World(str(tmp_path)), [*false, *hard])
    assert (scores[: len(false)] >= 0.5).mean() >= 0.9, scores[: len(false)]
    assert (scores[len(false) :] < 0.5).mean() >= 0.9, scores[len(false) :]
