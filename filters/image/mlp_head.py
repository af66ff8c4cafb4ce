"""A small network on vectors of images, read from a local file and applied in numpy: a linear layer or several.

Such heads are what aesthetic scores, NSFW and watermark classifiers on CLIP vectors are. A file holds matrices of
weights with their biases; it does not say what stands between them, so `activations` and `output` do. Files: .npz,
.safetensors, and a state dict of torch (.pt, .pth, .bin), which is read by torch, weights only.
"""

from __future__ import annotations

import json
import math
import re
import struct
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from corpus.settings import Settings, SettingsError
from corpus.strict_parse import parse_json
from serving.models import revision_of

Array = npt.NDArray[np.float64]
Activation = Literal["none", "relu"]

MAX_FILE_BYTES = 1 << 30
_SAFETENSORS_TYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2"}
_TORCH_ENDINGS = (".pt", ".pth", ".bin", ".ckpt")
# What readers of damaged files raise; of a header of JSON whose entries are other things than they should be, too.
_DAMAGED = (
    *(OSError, ValueError, KeyError, TypeError, AttributeError, EOFError, NotImplementedError, OverflowError),
    *(MemoryError, RuntimeError, zipfile.BadZipFile, zlib.error, struct.error),
)
_WEIGHT = re.compile(r"(.*?)\.?(?:weights?|kernel)$")
_BIAS = re.compile(r"(.*?)\.?bias(?:es)?$")


class HeadSettings(Settings):
    """Settings of a head: its file, and what stands between its layers."""

    weights: str = Field(
        min_length=1,
        description="The local file of the weights: .safetensors, .npz, or a state dict of torch (.pt, .pth, .bin), "
        "which takes torch.",
    )
    activations: tuple[Activation, ...] = Field(
        ("none",),
        min_length=1,
        description="What follows each layer but the last: none or relu; one entry holds for all of them.",
    )
    output: Literal["none", "sigmoid"] = Field(
        "none", description="What follows the last layer: none, or sigmoid, which gives a probability."
    )
    output_index: int = Field(0, ge=0, description="Which of several outputs is the score.")
    scale: float = Field(
        1.0,
        gt=0,
        description="By what vectors, which have a norm of 1, are multiplied first: for a network that was trained on "
        "vectors that are not normalised, about their norm.",
    )

    @property
    def needs_torch(self) -> bool:
        """Whether the file is read by torch."""
        return Path(self.weights).suffix.lower() in _TORCH_ENDINGS

    def load(self) -> Head:
        """Reads the head. Raises SettingsError for a file that holds none, or does not fit the settings."""
        try:
            arrays = _read_arrays(Path(self.weights))
            return _assemble(arrays, self)
        except _DAMAGED as error:
            raise SettingsError(f"{self.weights}: cannot be read as the weights of a head: {error}") from error

    def identity(self) -> dict[str, Any]:
        """Returns what scores depend on: the file's name and contents, wherever it lies, and the settings."""
        if not Path(self.weights).is_file():
            raise SettingsError(f"{self.weights}: no such file of weights")
        settings = {name: value for name, value in self.canonical().items() if name != "weights"}
        return {**settings, "revision": revision_of(self.weights)}


