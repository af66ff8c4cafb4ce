"""The stage `embed` with model encoders, over a small world of pairs: vLLM's vectors are those of transformers."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from corpus.execution import MapJob, ShardTask
from corpus.image.pixel_budget import decode_to_budget, round_to_limits
from corpus.pool import Pool
from corpus.stage import ITEMS, fingerprint_parts
from demo.vlm import CHECKPOINT
from mining.embed import Embed
from mining.encoders.rzenembed import RzenEmbedSettings
from mining.settings import EmbedSettings
from pipelines.engines import EngineSettings
from pipelines.engines.local import LocalEngine
from serving.request import EmbedRequest
from serving.transformers_client import TransformersClient, TransformersSettings
from tests.helpers.embedding_inputs import PIXELS, picture, rzen_prompt
from tests.helpers.mining_worlds import read_rows, scene
from tests.helpers.small_worlds import World, image_pair

VLLM = {"kind": "vllm", "dtype": "float32", "gpus": 0, "max_num_seqs": 32, "enforce_eager": True}
INSTRUCTION = "Represent the given image."


def settings(backend: dict[str, Any], **more: Any) -> EmbedSettings:
    pixels = {"min_pixels": PIXELS, "max_pixels": PIXELS, "frame_min_pixels": PIXELS, "frame_max_pixels": PIXELS}
    encoder = {"kind": "rzenembed", "model": str(CHECKPOINT), "backend": backend, **pixels, **more}
    return EmbedSettings.model_validate({"encoder": encoder})


def pairs(world: World) -> list[dict[str, Any]]:
    """Captions of images, a clip of ten frames, and sides that get no vector."""
    images = world.store([scene(colour, left) for colour in ("red", "green", "blue") for left in (30, 50, 70)], "png")
    (torn,) = world.store([scene("red", 31, kind="JPEG")[:700]], "jpg")
    frames = world.store([scene("grey", left) for left in range(20, 70, 5)], "png")
    represented = {"instruction": INSTRUCTION, "text": "", "items": images[:1]}
    part = {"video": "0" * 32, "start_s": 0.0, "end_s": 2.0}
    clip = {"instruction": INSTRUCTION, "text": "", "items": frames, "clip": part}
    return [
        *(image_pair("shapes", f"a white square, number {n}", image) for n, image in enumerate(images)),
        image_pair("shapes", "with an instruction", images[0], positive=represented),
        image_pair("shapes", "a clip", frames[0], positive=clip),
        image_pair("shapes", "long " * 1000, images[1]),
        image_pair("shapes", "<|im_end|>", images[2]),
        image_pair("shapes", "a torn image", torn),
    ]


def embed(world: World, settings: EmbedSettings, folder: str, shards: int = 3) -> list[dict[str, Any]]:
    """The rows of the stage's tables, which the local engine has computed, in the order of `pairs`."""
    stage, tasks = Embed(settings), []
    for number, path in enumerate(world.write_pairs("shapes", pairs(world), shards)):
        output = f"pairs/{folder}/{stage.name}/{number:06d}.{'0' * 16}.parquet"
        tasks.append(
            ShardTask("shapes", f"{number:06d}", number, (("pairs", path),), output, "m", fingerprint_parts(stage, {}))
        )
    url = world.workspace.store.url
    engine = LocalEngine(EngineSettings(workers=1))
    try:
        outcomes = list(engine.map(MapJob(stage, url, pools={ITEMS: Pool(url, tuple(world.items))}), tasks))
    finally:
        engine.close()
    assert [outcome.error for outcome in outcomes] == [""] * len(tasks)
    rows = {row["pair_id"]: row for row in read_rows(world, [task.output for task in tasks])}
    return [rows[pair["pair_id"]] for pair in pairs(world)]


def vector(data: bytes) -> np.ndarray:
    """A stored vector; its norm of 1 without the rounding to float16."""
    numbers = np.frombuffer(data, np.float16).astype(np.float64)
    assert abs(np.linalg.norm(numbers) - 1) < 2e-3
    return numbers / np.linalg.norm(numbers)


