"""The override of a model's config for flat positions: 0, 1, 2 ... over text and image tokens alike.

Models of the Qwen-VL family have three positions a token (M-RoPE: time, row, column). Some embedding models are run
with one instead, because their released code passes no `position_ids` to the text model: all three axes are then equal,
which is plain rotary embedding. See RzenEmbed (https://github.com/360CVGroup/RzenEmbed), whose vectors of images differ
from those with M-RoPE.
"""

from __future__ import annotations

from typing import Any

_FIELDS = ("rope_parameters", "rope_scaling")  # of transformers 5, and of older ones and of remote code


def flat_positions(config: Any) -> Any:
    """Returns the config with plain rotary embedding in its text model; theta is kept. For vLLM's `hf_overrides`.

    vLLM computes M-RoPE where it finds an `mrope_section`. It also calls this with a config without any rope, to learn
    the type of the model.
    """
    for each in {id(each): each for each in (config, config.get_text_config())}.values():
        rope = next((value for name in _FIELDS if (value := getattr(each, name, None))), None)
        if isinstance(rope, dict) and "mrope_section" in rope:
            theta = rope.get("rope_theta", getattr(each, "rope_theta", None))
            plain = {"rope_type": "default"} | ({} if theta is None else {"rope_theta": theta})
            for name in _FIELDS:
                if getattr(each, name, None):
                    setattr(each, name, dict(plain))
    return config
