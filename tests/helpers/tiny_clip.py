"""A tiny CLIP of random weights in a folder, as open_clip reads it from there."""

from __future__ import annotations

import json
from pathlib import Path

DIMENSION, CONTEXT = 12, 10
MODEL = {
    "embed_dim": DIMENSION,
    "vision_cfg": {"image_size": 32, "layers": 1, "width": 32, "patch_size": 16, "head_width": 16},
    "text_cfg": {"context_length": CONTEXT, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1},
}


def write_tiny_clip(root: Path, seed: int = 11) -> Path:
    """Writes configuration and weights; returns the folder."""
    import open_clip
    import torch

    torch.manual_seed(seed)
    model = open_clip.CLIP(**MODEL)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    (root / "open_clip_config.json").write_text(json.dumps({"model_cfg": MODEL, "preprocess_cfg": {}}))
    torch.save(model.state_dict(), root / "open_clip_pytorch_model.bin")
    return root
