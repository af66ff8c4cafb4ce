"""Trains the test VLM: `python -m demo.vlm.training.train --out FOLDER`.

The vision tower is pretrained alone, with a linear head for each attribute of a scene. Then the language model is
trained on cached features of the frozen tower; at last both are trained together. Without the first phase the model
learns the language and not the pictures: the loss stays at the level of guessing. Needs torch, transformers and
tokenizers. Seeded: the same versions and number of threads give the same weights.
"""

from __future__ import annotations

import argparse
import copy
import functools
import time
from collections.abc import Callable, Sequence
from dataclasses import astuple
from pathlib import Path
from typing import Any

import numpy as np

from demo.vlm.scenes import COLOURS, COUNTS, PLACES, SHAPES, SIZES, VlmScene, all_scenes
from demo.vlm.training import checkpoint_files as files
from demo.vlm.training.batches import (
    GRID,
    VISUAL_TOKENS,
    Batch,
    BatchMaker,
    batch_vision_attention,
    check_forms,
    input_picture,
    patchify,
)
from serving.vllm.torchvision_shim import patch_imports

ATTRIBUTES: dict[str, list[Any]] = {  # in the order of VlmScene's fields
    "count": list(COUNTS),
    "size": list(SIZES),
    "colour": list(COLOURS),
    "shape": list(SHAPES),
    "place": list(PLACES),
    "background": list(COLOURS),
}
ImageFeatures = Callable[
    [Sequence[VlmScene]], Any
]  # what the vision tower says of pictures of scenes, as `image_features`

EVALUATED_PROMPT = "Describe the image in one short sentence."
SEED, THREADS = 20, 2


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder of the checkpoint")
    parser.add_argument("--vision-steps", type=int, default=1300, help="batches of 64 pictures for the vision tower")
    parser.add_argument("--language-steps", type=int, default=2600, help="batches of captions for the language model")
    parser.add_argument("--steps", type=int, default=300, help="batches of captions for both together")
    parser.add_argument("--every", type=int, default=200, help="steps between two looks at held-out scenes, 0: none")
    options = parser.parse_args()
    train(options.out, options.vision_steps, options.language_steps, options.steps, options.every)


def train(out: Path, vision_steps: int, language_steps: int, steps: int, every: int) -> None:
    """Trains a checkpoint into `out`.

    Each phase writes a checkpoint there. Without steps for the first, the run resumes from the one in `out`, and ends
    as if it had not been interrupted; likewise without steps for the first two.
    """
    patch_imports()
    import torch
    from transformers import AutoTokenizer, Qwen2VLConfig, Qwen2VLForConditionalGeneration

    torch.manual_seed(SEED)
    torch.set_num_threads(THREADS)
    files.write(out)
    tokenizer = AutoTokenizer.from_pretrained(out)
    model = Qwen2VLForConditionalGeneration(Qwen2VLConfig(**files.model_config())).float()
    training_scenes = [scene for scene in all_scenes() if not scene.held_out]
    held_out = [scene for scene in all_scenes() if scene.held_out]

    def turns(seed: int) -> BatchMaker:
        return BatchMaker(
            functools.partial(tokenizer.encode, add_special_tokens=False), training_scenes, np.random.default_rng(seed)
        )

    check_forms(model, turns(SEED), tokenizer, out)
    batch_vision_attention(model)

    if vision_steps:
        pretrain_vision(model, training_scenes, held_out, vision_steps, every)
        save(model, out)
    else:
        model.load_state_dict(Qwen2VLForConditionalGeneration.from_pretrained(out).state_dict())
    if language_steps:
        weights, features = list(model.model.language_model.parameters()), cache_image_features(model, training_scenes)
        train_captioning(model, turns(SEED), held_out, weights, features, 1.5e-3, language_steps, every)
        save(model, out)
    if steps:
        weights, features = (
            list(model.parameters()),
            functools.partial(image_features, model, np.random.default_rng(SEED + 3)),
        )
        train_captioning(model, turns(SEED + 5), held_out, weights, features, 4e-4, steps, every)
        save(model, out)
    if every:
        exact = {pictures: accuracy(model, turns(SEED), held_out, pictures, requests=576) for pictures in (1, 2)}
        print("exact on held-out scenes, by pictures in a request:", exact, flush=True)


