"""The demo's films, written once for all tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from demo.films.films import FilmsTruth, build_films, read_films_truth


@pytest.fixture(scope="session")
def film_world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A world's folder with nothing but the films in it."""
    folder = tmp_path_factory.mktemp("films")
    build_films(folder)
    return folder


@pytest.fixture(scope="session")
def film_truth(film_world: Path) -> FilmsTruth:
    """What is true of them."""
    return read_films_truth(film_world / "films.json")
