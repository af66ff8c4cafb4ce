"""Trains the test CLIP: `python -m demo.vlm.training.clip --out FOLDER`.

A ResNet and a text transformer of open_clip, two million weights, learn to embed pictures of scenes and their captions
in one space, from nothing: contrastively, with the other sides of a batch as negatives both ways (InfoNCE), half of
them scenes that differ in one attribute. Two more losses help. That of SigLIP (arXiv 2303.15343) makes cosines
comparable from caption to caption, so that one threshold fits all. And linear heads, which are discarded, read the
attributes off the vectors of both towers: without them the loss rests for long at that of a model that knows colours
only. Needs torch, open_clip and transformers. Seeded: the same versions give the same weights. Takes some minutes on
one core.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import astuple
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from corpus.arrays import Floats
from corpus.image.decode import Pixels
from demo.vlm import CHECKPOINT
from demo.vlm.scenes import OPTIONAL, VlmScene, all_scenes, draw_shapes
from demo.vlm.training import checkpoint_files as files
from demo.vlm.training.embedder_batches import PARTIAL_SHARE, EmbedderBatchMaker, fits, held_out_scenes
from demo.vlm.training.train import ATTRIBUTES, SEED, descend, one_cycle
from pipelines.report.progress import ProgressBars
from pipelines.report.terminal import Terminal, print_line
from serving.vllm.torchvision_shim import patch_imports

CLIP_CHECKPOINT = CHECKPOINT.parent / "clip"
CONTEXT_TOKENS = 24  # a caption has at most 15
_SIDE_PX = 64  # of a picture as the model sees it
_ROWS = 128  # captions, and pictures, of a batch
_RATE = 2e-3
_LOGIT_SCALE, _MAX_LOGIT_SCALE = 14.0, 60.0  # 1 / temperature: at first, and at most
_HEADS_WEIGHT, _SIGMOID_WEIGHT = 0.5, 0.5  # of the losses of heads and of SigLIP
_SHARPNESS = 10.0  # of the heads: vectors of norm 1 give small logits
_EVALUATED = 300  # held-out scenes that are looked at during training
_PADDING, _END = "<|endoftext|>", "<|im_end|>"  # of a text


def clip_config() -> dict[str, Any]:
    """Returns the configuration of the model, as open_clip reads it from a folder."""
    text = {
        "context_length": CONTEXT_TOKENS,
        "vocab_size": files.VOCABULARY,
        "hf_tokenizer_name": "the files in this folder",
        "width": 128,
        "heads": 4,
        "layers": 2,
        "pool_type": "eos",
        "eos_id": files.SPECIAL_IDS[_END],
        "pad_id": files.SPECIAL_IDS[_PADDING],
    }
    vision = {"layers": [1, 1, 1, 1], "width": 12, "head_width": 64, "image_size": _SIDE_PX}
    return {"model_cfg": {"embed_dim": 96, "vision_cfg": vision, "text_cfg": text}, "preprocess_cfg": {}}


def write_clip_files(folder: Path) -> None:
    """Writes all files except for the weights."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = files.tokenizer_json()
    text, end = {"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"id": _END, "type_id": 0}}
    tokenizer["post_processor"] = {
        "type": "TemplateProcessing",
        "single": [text, end],
        "pair": [text, end],
        "special_tokens": {_END: {"id": _END, "ids": [files.SPECIAL_IDS[_END]], "tokens": [_END]}},
    }
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "pad_token": _PADDING,
        "eos_token": _END,
        "model_max_length": CONTEXT_TOKENS,
        "clean_up_tokenization_spaces": False,
    }
    contents = {
        "open_clip_config.json": clip_config(),
        "tokenizer.json": tokenizer,
        "tokenizer_config.json": settings,
    }
    for name, content in contents.items():
        (folder / name).write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


