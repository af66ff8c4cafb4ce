"""Heads on vectors read the state dicts that torch writes, and safetensors as its own library writes them."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from corpus.settings import SettingsError
from filters.image.mlp_head import HeadSettings
from tests.helpers.extras import installed_or_skip

installed_or_skip("torch", "safetensors")


def test_the_detector_of_laion_gives_what_torch_gives_from_every_file(tmp_path: Path) -> None:
    """Layers, names and activations as LAION's detector for ViT-H/14 has them, but narrow, with random weights."""
    import torch
    from safetensors.torch import save_file
    from torch import nn

    torch.manual_seed(1)
    widths = [24, 32, 48, 32, 16, 12, 8]
    modules: list[nn.Module] = []
    for number, (before, after) in enumerate(pairwise(widths)):
        modules += [nn.Linear(before, after)] + ([nn.ReLU(), nn.Dropout(0.2)] if number < 5 else [])
    network = nn.ModuleDict({"layers": nn.Sequential(*modules, nn.Linear(widths[-1], 1))}).eval()
    for parameter in network.parameters():
        if parameter.ndim == 2:
            nn.init.kaiming_normal_(parameter)
    vectors = nn.functional.normalize(torch.randn(40, widths[0])).half()
    with torch.inference_mode():
        expected = network["layers"].double()(vectors.double())[:, 0].numpy()
    state = {name: tensor.float() for name, tensor in network.state_dict().items()}
    torch.save(state, tmp_path / "head.pth")
    torch.save({"state_dict": state, "epoch": 3}, tmp_path / "checkpoint.pt")
    save_file(state, tmp_path / "head.safetensors")
    save_file({name: each.bfloat16() for name, each in state.items()}, tmp_path / "brain.safetensors")
    for name, tolerance in (
        ("head.pth", 1e-5),
        ("checkpoint.pt", 1e-5),
        ("head.safetensors", 1e-5),
        ("brain.safetensors", 0.03),
    ):
        chosen = HeadSettings(weights=str(tmp_path / name), activations=("relu",) * 5 + ("none",))
        np.testing.assert_allclose(chosen.load().scores(vectors.numpy()), expected, atol=tolerance, err_msg=name)
    assert float(np.std(expected)) > 0.1


def test_pickled_code_is_not_run(tmp_path: Path) -> None:
    import torch

    class Harmful:
        def __reduce__(self) -> tuple[object, ...]:
            return Path.write_text, (tmp_path / "ran", "yes")

    torch.save({"weight": Harmful()}, tmp_path / "head.pth")
    with pytest.raises(SettingsError, match="cannot be read as the weights of a head"):
        HeadSettings(weights=str(tmp_path / "head.pth")).load()
    assert not (tmp_path / "ran").exists()
