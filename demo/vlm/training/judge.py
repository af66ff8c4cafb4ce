"""Trains the test judge: `python -m demo.vlm.training.judge --out FOLDER`.

The language model of the test VLM learns to answer a question of `mining.judge` by a short prompt: is what a caption
states true of a picture? Half of the captions are true; of the others most are wrong in one attribute. A linear head on
the second layer, which is discarded, learns which phrase of a caption is wrong: the answer alone teaches slowly. The
vision tower is frozen; its features are computed once. Captions leave the place out: the model reads it in its last
layer only, where it is too late to compare it. Needs torch, transformers and tokenizers. Seeded: the same versions give
the same weights. Takes some minutes on one core.
"""

from __future__ import annotations

import argparse
import dataclasses
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from corpus.arrays import Floats
from demo.vlm import CHECKPOINT
from demo.vlm.scenes import OPTIONAL, VlmScene, all_scenes
from demo.vlm.training import checkpoint_files as files
from demo.vlm.training.batches import VISUAL_TOKENS, Encode, TokenIds, positions
from demo.vlm.training.embedder import IMAGE_PAD, load
from demo.vlm.training.embedder_batches import held_out_scenes
from demo.vlm.training.train import (
    ATTRIBUTES,
    SEED,
    ImageFeatures,
    cache_image_features,
    descend,
    image_features,
    one_cycle,
    save,
)
from mining.judge import Question, QuestionSide, render_question
from pipelines.report.progress import ProgressBars
from pipelines.report.terminal import Terminal, print_line
from serving.vllm.torchvision_shim import patch_imports

JUDGE_CHECKPOINT = CHECKPOINT.parent / "judge"
JUDGE_PROMPT = "{query}? {candidate}"
STATED_ATTRIBUTES = tuple(name for name in OPTIONAL if name != "place")  # what captions may state besides the count
_ROWS = 64  # questions of a batch
_RATE = 1.5e-3
_PARTIAL_SHARE = 0.4  # of the captions
_FIRST_ONE_WRONG, _ONE_WRONG = 0.2, 0.85  # of the wrong captions: those wrong in one attribute, in either half
_PHRASES_WEIGHT = 4.0  # of the loss of phrases
_EVALUATED = 100  # held-out scenes that are asked about during training
_OPENING = "<|im_start|>user\n<|vision_start|>" + "<|image_pad|>" * VISUAL_TOKENS + "<|vision_end|>"
_CLOSING = "<|im_end|>\n<|im_start|>assistant\n"
_PADDING = files.SPECIAL_IDS["<|endoftext|>"]


class SceneQuestion(NamedTuple):
    """Does the scene show what a caption of `described` states, which states these attributes and the count?"""

    scene: VlmScene
    described: VlmScene
    stated: tuple[str, ...]

    @property
    def caption(self) -> str:
        """The query."""
        return self.described.partial_caption(self.stated)

    @property
    def wrong(self) -> list[str]:
        """The stated attributes that the scene has not."""
        names = ("count", *self.stated)
        return [name for name in names if getattr(self.scene, name) != getattr(self.described, name)]

    @property
    def text(self) -> str:
        """The question of `mining.judge`."""
        sides = QuestionSide((), self.caption, False), QuestionSide((), "", False)
        return render_question(JUDGE_PROMPT, Question("", *sides), 0, 1)


class QuestionBatch(NamedTuple):
    """A batch of n questions as tokens, padded on the right."""

    scenes: list[VlmScene]
    ids: TokenIds  # (n, longest)
    last: TokenIds  # (n,): the place of the last token that is none of padding
    true: NDArray[np.bool_]  # (n,)
    phrases: NDArray[np.int64]  # (phrases, 2): row and place of the token at which a stated attribute is known
    wrong: Floats  # (phrases,): 1 where the scene has not this attribute


