"""Measures the captions per second of our stage, from shards to tables, against bare vLLM on decoded images.

The peer is `vllm.LLM.generate` with all requests in one call: the same model, prompt, sampling and pixels, no reading,
no decoding, no screening, no tables. So the ratio is the share of the engine's speed that the stage keeps; 1 is the
limit. Both engines are loaded and warm before the first round. Run it where torch and vLLM are:

    .venv-models/bin/python -m benchmarks.recaption
    python -m benchmarks.recaption --model glm-4v-9b --load-format dummy --source-px 512 --max-tokens 128 --gpus 1

With `--load-format dummy` the weights are random and every caption has `--max-tokens` tokens.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa

from benchmarks.harness import versus
from corpus.execution import MapJob, Outcome, ShardTask
from corpus.image.pixel_budget import decode_to_budget
from corpus.media import MediaWriter
from corpus.schema import LOCATION_FIELDS, item_id, table_schema
from corpus.stage import ITEMS, ROWS, VERDICT
from corpus.workspace import TableKey, Workspace
from demo.vlm import CHECKPOINT
from demo.vlm.scenes import all_scenes, draw_shapes
from pipelines.engines import EngineSettings
from pipelines.engines.local import LocalEngine
from pipelines.engines.queues import Results
from pipelines.report.caption_stats import CaptionStats
from recaption.prompts import chosen_prompts
from recaption.schema import CAPTION
from recaption.settings import CaptionSettings
from recaption.stage import Caption
from serving.vllm.torchvision_shim import patch_imports
from tests.helpers.media_columns import location_columns
from tests.helpers.vllm_arguments import vllm_settings

SOURCE = "scenes"


def caption_settings(options: argparse.Namespace) -> CaptionSettings:
    """Returns the stage's settings for the options of the command line."""
    backend = {
        "kind": "vllm",
        "model": options.model or str(CHECKPOINT),
        "load_format": options.load_format,
        "gpus": options.gpus,
        "max_model_len": options.max_model_len,
        "max_num_seqs": options.max_num_seqs,
        "engine_args": json.loads(options.engine_args),
    }
    pixels = {"min_pixels": 112 * 112, "max_pixels": 112 * 112} if not options.model else {}
    prompts = {SOURCE: {"prompts": {"short-01": 1.0}}}
    return CaptionSettings.model_validate(
        {
            "backend": backend,
            "sampling": {"temperature": 0.0, "max_tokens": options.max_tokens},
            "screening": {},
            "max_attempts": 1,
            "decode_threads": options.decode_threads,
            "shards_in_flight": options.shards_in_flight,
            "sources": prompts,
            **pixels,
        }
    )


def build(root: Path, images: int, shards: int, side_px: int) -> tuple[list[ShardTask], list[bytes]]:
    """Writes media and tables of the shards; returns the tasks and the JPEGs."""
    workspace = Workspace(root)
    rng = np.random.default_rng(0)
    scenes = [scene for scene in all_scenes() if scene.held_out]
    tasks, all_pictures = [], []
    for number, part in enumerate(np.array_split(np.arange(images), shards)):
        pictures = [
            cv2.imencode(".jpg", draw_shapes(scenes[i % len(scenes)], rng, side_px)[:, :, ::-1])[1].tobytes()
            for i in part
        ]
        name = f"{number:06}"
        media = MediaWriter(workspace.store, f"media/{SOURCE}/{name}.tar")
        ids: list[bytes | None] = [item_id(data) for data in pictures]
        places = [media.add(item_id(data), "jpg", data) for data in pictures]
        media.commit()
        n = len(part)
        kept = {"status": ["kept"] * n, "reason": [""] * n}
        where = location_columns(ids, [media.path] * n, [a for a, _ in places], [b for _, b in places], ["jpg"] * n)
        tables = {
            ROWS: pa.table({"text": ["IMG_1.jpg"] * n, **kept}),
            ITEMS: pa.table({**where, **kept}, schema=table_schema(pa.schema(LOCATION_FIELDS))),
            VERDICT: pa.table(kept),
        }
        paths = tuple((table, f"tables/{SOURCE}/{table}/{name}.f.parquet") for table in tables)
        for table, path in paths:
            workspace.write_table(path, tables[table], {})
        tasks.append(ShardTask(SOURCE, name, number, paths, "", f"media/{SOURCE}/{name}", {}))
        all_pictures += pictures
    return tasks, all_pictures


