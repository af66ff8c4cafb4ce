"""Measures what needs a GPU: an embedder of 8B parameters with random weights, and exact search over a million vectors.

    python -m benchmarks.embed_gpu embed --size 8b --backend vllm --seconds 120
    python -m benchmarks.embed_gpu embed --size 8b --backend transformers --seconds 60
    python -m benchmarks.embed_gpu search --rows 1000000 --dimension 3584 --k 100 --seconds 120

Each ends by itself: after so many seconds of measuring no more work is begun. The last line is JSON. `embed` needs no
network: the checkpoint is a config with the sizes of Qwen2-VL and the tokenizer of the test VLM, and weights are drawn
where they are used. `--size tiny` and few `--rows` are for a trial on a CPU.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from corpus.search.exact import TopK
from corpus.vectors import Vectors, normalise
from demo.vlm import CHECKPOINT
from mining.encoders.rzenembed import RzenEmbedSettings
from serving.request import EmbedRequest
from serving.vllm.torchvision_shim import patch_imports

# The text model and the vision tower of Qwen2-VL 7B ("8b" with its vision tower) and 2B, and of nothing.
SIZES: dict[str, dict[str, Any]] = {
    "8b": {
        "text": {"hidden_size": 3584, "intermediate_size": 18944, "num_hidden_layers": 28, "num_attention_heads": 28},
        "key_value_heads": 4,
        "vision": {"depth": 32, "embed_dim": 1280, "num_heads": 16},
        "vocabulary": 152_064,
    },
    "2b": {
        "text": {"hidden_size": 1536, "intermediate_size": 8960, "num_hidden_layers": 28, "num_attention_heads": 12},
        "key_value_heads": 2,
        "vision": {"depth": 32, "embed_dim": 1280, "num_heads": 16},
        "vocabulary": 151_936,
    },
    "tiny": {
        "text": {"hidden_size": 128, "intermediate_size": 256, "num_hidden_layers": 2, "num_attention_heads": 1},
        "key_value_heads": 1,
        "vision": {"depth": 2, "embed_dim": 128, "num_heads": 2},
        "vocabulary": 384,
    },
}
_BLOCK_ROWS = 50_000  # of the pool, which come from disk or from a worker's memory
_WAIT_S = 1800


def write_checkpoint(folder: Path, size: str) -> Path:
    """Writes a checkpoint without weights, of that size, with the tokenizer of the test VLM; returns its folder."""
    shutil.copytree(CHECKPOINT, folder, ignore=shutil.ignore_patterns("*.safetensors"))
    sizes = SIZES[size]
    config = json.loads((folder / "config.json").read_text())
    config |= {**sizes["text"], "num_key_value_heads": sizes["key_value_heads"], "vocab_size": sizes["vocabulary"]}
    config |= {"max_position_embeddings": 32_768, "rope_theta": 1e6, "tie_word_embeddings": False}
    config["rope_scaling"] = {"type": "mrope", "mrope_section": [16, 24, 24]}
    config["vision_config"] |= {**sizes["vision"], "hidden_size": sizes["text"]["hidden_size"]}
    (folder / "config.json").write_text(json.dumps(config))
    images = json.loads((folder / "preprocessor_config.json").read_text())
    (folder / "preprocessor_config.json").write_text(json.dumps(images | {"max_pixels": 1280 * 28 * 28}))
    return folder


def write_weights(folder: Path, dtype: str) -> None:
    """Writes random weights for transformers, which draws none itself."""
    patch_imports()
    import torch
    from transformers import AutoConfig, AutoModelForImageTextToText

    torch.manual_seed(0)
    torch.set_default_dtype(getattr(torch, dtype))
    with torch.device("cuda" if torch.cuda.is_available() else "cpu"):
        model = AutoModelForImageTextToText.from_config(AutoConfig.from_pretrained(folder))
    model.save_pretrained(folder)
    torch.set_default_dtype(torch.float32)


def encoder_settings(options: argparse.Namespace, folder: Path) -> RzenEmbedSettings:
    """Returns the settings of the released model, for the options of the command line."""
    backend: dict[str, Any] = {"kind": options.backend, "gpus": options.gpus}
    if options.backend == "vllm":
        backend |= {"load_format": "dummy", "dtype": options.dtype, "max_num_seqs": options.max_num_seqs}
        backend |= {"enforce_eager": not options.gpus}
    else:
        backend |= {"dtype": options.dtype}
    return RzenEmbedSettings.model_validate({"kind": "rzenembed", "model": str(folder), "backend": backend})


def drawn_requests(side_px: int, frames: int) -> Callable[[int], EmbedRequest]:
    """Returns what makes a request of a number: of noise images, a clip every eighth."""
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, (side_px, side_px, 3), np.uint8) for _ in range(16)]
    small = [image[:336, :420] for image in images]  # 180 tokens

    def request(number: int) -> EmbedRequest:
        if frames and number % 8 == 7:
            return EmbedRequest("", tuple(small[(number + frame) % len(small)] for frame in range(frames)))
        return EmbedRequest("", (images[number % len(images)],), "Represent the given image.")

    return request


def measure_embed(options: argparse.Namespace) -> dict[str, object]:
    """Embeds noise images for some seconds, with as many requests in flight as the client takes."""
    with tempfile.TemporaryDirectory(prefix="rzen-corpus-bench-") as work:
        folder = write_checkpoint(Path(work) / "model", options.size)
        if options.backend == "transformers":
            write_weights(folder, options.dtype)
        settings = encoder_settings(options, folder)
        client = settings.encoder().open()
        request = drawn_requests(options.side_px, options.frames)
        started = time.perf_counter()
        first = client.submit(request(0)).result(_WAIT_S)
        if first.payload is None:
            raise SystemExit(f"{first.error}: {first.detail}")
        load_s = time.perf_counter() - started
        print(f"loaded after {load_s:.0f} s: {first.payload.shape[0]} numbers a vector", file=sys.stderr)
        waiting = deque([client.submit(request(1))])
        number, tokens, errors = 2, 0, 0
        start = time.perf_counter()
        while waiting:
            while len(waiting) < options.in_flight and time.perf_counter() - start < options.seconds:
                waiting.append(client.submit(request(number)))
                number += 1
            answer = waiting.popleft().result(_WAIT_S)
            tokens += answer.prompt_tokens
            errors += bool(answer.error)
        seconds = time.perf_counter() - start
        client.close()
    return {
        "name": f"embed {options.size} {options.backend}",
        "unit": "vectors/s",
        "ours": round((number - 1) / seconds, 2),
        "tokens_per_s": round(tokens / seconds),
        "errors": errors,
        "load_s": round(load_s, 1),
        "seconds": round(seconds, 1),
    }


def drawn_vectors(rows: int, dimension: int, seed: int) -> Vectors:
    """Returns vectors around centres, so that some are nearly as good as the best."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(99).standard_normal((256, dimension), np.float32)
    blocks = []
    for first in range(0, rows, _BLOCK_ROWS):
        count = min(_BLOCK_ROWS, rows - first)
        blocks.append(
            normalise(centres[rng.integers(0, 256, count)] + rng.standard_normal((count, dimension), np.float32))
        )
    return np.concatenate(blocks)


