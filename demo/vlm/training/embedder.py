"""Trains the test embedder: `python -m demo.vlm.training.embedder --out FOLDER`.

The language model of the test VLM learns to embed captions and scenes at the last token of RzenEmbed's prompt, with
flat rotary positions: contrastively, with the other sides of a batch as negatives both ways (InfoNCE) and a learnt
temperature. The vision tower is frozen; its features are computed once. Needs torch, transformers and tokenizers.
Seeded: the same versions and number of threads give the same weights. Takes about five minutes on two cores.
"""

from __future__ import annotations

import argparse
import functools
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from demo.vlm import CHECKPOINT, EMBEDDER
from demo.vlm.scenes import VlmScene, all_scenes
from demo.vlm.training import checkpoint_files as files
from demo.vlm.training.batches import Encode, TokenIds, batch_vision_attention
from demo.vlm.training.embedder_batches import (
    HELD_OUT,
    EmbedderBatch,
    EmbedderBatchMaker,
    held_out_scenes,
    side_tokens,
)
from demo.vlm.training.train import (
    SEED,
    THREADS,
    ImageFeatures,
    cache_image_features,
    descend,
    image_features,
    one_cycle,
    save,
)
from pipelines.report.progress import ProgressBars
from pipelines.report.terminal import Terminal, print_line
from serving.vllm.torchvision_shim import patch_imports

Embeddings = NDArray[np.float32]

BATCH_ROWS = 128  # captions, and scenes, of a batch
RATE = 1.5e-3
LOGIT_SCALE, MAX_LOGIT_SCALE = 20.0, 100.0  # 1 / temperature: at first, and at most
EVALUATED_SCENES = 300  # held-out scenes that are looked at during training
IMAGE_PAD = files.SPECIAL_IDS["<|image_pad|>"]


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=EMBEDDER, help="folder of the checkpoint")
    parser.add_argument("--steps", type=int, default=700, help=f"batches of {BATCH_ROWS} captions and scenes")
    parser.add_argument(
        "--scenes", type=int, default=0, help="how many scenes to train on; 0: all that are not held out"
    )
    parser.add_argument("--copies", type=int, default=2, help="pictures drawn of each scene")
    parser.add_argument("--every", type=int, default=100, help="steps between two looks at held-out scenes, 0: none")
    options = parser.parse_args()
    console, started = Terminal(), time.monotonic()
    training = train_embedder(options.out, options.steps, options.scenes, options.copies, options.every, console)
    print_line(console, f"loss {training.first_loss:.3f} at first, {training.last_loss:.3f} at last")
    print_line(console, f"recall@1 of captions among {HELD_OUT:,} held-out scenes: {training.recall_at_1:.3f}")
    print_line(console, f"{options.out}: trained in {time.monotonic() - started:.0f} s")


