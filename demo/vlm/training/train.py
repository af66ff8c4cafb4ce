"""Trains the test VLM: `python -m demo.vlm.training.train --out FOLDER`.

First the vision tower alone learns to see, with a linear head for each attribute of a scene. Then the language model
learns to say what a tower that stays as it is has seen, of pictures looked at beforehand; at last both learn together.
Without the first phase the language is learnt and the pictures are not: the loss rests where guessing leaves it.
Needs torch, transformers and tokenizers. Seeded: the same versions and number of threads give the same weights.
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
    Turns,
    batch_vision_attention,
    check_forms,
    patchify,
    seen,
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
Sight = Callable[[Sequence[VlmScene]], Any]  # what the vision tower says of pictures of scenes, as `look`

EVALUATED_PROMPT = "Describe the image in one short sentence."
SEED, THREADS = 20, 2


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder of the checkpoint")
    parser.add_argument("--vision-steps", type=int, default=1300, help="batches of 64 pictures for the vision tower")
    parser.add_argument("--language-steps", type=int, default=2600, help="batches of captions for the language model")
    parser.add_argument("--steps", type=int, default=300, help="batches of captions for both together")
    parser.add_argument("--every", type=int, default=200, help="steps between two looks at held-out scenes, 0: none")
    options = parser.parse_args()
    train(options.out, options.vision_steps, options.language_steps, options.steps, options.every)


def train(out: Path, vision_steps: int, language_steps: int, steps: int, every: int) -> None:
    """Train a checkpoint into `out`.

    Each phase leaves a checkpoint there. Without steps for the first, the run goes on from the one that `out` holds,
    and ends as if it had not been interrupted; so it does without steps for the first two.
    """
    patch_imports()
    import torch
    from transformers import AutoTokenizer, Qwen2VLConfig, Qwen2VLForConditionalGeneration

    torch.manual_seed(SEED)
    torch.set_num_threads(THREADS)
    files.write(out)
    tokenizer = AutoTokenizer.from_pretrained(out)
    model = Qwen2VLForConditionalGeneration(Qwen2VLConfig(**files.model_config())).float()
    shown = [scene for scene in all_scenes() if not scene.held_out]
    held_out = [scene for scene in all_scenes() if scene.held_out]

    def turns(seed: int) -> Turns:
        return Turns(functools.partial(tokenizer.encode, add_special_tokens=False), shown, np.random.default_rng(seed))

    check_forms(model, turns(SEED), tokenizer, out)
    batch_vision_attention(model)

    if vision_steps:
        teach_to_see(model, shown, held_out, vision_steps, every)
        save(model, out)
    else:
        model.load_state_dict(Qwen2VLForConditionalGeneration.from_pretrained(out).state_dict())
    if language_steps:
        weights, sight = list(model.model.language_model.parameters()), look_once(model, shown)
        teach_to_caption(model, turns(SEED), held_out, weights, sight, 1.5e-3, language_steps, every)
        save(model, out)
    if steps:
        weights, sight = list(model.parameters()), functools.partial(look, model, np.random.default_rng(SEED + 3))
        teach_to_caption(model, turns(SEED + 5), held_out, weights, sight, 4e-4, steps, every)
        save(model, out)
    if every:
        exact = {pictures: accuracy(model, turns(SEED), held_out, pictures, requests=576) for pictures in (1, 2)}
        print("exact on held-out scenes, by pictures in a request:", exact, flush=True)


def teach_to_see(model: Any, shown: Sequence[VlmScene], held_out: Sequence[VlmScene], steps: int, every: int) -> None:
    """Train the vision tower to tell the attributes apart. The heads are thrown away."""
    import torch

    visual, rng = model.model.visual, np.random.default_rng(SEED + 1)
    width = model.config.text_config.hidden_size
    # Of all heads only the place's knows which token is where: what a shape looks like is learnt once for all places.
    heads = torch.nn.ModuleDict(
        {name: torch.nn.Linear(width * (VISUAL_TOKENS if name == "place" else 1), len(values))
         for name, values in ATTRIBUTES.items()}
    )  # fmt: skip
    optimiser, schedule = _optimiser([*visual.parameters(), *heads.parameters()], 2e-3, max(steps, 1))

    def guess(scenes: Sequence[VlmScene]) -> tuple[list[Any], Any]:
        embedded = look(model, rng, scenes)
        views = {"place": embedded.flatten(1)}
        truth = [[names.index(value) for names, value in zip(ATTRIBUTES.values(), astuple(scene), strict=True)]
                 for scene in scenes]  # fmt: skip
        return [head(views.get(name, embedded.mean(1))) for name, head in heads.items()], torch.tensor(truth)

    begun = time.monotonic()
    for step in range(1, steps + 1):
        logits, truth = guess([shown[index] for index in rng.integers(len(shown), size=64)])
        loss = sum(torch.nn.functional.cross_entropy(logit, truth[:, i]) for i, logit in enumerate(logits))
        _descend(loss, optimiser, schedule)
        if every and (step % every == 0 or step == steps):
            with torch.no_grad():
                logits, truth = guess([held_out[index] for index in rng.integers(len(held_out), size=200)])
            right = {name: round(float((logit.argmax(-1) == truth[:, i]).float().mean()), 3)
                     for i, (name, logit) in enumerate(zip(ATTRIBUTES, logits, strict=True))}  # fmt: skip
            print(f"seeing {step}/{steps}, {time.monotonic() - begun:.0f} s, loss {loss:.3f}: {right}", flush=True)


def teach_to_caption(
    model: Any,
    turns: Turns,
    held_out: Sequence[VlmScene],
    weights: list[Any],
    sight: Sight,
    rate: float,
    steps: int,
    every: int,
) -> None:
    """Train some of the weights on captions; of one picture at first, then also of two."""
    import torch

    optimiser, schedule = _optimiser(weights, rate, max(steps, 1))
    rng = np.random.default_rng(SEED + 2)
    begun = time.monotonic()
    for step in range(1, steps + 1):
        batch = turns.batch(pictures=2 if rng.random() < 0.5 * min(1.0, 5 * step / steps) else 1)
        logits, labels = _answer_logits(model, batch, sight(batch.scenes)), torch.from_numpy(batch.answers)
        labels = labels.masked_fill(labels == batch.padding, -100)
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), labels.flatten())
        _descend(loss, optimiser, schedule)
        if every and (step % every == 0 or step == steps):
            exact = {pictures: accuracy(model, turns, held_out, pictures) for pictures in (1, 2)}
            print(f"captions {step}/{steps}, {time.monotonic() - begun:.0f} s, loss {loss:.3f}: {exact}", flush=True)


def accuracy(model: Any, turns: Turns, scenes: Sequence[VlmScene], pictures: int, requests: int = 192) -> float:
    """The share of requests that greedy decoding would answer exactly.

    Exact under the true answer's own beginning at every token is exact when the model continues its own.
    """
    import torch

    rng, right = np.random.default_rng(SEED), list[bool]()
    while len(right) < requests:
        scenes_of_rows = [[scenes[index] for index in row] for row in rng.integers(len(scenes), size=(48, pictures))]
        batch = turns.plain(scenes_of_rows, EVALUATED_PROMPT)
        with torch.no_grad():
            guessed = _answer_logits(model, batch, look(model, rng, batch.scenes)).argmax(-1).numpy()
        right += ((guessed == batch.answers) | (batch.answers == batch.padding)).all(axis=1).tolist()
    return round(float(np.mean(right)), 4)


def look(model: Any, rng: np.random.Generator, scenes: Sequence[VlmScene]) -> Any:
    """(scenes, VISUAL_TOKENS, width): what the vision tower says of new pictures of scenes."""
    import torch

    patches = torch.from_numpy(patchify([seen(scene, rng) for scene in scenes]))
    grids = torch.tensor([[1, GRID, GRID]]).expand(len(scenes), 3)
    return model.model.visual(patches, grid_thw=grids).pooler_output.view(len(scenes), VISUAL_TOKENS, -1)


def look_once(model: Any, scenes: Sequence[VlmScene], copies: int = 2) -> Sight:
    """Look at some pictures of every scene now. Returns a look at scenes that takes one of them."""
    import torch

    rng = np.random.default_rng(SEED + 4)
    with torch.no_grad():
        parts = [look(model, rng, scenes[at : at + 64]) for _ in range(copies) for at in range(0, len(scenes), 64)]
    looked = torch.cat(parts).unflatten(0, (copies, len(scenes)))
    places = {scene: place for place, scene in enumerate(scenes)}

    def sight(wanted: Sequence[VlmScene]) -> Any:
        return looked[rng.integers(copies, size=len(wanted)), [places[scene] for scene in wanted]]

    return sight


def save(model: Any, out: Path) -> None:
    """Write the weights in bfloat16, and the files beside them. The model goes on with what was written."""
    import torch

    with torch.no_grad():
        for weights in model.parameters():  # not the model itself: its rotary frequencies are to stay exact
            weights.copy_(weights.to(torch.bfloat16))
    copy.deepcopy(model).to(torch.bfloat16).save_pretrained(out)
    (out / "model.safetensors").chmod(0o644)
    files.write(out)  # over the configuration that save_pretrained wrote, whose form is its version's


def _answer_logits(model: Any, batch: Batch, looked: Any) -> Any:
    """(rows, longest answer, vocabulary): what the model expects at every token of the answers."""
    import torch

    ids = torch.from_numpy(batch.ids)
    embedded = model.model.language_model.embed_tokens(ids)
    image = (ids == files.SPECIAL_IDS["<|image_pad|>"]).unsqueeze(-1)
    embedded = embedded.masked_scatter(image, looked)
    placed = torch.from_numpy(batch.positions).unsqueeze(1).expand(3, len(ids), -1)
    hidden = model.model.language_model(inputs_embeds=embedded, position_ids=placed, use_cache=False)
    return model.lm_head(hidden.last_hidden_state[:, batch.answer_at - 1 : -1])


def _optimiser(weights: list[Any], rate: float, steps: int) -> tuple[Any, Any]:
    import torch

    optimiser = torch.optim.AdamW(weights, lr=rate, betas=(0.9, 0.98), weight_decay=0.01)
    return optimiser, torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, total_steps=steps, pct_start=0.1)


def _descend(loss: Any, optimiser: Any, schedule: Any) -> None:
    import torch

    optimiser.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_([w for group in optimiser.param_groups for w in group["params"]], 1.0)
    optimiser.step()
    schedule.step()


if __name__ == "__main__":
    main()