def measure_search(options: argparse.Namespace) -> dict[str, object]:
    """Searches a pool for batches of queries for some seconds; the first batch is checked against numpy."""
    pool = drawn_vectors(min(options.rows, options.distinct_rows), options.dimension, 1)
    ids = np.stack([np.zeros(options.rows, np.uint64), np.arange(options.rows, dtype=np.uint64)])
    queries = drawn_vectors(options.queries, options.dimension, 2)
    print(f"{len(pool):,} different vectors drawn", file=sys.stderr)

    def search(part: Vectors) -> Any:
        found = TopK(part, options.k, memory_bytes=options.memory_bytes, backend_name=options.search_backend)
        for first in range(0, options.rows, len(pool)):
            count = min(len(pool), options.rows - first)
            for start in range(0, count, _BLOCK_ROWS):
                stop = min(count, start + _BLOCK_ROWS)
                found.add(ids[:, first + start : first + stop], pool[start:stop])
        return found.result()

    searched, batches, start = 0, 0, time.perf_counter()
    first_found = None
    while time.perf_counter() - start < options.seconds and searched < options.max_queries:
        found = search(queries)
        first_found = first_found if first_found is not None else found
        searched, batches = searched + len(queries), batches + 1
    seconds = time.perf_counter() - start
    assert first_found is not None
    check(first_found.scores, queries, pool, options)
    multiply_adds = float(searched) * options.rows * options.dimension
    return {
        "name": f"search {options.rows} x {options.dimension}, top {options.k}",
        "unit": "queries/s",
        "ours": round(searched / seconds, 2),
        "tflop_per_s": round(2 * multiply_adds / seconds / 1e12, 2),
        "batches": batches,
        "seconds": round(seconds, 1),
    }


def check(scores: np.ndarray, queries: Vectors, pool: Vectors, options: argparse.Namespace) -> None:
    """Raises AssertionError unless the best score of some queries is that of all products in float64."""
    some = slice(0, 8)
    best = np.full(len(queries[some]), -np.inf)
    for first in range(0, len(pool), _BLOCK_ROWS):
        block = pool[first : first + _BLOCK_ROWS].astype(np.float64)
        best = np.maximum(best, (queries[some].astype(np.float64) @ block.T).max(axis=1))
    assert np.array_equal(scores[some, 0], best.astype(np.float32)), (scores[some, 0], best)


def main() -> None:
    """Runs the command line: `python -m benchmarks.embed_gpu`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    embed = commands.add_parser("embed")
    embed.add_argument("--size", choices=sorted(SIZES), default="8b")
    embed.add_argument("--backend", choices=("vllm", "transformers"), default="vllm")
    embed.add_argument("--dtype", default="bfloat16")
    embed.add_argument("--gpus", type=float, default=1)
    embed.add_argument("--max-num-seqs", type=int, default=256)
    embed.add_argument("--in-flight", type=int, default=512)
    embed.add_argument("--side-px", type=int, default=560, help="of the noise images: 400 tokens")
    embed.add_argument("--frames", type=int, default=8, help="of every eighth request; 0: images only")
    search = commands.add_parser("search")
    search.add_argument("--rows", type=int, default=1_000_000)
    search.add_argument("--distinct-rows", type=int, default=250_000, help="drawn; more rows repeat them as other ids")
    search.add_argument("--dimension", type=int, default=3584)
    search.add_argument("--k", type=int, default=100)
    search.add_argument("--queries", type=int, default=2048, help="searched for together")
    search.add_argument("--max-queries", type=int, default=65_536)
    search.add_argument("--memory-bytes", type=int, default=16 << 30)
    search.add_argument("--search-backend", default="auto")
    for each in (embed, search):
        each.add_argument("--seconds", type=float, default=120, help="after which no more work is begun")
    options = parser.parse_args()
    print(json.dumps(measure_embed(options) if options.command == "embed" else measure_search(options)))


if __name__ in ("__main__", "__mp_main__"):  # the latter: a process that vLLM has started
    patch_imports()
if __name__ == "__main__":
    main()