@dataclasses.dataclass(frozen=True)
class AgreementFigures:
    """How well scores tell true captions from wrong ones at the best threshold: F1 of finding the wrong ones."""

    other_scene: float  # captions of other scenes
    one_attribute: float  # captions that are wrong in one attribute

    def __str__(self) -> str:
        return f"F1 {self.other_scene:.3f} of captions of other scenes, {self.one_attribute:.3f} of one wrong attribute"


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=CLIP_CHECKPOINT, help="folder of the checkpoint")
    parser.add_argument("--steps", type=int, default=600, help=f"batches of {_ROWS} captions and pictures")
    parser.add_argument("--scenes", type=int, default=0, help="scenes to train on; 0: all that are not held out")
    parser.add_argument("--copies", type=int, default=3, help="pictures drawn of each scene")
    parser.add_argument("--every", type=int, default=100, help="steps between two looks at held-out scenes, 0: none")
    options = parser.parse_args()
    console, started = Terminal(), time.monotonic()
    losses, figures = train_clip(options.out, options.steps, options.scenes, options.copies, options.every, console)
    tenth = max(1, len(losses) // 10)
    print_line(console, f"loss {np.mean(losses[:tenth]):.3f} at first, {np.mean(losses[-tenth:]):.3f} at last")
    print_line(console, f"held-out scenes: {figures}")
    print_line(console, f"{options.out}: trained in {time.monotonic() - started:.0f} s")


def train_clip(
    out: Path, steps: int, scenes: int, copies: int, every: int, console: Terminal
) -> tuple[list[float], AgreementFigures]:
    """Trains a checkpoint into `out`, on so many scenes, 0: all that are not held out. Returns losses and figures."""
    patch_imports()
    import open_clip
    import torch

    torch.manual_seed(SEED)
    torch.set_num_threads(1)
    write_clip_files(out)
    model = open_clip.CLIP(**clip_config()["model_cfg"])
    tokenizer = open_clip.get_tokenizer(f"local-dir:{out}")
    held_out = held_out_scenes()
    unseen = set(held_out)
    training_scenes = [scene for scene in all_scenes() if scene not in unseen]
    if scenes:
        training_scenes = training_scenes[:: max(1, len(training_scenes) // scenes)][:scenes]
    losses = list[float]()
    with ProgressBars(console) as bars, bars.bar("batches", steps) as bar:
        for loss in clip_steps(model, tokenizer, training_scenes, copies, steps):
            losses.append(loss)
            bar.advance()
            if every and len(losses) % every == 0:
                found = evaluate_clip(model, tokenizer, held_out[:_EVALUATED], SEED)
                bars.print_line(f"step {len(losses)}: loss {loss:.3f}, {found}")
    save_clip(model, out)
    return losses, evaluate_clip(model, tokenizer, held_out[: scenes or None], SEED)


def clip_steps(model: Any, tokenizer: Any, scenes: Sequence[VlmScene], copies: int, steps: int) -> Iterator[float]:
    """Trains both towers; yields the loss of each step."""
    import torch

    rng = np.random.default_rng(SEED)
    maker, place = EmbedderBatchMaker(lambda _: [], scenes, rng), {scene: at for at, scene in enumerate(scenes)}
    pictures = np.stack([[clip_picture(scene, rng) for _ in range(copies)] for scene in scenes])
    heads = torch.nn.ModuleList(
        torch.nn.Linear(clip_config()["model_cfg"]["embed_dim"], len(v)) for v in ATTRIBUTES.values()
    )
    log_scale = torch.nn.Parameter(torch.tensor(np.log(_LOGIT_SCALE), dtype=torch.float32))
    bias = torch.nn.Parameter(torch.tensor(-_LOGIT_SCALE / 2))
    optimiser, schedule = one_cycle([*model.parameters(), *heads.parameters(), log_scale, bias], _RATE, max(steps, 1))
    model.train()
    for _ in range(steps):
        batch = maker.draw(_ROWS)
        stated = [
            tuple(name for name in OPTIONAL if rng.random() < 0.6) if rng.random() < PARTIAL_SHARE else OPTIONAL
            for _ in batch
        ]
        texts = tokenizer([scene.partial_caption(names) for scene, names in zip(batch, stated, strict=True)])
        chosen = pictures[[place[scene] for scene in batch], rng.integers(copies, size=len(batch))]
        images = model.encode_image(as_input(chosen), normalize=True)
        captions = model.encode_text(texts, normalize=True)
        scale = log_scale.exp().clamp(max=_MAX_LOGIT_SCALE)
        loss = clip_loss(captions, images, fits(batch, stated), scale, bias)
        loss = loss + _HEADS_WEIGHT * heads_loss(heads, images, captions, batch, stated)
        descend(loss, optimiser, schedule)
        yield loss.item()
    model.eval()


def clip_loss(captions: Any, images: Any, fitting: NDArray[np.bool_], scale: Any, bias: Any) -> Any:
    """Computes InfoNCE both ways, without what fits besides a row's own, and the loss of SigLIP with it."""
    import torch

    right = torch.from_numpy(fitting)
    logits, diagonal = scale * captions @ images.T, torch.arange(len(captions))
    alone = logits.masked_fill(right & ~torch.eye(len(right), dtype=torch.bool), -torch.inf)
    cross_entropy = torch.nn.functional.cross_entropy
    info_nce = (cross_entropy(alone, diagonal) + cross_entropy(alone.T, diagonal)) / 2
    each = torch.nn.functional.binary_cross_entropy_with_logits(logits + bias, right.float(), reduction="none")
    return info_nce + _SIGMOID_WEIGHT * each.sum() / len(captions)


def heads_loss(
    heads: Any, images: Any, captions: Any, scenes: Sequence[VlmScene], stated: Sequence[Sequence[str]]
) -> Any:
    """Computes how badly the heads read the attributes off the vectors, those of captions where they state them."""
    import torch

    loss = torch.zeros(())
    cross_entropy = torch.nn.functional.cross_entropy
    for at, (head, (name, values)) in enumerate(zip(heads, ATTRIBUTES.items(), strict=True)):
        truth = torch.tensor([values.index(astuple(scene)[at]) for scene in scenes])
        states = torch.tensor([name == "count" or name in names for names in stated])
        loss = loss + cross_entropy(_SHARPNESS * head(images), truth)
        loss = loss + cross_entropy(_SHARPNESS * head(captions[states]), truth[states])
    return loss / len(heads) / 2


def clip_picture(scene: VlmScene, rng: np.random.Generator) -> Pixels:
    """Draws a scene at one of several sizes, and scales it as open_clip does."""
    from PIL import Image

    drawn = draw_shapes(scene, rng, int(rng.choice([96, 112, 224])))
    return np.asarray(Image.fromarray(drawn).resize((_SIDE_PX, _SIDE_PX), Image.Resampling.BICUBIC))


def as_input(pictures: NDArray[np.uint8]) -> Any:
    """Returns pictures (n, height, width, 3) as the model takes them: normalised (n, 3, height, width)."""
    import torch

    levels = (pictures.astype(np.float32) / 255 - np.array(files.MEAN, np.float32)) / np.array(files.STD, np.float32)
    return torch.from_numpy(np.ascontiguousarray(levels.transpose(0, 3, 1, 2)))


def save_clip(model: Any, out: Path) -> None:
    """Writes the weights in bfloat16. The model continues with the rounded weights."""
    import torch
    from safetensors.torch import save_file

    rounded = {
        name: weights.to(torch.bfloat16) if weights.is_floating_point() else weights
        for name, weights in model.state_dict().items()
    }
    model.load_state_dict(rounded)
    path = out / "open_clip_model.safetensors"
    save_file({name: weights.contiguous() for name, weights in rounded.items()}, path)
    path.chmod(0o644)


def changed_caption(scene: VlmScene, rng: np.random.Generator) -> str:
    """Returns a caption of the scene that is wrong in one attribute."""
    name = str(rng.choice(list(ATTRIBUTES)))
    taken = {getattr(scene, name), *({scene.colour, scene.background} if name in ("colour", "background") else ())}
    values = [value for value in ATTRIBUTES[name] if value not in taken]
    return dataclasses.replace(scene, **{name: values[int(rng.integers(len(values)))]}).caption


def evaluate_clip(model: Any, tokenizer: Any, scenes: Sequence[VlmScene], seed: int) -> AgreementFigures:
    """Scores a new picture of each scene with its caption, that of another scene, and one with a wrong attribute."""
    import torch

    rng = np.random.default_rng(seed)
    pictures = np.stack([clip_picture(scene, rng) for scene in scenes])
    others = [scenes[(at + 1) % len(scenes)].caption for at in range(len(scenes))]
    texts = [[scene.caption for scene in scenes], others, [changed_caption(scene, rng) for scene in scenes]]
    training = model.training
    model.eval()
    with torch.no_grad():
        images = model.encode_image(as_input(pictures), normalize=True)
        true, other, hard = (
            (model.encode_text(tokenizer(each), normalize=True) * images).sum(1).numpy() for each in texts
        )
    model.train(training)
    return AgreementFigures(best_f1(true, other), best_f1(true, hard))


def best_f1(true: Floats, wrong: Floats) -> float:
    """Returns the highest F1 of finding wrong captions as those below a threshold."""
    scores = np.concatenate([true, wrong])
    found = np.cumsum((np.arange(len(scores)) >= len(true))[np.argsort(scores, kind="stable")])
    return float((2 * found / (np.arange(1, len(scores) + 1) + len(wrong))).max())


if __name__ == "__main__":
    main()
