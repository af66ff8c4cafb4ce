"""Heads are read from every kind of file, and give what the formula of their layers gives."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from corpus.settings import SettingsError
from filters.image.mlp_head import HeadSettings

RNG = np.random.default_rng(3)
VECTORS = RNG.normal(size=(9, 12)).astype(np.float16)
SHAPES = [(5, 12), (7, 5), (1, 7)]


def layers(shapes: list[tuple[int, int]] = SHAPES) -> dict[str, np.ndarray]:
    """Named as torch names those of a Sequential with other modules between them."""
    arrays: dict[str, np.ndarray] = {}
    for number, (rows, columns) in zip((0, 2, 10), shapes, strict=False):
        arrays[f"layers.{number}.weight"] = RNG.normal(size=(rows, columns)).astype(np.float32)
        arrays[f"layers.{number}.bias"] = RNG.normal(size=rows).astype(np.float32)
    return arrays


def safetensors(arrays: dict[str, np.ndarray]) -> bytes:
    types = {"float32": "F32", "float16": "F16", "float64": "F64", "uint16": "BF16"}
    header, data = {"__metadata__": {"format": "pt"}}, b""
    for name, array in reversed(arrays.items()):  # the order of layers is that of their numbers
        end = len(data) + array.nbytes
        header[name] = {"dtype": types[str(array.dtype)], "shape": list(array.shape), "data_offsets": [len(data), end]}  # type: ignore[assignment]
        data += array.tobytes()
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


def saved(folder: Path, arrays: dict[str, np.ndarray], name: str = "head.npz") -> str:
    path = folder / name
    if path.suffix == ".npz":
        np.savez(path, **arrays)  # type: ignore[arg-type]
    else:
        path.write_bytes(safetensors(arrays))
    return str(path)


def by_hand(arrays: dict[str, np.ndarray], relu: tuple[bool, bool], vectors: np.ndarray = VECTORS) -> np.ndarray:
    values = vectors.astype(np.float64)
    for number, follows in zip((0, 2, 10), (*relu, False), strict=True):
        values = values @ arrays[f"layers.{number}.weight"].T.astype(np.float64) + arrays[f"layers.{number}.bias"]
        values = np.maximum(values, 0) if follows else values
    return values[:, 0]


@pytest.mark.parametrize("name", ["head.npz", "head.safetensors"])
def test_scores_are_those_of_the_layers(tmp_path: Path, name: str) -> None:
    arrays = layers()
    path = saved(tmp_path, arrays, name)
    for activations, relu in (
        (("none",), (False, False)),
        (("relu",), (True, True)),
        (("relu", "none"), (True, False)),
    ):
        head = HeadSettings(weights=path, activations=activations).load()
        assert head.dimension == 12
        found = head.scores(VECTORS)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, by_hand(arrays, relu), rtol=1e-6)
        assert [head.scores(VECTORS[n : n + 1])[0] for n in range(9)] == found.tolist(), "of a row, whatever beside it"
    logits = by_hand(arrays, (True, True))
    found = HeadSettings(weights=path, activations=("relu",), output="sigmoid").load().scores(VECTORS)
    np.testing.assert_allclose(found, 1 / (1 + np.exp(-logits)), rtol=1e-6)


def test_a_linear_head_with_other_names_and_several_outputs(tmp_path: Path) -> None:
    weights, biases = RNG.normal(size=(2, 12)), RNG.normal(size=2)
    path = saved(tmp_path, {"weights": weights, "biases": biases})
    for index in range(2):
        found = HeadSettings(weights=path, output="sigmoid", output_index=index).load().scores(VECTORS)
        expected = 1 / (1 + np.exp(-(VECTORS.astype(np.float64) @ weights.T + biases)[:, index]))
        np.testing.assert_allclose(found, expected, rtol=1e-6)
    flat = saved(tmp_path, {"weight": weights[0]}, "flat.npz")  # without a bias
    expected = VECTORS.astype(np.float64) @ weights[0]
    np.testing.assert_allclose(HeadSettings(weights=flat).load().scores(VECTORS), expected, rtol=1e-6)
    np.testing.assert_allclose(HeadSettings(weights=flat, scale=10).load().scores(VECTORS), 10 * expected, rtol=1e-6)


def test_the_input_is_normalised_where_the_file_has_mean_and_variance(tmp_path: Path) -> None:
    mean, variance = RNG.normal(size=12), RNG.uniform(0.5, 2, 12)
    arrays = layers()
    path = saved(tmp_path, {"norm.mean": mean, "norm.variance": variance, **arrays})
    vectors = (VECTORS.astype(np.float64) - mean) / np.sqrt(variance)
    found = HeadSettings(weights=path, activations=("relu",)).load().scores(VECTORS)
    np.testing.assert_allclose(found, by_hand(arrays, (True, True), vectors), rtol=1e-5)


def test_half_precision_is_read(tmp_path: Path) -> None:
    weights = RNG.normal(size=(1, 12)).astype(np.float32)
    half = saved(tmp_path, {"weight": weights.astype(np.float16)}, "half.safetensors")
    found = HeadSettings(weights=half).load().scores(VECTORS)
    np.testing.assert_allclose(found, VECTORS.astype(np.float64) @ weights.astype(np.float16)[0], rtol=1e-6)
    upper = (weights.view(np.uint32) >> 16).astype(np.uint16)  # bfloat16
    path = saved(tmp_path, {"weight": upper}, "brain.safetensors")
    expected = (upper.astype(np.uint32) << 16).view(np.float32)
    found = HeadSettings(weights=path).load().scores(VECTORS)
    np.testing.assert_allclose(found, VECTORS.astype(np.float64) @ expected[0], rtol=1e-6)


def test_what_is_no_head_is_refused(tmp_path: Path) -> None:
    good = layers()
    truncated = tmp_path / "short.safetensors"
    truncated.write_bytes(safetensors(good)[:-40])
    junk = tmp_path / "junk.npz"
    junk.write_bytes(b"no archive")
    bad = [
        (str(tmp_path / "absent.npz"), {}, "No such file"),
        (str(truncated), {}, "not those of the shape"),
        (str(junk), {}, "cannot be read"),
        (saved(tmp_path, {"bias": np.ones(3)}, "a.npz"), {}, "no weights among bias"),
        (saved(tmp_path, layers([(5, 12), (7, 6), (1, 7)]), "b.npz"), {}, "layer 2 does not take"),
        (saved(tmp_path, {**good, "layers.3.running": np.ones(3)}, "c.npz"), {}, "layers.3.running"),
        (saved(tmp_path, {**good, "norm.mean": np.ones(12)}, "d.npz"), {}, "by a mean alone"),
        (saved(tmp_path, {"weight": np.full((1, 4), np.nan)}, "e.npz"), {}, "not finite"),
        (saved(tmp_path, good, "f.npz"), {"output_index": 1}, "output_index 1 of 1"),
        (saved(tmp_path, good, "g.npz"), {"activations": ("relu",) * 3}, "3 activations for 3 layers"),
        (saved(tmp_path, good, "head.txt"), {}, "ends in none of"),
    ]
    for path, settings, message in bad:
        with pytest.raises(SettingsError, match=f"{re.escape(path)}.*{message}"):
            HeadSettings(weights=path, **settings).load()


@pytest.mark.parametrize("name", ["head.npz", "packed.npz", "head.safetensors"])
def test_damage_is_a_fault_of_the_file_and_nothing_else(tmp_path: Path, name: str) -> None:
    arrays = layers()
    path = tmp_path / name
    if name == "packed.npz":
        np.savez_compressed(path, **arrays)  # type: ignore[arg-type]
    else:
        saved(tmp_path, arrays, name)
    good, rng = path.read_bytes(), np.random.default_rng(1)
    refused = 0
    for _ in range(300):
        damaged = bytearray(good[: int(rng.integers(1, len(good) + 1))] if rng.random() < 0.3 else good)
        for _ in range(int(rng.integers(0, 4))):
            damaged[int(rng.integers(min(len(damaged), 700)))] = int(rng.integers(256))
        path.write_bytes(damaged)
        try:
            HeadSettings(weights=str(path)).load()
        except SettingsError as error:
            refused += str(path) in str(error)
    assert refused > 100


def test_the_identity_is_that_of_the_contents(tmp_path: Path) -> None:
    arrays = layers()
    one, same = saved(tmp_path, arrays, "one/head.safetensors".replace("/", "-")), tmp_path / "more"
    same.mkdir()
    other = saved(same, arrays, Path(one).name)
    assert HeadSettings(weights=one).identity() == HeadSettings(weights=other).identity()
    changed = saved(same, {**arrays, "layers.0.bias": arrays["layers.0.bias"] + 1}, Path(one).name)
    assert HeadSettings(weights=one).identity() != HeadSettings(weights=changed).identity()
    assert HeadSettings(weights=one).identity() != HeadSettings(weights=one, output="sigmoid").identity()
    with pytest.raises(SettingsError, match="no such file of weights"):
        HeadSettings(weights=str(tmp_path / "absent.npz")).identity()
