"""Measures the vectors per second of our stage `embed`, from shards to tables, against bare vLLM on decoded images.

The peer is `vllm.LLM.embed` with all inputs in one call: the same model, inputs and pixels, no reading, no decoding, no
look-up, no tables. So the ratio is the share of the engine's speed that the stage keeps; 1 is the limit. Half of the
sides are captions, half are images. Both engines are loaded and warm before the first round, and the vectors must be
the same. Run it where torch and vLLM are:

    .venv-models/bin/python -m benchmarks.embed
    python -m benchmarks.embed --size 8b --gpus 1 --pairs 2048 --source-px 512 --max-num-seqs 256

With `--size` the model is an embedder of that size with random weights (see `benchmarks.embed_gpu`).
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa

from benchmarks.embed_gpu import SIZES, write_checkpoint
from benchmarks.harness import versus
from corpus.execution import MapJob, Outcome, ShardTask
from corpus.image.pixel_budget import decode_to_budget
from corpus.media import MediaWriter
from corpus.pool import Pool
from corpus.schema import LOCATION_FIELDS, PAIR_SCHEMA, item_id, pair_id, table_schema
from corpus.stage import ITEMS, fingerprint_parts
from corpus.vectors import column_vectors
from corpus.workspace import Workspace
from demo.vlm import CHECKPOINT
from demo.vlm.scenes import all_scenes, draw_shapes
from mining.embed import EMBED, Embed
from mining.encoders.rzenembed import RzenEmbedSettings
from mining.settings import EmbedSettings
from pipelines.engines import EngineSettings
from pipelines.engines.local import LocalEngine
from pipelines.engines.queues import Results
from serving.vllm.settings import PoolingSettings
from serving.vllm.torchvision_shim import patch_imports
from tests.helpers.media_columns import location_columns

SOURCE = "scenes"
DATASET = "captions"
MIN_COSINE = 0.999  # of the same side in another batch: weights and states are of bfloat16

Floats = np.ndarray  # float64[sides, dimension] of norm 1: the queries, then the positives


def embed_settings(options: argparse.Namespace, model: Path) -> EmbedSettings:
    """Returns the stage's settings for the options of the command line."""
    backend = {
        "kind": "vllm",
        "load_format": "dummy" if options.size else "auto",
        "gpus": options.gpus,
        "max_num_seqs": options.max_num_seqs,
        "enforce_eager": not options.gpus,
    }
    pixels = {} if options.size else {"min_pixels": 112 * 112, "max_pixels": 112 * 112}
    encoder = {"kind": "rzenembed", "model": str(model), "backend": backend, **pixels}
    encoder["shards_in_flight"] = options.shards_in_flight
    return EmbedSettings.model_validate({"encoder": encoder, "decode_threads": options.decode_threads})


class Pairs:
    """Captions and drawn scenes, as shards of pairs in a workspace; and both in memory."""

    def __init__(self, root: Path, pairs: int, shards: int, side_px: int) -> None:
        self.workspace = Workspace(root)
        self.tasks: list[ShardTask] = []
        self.items: list[str] = []
        self.captions: list[str] = []
        self.pictures: list[bytes] = []
        rng = np.random.default_rng(0)
        scenes = all_scenes()
        for number, part in enumerate(np.array_split(np.arange(pairs), shards)):
            chosen = [scenes[place * 7 % len(scenes)] for place in part.tolist()]
            drawn = [draw_shapes(scene, rng, side_px)[:, :, ::-1] for scene in chosen]
            pictures = [cv2.imencode(".jpg", pixels)[1].tobytes() for pixels in drawn]
            captions = [f"{scene.caption} {place}" for scene, place in zip(chosen, part.tolist(), strict=True)]
            self._write(f"{number:06}", number, captions, pictures)
            self.captions += captions
            self.pictures += pictures

    def _write(self, name: str, number: int, captions: list[str], pictures: list[bytes]) -> None:
        store, n = self.workspace.store, len(pictures)
        media = MediaWriter(store, f"media/{SOURCE}/{name}.tar")
        ids: list[bytes | None] = [item_id(data) for data in pictures]
        places = [media.add(item_id(data), "jpg", data) for data in pictures]
        media.commit()
        where = location_columns(ids, [media.path] * n, [a for a, _ in places], [b for _, b in places], ["jpg"] * n)
        kept = {"status": ["kept"] * n, "reason": [""] * n}
        self.items.append(f"tables/{SOURCE}/download/{name}.f.parquet")
        items = pa.table({**where, **kept}, schema=table_schema(pa.schema(LOCATION_FIELDS)))
        self.workspace.write_table(self.items[-1], items, {})
        rows = [
            {
                "pair_id": pair_id(DATASET, caption, item_id(data)),
                "query": {"instruction": "", "text": caption, "items": []},
                "positive": {"instruction": "", "text": "", "items": [item_id(data)]},
                "negatives": [],
                "status": "kept",
                "reason": "",
            }
            for caption, data in zip(captions, pictures, strict=True)
        ]
        path = f"pairs/{DATASET}/pairs/{name}.f.parquet"
        self.workspace.write_table(path, pa.Table.from_pylist(rows, table_schema(PAIR_SCHEMA)), {})
        self.tasks.append(ShardTask(DATASET, name, number, (("pairs", path),), "", "m", {}))