@dataclasses.dataclass(frozen=True)
class Figures:
    """How well answers separate true captions from wrong ones. Precision and recall are those of Yes at 0.5."""

    auc: float
    precision: float
    recall: float

    def __str__(self) -> str:
        return f"AUC {self.auc:.4f}, precision {self.precision:.3f}, recall {self.recall:.3f}"


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=JUDGE_CHECKPOINT, help="folder of the checkpoint")
    parser.add_argument("--steps", type=int, default=450, help="batches of questions")
    parser.add_argument("--scenes", type=int, default=0, help="scenes to train on; 0: all that are not held out")
    parser.add_argument("--every", type=int, default=50, help="steps between two looks at held-out scenes, 0: none")
    options = parser.parse_args()
    console, started = Terminal(), time.monotonic()
    losses, figures = train_judge(options.out, options.steps, options.scenes, options.every, console)
    tenth = max(1, len(losses) // 10)
    print_line(console, f"loss {np.mean(losses[:tenth]):.3f} at first, {np.mean(losses[-tenth:]):.3f} at last")
    print_line(console, f"held-out scenes, one attribute wrong: {figures}")
    print_line(console, f"{options.out}: trained in {time.monotonic() - started:.0f} s")


def train_judge(out: Path, steps: int, scenes: int, every: int, console: Terminal) -> tuple[list[float], Figures]:
    """Trains a checkpoint into `out`, on so many scenes, 0: all that are not held out. Returns losses and figures."""
    patch_imports()
    import torch

    torch.manual_seed(SEED)
    torch.set_num_threads(1)
    model, encode = load(CHECKPOINT)
    held_out, unseen = held_out_scenes(), set(held_out_scenes())
    training_scenes = [scene for scene in all_scenes() if scene not in unseen]
    if scenes:
        training_scenes = training_scenes[:: max(1, len(training_scenes) // scenes)][:scenes]
    features, losses = cache_image_features(model, training_scenes), list[float]()
    with ProgressBars(console) as bars, bars.bar("batches", steps) as bar:
        for loss, of_phrases in judge_steps(model, encode, training_scenes, features, steps):
            losses.append(loss)
            bar.advance()
            if every and len(losses) % every == 0:
                found = evaluate(model, encode, hard_questions(held_out[:_EVALUATED], SEED))
                bars.print_line(f"step {len(losses)}: loss {loss:.3f}, of phrases {of_phrases:.3f}, {found}")
    save(model, out)
    return losses, evaluate(model, encode, hard_questions(held_out, SEED))


def judge_steps(
    model: Any, encode: Encode, scenes: Sequence[VlmScene], features: ImageFeatures, steps: int
) -> Iterator[tuple[float, float]]:
    """Trains the language model; yields the losses of each step: of answers, and of phrases."""
    import torch

    rng, language = np.random.default_rng(SEED), model.model.language_model
    head = torch.nn.Linear(model.config.text_config.hidden_size, 1)
    optimiser, schedule = one_cycle([*language.parameters(), *head.parameters()], _RATE, max(steps, 1))
    answers = torch.tensor([encode("No")[0], encode("Yes")[0]])
    for step in range(steps):
        one_wrong = _FIRST_ONE_WRONG if step < steps / 2 else _ONE_WRONG
        chosen = [scenes[place] for place in rng.integers(len(scenes), size=_ROWS)]
        batch = question_batch(encode, [draw_question(scene, rng, one_wrong) for scene in chosen])
        logits, middle = first_token(model, batch, features(batch.scenes))
        loss = torch.nn.functional.cross_entropy(logits, answers[torch.from_numpy(batch.true).long()])
        row, place = torch.from_numpy(batch.phrases).T
        wrong = torch.from_numpy(batch.wrong)
        phrases = torch.nn.functional.binary_cross_entropy_with_logits(head(middle[row, place]).squeeze(-1), wrong)
        descend(loss + _PHRASES_WEIGHT * phrases, optimiser, schedule)
        yield loss.item(), phrases.item()


def first_token(model: Any, batch: QuestionBatch, features: Any) -> tuple[Any, Any]:
    """Computes the logits of the answers' first tokens, (n, vocabulary), and the second layer's states."""
    import torch

    language, ids = model.model.language_model, torch.from_numpy(batch.ids)
    embedded = language.embed_tokens(ids).masked_scatter((ids == IMAGE_PAD).unsqueeze(-1), features)
    placed = torch.from_numpy(positions(batch.ids[0])).unsqueeze(1).expand(3, len(ids), -1)
    out = language(inputs_embeds=embedded, position_ids=placed, use_cache=False, output_hidden_states=True)
    last = out.last_hidden_state[torch.arange(len(ids)), torch.from_numpy(batch.last)]
    return model.lm_head(last), out.hidden_states[2]


def draw_question(scene: VlmScene, rng: np.random.Generator, one_wrong: float) -> SceneQuestion:
    """Draws a question about a scene: half of them are true, such a share of the others wrong in one attribute."""
    partial = rng.random() < _PARTIAL_SHARE
    stated = tuple(name for name in STATED_ATTRIBUTES if not partial or rng.random() < 0.6)
    if rng.random() < 0.5:
        return SceneQuestion(scene, scene, stated)
    described = changed(scene, stated, rng)
    while rng.random() >= one_wrong:
        described, one_wrong = changed(described, stated, rng), one_wrong + 0.2
    return SceneQuestion(scene, described, stated)


def changed(scene: VlmScene, stated: Sequence[str], rng: np.random.Generator) -> VlmScene:
    """Returns a scene that differs in one attribute: the count, or one of those that are stated."""
    name = str(rng.choice(["count", *stated]))
    taken = {getattr(scene, name), *({scene.colour, scene.background} if name in ("colour", "background") else ())}
    values = [value for value in ATTRIBUTES[name] if value not in taken]
    return dataclasses.replace(scene, **{name: values[int(rng.integers(len(values)))]})


def hard_questions(scenes: Sequence[VlmScene], seed: int) -> list[SceneQuestion]:
    """Two questions about each scene, one true and one wrong in one attribute; half of them state all attributes."""
    rng, questions = np.random.default_rng(seed), list[SceneQuestion]()
    for place, scene in enumerate(scenes):
        stated = tuple(name for name in STATED_ATTRIBUTES if place % 2 or rng.random() < 0.6)
        questions += [SceneQuestion(scene, scene, stated), SceneQuestion(scene, changed(scene, stated, rng), stated)]
    return questions


def question_batch(encode: Encode, questions: Sequence[SceneQuestion]) -> QuestionBatch:
    """Returns questions as a chat template renders them."""
    rows = [encode(_OPENING + question.text + _CLOSING) for question in questions]
    last = np.array([len(row) - 1 for row in rows], np.int64)
    ids = np.full((len(rows), last.max() + 1), _PADDING, np.int64)
    for place, row in enumerate(rows):
        ids[place, : len(row)] = row
    phrases = [(place, *each) for place, question in enumerate(questions) for each in _phrases(encode, question)]
    return QuestionBatch(
        [question.scene for question in questions],
        ids,
        last,
        np.array([not question.wrong for question in questions]),
        np.array([each[:2] for each in phrases], np.int64),
        np.array([each[2] for each in phrases], np.float32),
    )


def _phrases(encode: Encode, question: SceneQuestion) -> Iterator[tuple[int, bool]]:
    """Yields the places of tokens at which a stated attribute is known, and whether it is wrong."""
    caption, at = question.caption, 0
    for name in ("count", *question.stated):
        value = caption.split()[0] if name == "count" else getattr(question.described, name)
        at = caption.index(value, at) + len(value)
        yield len(encode(_OPENING + caption[:at])) - 1, name in question.wrong


def evaluate(model: Any, encode: Encode, questions: Sequence[SceneQuestion]) -> Figures:
    """Asks questions, with a new picture for each."""
    import torch

    rng, scores, true = np.random.default_rng(SEED + 1), list[Floats](), list[NDArray[np.bool_]]()
    no, yes = encode("No")[0], encode("Yes")[0]
    for at in range(0, len(questions), _ROWS):
        batch = question_batch(encode, questions[at : at + _ROWS])
        with torch.no_grad():
            logits = first_token(model, batch, image_features(model, rng, batch.scenes))[0]
        scores.append((logits[:, yes] - logits[:, no]).sigmoid().numpy())
        true.append(batch.true)
    return figures_of(np.concatenate(scores), np.concatenate(true))


def figures_of(scores: Floats, true: NDArray[np.bool_]) -> Figures:
    """Computes the figures of scores, of which some belong to true captions."""
    above = (scores[true][:, None] > scores[~true]).mean() + (scores[true][:, None] == scores[~true]).mean() / 2
    yes = scores >= 0.5
    return Figures(float(above), float(true[yes].mean()) if yes.any() else 0.0, float(yes[true].mean()))


if __name__ == "__main__":
    main()
