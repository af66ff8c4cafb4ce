"""What a run records of the programs it runs with. Whole runs are tested in tests/runs."""

from __future__ import annotations

from pipelines.runner import versions


def test_versions_name_this_program_and_what_writes_its_bytes() -> None:
    assert {"python", "rzen-corpus", "pyarrow", "opencv-python-headless", "pillow"} <= set(versions())