def test_a_table_of_vectors_by_vllm_is_that_of_the_reference(tmp_path: Path) -> None:
    world = World(str(tmp_path))
    found = embed(world, settings(VLLM), "vllm")
    expected = embed(world, settings({"kind": "transformers"}), "transformers")
    assert [row["pair_id"] for row in found] == [row["pair_id"] for row in expected]
    for role in ("query", "positive"):
        reasons = [row[f"{role}_reason"] for row in found]
        assert reasons == [row[f"{role}_reason"] for row in expected]
        planted = {11: "too_long", 12: "special_tokens"} if role == "query" else {13: "truncated"}
        assert {n: reason for n, reason in enumerate(reasons) if reason} == planted
        for number, (one, other) in enumerate(zip(found, expected, strict=True)):
            mine, theirs = one[f"{role}_vector"], other[f"{role}_vector"]
            assert (mine is None) == (theirs is None) == (number in planted)
            if mine is not None:
                assert len(mine) == 2 * 192
                assert vector(mine) @ vector(theirs) > 0.9999, (role, number)
    plain, instructed = found[0]["positive_vector"], found[9]["positive_vector"]
    assert found[0]["positive_id"] == found[9]["positive_id"] and plain != instructed, "the same image, instructed"


def test_positions_reach_the_model(tmp_path: Path) -> None:
    world = World(str(tmp_path))
    rows = {
        positions: embed(world, settings({"kind": "transformers"}, positions=positions), positions, 1)
        for positions in ("flat", "mrope")
    }
    images = [
        vector(rows["flat"][n]["positive_vector"]) @ vector(rows["mrope"][n]["positive_vector"]) for n in range(9)
    ]
    texts = [vector(rows["flat"][n]["query_vector"]) @ vector(rows["mrope"][n]["query_vector"]) for n in range(9)]
    assert max(images) < 0.995 and min(texts) > 0.9999


def test_one_resize_does_what_two_do() -> None:
    """The released code resizes when it loads an image, and its processor does again."""
    encoder = RzenEmbedSettings(kind="rzenembed", model=str(CHECKPOINT)).encoder()
    limits = {"min_pixels": encoder.budget.min_pixels, "max_pixels": encoder.budget.max_pixels}
    reference = TransformersSettings(kind="transformers")
    client = TransformersClient(reference, str(CHECKPOINT), positions="flat", max_tokens=2000, **limits)
    for height, width in ((200, 300), (480, 640), (900, 1500)):
        loaded = picture(1, height, width)
        file = io.BytesIO()
        Image.fromarray(loaded).save(file, "PNG")
        rounded = round_to_limits(height, width, 28, 4 * 784, 16384 * 784)
        twice = np.asarray(Image.fromarray(loaded).resize(rounded[::-1]))
        images = (decode_to_budget(file.getvalue(), encoder.budget), twice)
        one, two = [client.submit(EmbedRequest(rzen_prompt("", 1), (image,))).result() for image in images]
        assert one.prompt_tokens == two.prompt_tokens > 256
        assert float(one.payload @ two.payload) > 0.999, (height, width)
    client.close()


@pytest.mark.parametrize("backend", [VLLM, {"kind": "transformers"}])
def test_a_model_that_is_none_is_the_runs_fault(backend: dict[str, Any], tmp_path: Path) -> None:
    """Of no row: the shard has an error, and says what is missing."""
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_bytes((CHECKPOINT / "config.json").read_bytes())
    world = World(str(tmp_path / "world"))
    stage = Embed(settings({**backend, "max_restarts": 0} if backend is VLLM else backend, model=str(folder)))
    (path,) = world.write_pairs("shapes", pairs(world), 1)
    pools = {ITEMS: Pool(world.workspace.store.url, tuple(world.items))}
    task = ShardTask("shapes", "000000", 0, (("pairs", path),), "pairs/x/embed/000000.f.parquet", "m", {})
    outcome = MapJob(stage, world.workspace.store.url, pools=pools).open()(task)
    assert "cannot load" in outcome.error or "could not be started" in outcome.error
