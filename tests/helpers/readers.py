"""What tests of the readers of trainers share: images as arrays, wids without torch, `datasets` without a network."""

from __future__ import annotations

import io
import sys
import types
from typing import Any, Generic, TypeVar

import numpy as np
import pytest
from PIL import Image

from tests.helpers.extras import installed_or_skip

T = TypeVar("T")


def rgb_pixels(content: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))


class Base(Generic[T]):
    pass


def stub_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give wids the two base classes and the module that it wants of torch; to read, it uses nothing of them."""
    names = ("torch", "torch.distributed", "torch.utils", "torch.utils.data")
    for name in names:
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    data: Any = sys.modules["torch.utils.data"]
    data.Dataset, data.Sampler = Base, Base


def offline_datasets(monkeypatch: pytest.MonkeyPatch, reads_card: bool = False) -> Any:
    """Hugging Face's `datasets` without a network; wholly offline it reads no folder's card."""
    installed_or_skip("datasets")
    import datasets

    for flag in ("HF_HUB_OFFLINE",) if reads_card else ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE"):
        monkeypatch.setattr(datasets.config, flag, True)
    return datasets