@dataclass(frozen=True)
class Head:
    """A head that is loaded: layers of weights[in, out] and bias[out]."""

    layers: tuple[tuple[Array, Array], ...]
    activations: tuple[Activation, ...]  # after each layer but the last
    output: Literal["none", "sigmoid"]
    output_index: int
    mean: Array  # that is subtracted from vectors, and by whose deviation they are divided
    deviation: Array
    scale: float = 1.0  # by which vectors are multiplied first

    @property
    def dimension(self) -> int:
        """The numbers of the vectors that it takes."""
        return int(self.layers[0][0].shape[0])

    def scores(self, vectors: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """Returns the score of each vector, float32[n].

        Computed in float64 and rounded once, so that the score of a row does not depend on the rows beside it.
        """
        values = (self.scale * vectors.astype(np.float64) - self.mean) / self.deviation
        for number, (weights, bias) in enumerate(self.layers):
            values = values @ weights + bias
            if number < len(self.activations) and self.activations[number] == "relu":
                values = np.maximum(values, 0)
        score = values[:, self.output_index]
        return (_sigmoid(score) if self.output == "sigmoid" else score).astype(np.float32)


def _sigmoid(values: Array) -> Array:
    small = np.exp(-np.abs(values))
    return np.where(values >= 0, 1, small) / (1 + small)


def _assemble(arrays: Mapping[str, npt.NDArray[Any]], settings: HeadSettings) -> Head:
    """Puts the arrays of a file together, layer after layer in the order of their numbers."""
    weights, others = {}, {}
    for name in sorted(arrays, key=_natural_order):
        array = np.asarray(arrays[name], np.float64)
        found = _WEIGHT.fullmatch(name)
        if found:
            weights[found[1]] = array.reshape(1, -1) if array.ndim == 1 else array
        else:
            others[name] = array
    if not weights:
        raise ValueError(f"no weights among {', '.join(arrays) or 'nothing'}")
    biases = {found[1]: others.pop(name) for name in [*others] if (found := _BIAS.fullmatch(name))}
    layers = tuple((array.T, biases.pop(name, np.zeros(len(array))).reshape(-1)) for name, array in weights.items())
    mean, deviation = _normalisation(others, layers[0][0].shape[0])
    if biases or others:
        raise ValueError(f"arrays that no layer takes: {', '.join([*biases, *others])}")
    _check_shapes(layers, mean, settings)
    between = len(layers) - 1
    activations = settings.activations * between if len(settings.activations) == 1 else settings.activations
    return Head(layers, activations, settings.output, settings.output_index, mean, deviation, settings.scale)


def _normalisation(others: dict[str, Array], dimension: int) -> tuple[Array, Array]:
    """Takes mean and deviation of a layer that normalises its input out of the other arrays; none: 0 and 1."""
    taken = {}
    for name in [*others]:
        last = name.rpartition(".")[2]
        if last in ("mean", "variance"):
            taken[last] = others.pop(name).reshape(-1)
    if len(taken) == 1:
        raise ValueError(f"its input is normalised by a {next(iter(taken))} alone")
    mean = taken.get("mean", np.zeros(dimension))
    return mean, np.sqrt(taken.get("variance", np.ones(dimension)))


def _check_shapes(layers: tuple[tuple[Array, Array], ...], mean: Array, settings: HeadSettings) -> None:
    width = len(mean)
    for number, (weights, bias) in enumerate(layers):
        if weights.ndim != 2 or weights.shape[0] != width or len(bias) != weights.shape[1]:
            shapes = ", ".join(f"{each.shape[0]} → {each.shape[-1]}" for each, _ in layers)
            raise ValueError(f"layer {number + 1} does not take what the one before gives: {shapes}")
        width = weights.shape[1]
    if not all(np.isfinite(weights).all() and np.isfinite(bias).all() for weights, bias in layers):
        raise ValueError("weights that are not finite")
    if settings.output_index >= width:
        raise ValueError(f"output_index {settings.output_index} of {width} outputs")
    if len(settings.activations) not in (1, len(layers) - 1):
        raise ValueError(f"{len(settings.activations)} activations for {len(layers)} layers: give one, or one less")


def _natural_order(name: str) -> list[Any]:
    """Returns a key by which layers.10 comes after layers.2."""
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in re.split(r"(\d+)", name) if part]


def _read_arrays(path: Path) -> Mapping[str, npt.NDArray[Any]]:
    """Reads all arrays of a file, by their names."""
    if path.stat().st_size > MAX_FILE_BYTES:
        raise ValueError(f"larger than {MAX_FILE_BYTES >> 20} MiB: no head")
    readers: dict[str, Callable[[Path], Mapping[str, npt.NDArray[Any]]]] = {
        ".npz": _read_npz,
        ".safetensors": _read_safetensors,
        **dict.fromkeys(_TORCH_ENDINGS, _read_torch),
    }
    if path.suffix.lower() not in readers:
        raise ValueError(f"its name ends in none of {', '.join(readers)}")
    return readers[path.suffix.lower()](path)


def _read_npz(path: Path) -> Mapping[str, npt.NDArray[Any]]:
    with np.load(path, allow_pickle=False) as file:
        return dict(file)


def _read_safetensors(path: Path) -> Mapping[str, npt.NDArray[Any]]:
    """Reads the format: 8 bytes that count those of a JSON header, that header, then the arrays."""
    data = path.read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    if not 8 < start <= len(data):
        raise ValueError("no header of safetensors")
    header = parse_json(data[8:start])
    arrays = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        if entry["dtype"] not in _SAFETENSORS_TYPES:
            raise ValueError(f"{name} is of type {entry['dtype']}, not one of {', '.join(_SAFETENSORS_TYPES)}")
        first, last = entry["data_offsets"]
        numbers = np.frombuffer(data[start + first : start + last], _SAFETENSORS_TYPES[entry["dtype"]])
        if numbers.size != math.prod(entry["shape"]):
            raise ValueError(f"{name} has {numbers.size} numbers, not those of the shape {json.dumps(entry['shape'])}")
        if entry["dtype"] == "BF16":  # the upper half of a float32
            numbers = (numbers.astype(np.uint32) << 16).view(np.float32)
        arrays[name] = numbers.reshape(entry["shape"])
    return arrays


def _read_torch(path: Path) -> Mapping[str, npt.NDArray[Any]]:
    try:
        import torch
    except ImportError as error:
        raise ValueError(f"{error}: a state dict of torch is read by torch; save it as .safetensors or .npz") from error
    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # of a damaged pickle torch raises anything
        raise ValueError(str(error)) from error
    state = loaded.get("state_dict", loaded) if isinstance(loaded, dict) else None
    if not isinstance(state, dict) or not all(isinstance(each, torch.Tensor) for each in state.values()):
        raise ValueError("it holds no state dict of tensors")
    return {name: tensor.double().numpy() for name, tensor in state.items()}