@dataclass(frozen=True)
class Training:
    """The figures of a training: the loss of each step, and the recall@1 of captions among the held-out scenes."""

    losses: list[float]
    recall_at_1: float

    @property
    def first_loss(self) -> float:
        """Mean loss of the first tenth of the steps."""
        return float(np.mean(self.losses[: max(1, len(self.losses) // 10)]))

    @property
    def last_loss(self) -> float:
        """Mean loss of the last tenth of the steps."""
        return float(np.mean(self.losses[-max(1, len(self.losses) // 10) :]))


def train_embedder(out: Path, steps: int, scenes: int, copies: int, every: int, console: Terminal) -> Training:
    """Trains a checkpoint into `out`, on so many scenes, 0: on all that are not held out. Returns its figures."""
    patch_imports()
    import torch

    torch.manual_seed(SEED)
    torch.set_num_threads(THREADS)
    model, encode = load(CHECKPOINT)
    held_out = held_out_scenes()
    unseen = set(held_out)
    training_scenes = [scene for scene in all_scenes() if scene not in unseen]
    if scenes:
        training_scenes = training_scenes[:: max(1, len(training_scenes) // scenes)][:scenes]
    maker = EmbedderBatchMaker(encode, training_scenes, np.random.default_rng(SEED))
    features = cache_image_features(model, training_scenes, copies)
    losses = list[float]()
    with ProgressBars(console) as bars, bars.bar("batches", steps) as bar:
        for loss in contrastive_steps(model, maker, features, steps):
            losses.append(loss)
            bar.advance()
            if every and len(losses) % every == 0:
                recall = recall_at_1(model, encode, held_out[:EVALUATED_SCENES], SEED)
                bars.print_line(
                    f"step {len(losses)}: loss {loss:.3f}, recall@1 of {EVALUATED_SCENES} scenes {recall:.3f}"
                )
    save(model, out)
    return Training(losses, recall_at_1(model, encode, held_out, SEED))


def load(folder: Path) -> tuple[Any, Encode]:
    """Loads a checkpoint in float32, and what turns texts into its tokens."""
    import torch
    from transformers import AutoTokenizer, Qwen2VLForConditionalGeneration

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = Qwen2VLForConditionalGeneration.from_pretrained(folder, dtype=torch.float32)
    batch_vision_attention(model)
    return model, functools.partial(tokenizer.encode, add_special_tokens=False)


def contrastive_steps(model: Any, maker: EmbedderBatchMaker, features: ImageFeatures, steps: int) -> Iterator[float]:
    """Trains the language model; yields the loss of each step."""
    import torch

    log_scale = torch.nn.Parameter(torch.tensor(np.log(LOGIT_SCALE), dtype=torch.float32))
    optimiser, schedule = one_cycle([*model.model.language_model.parameters(), log_scale], RATE, max(steps, 1))
    for _ in range(steps):
        batch = maker.batch(BATCH_ROWS)
        loss = contrastive_loss(model, batch, features(batch.scenes), log_scale)
        descend(loss, optimiser, schedule)
        yield loss.item()


def contrastive_loss(model: Any, batch: EmbedderBatch, features: Any, log_scale: Any) -> Any:
    """Computes the InfoNCE of captions and scenes, both ways. What fits besides a row's own is no negative of it."""
    import torch

    captions = embed(model, batch.captions, batch.caption_last)
    scenes = embed(model, batch.images, batch.image_last, features)
    scale = log_scale.exp().clamp(max=MAX_LOGIT_SCALE)
    also_right = torch.from_numpy(batch.fits & ~np.eye(len(batch.fits), dtype=bool))
    logits = (scale * captions @ scenes.T).masked_fill(also_right, -torch.inf)
    diagonal = torch.arange(len(logits))
    cross_entropy = torch.nn.functional.cross_entropy
    return (cross_entropy(logits, diagonal) + cross_entropy(logits.T, diagonal)) / 2


def embed(model: Any, ids: TokenIds, last: TokenIds, features: Any = None) -> Any:
    """Computes the normalised embeddings of rows of tokens: (rows, width). `features`: (rows, VISUAL_TOKENS, width).

    The tokens that all rows begin with are computed once.
    """
    import torch
    from transformers import DynamicCache

    language, cache, rows = model.model.language_model, DynamicCache(), len(ids)
    common = _common_length(ids)
    language(torch.from_numpy(ids[:1, :common]), position_ids=_flat(0, common), past_key_values=cache, use_cache=True)
    cache.batch_repeat_interleave(rows)
    tokens = torch.from_numpy(ids[:, common:])
    embedded = language.embed_tokens(tokens)
    if features is not None:
        image = (tokens == IMAGE_PAD).unsqueeze(-1)
        embedded = embedded.masked_scatter(image, features)
    placed = _flat(common, tokens.shape[1]).expand(3, rows, -1)
    hidden = language(inputs_embeds=embedded, position_ids=placed, past_key_values=cache, use_cache=True)
    pooled = hidden.last_hidden_state[torch.arange(rows), torch.from_numpy(last - common)]
    return torch.nn.functional.normalize(pooled, dim=-1)


def _common_length(ids: TokenIds) -> int:
    """How many tokens all rows begin with, none of an image's and not the last ones."""
    differs = (ids != ids[0]).any(axis=0) | (ids == IMAGE_PAD).any(axis=0)
    differs[-1] = True
    return int(differs.argmax())


def caption_vectors(model: Any, encode: Encode, captions: Sequence[str]) -> Embeddings:
    """Computes the vectors of captions: float32[captions, width], of norm 1."""
    parts = [captions[at : at + BATCH_ROWS] for at in range(0, len(captions), BATCH_ROWS)]
    return _computed(lambda part: embed(model, *side_tokens(encode, part, images=0)), parts)


def picture_vectors(model: Any, encode: Encode, scenes: Sequence[VlmScene], rng: np.random.Generator) -> Embeddings:
    """Computes the vectors of a new picture of each scene: float32[scenes, width], of norm 1."""
    parts = [scenes[at : at + BATCH_ROWS] for at in range(0, len(scenes), BATCH_ROWS)]
    return _computed(
        lambda part: embed(model, *side_tokens(encode, [""] * len(part), images=1), image_features(model, rng, part)),
        parts,
    )


def recall_at_1(model: Any, encode: Encode, scenes: Sequence[VlmScene], seed: int) -> float:
    """Returns the share of captions that are nearest to their own scene, with a new picture of each."""
    captions = caption_vectors(model, encode, [scene.caption for scene in scenes])
    pictures = picture_vectors(model, encode, scenes, np.random.default_rng(seed))
    return float(((captions @ pictures.T).argmax(axis=1) == np.arange(len(scenes))).mean())


def _computed(compute: Callable[[Any], Any], parts: Sequence[Any]) -> Embeddings:
    import torch

    with torch.no_grad():
        return np.concatenate([compute(part).numpy() for part in parts])


def _flat(start: int, length: int) -> Any:
    """Positions that count up on all three axes: (3, 1, length)."""
    import torch

    return torch.arange(start, start + length).expand(3, 1, -1)


if __name__ == "__main__":
    main()
