"""Where training goes faster ways than transformers, and the check that they lead to the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from pipelines.demo.vlm.batches import GRID, VISUAL_TOKENS, Turns, patchify, positions, seen
from pipelines.demo.vlm.files import SPECIAL_IDS
from pipelines.demo.vlm.scenes import all_scenes


def batch_vision_attention(model: Any) -> None:
    """Have the vision tower attend to all pictures of a batch at once: transformers goes through them one by one.

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

    patches = torch.from_numpy(patchify([seen(scene, np.random.default_rng(0)) for scene in all_scenes()[:2]]))
    grids = torch.tensor([[1, GRID, GRID]] * 2)
    with torch.no_grad():
        theirs = model.model.visual(patches, grid_thw=grids).pooler_output
        qwen.VisionAttention.forward = forward
        ours = model.model.visual(patches, grid_thw=grids).pooler_output
    assert torch.allclose(ours, theirs, atol=1e-4), "the vision tower sees otherwise with batched attention"


def check_forms(model: Any, turns: Turns, tokenizer: Any, folder: Path) -> None:
    """Raise AssertionError where this script's quick ways give other than transformers' own."""
    import torch
    from transformers import AutoImageProcessor

    scenes = all_scenes()[:2]
    batch = turns.plain([[*scenes]], "Hello")
    parts = [{"type": "image"}, {"type": "image"}, {"type": "text", "text": "Hello"}]
    asked = [{"role": "user", "content": parts}]
    text = tokenizer.apply_chat_template(asked, tokenize=False, add_generation_prompt=True)
    text = text.replace("<|image_pad|>", "<|image_pad|>" * VISUAL_TOKENS)
    assert tokenizer.encode(text) == batch.ids[0, : batch.answer_at].tolist(), "the chat template has another form"
    ids = torch.from_numpy(batch.ids)
    kinds = (ids == SPECIAL_IDS["<|image_pad|>"]).int()
    grids = torch.tensor([[1, GRID, GRID]] * 2)
    theirs = model.model.get_rope_index(ids, kinds, image_grid_thw=grids)[0]
    assert (theirs[:, 0].numpy() == positions(batch.ids[0])).all(), "rotary positions differ"
    picture = seen(scenes[0], np.random.default_rng(0))
    made = AutoImageProcessor.from_pretrained(folder)([picture], return_tensors="np")["pixel_values"]
    assert np.abs(made - patchify([picture])).max() < 1e-4, "the image processor makes other patches"
