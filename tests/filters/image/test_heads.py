"""Stage `heads`: scores of the source are taken, others computed from vectors; runs over planted pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from corpus.bisection import ShardError, run_rows
from corpus.settings import SettingsError, parse_settings
from corpus.stage import ITEM_VECTORS, ROWS, Shard
from corpus.storage import Store
from corpus.vectors import normalise, packed_column
from filters.image.heads import Heads, HeadsSettings
from mining import descriptor
from pipelines.config import Config
from pipelines.graph import build_graph

DIMENSION = 16
RNG = np.random.default_rng(4)
VECTORS = normalise(RNG.normal(size=(6, DIMENSION)))
WITH_VECTOR = np.array([True, True, False, True, True, True])
WEIGHTS = RNG.normal(size=(1, DIMENSION))


def shard_of(rows: dict[str, Any], with_vectors: bool = True) -> Shard:
    tables = {ROWS: pa.table(rows), "quality": pa.table({"status": ["kept"] * 6, "reason": [""] * 6})}
    if with_vectors:
        tables[ITEM_VECTORS] = pa.table({"vector": packed_column(VECTORS, WITH_VECTOR)})
    return Shard("web", "000000", 0, np.arange(6), tables, Store("memory://heads"))


def head(folder: Path, name: str = "head.npz", **settings: Any) -> dict[str, Any]:
    np.savez(folder / name, weight=WEIGHTS, bias=np.array([0.25]))
    return {"weights": str(folder / name), **settings}


def scored(shard: Shard, **heads: Any) -> dict[str, list[Any]]:
    stage = Heads(parse_settings(heads, HeadsSettings), shard.tables)
    return run_rows(stage, stage.setup(), shard).to_pydict()


EXPECTED = (VECTORS.astype(np.float64) @ WEIGHTS[0] + 0.25).astype(np.float32)


def test_scores_are_the_sources_where_it_has_them_and_computed_elsewhere(tmp_path: Path) -> None:
    rows = {"url": ["u"] * 6, "aesthetic": [4.5, None, 5.5, float("nan"), None, None], "punsafe": [0.1] * 6}
    found = scored(shard_of(rows), aesthetic=head(tmp_path))
    assert found["aesthetic_from"] == ["source", "head", "source", "head", "head", "head"]
    expected = [4.5, EXPECTED[1], 5.5, *EXPECTED[3:]]
    np.testing.assert_allclose(found["aesthetic"], expected, rtol=1e-6)
    assert found["unsafe_from"] == ["source"] * 6 and found["unsafe"] == [np.float32(0.1)] * 6
    assert found["watermark"] == [None] * 6 == found["watermark_from"]


def test_what_has_neither_score_nor_vector_has_none(tmp_path: Path) -> None:
    found = scored(shard_of({"url": ["u"] * 6}), watermark=head(tmp_path, output="sigmoid"))
    assert [value is None for value in found["watermark"]] == (~WITH_VECTOR).tolist()
    assert [each is None for each in found["watermark_from"]] == (~WITH_VECTOR).tolist()
    expected = 1 / (1 + np.exp(-EXPECTED[WITH_VECTOR].astype(np.float64)))
    np.testing.assert_allclose([value for value in found["watermark"] if value is not None], expected, rtol=1e-6)
    found = scored(shard_of({"url": ["u"] * 6}, with_vectors=False), watermark=head(tmp_path))
    assert found["watermark"] == [None] * 6


def test_images_that_pairs_name_are_scored_by_their_vectors_alone(tmp_path: Path) -> None:
    encoder = {"item_vectors": {"encoder": {"kind": "descriptor"}}}
    networks = stages_over(config({"unsafe": head(tmp_path)}, **encoder), "given")
    assert networks["heads"] == ("quality=quality", "item_vectors=item_vectors")
    assert "heads" not in stages_over(config({}, head_filter={"max_unsafe": 0.5}), "given")


def test_vectors_of_another_encoder_are_a_clear_error(tmp_path: Path) -> None:
    np.savez(tmp_path / "wide.npz", weight=np.ones((1, 768)))
    with pytest.raises(ShardError, match=r"stages\.heads\.unsafe.*takes vectors of 768 numbers.*have 16"):
        scored(shard_of({"url": ["u"] * 6}), unsafe={"weights": str(tmp_path / "wide.npz")})
    (tmp_path / "junk.npz").write_bytes(b"no archive")
    with pytest.raises(ShardError, match=r"stages\.heads\.unsafe: .*junk\.npz: cannot be read"):
        scored(shard_of({"url": ["u"] * 6}), unsafe={"weights": str(tmp_path / "junk.npz")})


def config(heads: dict[str, Any], **stages: Any) -> Config:
    data = {
        "workspace": "memory://heads",
        "sources": {
            "web": {"kind": "laion", "files": ["a.parquet"]},
            "more": {"kind": "laion", "files": ["b.parquet"]},
            "given": {
                "kind": "jsonl",
                "files": ["c.jsonl"],
                "query": {"text": "{title}"},
                "positive": {"images": "photo"},
                "images": {"archives": {"paths": ["photos"]}},
            },
        },
        "stages": {"heads": heads, **stages},
        "datasets": {"web": {"source": "web"}},
    }
    return parse_settings(data, Config)


def stages_over(chosen: Config, source: str) -> dict[str, tuple[str, ...]]:
    nodes = [node for step in build_graph(chosen) for node in step.nodes if node.source == source]
    return {node.stage.name: tuple(f"{name}={key.stage}" for name, key in node.reads) for node in nodes}


def test_it_runs_where_a_network_or_a_threshold_is_set(tmp_path: Path) -> None:
    encoder = {"item_vectors": {"encoder": {"kind": "descriptor"}, "sources": ["web"]}}
    plain = stages_over(config({}, **encoder), "web")
    assert "heads" not in plain and "head_filter" not in plain and plain["pairs"] != ()
    networks = config({"aesthetic": head(tmp_path)}, **encoder)
    assert stages_over(networks, "web")["heads"] == ("quality=quality", "rows=rows", "item_vectors=item_vectors")
    assert "heads" not in stages_over(networks, "more")
    both = config({"aesthetic": head(tmp_path)}, head_filter={"max_unsafe": 0.5}, **encoder)
    assert stages_over(both, "more")["heads"] == ("quality=quality", "rows=rows")
    assert "head_filter" not in stages_over(networks, "web")
    found = stages_over(config({}, head_filter={"max_unsafe": 0.5}), "web")
    assert found["heads"] == ("quality=quality", "rows=rows")
    assert found["head_filter"] == ("heads=heads",)
    assert found["duplicates"][-1] == "head_filter=head_filter" and "verdict=duplicates" in found["pairs"]


def test_networks_without_vectors_and_files_that_are_absent_are_faults_of_the_settings(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"stages\.heads\.aesthetic: images have no vectors"):
        config({"aesthetic": head(tmp_path)})
    absent = Heads(HeadsSettings.model_validate({"unsafe": {"weights": str(tmp_path / "absent.npz")}}))
    with pytest.raises(SettingsError, match=r"stages\.heads\.unsafe: .*absent\.npz: no such file"):
        absent.fingerprint_inputs()
    narrow = config({"unsafe": head(tmp_path)}, item_vectors={"encoder": {"kind": "descriptor"}})
    [stage] = [node.stage for step in build_graph(narrow) for node in step.nodes if node.stage.name == "heads"][:1]
    with pytest.raises(SettingsError, match=r"stages\.heads\.unsafe: .*vectors of 16 numbers, .* have \d+: set"):
        stage.fingerprint_inputs()


def test_a_threshold_is_no_part_of_what_scores_depend_on(tmp_path: Path) -> None:
    encoder = {"item_vectors": {"encoder": {"kind": "descriptor"}}}

    np.savez(tmp_path / "wide.npz", weight=np.ones((1, descriptor.DIMENSION)))

    def fingerprints(**stages: Any) -> list[Any]:
        chosen = config({"unsafe": {"weights": str(tmp_path / "wide.npz")}}, **encoder, **stages)
        nodes = [node for step in build_graph(chosen) for node in step.nodes if node.source == "web"]
        return [node.stage.fingerprint_inputs() for node in nodes if node.stage.name == "heads"]

    assert fingerprints() == fingerprints(head_filter={"max_unsafe": 0.5}) != []
