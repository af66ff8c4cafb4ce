"""The process that img2dataset is called in."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from pipelines.download import img2dataset_worker

# In place of the library: notes what it was called with, or hangs with a worker.
_LIBRARY = """
import json, pathlib, subprocess

def download(pipe=None, **given):
    if pipe is None:
        pathlib.Path(given.pop("note")).write_text(json.dumps(given))
        return
    end = open(pipe, "w")
    worker = subprocess.Popen(["sleep", "600"], pass_fds=[end.fileno()])
    print("started", file=end, flush=True)
    worker.wait()
"""


def start(folder: Path, **arguments: object) -> subprocess.Popen[bytes]:
    (folder / "img2dataset.py").write_text(_LIBRARY)
    command = [sys.executable, "-P", img2dataset_worker.__file__, json.dumps(arguments)]
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    return subprocess.Popen(command, stdin=subprocess.PIPE, env=environment, start_new_session=True)


def test_arguments_reach_the_library(tmp_path: Path) -> None:
    process = start(tmp_path, note=str(tmp_path / "note"), url_list="urls.parquet", retries=2, none=None)
    assert process.wait() == 0
    assert process.stdin is not None
    process.stdin.close()
    assert json.loads((tmp_path / "note").read_text()) == {"url_list": "urls.parquet", "retries": 2, "none": None}


def test_it_ends_with_its_parent_and_takes_its_workers_along(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    process = start(tmp_path, pipe=str(tmp_path / "pipe"))
    assert process.stdin is not None
    with (tmp_path / "pipe").open() as pipe:
        assert pipe.readline() == "started\n"
        process.stdin.close()  # as when the parent is killed
        assert pipe.read() == "", "both are gone"
    assert process.wait() == -signal.SIGKILL