class Ours:
    """The stage in one worker that stays open, as an actor of a cluster does."""

    def __init__(self, pairs: Pairs, settings: EmbedSettings) -> None:
        self._stage = Embed(settings)
        self._pairs = pairs
        url = pairs.workspace.store.url
        job = MapJob(self._stage, url, pools={ITEMS: Pool(url, tuple(pairs.items))})
        self._engine, self._results = LocalEngine(EngineSettings(workers=1)), Results()
        self._queue = self._engine.open_queue(job, self._results)
        self._round = 0

    def __call__(self) -> Floats:
        """Embeds all shards again, from media to tables."""
        self._round += 1
        paths = []
        for task in self._pairs.tasks:
            # Where look-up does not find it: each round computes all vectors.
            paths.append(f"pairs/{DATASET}/{EMBED}/{task.shard}.f{self._round}.parquet")
            parts = fingerprint_parts(self._stage, {})
            again = ShardTask(DATASET, task.shard, task.ordinal, task.inputs, paths[-1], task.media, parts)
            self._queue.submit(again)
        for _ in self._pairs.tasks:
            finished = self._engine.wait(self._results)
            assert finished is not None
            if finished.error is not None:
                raise finished.error
            outcome: Outcome = finished.result
            if outcome.error or outcome.metrics[EMBED].get("looked_up"):
                raise SystemExit(outcome.error or "vectors were looked up, not computed")
        tables = pa.concat_tables([self._pairs.workspace.read_table(path) for path in paths])
        return np.concatenate([unit(column_vectors(tables.column(f"{role}_vector"))) for role in ("query", "positive")])

    def close(self) -> None:
        """Stops the engine."""
        self._engine.close()


def unit(vectors: np.ndarray) -> Floats:
    """Returns the rows at a norm of 1 in float64."""
    numbers = vectors.astype(np.float64)
    return numbers / np.linalg.norm(numbers, axis=1, keepdims=True)


def bare(settings: EmbedSettings, pairs: Pairs) -> Callable[[], Floats]:
    """Returns vLLM's offline pooling of inputs in memory."""
    from serving.vllm.pooling import pooling_args  # first: it makes vllm importable beside a torch for the CPU

    import vllm  # isort: skip
    from PIL import Image

    encoder = settings.encoder
    assert isinstance(encoder, RzenEmbedSettings) and isinstance(encoder.backend, PoolingSettings)
    if not encoder.backend.gpus_per_replica:
        os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "1")  # GiB, as the stage's engine has
    arguments = pooling_args(encoder.engine_settings(encoder.backend).model_dump(mode="json"), encoder.video_frames)
    llm = vllm.LLM(**arguments)
    budget = encoder.encoder().budget
    requests: list[Any] = [{"prompt": encoder.prompt(caption, "", 0)} for caption in pairs.captions]
    for data in pairs.pictures:
        image = Image.fromarray(decode_to_budget(data, budget, settings.max_source_pixels))
        requests.append({"prompt": encoder.prompt("", "", 1), "multi_modal_data": {"image": image}})

    def embed() -> Floats:
        outputs = llm.embed(requests, use_tqdm=False)
        return unit(np.array([output.outputs.embedding for output in outputs]))

    return embed


def same(ours: Floats, peers: Floats) -> None:
    """Checks for the same vectors, but for the rounding of another batch and of float16."""
    cosine = np.einsum("rd,rd->r", ours, peers)
    assert cosine.min() > MIN_COSINE, f"side {cosine.argmin()}: cosine {cosine.min():.6f}"


def main() -> None:
    """Runs the command line: `python -m benchmarks.embed`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=sorted(SIZES), default="", help="random weights; without it the test VLM")
    parser.add_argument("--gpus", type=float, default=0)
    parser.add_argument("--pairs", type=int, default=512)
    parser.add_argument("--shards", type=int, default=4)
    parser.add_argument("--source-px", type=int, default=224, help="side of the JPEGs")
    parser.add_argument("--max-num-seqs", type=int, default=64)
    parser.add_argument("--decode-threads", type=int, default=1)
    parser.add_argument("--shards-in-flight", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="rzen-corpus-bench-") as folder:
        model = write_checkpoint(Path(folder) / "model", options.size) if options.size else CHECKPOINT
        settings = embed_settings(options, model)
        pairs = Pairs(Path(folder) / "workspace", options.pairs, options.shards, options.source_px)
        start = time.perf_counter()
        peer, ours = bare(settings, pairs), Ours(pairs, settings)
        same(ours(), peer())  # and both are warm
        print(f"both engines loaded and warm after {time.perf_counter() - start:.0f} s", file=sys.stderr)
        sides = 2 * options.pairs
        found = versus("embed", "vectors/s", sides, ours, peer, "vllm.LLM.embed", same, options.rounds)
        hours = 5_000_000 / float(str(found["ours"])) / 3600
        print(f"five million vectors at this rate: {hours:,.1f} hours of one replica", file=sys.stderr)
        ours.close()


if __name__ in ("__main__", "__mp_main__"):  # the latter: a process that vLLM has started
    patch_imports()
if __name__ == "__main__":
    main()
