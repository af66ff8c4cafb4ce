"""The readers of docs/readers.md for sentence-transformers and Energon, over a published corpus of all kinds."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from serving.vllm.torchvision_shim import patch_imports
from tests.helpers.all_kinds import COUNTS, publish_all_kinds, published
from tests.helpers.doc_pages import blocks, page
from tests.helpers.extras import installed_or_skip

patch_imports()

PAGE = page("readers.md")
_, COLUMNS, TRAINING, ENERGON = blocks(PAGE, "python")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images with a negative each, clips of three frames, and texts."""
    return publish_all_kinds(tmp_path_factory.mktemp("work"), tmp_path_factory.mktemp("published") / "corpus")


def run(code: str, corpus: Path, names: dict[str, Any] | None = None) -> dict[str, Any]:
    assert 'CORPUS = "corpus"' in code
    names = {} if names is None else names
    exec(compile(code.replace('CORPUS = "corpus"', f"CORPUS = {str(corpus)!r}"), "readers.md", "exec"), names)
    return names


def pixels(data: bytes) -> Any:
    return Image.open(io.BytesIO(data)).convert("RGB").tobytes()


def test_columns_for_sentence_transformers_are_what_was_published(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path)
    train = run(COLUMNS, corpus)["train"]
    assert {name: len(rows) for name, rows in train.items()} == COUNTS
    assert train["images"].column_names == ["anchor", "positive", "negative_1"]
    assert train["clips"].column_names == train["texts"].column_names == ["anchor", "positive"]
    for name in COUNTS:
        truth = [(json.loads(fields["json"]), fields) for fields in published(corpus, name).values()]
        for row, (said, fields) in zip(train[name], truth, strict=True):
            assert row["anchor"] == said["query"]["instruction"] + said["query"]["text"]
            if name == "texts":
                assert row["positive"] == said["positive"]["instruction"] + said["positive"]["text"]
            else:
                image = row["positive"]["image"] if isinstance(row["positive"], dict) else row["positive"]
                assert image.convert("RGB").tobytes() == pixels(fields[said["positive"]["media"][0]])
            if name == "images":
                [negative] = said["negatives"]
                image = row["negative_1"]["image"] if isinstance(row["negative_1"], dict) else row["negative_1"]
                assert image.convert("RGB").tobytes() == pixels(fields[negative["media"][0]])


def test_sentence_transformers_trains_on_them(corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed_or_skip("accelerate")
    import datasets
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
    from transformers import BertConfig, BertModel, BertTokenizerFast

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    (tmp_path / "vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "query", "passage"]))
    torch.manual_seed(3)
    config = BertConfig(vocab_size=7, hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8)
    BertModel(config).save_pretrained(tmp_path / "bert")
    BertTokenizerFast(vocab_file=str(tmp_path / "vocab.txt")).save_pretrained(tmp_path / "bert")
    model = SentenceTransformer(modules=[Transformer(str(tmp_path / "bert")), Pooling(8)], device="cpu")
    model.save_pretrained(str(tmp_path / "model"))
    names = run(COLUMNS, corpus)
    names["train"] = datasets.DatasetDict({"texts": names["train"]["texts"]})  # a BERT reads no images
    names["MANIFEST"] = {**names["MANIFEST"], "batch_size": 4}
    code = TRAINING
    for said, here in (
        ('"your/model"', f"{str(tmp_path / 'model')!r}, device='cpu'"),
        ('"trained"', f"{str(tmp_path / 'trained')!r}, use_cpu=True, report_to=[], save_strategy='no'"),
        ("max_steps=1000", "max_steps=2"),
    ):
        assert code.count(said) == 1
        code = code.replace(said, here)
    before = model.encode(["query"])
    exec(compile(code, "readers.md", "exec"), names)
    assert abs(names["model"].encode(["query"]) - before).max() > 1e-6, "the weights have moved"


def test_energon_gives_pairs_of_one_dataset_a_batch(corpus: Path) -> None:
    [line] = [line.strip() for line in PAGE.splitlines() if line.startswith("    energon prepare ")]
    for name in COUNTS:
        arguments = line.replace("corpus/DATASET", str(corpus / name)).split()[1:]
        program = str(Path(sys.executable).with_name("energon"))
        done = subprocess.run([program, *arguments], capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    names = run(ENERGON, corpus)
    names["MANIFEST"]["batch_size"] = 4
    batches = iter(names["loader"]())
    seen = set()
    for _ in range(40):
        batch = next(batches)
        [dataset] = {pair.fields["dataset"] for pair in batch}
        assert len(batch) == 4
        truth = published(corpus, dataset)
        for pair in batch:
            fields = truth[pair.fields["pair_id"]]
            said = json.loads(fields["json"])
            assert pair.fields == said
            for (text, images), side in zip(
                (pair.query, pair.positive, *pair.negatives),
                (said["query"], said["positive"], *said["negatives"]),
                strict=True,
            ):
                assert text == side.get("instruction", said["positive"]["instruction"]) + side["text"]
                assert [image.tobytes() for image in images] == [pixels(fields[name]) for name in side["media"]]
        seen.add(dataset)
    assert seen == set(COUNTS)
