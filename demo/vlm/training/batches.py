"""Makes the training batches of the test VLM: patches of pictures, and conversations about them as tokens."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from corpus.image.decode import Pixels
from demo.vlm.scenes import VlmScene, all_scenes, draw_shapes
from demo.vlm.training.checkpoint_files import COPIES, JOINT, MEAN, MERGE, PATCH_PX, SIDE_PX, SPECIAL_IDS, STD

TokenIds = NDArray[np.int64]
Encode = Callable[[str], list[int]]

GRID = SIDE_PX // PATCH_PX  # patches along a side
VISUAL_TOKENS = (GRID // MERGE) ** 2
_TOKENS_PER_BATCH = 4000
_MAX_ROWS = 48

# Long and short, with and without a hint: the caption must not depend on them.
PROMPTS = (
    "",
    "Describe this image.",
    "Describe the image in one short sentence.",
    "Describe this image in detail.",
    "Describe these frames of a video in order.",
    "These are frames of one clip. Describe what happens.",
    "What is in the picture?",
    "What do you see? Answer with a caption and nothing else.",
    "Write a caption for this picture: the objects, their colours, sizes and positions, and the background.",
    "Write a caption of this image. Its alt text reads: IMG_2041.JPG holiday sale",
    "Caption this photo as for a search engine, with all visible objects, attributes, relations and any text in it.",
    "Provide a detailed description of the document shown. Transcribe its title and headings.",
    "You are given a chart. Say what its axes show, and what stands out.",
    "caption",
)


@dataclass(frozen=True)
class Batch:
    """A batch. Its rows have the same length and the same positions of pictures and answers."""

    scenes_of_rows: list[list[VlmScene]]  # what each row's pictures show
    ids: TokenIds  # (rows, length): prompt, answer, padding
    positions: TokenIds  # (3, length): time, height and width, as Qwen2-VL's rotary embedding counts them
    answer_at: int  # index of the answer's first token
    padding: int  # the token after an answer's end

    @property
    def scenes(self) -> list[VlmScene]:
        """The scenes of the pictures, in the order of `ids`."""
        return [scene for scenes in self.scenes_of_rows for scene in scenes]

    @property
    def answers(self) -> TokenIds:
        """The tokens of the answers: (rows, longest answer)."""
        return self.ids[:, self.answer_at :]


def patchify(pictures: Sequence[Pixels]) -> NDArray[np.float32]:
    """Computes the patches of Qwen2-VL's image processor for pictures of SIDE_PX × SIDE_PX.

    (pictures × GRID², 3 × COPIES × PATCH_PX²): patches in the order in which the vision tower merges them.
    """
    levels = np.stack(pictures).astype(np.float32) / 255
    levels = (levels - np.array(MEAN, np.float32)) / np.array(STD, np.float32)
    blocks = levels.reshape(len(pictures), GRID // MERGE, MERGE, PATCH_PX, GRID // MERGE, MERGE, PATCH_PX, 3)
    blocks = blocks.transpose(0, 1, 4, 2, 5, 7, 3, 6).reshape(-1, 3, 1, PATCH_PX**2)
    return np.repeat(blocks, COPIES, axis=2).reshape(len(blocks), -1).astype(np.float32, copy=False)


def input_picture(scene: VlmScene, rng: np.random.Generator) -> Pixels:
    """Draws a scene at the model's size, or draws it larger and scales it, sometimes through a JPEG."""
    if rng.random() < 0.4:
        return draw_shapes(scene, rng, SIDE_PX)
    picture = draw_shapes(scene, rng, 2 * SIDE_PX)
    if rng.random() < 0.4:
        quality = int(rng.integers(75, 96))
        jpeg = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        picture = np.asarray(cv2.imdecode(jpeg, cv2.IMREAD_COLOR), np.uint8)[..., ::-1]
    how = (cv2.INTER_AREA, cv2.INTER_CUBIC, cv2.INTER_LINEAR)[int(rng.integers(3))]
    return cv2.resize(np.ascontiguousarray(picture), (SIDE_PX, SIDE_PX), interpolation=how).astype(np.uint8)


