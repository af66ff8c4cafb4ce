"""A settings file to start from is written once, and is valid as it stands."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from corpus.settings import load_settings
from pipelines.cli import app
from pipelines.commands.files import SettingsTemplate
from pipelines.config import Config
from pipelines.graph import build_graph
from pipelines.templates import CONFIGS, write_template
from tests.helpers.config_files import settings_files


def test_every_template_is_a_valid_settings_file(tmp_path: Path) -> None:
    for template in SettingsTemplate:
        path = write_template(str(template), tmp_path / "new")
        config = load_settings(path, Config)
        assert config.sources and config.mixtures, template
        assert path.read_text().startswith("# "), "it says what it is for"


def test_every_file_of_settings_has_a_run_graph() -> None:
    """What `plan` and `run` build first."""
    mined = {}
    for name, config in settings_files():
        steps = {step.name: {node.dataset for node in step.nodes} for step in build_graph(config)}
        assert {*config.datasets} <= steps["pairs"], name
        assert steps.get("negatives", set()) == {*config.stages.negatives.datasets}, name
        mined[name] = len(steps.get("negatives", ()))
    assert {name: count for name, count in mined.items() if count} == {
        **{"demo.yaml": 2, "demo-vlm.yaml": 1, "pairs.yaml": 1, "rzenembed-stage2.yaml": 12}
    }


def test_every_file_of_settings_is_a_template_or_a_demo(tmp_path: Path) -> None:
    written = {write_template(str(template), tmp_path).name for template in SettingsTemplate}
    assert {path.name for path in CONFIGS.glob("*.yaml")} - written == {"demo.yaml", "demo-vlm.yaml"}


def test_a_file_that_exists_is_left_alone(tmp_path: Path) -> None:
    path = write_template("laion", tmp_path)
    path.write_text("mine")
    with pytest.raises(FileExistsError):
        write_template("laion", tmp_path)
    assert path.read_text() == "mine"


def test_the_command_names_what_to_do_next(tmp_path: Path) -> None:
    runner = CliRunner()
    first = runner.invoke(app, ["init", "pairs", str(tmp_path / "project")])
    assert first.exit_code == 0
    assert "rzen-corpus plan" in first.output
    assert (tmp_path / "project" / "pairs.yaml").exists()
    again = runner.invoke(app, ["init", "pairs", str(tmp_path / "project")])
    assert again.exit_code == 1
    assert runner.invoke(app, ["init", "nothing", str(tmp_path)]).exit_code == 2
