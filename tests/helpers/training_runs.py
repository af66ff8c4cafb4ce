"""Short runs of the scripts that train the test models."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path


def assert_training(
    script: str, few: Sequence[str], checkpoint: Path, folder: Path, weights: str = "model.safetensors"
) -> None:
    """Trains twice on a few scenes (options `few`): the loss falls, and both runs have the same weights, no others'."""
    outputs = [_train(script, few, folder / name) for name in ("one", "two")]
    losses = re.search(r"loss (\d+\.\d+) at first, (\d+\.\d+) at last", outputs[0])
    assert losses is not None, outputs[0]
    assert float(losses[2]) < float(losses[1]) - 0.5
    one, two = ((folder / name / weights).read_bytes() for name in ("one", "two"))
    assert one == two != (checkpoint / weights).read_bytes()


def _train(script: str, few: Sequence[str], folder: Path) -> str:
    command = [sys.executable, "-m", script, "--out", str(folder), *few]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
