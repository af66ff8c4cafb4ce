"""Encoder `openclip` gives the vectors that open_clip gives, for a tiny CLIP of random weights in a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mining.encoders.openclip import OpenClipSettings
from serving.request import BackendError, EmbedRequest, ModelResponse, Pixels
from serving.vllm.torchvision_shim import patch_imports
from tests.helpers.extras import installed_or_skip
from tests.helpers.tiny_clip import CONTEXT, DIMENSION, write_tiny_clip

installed_or_skip("open_clip")
patch_imports()

TEXTS = ("a red square", "a blue dog", "two cats on a roof", "rain")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_clip(tmp_path_factory.mktemp("clip"))


def settings(folder: Path, **changes: Any) -> OpenClipSettings:
    values = {"kind": "openclip", "model": f"local-dir:{folder}", "dimension": DIMENSION, "device": "cpu"}
    return OpenClipSettings(**(values | changes))


def responses(chosen: OpenClipSettings, *requests: EmbedRequest) -> list[ModelResponse[Any]]:
    client = chosen.encoder().open()
    try:
        return [future.result(120) for future in [client.submit(request) for request in requests]]
    finally:
        client.close()


def image(seed: int, width: int = 40, height: int = 48) -> Pixels:
    small = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), np.uint8)
    return np.ascontiguousarray(small.repeat(12, 0).repeat(10, 1)[:height, :width])


def expected_vectors(folder: Path, images: list[Pixels]) -> tuple[np.ndarray, np.ndarray]:
    """What open_clip gives for TEXTS and images when it is called itself, one input at a time; of norm 1."""
    import open_clip
    import torch
    from PIL import Image

    name = f"local-dir:{folder}"
    model, preprocess = open_clip.create_model_from_pretrained(name)
    tokenizer = open_clip.get_tokenizer(name)
    model.eval()
    with torch.inference_mode():
        texts = [model.encode_text(tokenizer([text]), normalize=True)[0] for text in TEXTS]
        pictured = [model.encode_image(preprocess(Image.fromarray(each))[None], normalize=True)[0] for each in images]
    return torch.stack(texts).numpy(), torch.stack(pictured).numpy()


def unit(vector: np.ndarray) -> np.ndarray:
    return vector / np.linalg.norm(vector)


def test_vectors_are_the_librarys_in_any_order_and_batch(folder: Path) -> None:
    images = [image(seed) for seed in range(5)]
    texts, pictured = expected_vectors(folder, images)
    assert np.abs(texts[0] - texts[1]).max() > 0.01 and np.abs(pictured[0] - pictured[1]).max() > 0.01
    requests = [*(EmbedRequest(text, ()) for text in TEXTS), *(EmbedRequest("", (each,)) for each in images)]
    for batch_size, order in ((1, 1), (2, -1), (32, 1)):
        found = responses(settings(folder, batch_size=batch_size), *requests[::order])[::order]
        assert [response.error for response in found] == [""] * len(requests)
        vectors = np.stack([unit(response.payload) for response in found])
        np.testing.assert_allclose(vectors, np.concatenate([texts, pictured]), atol=2e-6)


def test_of_a_clip_the_frames_vectors_are_averaged(folder: Path) -> None:
    images = [image(seed) for seed in range(3)]
    _, pictured = expected_vectors(folder, images)
    [clip, still] = responses(settings(folder), EmbedRequest("", tuple(images)), EmbedRequest("", (images[1],)))
    np.testing.assert_allclose(clip.payload, pictured.mean(axis=0), atol=2e-6)
    np.testing.assert_allclose(still.payload, pictured[1], atol=2e-6)


def test_a_text_that_would_be_cut_has_a_reason(folder: Path) -> None:
    """The vector of the longest text that fits is its own; one word more has none."""
    fitting, long = " ".join(["cat"] * (CONTEXT - 2)), " ".join(["cat"] * (CONTEXT - 1))
    found = responses(settings(folder), *(EmbedRequest(text, ()) for text in (long, fitting, f"{long} cat", "cat")))
    assert [response.error for response in found] == ["too_long", "", "too_long", ""]


def test_a_side_of_text_and_image_has_a_reason(folder: Path) -> None:
    found = responses(settings(folder), EmbedRequest("a cat", (image(1),)), EmbedRequest("a cat", ()))
    assert [response.error for response in found] == ["mixed_side", ""]


def test_what_does_not_fit_the_settings_is_an_error(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(BackendError, match="its vectors have 12 numbers: set `dimension` to that"):
        settings(folder, dimension=512).encoder().open()
    with pytest.raises(BackendError, match="cannot be loaded"):
        settings(tmp_path).encoder().open()


def test_the_revision_is_that_of_the_files(folder: Path, tmp_path: Path) -> None:
    weights = tmp_path / "weights.pt"
    revisions = []
    for data in (b"one", b"two"):
        weights.write_bytes(data)
        named = OpenClipSettings(kind="openclip", model="ViT-B-32", pretrained=str(weights), dimension=512)
        revisions.append(named.encoder().revision)
    tag = OpenClipSettings(kind="openclip", model="ViT-B-32", pretrained="openai", dimension=512).encoder()
    revisions += [settings(folder).encoder().revision, tag.revision]
    assert len(set(revisions)) == 4 and tag.revision == "" and tag.producer["pretrained"] == "openai"
