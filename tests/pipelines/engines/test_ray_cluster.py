"""What a driver makes of a cluster: machines that are not there yet, that join, and that have other code."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import Queue

import pytest

import rzen_corpus
from corpus.stage import Resources
from pipelines.engines import EngineSettings
from tests.helpers.engine_works import Gate, Gated, Square, environment
from tests.helpers.extras import engine_or_skip
from tests.helpers.ray_clusters import Nodes, cluster_nodes

engine_or_skip("ray")
from pipelines.engines.ray import RayEngine  # noqa: E402

GPU = Resources(gpus=1, holds_model=True)


@pytest.fixture
def nodes() -> Iterator[Nodes]:
    with cluster_nodes() as nodes:
        yield nodes


def demands(address: str) -> set[tuple[tuple[str, float], ...]]:
    """What an autoscaler is told that a cluster lacks, once it is told anything."""
    from ray.autoscaler.v2.sdk import get_cluster_status

    while True:
        found = get_cluster_status(address).resource_demands
        bundles = {
            tuple(sorted(each.bundle.items()))
            for demand in (found.ray_task_actor_demand or [])
            for each in demand.bundles_by_count
        }
        if bundles:
            return bundles


@pytest.mark.parametrize("resources", [Resources(cpus=2), GPU])
def test_an_empty_cluster_is_waited_for(nodes: Nodes, resources: Resources) -> None:
    """In a way that an autoscaler sees, with a line that says so; a machine that joins is used."""
    lines: Queue[str] = Queue()
    engine = RayEngine(EngineSettings(kind="ray", address=nodes.address), lines.put)
    with ThreadPoolExecutor(1) as thread:
        future = thread.submit(lambda: list(engine.map(Square(resources=resources), range(3))))
        needed = "2 CPUs" if resources.cpus == 2 else "1 CPU and 1 GPU"
        expected = f"waiting for a machine with {needed}; the cluster has no processor on 1 machine"
        assert lines.get(timeout=60) == expected
        (demand,) = demands(nodes.address)
        assert dict(demand).items() >= {"CPU": resources.cpus, **({"GPU": 1.0} if resources.gpus else {})}.items()
        nodes.add(cpus=2, gpus=1)
        assert sorted(o.rows for o in future.result(timeout=60)) == [0, 1, 4]
    assert lines.get(timeout=60) == "1 machine joined: the cluster has 2 CPUs and 1 GPU on 2 machines"
    engine.close()


def test_what_never_joins_is_an_error(nodes: Nodes) -> None:
    nodes.add(cpus=1)
    engine = RayEngine(EngineSettings(kind="ray", address=nodes.address, cluster_timeout_s=0.1))
    expected = (
        r"a machine with 1 CPU and 1 GPU did not join within engine\.cluster_timeout_s \(0\.1 s\); the cluster has "
    )
    with pytest.raises(RuntimeError, match=f"{expected}1 CPU on 2 machines"):
        list(engine.map(Square(resources=GPU), range(2)))
    assert sorted(o.rows for o in engine.map(Square(), range(3))) == [0, 1, 4], "what has room runs all the same"
    engine.close()


@pytest.mark.parametrize("resources", [Resources(), Resources(holds_model=True)])
def test_a_node_that_joins_is_used_within_the_stage(nodes: Nodes, tmp_path: Path, resources: Resources) -> None:
    nodes.add(cpus=1)
    engine = RayEngine(EngineSettings(kind="ray", address=nodes.address))
    gate = Gate(tmp_path)
    with ThreadPoolExecutor(1) as thread:
        job = Gated(resources=resources, gate=gate.path)
        future = thread.submit(lambda: list(engine.map(job, range(4))))
        gate.wait(1)
        nodes.add(cpus=2)
        gate.wait(2)  # on the new one, while the first still has its first item
        gate.open()
        assert sorted(o.rows for o in future.result(timeout=60)) == [0, 1, 4, 9]
    engine.close()


def test_other_code_on_a_machine_is_an_error_before_anything_runs(
    nodes: Nodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    nodes.add(cpus=1)
    monkeypatch.setattr(rzen_corpus, "origin", lambda: ("/elsewhere", "0.0.9", "c0de" * 16))
    run = r"but the run is of rzen-corpus 0\.0\.9 \(code c0dec0de\) in /elsewhere: install the same version"
    with pytest.raises(ImportError, match=rf"^\S+ has rzen-corpus {rzen_corpus.__version__} \(code .*, {run}"):
        RayEngine(EngineSettings(kind="ray", address=nodes.address))


def test_a_runtime_environment_brings_the_package(nodes: Nodes, tmp_path: Path) -> None:
    """The driver has it where no other machine has it; a folder that Ray takes along has it, too."""
    nodes.add(cpus=1)
    copied = tmp_path / "package"
    home = Path(rzen_corpus.__file__).parent
    leave = shutil.ignore_patterns("__pycache__", "*.safetensors")
    for name in (*rzen_corpus.PACKAGES, "tests/helpers"):
        shutil.copytree(home / name, copied / name, ignore=leave)
    for name in ("rzen_corpus.py", "tests/__init__.py"):
        shutil.copy(home / name, copied / name)
    script = (
        "import rzen_corpus, os; here = rzen_corpus.origin(); rzen_corpus.origin = lambda: ('/elsewhere', *here[1:])\n"
        "from tests.helpers.engine_works import Square\n"
        "from pipelines.engines import EngineSettings, open_engine\n"
        f"brought = {{'working_dir': {str(copied)!r}, 'env_vars': {{'PYTHONPATH': ''}}}}\n"
        f"engine = open_engine(EngineSettings(kind='ray', address={nodes.address!r}, runtime_env=brought))\n"
        "print(sum(o.rows for o in engine.map(Square(), range(4))))\n"
        "engine.close()"
    )
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=120)
    assert done.stdout.split() == ["14"], done.stderr


def test_a_runtime_environment_that_ray_refuses_names_the_setting(nodes: Nodes) -> None:
    from corpus.settings import SettingsError

    settings = EngineSettings(kind="ray", address=nodes.address, runtime_env={"working_dir": "/nowhere"})
    with pytest.raises(SettingsError, match=r"engine\.runtime_env: .*/nowhere"):
        RayEngine(settings)