def pretrain_vision(
    model: Any, training_scenes: Sequence[VlmScene], held_out: Sequence[VlmScene], steps: int, every: int
) -> None:
    """Trains the vision tower to classify the attributes. The heads are discarded."""
    import torch

    visual, rng = model.model.visual, np.random.default_rng(SEED + 1)
    width = model.config.text_config.hidden_size
    # Of all heads only the place's knows which token is where: what a shape looks like is learnt once for all places.
    heads = torch.nn.ModuleDict(
        {name: torch.nn.Linear(width * (VISUAL_TOKENS if name == "place" else 1), len(values))
         for name, values in ATTRIBUTES.items()}
    )  # fmt: skip
    optimiser, schedule = one_cycle([*visual.parameters(), *heads.parameters()], 2e-3, max(steps, 1))

    def guess(scenes: Sequence[VlmScene]) -> tuple[list[Any], Any]:
        embedded = image_features(model, rng, scenes)
        views = {"place": embedded.flatten(1)}
        truth = [[names.index(value) for names, value in zip(ATTRIBUTES.values(), astuple(scene), strict=True)]
                 for scene in scenes]  # fmt: skip
        return [head(views.get(name, embedded.mean(1))) for name, head in heads.items()], torch.tensor(truth)

    started = time.monotonic()
    for step in range(1, steps + 1):
        logits, truth = guess([training_scenes[index] for index in rng.integers(len(training_scenes), size=64)])
        loss = sum(torch.nn.functional.cross_entropy(logit, truth[:, i]) for i, logit in enumerate(logits))
        descend(loss, optimiser, schedule)
        if every and (step % every == 0 or step == steps):
            with torch.no_grad():
                logits, truth = guess([held_out[index] for index in rng.integers(len(held_out), size=200)])
            right = {name: round(float((logit.argmax(-1) == truth[:, i]).float().mean()), 3)
                     for i, (name, logit) in enumerate(zip(ATTRIBUTES, logits, strict=True))}  # fmt: skip
            print(f"seeing {step}/{steps}, {time.monotonic() - started:.0f} s, loss {loss:.3f}: {right}", flush=True)


def train_captioning(
    model: Any,
    turns: BatchMaker,
    held_out: Sequence[VlmScene],
    weights: list[Any],
    features: ImageFeatures,
    rate: float,
    steps: int,
    every: int,
) -> None:
    """Trains some of the weights on captions; of one picture at first, then also of two."""
    import torch

    optimiser, schedule = one_cycle(weights, rate, max(steps, 1))
    rng = np.random.default_rng(SEED + 2)
    started = time.monotonic()
    for step in range(1, steps + 1):
        batch = turns.batch(pictures=2 if rng.random() < 0.5 * min(1.0, 5 * step / steps) else 1)
        logits, labels = _answer_logits(model, batch, features(batch.scenes)), torch.from_numpy(batch.answers)
        labels = labels.masked_fill(labels == batch.padding, -100)
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), labels.flatten())
        descend(loss, optimiser, schedule)
        if every and (step % every == 0 or step == steps):
            exact = {pictures: accuracy(model, turns, held_out, pictures) for pictures in (1, 2)}
            print(f"captions {step}/{steps}, {time.monotonic() - started:.0f} s, loss {loss:.3f}: {exact}", flush=True)


