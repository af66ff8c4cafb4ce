"""The demo's films go through the house as the demo's settings say, and the check at its end finds nothing wrong."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml
from rich.console import Console

from corpus.settings import parse_settings
from demo.films.films import FilmsTruth, build_films, read_films_truth
from demo.run import DEMO_SETTINGS, FILMS_SOURCE, demo_config, film_differences, with_folder_and_port
from demo.server import serve
from pipelines.config import Config
from pipelines.plan import Selection
from pipelines.runner import run

QUIET = Console(quiet=True)


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Config, FilmsTruth]:
    """The demo's settings without its images, and a run with them."""
    folder = tmp_path_factory.mktemp("demo")
    with serve(folder / "world") as serving:
        truth = read_films_truth(build_films(folder / "world", serving.base_url))
        config = films_only(folder, serving.base_url)
        result = run(config, Selection(), QUIET)
    assert not result.failed
    return config, truth


def films_only(folder: Path, base_url: str) -> Config:
    text = DEMO_SETTINGS.read_text().replace("127.0.0.1:8642", base_url.removeprefix("http://"))
    data: dict[str, Any] = with_folder_and_port(folder, yaml.safe_load(text))
    data["engine"] = {"kind": "local", "workers": 1}
    data["sources"] = {FILMS_SOURCE: data["sources"][FILMS_SOURCE]}
    data["datasets"] = {name: one for name, one in data["datasets"].items() if one["source"] == FILMS_SOURCE}
    data["mixtures"] = {FILMS_SOURCE: data["mixtures"][FILMS_SOURCE]}
    data["stages"]["caption"]["sources"].pop("laion")
    data["stages"]["negatives"].pop("datasets")  # they are of other sources
    return parse_settings(data, Config)


def test_films_come_out_as_planted(done: tuple[Config, FilmsTruth]) -> None:
    config, truth = done
    assert film_differences(truth, config) == []


def test_words_that_are_not_those_of_the_truth_are_found(done: tuple[Config, FilmsTruth]) -> None:
    config, truth = done
    film = truth.films[0]
    parts = [replace(part, text=film.parts[4].text) if part is film.parts[3] else part for part in film.parts]
    lines = film_differences(replace(truth, films=[replace(film, parts=parts), *truth.films[1:]]), config)
    assert any(film.parts[3].text in line and "is no text of frames" in line for line in lines)


def test_a_film_lies_in_several_shards_and_comes_together(done: tuple[Config, FilmsTruth]) -> None:
    config, truth = done

    def shards_with(stage: str) -> list[str]:
        """Those in whose table of a stage the documentary is."""
        tables = sorted((Path(config.workspace) / "tables" / FILMS_SOURCE / stage).glob("*.parquet"))
        return [path.name for path in tables if truth.films[0].url in pq.read_table(path).column("url").to_pylist()]

    assert len(shards_with("clips")) >= 2
    assert len(shards_with("groups")) == 1


def test_settings_of_the_demo_fit_its_folder(tmp_path: Path) -> None:
    config = demo_config(tmp_path, "ray", DEMO_SETTINGS)
    assert config.engine.kind == "ray"
    assert config.workspace == f"{tmp_path}/workspace"
    assert config.sources[FILMS_SOURCE].videos[0] == f"{tmp_path}/world/films"  # type: ignore[union-attr]
