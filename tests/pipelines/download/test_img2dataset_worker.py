"""The process that img2dataset is called in."""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path

from corpus.processes import ChildProcess
from pipelines.download import img2dataset_worker
from tests.helpers.engine_works import Fifo

# In place of the library: notes what it was called with, or hangs with a worker.
_LIBRARY = """
import json, os, pathlib, subprocess

def download(fifo=None, **given):
    if fifo is None:
        pathlib.Path(given.pop("note")).write_text(json.dumps(given))
        return
    end = os.open(fifo, os.O_WRONLY)
    worker = subprocess.Popen(["sleep", "600"], pass_fds=[end])
    os.write(end, b"x")
    worker.wait()
"""


def start(folder: Path, **arguments: object) -> ChildProcess:
    (folder / "img2dataset.py").write_text(_LIBRARY)
    return ChildProcess([img2dataset_worker.__file__, json.dumps(arguments)], path=[str(folder), *sys.path])


def test_arguments_reach_the_library(tmp_path: Path) -> None:
    process = start(tmp_path, note=str(tmp_path / "note"), url_list="urls.parquet", retries=2, none=None)
    assert process.wait() == 0
    process.kill()
    assert json.loads((tmp_path / "note").read_text()) == {"url_list": "urls.parquet", "retries": 2, "none": None}


def test_it_ends_with_its_parent_and_takes_its_workers_along(tmp_path: Path) -> None:
    fifo = Fifo(tmp_path)
    process = start(tmp_path, fifo=fifo.path)
    assert fifo.read() == b"x"
    process._pipe.close()  # as when the parent is killed
    assert fifo.read() == b"", "both are gone"
    assert process.wait() == -signal.SIGKILL
