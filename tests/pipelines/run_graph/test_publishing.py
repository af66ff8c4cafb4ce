"""What a mixture waits for: its datasets, its sources, and whose items its pairs may refer to. Nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from corpus.settings import parse_settings
from corpus.workspace import Workspace
from pipelines.config import Config
from pipelines.engines.local import LocalEngine
from pipelines.graph import build_graph
from pipelines.plan import Plan
from pipelines.report.table_counts import TableCounts
from pipelines.run_graph.publishing import Publisher, versions


def publisher(folder: Path, **sources: dict[str, Any]) -> Publisher:
    """A publisher of a mixture of each source's images, and of one of all."""
    datasets = {name: {"source": name, "captions": "both"} for name in sources}
    mixtures = {name: {"corpus": str(folder / name), "datasets": {name: {}}} for name in sources}
    mixtures["all"] = {"corpus": str(folder / "all"), "datasets": {name: {} for name in sources}}
    data = {
        "workspace": str(folder / "workspace"),
        "engine": {"kind": "local", "workers": 1},
        "sources": sources,
        "stages": {"caption": {"sources": {name: {} for name in sources}}},
        "datasets": datasets,
        "mixtures": mixtures,
    }
    config = parse_settings(data, Config)
    workspace = Workspace(config.workspace)
    return Publisher(config, workspace, Plan({}), TableCounts(workspace), LocalEngine(config.engine))


@pytest.fixture
def found(tmp_path: Path) -> Publisher:
    laion = {"kind": "laion", "files": [str(tmp_path / "part.parquet")]}
    return publisher(tmp_path, east=laion, west=laion)


def test_a_mixture_waits_for_its_own_sources_and_datasets(found: Publisher) -> None:
    nodes = [node for step in build_graph(found.config) for node in step.nodes]
    stages = {node.stage.name for node in nodes}
    assert {"download", "image_stats", "quality", "duplicates", "caption", "pairs"} <= stages
    for name in ("east", "west"):
        awaited = [nodes[number] for number in found.nodes(name, nodes)]
        assert {node.source for node in awaited} == {name} == found.sources(name)
        assert {"download", "image_stats", "duplicates", "pairs"} <= {node.stage.name for node in awaited}
        assert all(node.dataset in ("", name) for node in awaited)
    every = {number for name in ("east", "west") for number in found.nodes(name, nodes)}
    assert set(found.nodes("all", nodes)) == every


def test_versions_name_this_program_and_what_writes_its_bytes() -> None:
    assert {"python", "rzen-corpus", "pyarrow", "opencv-python-headless", "pillow"} <= set(versions())
