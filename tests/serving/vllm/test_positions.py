"""Flat positions in configs as transformers 5 and older ones keep them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from serving.vllm.positions import flat_positions

SECTIONS = {"mrope_section": [16, 24, 24]}


class Config(SimpleNamespace):
    """A config with a text model's config, or its own."""

    def get_text_config(self) -> Any:
        return getattr(self, "text_config", self)


def test_only_the_sections_go() -> None:
    cases = [
        (
            "transformers 5",
            Config(text_config=Config(rope_parameters={**SECTIONS, "rope_type": "default", "rope_theta": 1e6})),
            {"rope_parameters": {"rope_type": "default", "rope_theta": 1e6}},
        ),
        (
            "older, one config",
            Config(rope_theta=1e6, rope_scaling={**SECTIONS, "type": "mrope"}),
            {"rope_theta": 1e6, "rope_scaling": {"rope_type": "default", "rope_theta": 1e6}},
        ),
        (
            "no sections",
            Config(rope_parameters={"rope_type": "yarn", "rope_theta": 5.0, "factor": 2.0}),
            {"rope_parameters": {"rope_type": "yarn", "rope_theta": 5.0, "factor": 2.0}},
        ),
        ("no rope", Config(hidden_size=3), {"hidden_size": 3}),
    ]
    for name, config, expected in cases:
        assert flat_positions(config) is config
        assert vars(config.get_text_config()) == expected, name
