"""A world that all tests of whole runs share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.images.world import build_world
from demo.server import serve
from tests.helpers.whole_runs import SLOW, Web


@pytest.fixture(scope="session")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    folder = tmp_path_factory.mktemp("web")
    with serve(folder) as serving:
        world = build_world(folder, rows=320, base_url=serving.base_url, without=SLOW)
        yield Web(folder, serving, world.parts, world.truth)


@pytest.fixture(scope="session")
def undisturbed(web: Web, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home in which everything was run once, by one worker: what all other runs are held against."""
    home = tmp_path_factory.mktemp("undisturbed")
    result = web.run(home)
    assert result.failed == []
    return home
