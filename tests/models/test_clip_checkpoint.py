"""The test CLIP in the repository: through the stage `agreement` it tells whose text is wrong, and a run filters it."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from PIL import Image
from rich.console import Console

from corpus.settings import parse_settings
from demo.vlm.scenes import VlmScene, draw_shapes
from demo.vlm.training.clip import CLIP_CHECKPOINT, AgreementFigures, best_f1, changed_caption, write_clip_files
from demo.vlm.training.embedder_batches import held_out_scenes
from filters.agreement.stage import Agreement, AgreementSettings
from pipelines.calibration.calibrate import calibrate
from pipelines.config import Config
from pipelines.plan import Selection
from pipelines.publish.verify import verify
from pipelines.runner import run
from tests.helpers.img2dataset_folders import row, write_tar
from tests.helpers.mining_worlds import read_rows, run_over_pairs
from tests.helpers.small_worlds import World, image_pair
from tests.helpers.training_runs import assert_training

HELD_OUT = held_out_scenes()  # scenes that it was not trained on
BACKEND = {"model": f"local-dir:{CLIP_CHECKPOINT}", "device": "cpu"}


def encoded(scene: VlmScene, rng: np.random.Generator, kind: str = "PNG") -> bytes:
    file = io.BytesIO()
    Image.fromarray(draw_shapes(scene, rng, int(rng.choice([112, 224])))).save(file, kind)
    return file.getvalue()


def stage_scores(folder: Path, scenes: list[VlmScene], captions: list[list[str]], seed: int) -> NDArray[np.float32]:
    """The scores of several captions of each scene with one new picture of it: float32[kinds of captions, scenes]."""
    world, rng = World(str(folder)), np.random.default_rng(seed)
    items = world.store([encoded(scene, rng) for scene in scenes], "png")
    rows = [image_pair("scenes", text, item) for texts in captions for text, item in zip(texts, items, strict=True)]
    stage = Agreement(AgreementSettings.model_validate({"backend": BACKEND}))
    paths = world.write_pairs("scenes", rows, 2)
    outputs = run_over_pairs(world, stage, [[("pairs", path)] for path in paths], "scenes")
    ids = [each["pair_id"] for each in read_rows(world, list(paths))]
    found = {pair: each["text_image_score"] for pair, each in zip(ids, read_rows(world, outputs), strict=True)}
    return np.array([found[each["pair_id"]] for each in rows], np.float32).reshape(len(captions), len(scenes))


def f1_at(threshold: float, true: NDArray[np.float32], wrong: NDArray[np.float32]) -> float:
    """F1 of finding the wrong ones as those below a threshold."""
    found, false = (wrong < threshold).sum(), (true < threshold).sum()
    return float(2 * found / (len(wrong) + found + false))


def best_threshold(true: NDArray[np.float32], wrong: NDArray[np.float32]) -> float:
    candidates = np.unique(np.concatenate([true, wrong]))
    return float(max(candidates, key=lambda at: f1_at(at, true, wrong)))


def test_it_is_small_and_the_files_beside_the_weights_are_the_scripts_own(tmp_path: Path) -> None:
    assert sum(path.stat().st_size for path in CLIP_CHECKPOINT.rglob("*") if path.is_file()) <= 4_000_000
    write_clip_files(tmp_path)
    for path in tmp_path.iterdir():
        assert path.read_bytes() == (CLIP_CHECKPOINT / path.name).read_bytes(), path.name


def test_training_lowers_the_loss_and_is_seeded(tmp_path: Path) -> None:
    few = ["--steps", "12", "--scenes", "64", "--copies", "1", "--every", "0"]
    assert_training("demo.vlm.training.clip", few, CLIP_CHECKPOINT, tmp_path, "open_clip_model.safetensors")


def test_wrong_texts_are_found_through_the_stage(tmp_path: Path) -> None:
    """Texts of other scenes, and apart from these the harder ones: a single wrong attribute.

    The thresholds are those that are best for other scenes.
    """
    rng, figures = np.random.default_rng(5), []
    known, fresh = HELD_OUT[:150], HELD_OUT[150:400]
    thresholds: list[float] = []
    for scenes in (known, fresh):
        swapped = [scene.caption for scene in [*scenes[1:], scenes[0]]]
        changed = [changed_caption(scene, rng) for scene in scenes]
        captions = [[scene.caption for scene in scenes], swapped, changed]
        true, *wrong = stage_scores(tmp_path / str(len(scenes)), scenes, captions, seed=len(scenes))
        thresholds = thresholds or [best_threshold(true, each) for each in wrong]
        figures.append(AgreementFigures(*(f1_at(at, true, each) for at, each in zip(thresholds, wrong, strict=True))))
        assert best_f1(true, wrong[0]) >= figures[-1].other_scene
    assert figures[1].other_scene >= 0.9, figures
    assert figures[1].one_attribute >= 0.8, figures


def write_shards(folder: Path, shards: range) -> dict[str, bool]:
    """Writes 45 scenes a shard, every third with the text of another one; returns which URLs have the right text."""
    folder.mkdir(exist_ok=True)
    right = {}
    for number in shards:
        rng, scenes = np.random.default_rng(number), HELD_OUT[number * 45 : (number + 1) * 45]
        swapped = {at: (at + 3) % 45 for at in range(0, 45, 3)}
        rows = [row(f"{number:02}{at:04}", caption=scenes[swapped.get(at, at)].caption) for at, _ in enumerate(scenes)]
        right |= {each["url"]: at not in swapped for at, each in enumerate(rows)}
        images = {each["key"]: encoded(scene, rng, "JPEG") for each, scene in zip(rows, scenes, strict=True)}
        write_tar(folder / f"{number:05}.tar", images)
        pq.write_table(pa.Table.from_pylist(rows), folder / f"{number:05}.parquet")
    return right


def config(home: Path, rules: dict[str, Any]) -> Config:
    data = {
        "workspace": str(home / "workspace"),
        "engine": {"kind": "local", "workers": 1},
        "sources": {"scenes": {"kind": "img2dataset", "folder": str(home / "given"), "licence": "drawn"}},
        "stages": {
            "quality": {"min_side_px": 64},
            "duplicates": {"hamming_radius": 0, "min_contrast": 255},  # scenes are much alike
            "agreement": {"backend": BACKEND},
            "agreement_filter": {"datasets": {"scenes": rules}},
            "negatives": {"datasets": {"scenes": {"search_by": "positive", "num_negatives": 1}}},
        },
        "datasets": {"scenes": {"source": "scenes"}},
        "mixtures": {
            "one": {"corpus": str(home / "corpus"), "pairs_per_shard": 50, "datasets": {"scenes": {"negatives": 1}}}
        },
    }
    return parse_settings(data, Config)


def published(home: Path) -> dict[str, float]:
    """The score of each published pair, by its URL. Their negatives are mined among them: filtered pairs are not."""
    found, positives, negatives = {}, set(), set()
    for path in sorted(home.glob("corpus/scenes/*.tar")):
        with tarfile.open(path) as tar:
            for member in tar:
                if member.name.endswith(".json"):
                    sample = json.load(tar.extractfile(member))  # type: ignore[arg-type]
                    found[sample["source"]["url"]] = sample["text_image_score"]
                    positives.add(sample["positive"]["id"])
                    negatives |= {each["id"] for each in sample["negatives"] if each["origin"] == "mined"}
    assert negatives and negatives <= positives
    return found


def computed_scores(home: Path) -> int:
    """The scores that all runs together have computed, by their logs."""
    lines = [json.loads(line) for path in home.glob("workspace/runs/*.jsonl") for line in path.read_text().splitlines()]
    return sum(line["metrics"]["agreement"]["computed"] for line in lines if line.get("stage") == "agreement")


def score_tables(home: Path) -> dict[Path, int]:
    """The tables of scores, and when each was written."""
    return {path: path.stat().st_mtime_ns for path in home.glob("workspace/pairs/**/agreement/*.parquet")}


def test_a_run_keeps_the_best_share_and_other_thresholds_score_nothing_again(tmp_path: Path) -> None:
    right = write_shards(tmp_path / "given", range(2))
    best = config(tmp_path, {"keep_share": 2 / 3})
    quiet = Console(quiet=True)
    assert run(best, Selection(), quiet).failed == []
    scores = published(tmp_path)
    assert len(scores) == 60 and min(scores.values()) > -1
    removed = {url for url in right if url not in scores}
    wrong = {url for url, is_right in right.items() if not is_right}
    assert len(removed & wrong) / len(wrong) >= 0.9
    scored = score_tables(tmp_path)
    assert len(scored) == 2

    threshold = sorted(scores.values())[30]
    bound = config(tmp_path, {"min_score": threshold})
    assert run(bound, Selection(), quiet).failed == []
    assert published(tmp_path) == {url: score for url, score in scores.items() if score >= threshold}
    assert score_tables(tmp_path) == scored
    [report] = calibrate(bound, "agreement_filter").reports
    assert report.cut.key == "stages.agreement_filter.datasets.scenes.min_score"
    assert report.found.measured == 90 and all(sample.texts and sample.images for sample in report.samples)

    right |= write_shards(tmp_path / "given", range(2, 3))
    assert run(best, Selection(), quiet).failed == []
    more = published(tmp_path)
    assert len(more) == 90 and len(more.keys() & scores.keys()) > 50
    assert {url: more[url] for url in more.keys() & scores.keys()}.items() <= scores.items()
    assert verify(str(tmp_path / "corpus")).faults == []
    assert computed_scores(tmp_path) == 135, "each text and picture was scored once in all runs"
