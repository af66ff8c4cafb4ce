"""Encoder `torchscript` gives the vectors of a scripted network, whose input is what torchvision's transforms make."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from corpus.settings import SettingsError
from mining.encoders.torchscript import TorchScriptSettings
from serving.request import BackendError, EmbedRequest, ModelResponse, Pixels
from serving.vllm.torchvision_shim import patch_imports
from tests.helpers.extras import installed_or_skip

installed_or_skip("torch")
patch_imports()

DIMENSION, SIDE = 12, 32


@pytest.fixture(scope="module")
def network_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny network with the interface of SSCD: pixels in, a vector of norm 1 out."""
    import torch

    class Normalised(torch.nn.Module):
        def forward(self, values: torch.Tensor) -> torch.Tensor:
            return torch.nn.functional.normalize(values)

    torch.manual_seed(5)
    body = [torch.nn.Conv2d(3, 8, 5, stride=4), torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(2), torch.nn.Flatten()]
    network = torch.nn.Sequential(*body, torch.nn.Linear(32, DIMENSION), Normalised()).eval()
    path = tmp_path_factory.mktemp("torchscript") / "copies.torchscript.pt"
    torch.jit.trace(network, torch.zeros(1, 3, SIDE, SIDE)).save(str(path))
    return path


def settings(path: Path, **changes: Any) -> TorchScriptSettings:
    values = {"kind": "torchscript", "path": str(path), "dimension": DIMENSION, "side_px": SIDE, "device": "cpu"}
    return TorchScriptSettings(**(values | changes))


def responses(chosen: TorchScriptSettings, *requests: EmbedRequest) -> list[ModelResponse[Any]]:
    client = chosen.encoder().open()
    try:
        return [future.result(120) for future in [client.submit(request) for request in requests]]
    finally:
        client.close()


def image(seed: int, width: int = 90, height: int = 61) -> Pixels:
    small = np.random.default_rng(seed).integers(0, 256, (8, 12, 3), np.uint8)
    return np.ascontiguousarray(small.repeat(8, 0).repeat(8, 1)[:height, :width])


def expected_vectors(path: Path, images: list[Pixels], resize: str) -> np.ndarray:
    """What the network itself gives, one image at a time, through torchvision."""
    import torch
    from PIL import Image
    from torchvision import transforms

    sizes = [transforms.Resize(SIDE), transforms.CenterCrop(SIDE)]
    sizes = sizes if resize == "crop" else [transforms.Resize([SIDE, SIDE])]
    normalise = transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    prepare = transforms.Compose([*sizes, transforms.ToTensor(), normalise])
    network = torch.jit.load(str(path))
    with torch.inference_mode():
        found = [network(prepare(Image.fromarray(each))[None])[0] for each in images]
    return torch.stack(found).numpy()


@pytest.mark.parametrize("resize", ["stretch", "crop"])
def test_vectors_are_the_networks_in_any_order_and_batch(network_file: Path, resize: str) -> None:
    images = [
        image(seed, width, height) for seed, (width, height) in enumerate([(90, 61), (40, 64), (33, 33), (96, 32)])
    ]
    expected = expected_vectors(network_file, images, resize)
    assert np.abs(expected[0] - expected[1]).max() > 0.01
    requests = [EmbedRequest("", (each,)) for each in images]
    for batch_size, order in ((1, 1), (3, -1), (32, 1)):
        chosen = settings(network_file, batch_size=batch_size, resize=resize)
        found = responses(chosen, *requests[::order])[::order]
        np.testing.assert_allclose(np.stack([each.payload for each in found]), expected, atol=2e-5)


def test_of_a_clip_the_frames_vectors_are_averaged(network_file: Path) -> None:
    images = [image(seed) for seed in range(3)]
    [clip] = responses(settings(network_file), EmbedRequest("", tuple(images)))
    expected = expected_vectors(network_file, images, "stretch").mean(axis=0)
    np.testing.assert_allclose(clip.payload, expected, atol=2e-5)


def test_sides_with_text_have_a_reason(network_file: Path) -> None:
    sides = [
        EmbedRequest("a cat", ()),
        EmbedRequest("a cat", (image(1),)),
        EmbedRequest("", ()),
        EmbedRequest("", (image(1),)),
    ]
    reasons = [each.error for each in responses(settings(network_file), *sides)]
    assert reasons == ["texts_not_read", "mixed_side", "no_content", ""]


def test_what_does_not_fit_the_settings_is_an_error(network_file: Path, tmp_path: Path) -> None:
    with pytest.raises(BackendError, match="its vectors have 12 numbers: set `dimension` to that"):
        settings(network_file, dimension=512).encoder().open()
    with pytest.raises(SettingsError, match="no such file"):
        settings(tmp_path / "absent.pt").encoder()
    junk = tmp_path / "junk.pt"
    junk.write_bytes(b"no network")
    with pytest.raises(BackendError, match="cannot be loaded"):
        settings(junk).encoder().open()


def test_the_revision_is_that_of_the_file(network_file: Path, tmp_path: Path) -> None:
    copy = tmp_path / network_file.name
    copy.write_bytes(network_file.read_bytes() + b"more")
    one, other = settings(network_file).encoder(), settings(copy).encoder()
    assert one.revision != other.revision and len(one.revision) == 16
    assert one.producer != settings(network_file, resize="crop").encoder().producer
    assert settings(network_file, revision="1").encoder().revision == "1"
