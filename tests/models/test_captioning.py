"""The stage `caption` with a real model in a real vLLM: every caption belongs to its own picture, whatever happens."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines.engines import EngineSettings, open_engine
from recaption.stage import Caption
from tests.helpers.captioning import Scenes, caption_all, draw_clips, draw_shards, right_share, vllm_settings
from tests.helpers.processes import ends

BROKEN = (3, 250, 251, 617)
RIGHT = 0.95  # of the captions, word for word: what the test VLM reaches on its own
RIGHT_OF_TWO = 0.75  # likewise, of clips of two scenes


@pytest.fixture(scope="module")
def thousand(tmp_path_factory: pytest.TempPathFactory) -> Scenes:
    return draw_shards(tmp_path_factory.mktemp("thousand"), 1000, 5, BROKEN)


def check(scenes: Scenes) -> None:
    assert right_share(scenes) >= RIGHT
    for shard, truth in scenes.truth.items():
        for row, true in zip(scenes.captions(shard), truth, strict=True):
            assert row["reject_reason"] == ("" if true else "truncated")
            assert row["status"] == "kept"


def test_a_thousand_scenes_in_this_process_out_of_order(thousand: Scenes) -> None:
    engine = open_engine(EngineSettings(kind="local", workers=1))
    order = ["000003", "000000", "000004", "000002", "000001"]
    outcomes = caption_all(thousand, engine, Caption("a", vllm_settings()), order)
    engine.close()
    check(thousand)
    total = sum(outcome.metrics["caption"].get("responses", 0) for outcome in outcomes)
    assert total == 1000 - len(BROKEN)
    assert sum(outcome.metrics["caption"].get("busy_s", 0) for outcome in outcomes) > 0


def test_a_thousand_scenes_in_an_actor_of_a_cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RZEN_TEST_RUN", tmp_path.name)
    scenes = draw_shards(tmp_path, 1000, 5, BROKEN, seed=1)
    engine = open_engine(EngineSettings(kind="ray", workers=1))
    try:
        caption_all(scenes, engine, Caption("a", vllm_settings()))
    finally:
        engines = engines_of(tmp_path.name)
        engine.close()
    check(scenes)
    assert engines, "an actor had one"
    assert [process for process in engines if not ends(process)] == [], "an engine outlived its actor"


KILLED = """
import sys
from pathlib import Path
from tests.helpers.captioning import caption_all, draw_shards, vllm_settings
from pipelines.engines import EngineSettings, open_engine
from recaption.stage import Caption

if __name__ == "__main__":
    scenes = draw_shards(Path(sys.argv[1]), 600, 6, seed=2)
    engine = open_engine(EngineSettings(kind="local", workers=1))
    caption_all(scenes, engine, Caption("a", vllm_settings(shards_in_flight=1)))
"""


def test_a_killed_run_leaves_no_engine_and_goes_on(tmp_path: Path) -> None:
    root, script = tmp_path / "workspace", tmp_path / "killed.py"
    script.write_text(KILLED)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "RZEN_TEST_RUN": tmp_path.name}
    process = subprocess.Popen([sys.executable, str(script), str(root)], env=environment)
    tables = root / "tables/a/caption"
    while len(list(tables.glob("*.parquet"))) < 2 and process.poll() is None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    left = {path.name: path.read_bytes() for path in tables.glob("*.parquet")}
    assert 2 <= len(left) < 6

    scenes = draw_shards(tmp_path / "again", 600, 6, seed=2)  # the same scenes, to know what is true of them
    scenes = Scenes(root, tuple(scenes.tasks), scenes.truth)
    missing = [shard for shard in scenes.truth if f"{shard}.f.parquet" not in left]
    engine = open_engine(EngineSettings(kind="local", workers=1))
    caption_all(scenes, engine, Caption("a", vllm_settings()), missing)
    engine.close()
    assert right_share(scenes) >= RIGHT
    assert {name: (tables / name).read_bytes() for name in left} == left
    assert engines_of(tmp_path.name) == [], "an engine outlived the run"


def engines_of(run: str) -> list[int]:
    """The processes of engines that work for a run, which is in their environment."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            told, name = (folder / "environ").read_bytes(), (folder / "cmdline").read_bytes()
            if f"RZEN_TEST_RUN={run}".encode() in told.split(b"\0") and (b"VLLM" in name or b"server_main" in name):
                found.append(int(folder.name))
    return found


def test_clips_of_two_scenes_are_told_in_the_order_of_their_frames(tmp_path: Path) -> None:
    clips = draw_clips(tmp_path, 200, 3, BROKEN[:1], seed=4)
    stage = Caption("a", vllm_settings(sources={"a": {}}, sampling={"temperature": 0.0, "max_tokens": 96}), images=2)
    engine = open_engine(EngineSettings(kind="local", workers=1))
    outcomes = caption_all(clips, engine, stage, ["000001", "000002", "000000"])
    engine.close()
    assert right_share(clips) >= RIGHT_OF_TWO
    rows = [row for shard in clips.truth for row in clips.captions(shard)]
    assert [place for place, row in enumerate(rows) if row["reject_reason"] == "truncated"] == [BROKEN[0]]
    assert {row["prompt"] for row in rows} == {"clip_frames-01", "clip_frames-02", "clip_frames-03"}
    assert sum(outcome.metrics["caption"].get("responses", 0) for outcome in outcomes) >= 199


def test_a_caption_that_is_cut_off_is_screened(tmp_path: Path) -> None:
    scenes = draw_shards(tmp_path, 16, 1, seed=3)
    short = vllm_settings(sampling={"temperature": 0.0, "max_tokens": 5}, max_attempts=1)
    engine = open_engine(EngineSettings(kind="local", workers=1))
    (outcome,) = caption_all(scenes, engine, Caption("a", short))
    engine.close()
    rows = scenes.captions("000000")
    assert {(row["caption"], row["reject_reason"], row["finish_reason"]) for row in rows} == {
        (None, "cut_off", "length")
    }
    assert {row["completion_tokens"] for row in rows} == {5}
    assert outcome.metrics["caption"]["rejected/cut_off"] == 16
    assert json.loads(rows[0]["sampling"])["max_tokens"] == 5