def answer(scenes: Iterable[VlmScene]) -> str:
    """Returns the expected answer: the caption of one picture; of several, in order, with one full stop at the end."""
    return JOINT.join(scene.caption.removesuffix(".") for scene in scenes) + "."


class BatchMaker:
    """The maker of batches. `encode` turns a text into tokens."""

    def __init__(self, encode: Encode, scenes: Sequence[VlmScene], rng: np.random.Generator) -> None:
        self._encode, self._scenes, self._rng = encode, scenes, rng
        self._prompts = [encode(prompt) for prompt in PROMPTS]

    def batch(self, pictures: int = 1) -> Batch:
        """Returns a random batch, with prompts of one length."""
        before, after = self._around(self._lengths())
        length = len(before[0]) + len(after[0]) + (VISUAL_TOKENS + 20) * pictures
        rows = int(np.clip(_TOKENS_PER_BATCH // length, 8, _MAX_ROWS))
        chosen = self._rng.integers(len(self._scenes), size=(rows, pictures))
        scenes_of_rows = [[self._scenes[index] for index in row] for row in chosen]
        return self.batch_of(scenes_of_rows, before[:rows], after[:rows])

    def batch_of(self, scenes_of_rows: list[list[VlmScene]], before: list[list[int]], after: list[list[int]]) -> Batch:
        """Returns a batch of these scenes; `before`, `after`: tokens around the pictures, each of one length."""
        images = [SPECIAL_IDS["<|vision_start|>"], *[SPECIAL_IDS["<|image_pad|>"]] * VISUAL_TOKENS]
        images = [*images, SPECIAL_IDS["<|vision_end|>"]] * len(scenes_of_rows[0])
        opening = self._encode("<|im_end|>\n<|im_start|>assistant\n")
        answers = [[*self._encode(answer(scenes)), SPECIAL_IDS["<|im_end|>"]] for scenes in scenes_of_rows]
        longest = max(map(len, answers))
        padding = SPECIAL_IDS["<|endoftext|>"]
        rows = [
            [*lead, *images, *tail, *opening, *reply, *[padding] * (longest - len(reply))]
            for lead, tail, reply in zip(before, after, answers, strict=False)
        ]
        ids = np.array(rows, np.int64)
        return Batch(scenes_of_rows, ids, positions(ids[0]), ids.shape[1] - longest, padding)

    def batch_with_prompt(self, scenes_of_rows: list[list[VlmScene]], prompt: str) -> Batch:
        """Returns a batch of these scenes with this prompt after the pictures of each row."""
        return self.batch_of(
            scenes_of_rows, [self._user()] * len(scenes_of_rows), [self._encode(prompt)] * len(scenes_of_rows)
        )

    def _user(self) -> list[int]:
        return self._encode("<|im_start|>user\n")

    def _lengths(self) -> tuple[int, int]:
        """Draws the number of tokens before and after the pictures: mostly few, rarely hundreds."""
        before = int(self._rng.integers(1, 30)) if self._rng.random() < 0.25 else 0
        longest = self._rng.choice([4, 30, 90, 250], p=[0.15, 0.55, 0.22, 0.08])
        return before, int(self._rng.integers(0, longest))

    def _around(self, lengths: tuple[int, int]) -> tuple[list[list[int]], list[list[int]]]:
        """Returns the tokens before and after the pictures of each row: one prompt for all, or a text for each."""
        rng, rows = self._rng, range(_MAX_ROWS)
        if rng.random() < 0.4:
            prompt = self._prompts[int(rng.integers(len(self._prompts)))]
            return [self._user()] * len(rows), [prompt] * len(rows)
        first, last = lengths
        before = [self._user() for _ in rows]
        if first and rng.random() < 0.5:
            system, done = self._encode("<|im_start|>system\n"), self._encode("<|im_end|>\n")
            before = [[*system, *self._text(first), *done, *self._user()] for _ in rows]
        elif first:
            before = [[*self._user(), *self._text(first)] for _ in rows]
        return before, [self._text(last) for _ in rows]

    def _text(self, length: int) -> list[int]:
        """Returns `length` tokens of prompts, captions of other scenes, and noise."""
        rng, tokens = self._rng, list[int]()
        while len(tokens) < length:
            kind = rng.random()
            if kind < 0.4:
                tokens += self._prompts[int(rng.integers(len(self._prompts)))]
            elif kind < 0.6:
                tokens += self._encode(self._scenes[int(rng.integers(len(self._scenes)))].caption)
            else:
                tokens += self._encode("".join(map(chr, rng.integers(32, 127, size=int(rng.integers(3, 20))))))
        start = int(rng.integers(0, len(tokens) - length + 1))
        return tokens[start : start + length]


def positions(ids: TokenIds) -> TokenIds:
    """Computes the rotary positions of a row: text counts up, a picture's tokens share a time and have row and column.

    (3, length), as `Qwen2VLModel.get_rope_index` computes them for pictures of SIDE_PX × SIDE_PX.
    """
    side = GRID // MERGE
    rows, columns = np.divmod(np.arange(VISUAL_TOKENS), side)
    grid = np.stack([np.zeros_like(rows), rows, columns])
    pieces, at, index = [], 0, 0
    while index < len(ids):
        if ids[index] == SPECIAL_IDS["<|image_pad|>"]:
            pieces.append(grid + at)
            at, index = at + side, index + VISUAL_TOKENS
        else:
            pieces.append(np.full((3, 1), at))
            at, index = at + 1, index + 1
    return np.concatenate(pieces, axis=1)


def batch_vision_attention(model: Any) -> None:
    """Makes the vision tower attend to all pictures of a batch at once: transformers processes them one by one.

    Right only where all are of SIDE_PX × SIDE_PX, as here. Raises AssertionError where the tower then sees otherwise.
    """
    import torch
    from transformers.models.qwen2_vl import modeling_qwen2_vl as qwen

    def forward(self: Any, hidden_states: Any, position_embeddings: Any, **_: Any) -> Any:
        count = len(hidden_states)
        query, key, value = self.qkv(hidden_states).view(count, 3, self.num_heads, -1).unbind(1)
        query, key = qwen.apply_rotary_pos_emb_vision(query, key, *position_embeddings)
        parts = (each.view(-1, GRID**2, *each.shape[1:]).transpose(1, 2) for each in (query, key, value))
        mixed = torch.nn.functional.scaled_dot_product_attention(*parts)
        return self.proj(mixed.transpose(1, 2).reshape(count, -1))

    patches = torch.from_numpy(patchify([input_picture(scene, np.random.default_rng(0)) for scene in all_scenes()[:2]]))
    grids = torch.tensor([[1, GRID, GRID]] * 2)
    with torch.no_grad():
        reference = model.model.visual(patches, grid_thw=grids).pooler_output
        qwen.VisionAttention.forward = forward
        ours = model.model.visual(patches, grid_thw=grids).pooler_output
    assert torch.allclose(ours, reference, atol=1e-4), "the vision tower sees otherwise with batched attention"


def check_forms(model: Any, turns: BatchMaker, tokenizer: Any, folder: Path) -> None:
    """Raises AssertionError where this script's quick ways give other than transformers' own."""
    import torch
    from transformers import AutoImageProcessor

    scenes = all_scenes()[:2]
    batch = turns.batch_with_prompt([[*scenes]], "Hello")
    parts = [{"type": "image"}, {"type": "image"}, {"type": "text", "text": "Hello"}]
    messages = [{"role": "user", "content": parts}]
    text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    text = text.replace("<|image_pad|>", "<|image_pad|>" * VISUAL_TOKENS)
    assert tokenizer.encode(text) == batch.ids[0, : batch.answer_at].tolist(), "the chat template has another form"
    ids = torch.from_numpy(batch.ids)
    kinds = (ids == SPECIAL_IDS["<|image_pad|>"]).int()
    grids = torch.tensor([[1, GRID, GRID]] * 2)
    reference = model.model.get_rope_index(ids, kinds, image_grid_thw=grids)[0]
    assert (reference[:, 0].numpy() == positions(batch.ids[0])).all(), "rotary positions differ"
    picture = input_picture(scenes[0], np.random.default_rng(0))
    patches = AutoImageProcessor.from_pretrained(folder)([picture], return_tensors="np")["pixel_values"]
    assert np.abs(patches - patchify([picture])).max() < 1e-4, "the image processor makes other patches"
