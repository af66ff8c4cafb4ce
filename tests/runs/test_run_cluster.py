"""Runs on a cluster of several nodes, of which some die, whose driver is killed, or is started by the cluster."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.extras import engine_or_skip, installed_or_skip
from tests.helpers.ray_clusters import Nodes, cluster_nodes
from tests.helpers.whole_runs import Web, assert_same_run, call, command, digests

engine_or_skip("ray")


@pytest.fixture
def nodes() -> Iterator[Nodes]:
    with cluster_nodes() as nodes:
        yield nodes


def started(config: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(command("run", config), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def wait_for(process: subprocess.Popen[str], home: Path, pattern: str, files: int) -> None:
    """Waits until a run has written so many files of a pattern."""
    while len(list(home.glob(pattern))) < files:
        assert process.poll() is None, process.communicate()[0]
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=0.005)


TABLES = "workspace/[tp]*/**/*.parquet"


def test_nodes_that_die_change_nothing(web: Web, undisturbed: Path, tmp_path: Path, nodes: Nodes) -> None:
    """While it downloads, inspects, deduplicates, captions and publishes; each time, another one joins."""
    web.serving.reset()
    config = web.config_file(tmp_path, kind="ray", address=nodes.address)
    alive = [nodes.add(cpus=1), nodes.add(cpus=1)]
    process = started(config)
    for pattern, files in (*((TABLES, tables) for tables in (8, 15, 24, 34)), ("corpus/**/*.tar", 1)):
        wait_for(process, tmp_path, pattern, files)
        nodes.kill(alive.pop(0))
        alive.append(nodes.add(cpus=1))
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0, output
    assert_same_run(tmp_path, undisturbed)
    assert "has left the cluster: what ran there runs elsewhere" in output


def test_a_killed_driver_goes_on_where_it_was(web: Web, undisturbed: Path, tmp_path: Path, nodes: Nodes) -> None:
    web.serving.reset()
    nodes.add(cpus=2)
    config = web.config_file(tmp_path, kind="ray", address=nodes.address)
    process = started(config)
    wait_for(process, tmp_path, TABLES, 15)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert not (tmp_path / "corpus").exists()
    done = call("run", config)
    assert done.returncode == 0, done.stdout + done.stderr
    assert digests(tmp_path / "corpus") == digests(undisturbed / "corpus")


def test_a_job_of_the_cluster_is_a_run(web: Web, undisturbed: Path, tmp_path: Path) -> None:
    """`ray job submit` starts the driver on a machine of the cluster, whose address is "auto" there."""
    installed_or_skip("aiohttp_cors", "opencensus")  # of ray[default]
    web.serving.reset()
    config = web.config_file(tmp_path, kind="ray", address="auto")
    with cluster_nodes(include_dashboard=True, dashboard_port=0) as nodes:
        nodes.add(cpus=2)
        submit = [sys.executable, "-m", "ray.scripts.scripts", "job", "submit", "--address", nodes.dashboard, "--"]
        for _ in range(30):
            done = subprocess.run([*submit, *command("run", config)], capture_output=True, text=True, timeout=240)
            if "No available agent to submit job" not in done.stderr:  # the cluster has only just begun
                break
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"published|one:", done.stdout), done.stdout
    assert_same_run(tmp_path, undisturbed)
