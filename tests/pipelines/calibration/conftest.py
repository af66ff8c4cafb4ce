"""A small set that was run once: what the tests of calibration read."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.config import Config
from tests.helpers.calibrating import calibration_world


@pytest.fixture(scope="session")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Config:
    return calibration_world(tmp_path_factory.mktemp("shapes"))


@pytest.fixture(scope="session")
def written(shapes: Config, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the page and the contact sheet of all thresholds."""
    from pipelines.calibration.calibrate import write_calibration

    folder = tmp_path_factory.mktemp("calibration")
    write_calibration(shapes, "shapes.yaml", folder, None, 1_000)
    return folder
