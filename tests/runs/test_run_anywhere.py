"""Runs with two workers, in a folder that has packages of this package's names: none takes one of those, and every
engine publishes the same bytes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.clashing import in_the_way
from tests.helpers.extras import engine_or_skip
from tests.helpers.whole_runs import Web, assert_same_run


@pytest.mark.parametrize("engine", ["local", "ray", "beam"])
def test_the_working_directory_is_in_nobodys_way(web: Web, undisturbed: Path, tmp_path: Path, engine: str) -> None:
    engine_or_skip(engine)
    web.serving.reset()
    hostile = in_the_way(tmp_path / "cwd")
    config = web.config_file(tmp_path, kind=engine, workers=2)
    # As the command `rzen-corpus` starts it; and with the folder on the path of this and all other processes.
    command = [sys.executable, "-P", "-m", "rzen_corpus", "run", str(config)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(hostile), os.environ.get("PYTHONPATH", "")])}
    done = subprocess.run(command, cwd=hostile, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert_same_run(tmp_path, undisturbed)