def accuracy(model: Any, turns: BatchMaker, scenes: Sequence[VlmScene], pictures: int, requests: int = 192) -> float:
    """Returns the share of requests that greedy decoding would answer exactly.

    An answer whose every token is predicted from the true tokens before it is also the one that the model decodes.
    """
    import torch

    rng, right = np.random.default_rng(SEED), list[bool]()
    while len(right) < requests:
        scenes_of_rows = [[scenes[index] for index in row] for row in rng.integers(len(scenes), size=(48, pictures))]
        batch = turns.batch_with_prompt(scenes_of_rows, EVALUATED_PROMPT)
        with torch.no_grad():
            guessed = _answer_logits(model, batch, image_features(model, rng, batch.scenes)).argmax(-1).numpy()
        right += ((guessed == batch.answers) | (batch.answers == batch.padding)).all(axis=1).tolist()
    return round(float(np.mean(right)), 4)


def image_features(model: Any, rng: np.random.Generator, scenes: Sequence[VlmScene]) -> Any:
    """Computes the vision tower's features of new pictures of scenes: (scenes, VISUAL_TOKENS, width)."""
    import torch

    patches = torch.from_numpy(patchify([input_picture(scene, rng) for scene in scenes]))
    grids = torch.tensor([[1, GRID, GRID]]).expand(len(scenes), 3)
    return model.model.visual(patches, grid_thw=grids).pooler_output.view(len(scenes), VISUAL_TOKENS, -1)


def cache_image_features(model: Any, scenes: Sequence[VlmScene], copies: int = 2) -> ImageFeatures:
    """Computes features of `copies` pictures of each scene. Returns a function that draws one for each scene."""
    import torch

    rng = np.random.default_rng(SEED + 4)
    with torch.no_grad():
        parts = [
            image_features(model, rng, scenes[at : at + 64]) for _ in range(copies) for at in range(0, len(scenes), 64)
        ]
    cached = torch.cat(parts).unflatten(0, (copies, len(scenes)))
    places = {scene: place for place, scene in enumerate(scenes)}

    def features(requested: Sequence[VlmScene]) -> Any:
        return cached[rng.integers(copies, size=len(requested)), [places[scene] for scene in requested]]

    return features


def save(model: Any, out: Path) -> None:
    """Writes the weights in bfloat16, and the files beside them. The model continues with the rounded weights."""
    import torch

    with torch.no_grad():
        for weights in model.parameters():  # not the model itself: its rotary frequencies are to stay exact
            weights.copy_(weights.to(torch.bfloat16))
    copy.deepcopy(model).to(torch.bfloat16).save_pretrained(out)
    (out / "model.safetensors").chmod(0o644)
    files.write(out)  # over the configuration that save_pretrained wrote, whose form is its version's


def _answer_logits(model: Any, batch: Batch, cached: Any) -> Any:
    """Computes the logits of every token of the answers: (rows, longest answer, vocabulary)."""
    import torch

    ids = torch.from_numpy(batch.ids)
    embedded = model.model.language_model.embed_tokens(ids)
    image = (ids == files.SPECIAL_IDS["<|image_pad|>"]).unsqueeze(-1)
    embedded = embedded.masked_scatter(image, cached)
    placed = torch.from_numpy(batch.positions).unsqueeze(1).expand(3, len(ids), -1)
    hidden = model.model.language_model(inputs_embeds=embedded, position_ids=placed, use_cache=False)
    return model.lm_head(hidden.last_hidden_state[:, batch.answer_at - 1 : -1])


def one_cycle(weights: list[Any], rate: float, steps: int) -> tuple[Any, Any]:
    import torch

    optimiser = torch.optim.AdamW(weights, lr=rate, betas=(0.9, 0.98), weight_decay=0.01)
    return optimiser, torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, total_steps=steps, pct_start=0.1)


def descend(loss: Any, optimiser: Any, schedule: Any) -> None:
    import torch

    optimiser.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_([w for group in optimiser.param_groups for w in group["params"]], 1.0)
    optimiser.step()
    schedule.step()


if __name__ == "__main__":
    main()