class Ours:
    """The stage in one worker that stays open, as an actor of a cluster does."""

    def __init__(self, root: Path, settings: CaptionSettings, tasks: list[ShardTask]) -> None:
        self._root = root
        self._stage = Caption(SOURCE, settings)
        self._tasks = tasks
        self._engine, self._results = LocalEngine(EngineSettings(workers=1)), Results()
        self._queue = self._engine.open_queue(MapJob(self._stage, str(root)), self._results)
        self._generation = 0
        self.rates = CaptionStats()

    def __call__(self) -> list[str | None]:
        """Captions all shards again, from media to tables."""
        self._generation += 1  # so that no caption is reused
        self.rates = CaptionStats()
        for task in self._tasks:
            path = TableKey("tables", SOURCE, CAPTION).path(task.shard, f"f-g{self._generation}")
            parts = {"settings": self._stage.fingerprint_inputs(), "generation": self._generation}
            run_task = ShardTask(SOURCE, task.shard, task.ordinal, task.inputs, path, task.media, parts)
            self._queue.submit(run_task)
        for _ in self._tasks:
            finished = self._engine.wait(self._results)
            assert finished is not None
            if finished.error is not None:
                raise finished.error
            outcome: Outcome = finished.result
            if outcome.error:
                raise SystemExit(outcome.error)
            self.rates.add(outcome)
        paths = [f"{task.shard}.f-g{self._generation}" for task in self._tasks]
        tables = [Workspace(self._root).read_table(f"tables/{SOURCE}/{CAPTION}/{path}.parquet") for path in paths]
        return pa.concat_tables(tables).column("caption").to_pylist()

    def close(self) -> None:
        """Stops the engine."""
        self._engine.close()


def bare(settings: CaptionSettings, pictures: list[bytes]) -> Callable[[], list[str | None]]:
    """Returns vLLM's offline generation on pixels in memory."""
    import vllm
    from PIL import Image
    from transformers import AutoProcessor

    from serving.vllm.engine import engine_args  # first: it makes vllm importable beside a torch for the CPU

    if not settings.backend.gpus_per_replica:  # type: ignore[union-attr]
        os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "1")  # GiB, as the captioner has
    resolved = vllm_settings(settings)
    arguments = engine_args(resolved.model_dump(mode="json"), 1)
    llm = vllm.LLM(**arguments)
    ((prompt, _),) = chosen_prompts(settings.sources[SOURCE])
    turn: Any = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": prompt.text}]}]
    processor = AutoProcessor.from_pretrained(
        resolved.model,
        revision=arguments["revision"],
        trust_remote_code=arguments.get("trust_remote_code", False),
    )
    text = processor.apply_chat_template(turn, tokenize=False, add_generation_prompt=True)
    budget = settings.budget()
    images = [Image.fromarray(decode_to_budget(data, budget, settings.max_source_pixels)) for data in pictures]
    requests: Any = [{"prompt": text, "multi_modal_data": {"image": image}} for image in images]
    sampling = {key: value for key, value in settings.sampling.model_dump().items() if key != "seed"}
    params = vllm.SamplingParams(**sampling)

    def generate() -> list[str | None]:
        return [output.outputs[0].text for output in llm.generate(requests, params, use_tqdm=False)]

    return generate


def same(ours: list[str | None], peers: list[str | None]) -> None:
    """Checks for the same captions, except for a few that differ by the rounding of another batch."""
    equal = sum((one or "").strip() == (other or "").strip() for one, other in zip(ours, peers, strict=True))
    assert equal >= 0.98 * len(ours), f"{equal} of {len(ours)} captions are equal"


def same_count(ours: list[str | None], peers: list[str | None]) -> None:
    """Checks for as many captions: with random weights the texts are noise, which screening refuses."""
    assert len(ours) == len(peers)


def main() -> None:
    """Runs the command line: `python -m benchmarks.recaption`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="", help="a name of serving.models; the test VLM without it")
    parser.add_argument("--load-format", default="auto")
    parser.add_argument("--engine-args", default="{}", help="JSON")
    parser.add_argument("--gpus", type=float, default=0)
    parser.add_argument("--images", type=int, default=512)
    parser.add_argument("--shards", type=int, default=4)
    parser.add_argument("--source-px", type=int, default=224, help="side of the JPEGs")
    parser.add_argument("--max-tokens", type=int, default=32)
    parser.add_argument("--max-model-len", type=int, default=512)
    parser.add_argument("--max-num-seqs", type=int, default=64)
    parser.add_argument("--decode-threads", type=int, default=1)
    parser.add_argument("--shards-in-flight", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    settings = caption_settings(options)
    with tempfile.TemporaryDirectory(prefix="rzen-corpus-bench-") as folder:
        tasks, pictures = build(Path(folder), options.images, options.shards, options.source_px)
        start = time.perf_counter()
        peer = bare(settings, pictures)
        ours = Ours(Path(folder), settings, tasks)
        compare = same_count if options.load_format == "dummy" else same
        compare(ours(), peer())  # and both are warm
        print(f"both engines loaded and warm after {time.perf_counter() - start:.0f} s", file=sys.stderr)

        def measured() -> list[str | None]:
            started = time.perf_counter()
            captions = ours()
            seconds = time.perf_counter() - started
            spent = sum(ours.rates.replicas.values(), Counter[str]())
            shares = ", ".join(
                f"{state} {spent[f'{state}_s'] / seconds:.0%}" for state in ("busy", "waiting_for_images")
            )
            print(f"  ours: {shares}, {spent['completion_tokens'] / seconds:,.0f} tokens/s", file=sys.stderr)
            return captions

        found = versus(
            "recaption", "images/s", options.images, measured, peer, "vllm.LLM.generate", compare, options.rounds
        )
        hours = 2_000_000 / float(str(found["ours"])) / 3600
        print(f"two million images at this rate: {hours:,.0f} hours of one replica", file=sys.stderr)
        ours.close()


if __name__ in ("__main__", "__mp_main__"):  # the latter: a process that vLLM has started
    patch_imports()
if __name__ == "__main__":
    main()
