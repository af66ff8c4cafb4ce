"""Encoder `sentence_transformers` gives the vectors that the library gives, for a tiny BERT and a tiny CLIP."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mining.encoders.sentence_transformers import SentenceTransformersSettings
from serving.request import BackendError, EmbedRequest, ModelResponse
from serving.vllm.torchvision_shim import patch_imports
from tests.helpers.extras import installed_or_skip

installed_or_skip("sentence_transformers")
patch_imports()

WORDS = [
    "a",
    "the",
    "red",
    "blue",
    "green",
    "cat",
    "dog",
    "house",
    "runs",
    "sits",
    "on",
    "under",
    "find",
    "answer",
    ":",
    "?",
]
DIMENSION = 16
MAX_TOKENS = 12


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of random weights: a BERT of two layers, mean pooling without the prompt's tokens."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
    from transformers import BertConfig, BertModel, BertTokenizerFast

    root = tmp_path_factory.mktemp("model")
    vocabulary = root / "vocab.txt"
    vocabulary.write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]))
    torch.manual_seed(7)
    config = BertConfig(
        vocab_size=len(WORDS) + 5,
        hidden_size=DIMENSION,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=MAX_TOKENS,
    )
    bert = BertModel(config)
    for parameter in bert.parameters():  # its initial weights hardly tell one text from another
        torch.nn.init.normal_(parameter, std=0.5)
    bert.save_pretrained(root / "bert")
    BertTokenizerFast(vocab_file=str(vocabulary), model_max_length=MAX_TOKENS).save_pretrained(root / "bert")
    module = Transformer(str(root / "bert"))
    model = SentenceTransformer(modules=[module, Pooling(DIMENSION, pooling_mode="mean", include_prompt=False)])
    model.save_pretrained(str(root / "sentences"))
    return root / "sentences"


def settings(folder: Path, **changes: Any) -> SentenceTransformersSettings:
    values = {"kind": "sentence_transformers", "model": str(folder), "dimension": DIMENSION, "device": "cpu"}
    return SentenceTransformersSettings(**(values | changes))


def responses(chosen: SentenceTransformersSettings, *requests: EmbedRequest) -> list[ModelResponse[Any]]:
    client = chosen.encoder().open()
    try:
        return [future.result(120) for future in [client.submit(request) for request in requests]]
    finally:
        client.close()


def texts(count: int) -> list[str]:
    random = np.random.default_rng(3)
    return [" ".join(random.choice(WORDS, random.integers(1, 8))) for _ in range(count)]


def test_vectors_are_the_librarys_in_any_order_and_batch(folder: Path) -> None:
    from sentence_transformers import SentenceTransformer

    inputs = texts(30)
    model = SentenceTransformer(str(folder), device="cpu")
    expected = {prompt: model.encode(inputs, prompt=prompt) for prompt in ("", "find answer : ")}
    assert np.abs(expected[""] - expected["find answer : "]).max() > 0.001, "the prompt is read"
    requests = [EmbedRequest(text, (), prompt) for text in inputs for prompt in expected]
    for batch_size, order in ((1, 1), (7, -1), (64, 1)):
        found = responses(settings(folder, batch_size=batch_size), *requests[::order])[::order]
        assert all(response.error == "" for response in found)
        vectors = np.stack([response.payload for response in found])
        for offset, prompt in enumerate(expected):
            np.testing.assert_allclose(vectors[offset::2], expected[prompt], atol=2e-6)


def test_a_text_that_would_be_cut_has_a_reason(folder: Path) -> None:
    fitting, long = " ".join(["cat"] * (MAX_TOKENS - 2)), " ".join(["cat"] * (MAX_TOKENS - 1))
    requests = [EmbedRequest(fitting, ()), EmbedRequest(long, ()), EmbedRequest(fitting, (), "find ")]
    assert [each.error for each in responses(settings(folder), *requests)] == ["", "too_long", "too_long"]
    assert (
        responses(settings(folder, max_tokens=5), EmbedRequest("a red cat", ()), EmbedRequest("a red cat sits", ()))[
            1
        ].error
        == "too_long"
    )


def test_the_dimension_is_checked_and_vectors_are_shortened_on_request(folder: Path) -> None:
    with pytest.raises(BackendError, match=r"its vectors have 16 numbers: set `dimension`"):
        settings(folder, dimension=8).encoder().open()
    [full] = responses(settings(folder), EmbedRequest("a cat", ()))
    [short] = responses(settings(folder, dimension=8, truncate=True), EmbedRequest("a cat", ()))
    np.testing.assert_allclose(short.payload, full.payload[:8], atol=1e-6)


def test_what_is_not_a_model_is_an_error(tmp_path: Path, folder: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "nothing"}))
    with pytest.raises(BackendError, match="cannot be loaded"):
        settings(tmp_path).encoder().open()
    with pytest.raises(BackendError, match="reads no images"):
        settings(folder, images=True).encoder().open()


def test_the_revision_of_a_folder_is_that_of_its_files(folder: Path, tmp_path: Path) -> None:
    import shutil

    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    before = settings(copy).encoder()
    assert before.revision == settings(folder).encoder().revision
    (weights,) = copy.rglob("model.safetensors")
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    after = settings(copy).encoder()
    assert before.revision != after.revision
    assert before.keys.key([], "a cat", "") != after.keys.key([], "a cat", "")


@pytest.fixture(scope="module")
def towers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CLIP of random weights: a tower for texts and one for images."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Transformer
    from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel, CLIPProcessor, CLIPTokenizer

    root = tmp_path_factory.mktemp("clip")
    letters = [chr(code) for code in range(ord("a"), ord("z") + 1)]
    names = ["<|startoftext|>", "<|endoftext|>", *letters, *(f"{letter}</w>" for letter in letters)]
    (root / "vocab.json").write_text(json.dumps({name: number for number, name in enumerate(names)}))
    (root / "merges.txt").write_text("#version: 0.2\n")
    (root / "tokenizer_config.json").write_text(json.dumps({"model_max_length": MAX_TOKENS}))
    tokenizer = CLIPTokenizer.from_pretrained(str(root))
    images = CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})
    CLIPProcessor(images, tokenizer).save_pretrained(str(root))
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    text = {**sizes, "vocab_size": len(names), "max_position_embeddings": MAX_TOKENS, "eos_token_id": 1}
    torch.manual_seed(5)
    model = CLIPModel(
        CLIPConfig(
            text_config=text, vision_config={**sizes, "image_size": 32, "patch_size": 16}, projection_dim=DIMENSION
        )
    )
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    model.save_pretrained(root)
    SentenceTransformer(modules=[Transformer(str(root))]).save_pretrained(str(root / "sentences"))
    return root / "sentences"


def test_images_and_texts_of_a_model_with_two_towers(towers: Path) -> None:
    from PIL import Image
    from sentence_transformers import SentenceTransformer

    pixels = [np.random.default_rng(seed).integers(0, 256, (40, 48, 3), np.uint8) for seed in range(3)]
    model = SentenceTransformer(str(towers), device="cpu")
    expected = [*model.encode([Image.fromarray(each) for each in pixels]), *model.encode(["a cat", "dogs"])]
    requests = [*(EmbedRequest("", (each,)) for each in pixels), EmbedRequest("a cat", ()), EmbedRequest("dogs", ())]
    refused = [
        EmbedRequest("a cat", (pixels[0],)),
        EmbedRequest("", tuple(pixels)),
        EmbedRequest("a cat sits on the roof", ()),
    ]
    found = responses(settings(towers, images=True), *refused, *requests[::-1])
    assert [each.error for each in found[:3]] == ["mixed_side", "several_images", "too_long"]
    for response, vector in zip(found[:2:-1], expected, strict=True):
        np.testing.assert_allclose(response.payload, vector, atol=2e-6)
