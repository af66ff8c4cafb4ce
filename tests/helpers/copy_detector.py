"""A small copy detector like SSCD, trained for a minute on drawn scenes: crops of a picture are near to it."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from demo.images.scenes import draw_marks, random_scene

DIMENSION, SIDE = 64, 48
_POOL, _BATCH, _STEPS = 768, 96, 240

Picture = npt.NDArray[np.uint8]


def scenes(count: int, seed: int) -> list[Picture]:
    """Drawn scenes, BGR; those of another seed show other things at other places."""
    rng = np.random.default_rng(seed)
    return [draw_marks(random_scene(rng), rng).pixels for _ in range(count)]


def cropped(picture: Picture, rng: np.random.Generator, area: float) -> Picture:
    """A part of a picture somewhere in it, of its form."""
    height, width = picture.shape[:2]
    new_height, new_width = (int(side * area**0.5) for side in (height, width))
    top, left = int(rng.integers(height - new_height + 1)), int(rng.integers(width - new_width + 1))
    return picture[top : top + new_height, left : left + new_width]


def write_copy_detector(path: Path, seed: int = 3) -> Path:
    """Trains a network to tell two crops of one scene from crops of others (InfoNCE); writes it as TorchScript."""
    import torch
    from torch import nn

    class Normalised(nn.Module):
        def forward(self, values: torch.Tensor) -> torch.Tensor:
            return nn.functional.normalize(values)

    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # more of them wait for each other where a machine is busy
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    layers: list[nn.Module] = []
    for before, after in ((3, 32), (32, 64), (64, 96), (96, 128)):
        layers += [nn.Conv2d(before, after, 3, stride=2, padding=1), nn.BatchNorm2d(after), nn.ReLU()]
    network = nn.Sequential(*layers, nn.Flatten(), nn.Linear(128 * 9, DIMENSION), Normalised())
    optimizer = torch.optim.AdamW(network.parameters(), lr=2e-3)
    pool = [cv2.resize(each, (160, 160), interpolation=cv2.INTER_AREA) for each in scenes(_POOL, seed + 1000)]
    for _ in range(_STEPS):
        chosen = rng.choice(_POOL, _BATCH, replace=False)
        one, other = (network(_inputs([_view(pool[at], rng) for at in chosen])) for _ in range(2))
        scores = one @ other.T / 0.05
        target = torch.arange(_BATCH)
        loss = nn.functional.cross_entropy(scores, target) + nn.functional.cross_entropy(scores.T, target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    torch.set_num_threads(threads)
    network.eval()
    torch.jit.trace(network, torch.zeros(1, 3, SIDE, SIDE)).save(str(path))
    return path


def _view(picture: Picture, rng: np.random.Generator) -> Picture:
    part = cropped(picture, rng, rng.uniform(0.7, 1.0))
    return cv2.resize(part, (SIDE, SIDE), interpolation=cv2.INTER_AREA)


def _inputs(pictures: list[Picture]):  # type: ignore[no-untyped-def]
    import torch

    values = np.stack(pictures)[..., ::-1].astype(np.float32) / 255
    mean, deviation = np.array([0.485, 0.456, 0.406], np.float32), np.array([0.229, 0.224, 0.225], np.float32)
    return torch.from_numpy(((values - mean) / deviation).transpose(0, 3, 1, 2).copy())
