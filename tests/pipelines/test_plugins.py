"""Entry points of installed distributions: which are taken, where they are put, and what is said of broken ones."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from corpus.settings import SettingsError
from pipelines.graph import STAGES
from pipelines.plugins import installed_versions, with_installed_sources, with_installed_stages
from pipelines.sources import SOURCES

HOME = Path(__file__).parents[2]
MODULE = """
from typing import Literal
import pyarrow as pa
from corpus.settings import Settings
from corpus.stage import ITEMS, PAIRS, PAIR_VERDICT, VERDICT, Gives, MapStage
from pipelines.sources.base import SourceSettings


class OwnSettings(Settings):
    least: int = 0


class Own(MapStage):
    name, reads, roles = "own", (VERDICT,), (VERDICT,)
    settings_key, settings_type = "own", OwnSettings
    over, summary, schema = frozenset({Gives.IMAGES}), "a filter", pa.schema([])

    def setup(self):
        raise NotImplementedError


class Behind(Own):
    name, settings_key = "behind", "behind"
    reads = (VERDICT, "own")


class OfPairs(Own):
    name, settings_key, over_pairs = "of_pairs", "of_pairs", True
    reads, optional_reads, roles, over = (PAIRS,), (PAIR_VERDICT,), (PAIR_VERDICT,), frozenset(Gives)


class Measures(Own):
    name, settings_key, filters_rows, reads, roles = "measures", "measures", False, (ITEMS, "image_stats"), ()


class OwnSource(SourceSettings):
    gives, summary = Gives.IMAGES, "files of its own"
    kind: Literal["own"]

    def reader(self):
        raise NotImplementedError


class Nameless(Own):
    name, settings_key = "", "nameless"


class Taken(Own):
    name, settings_key = "quality", "taken"


class TakenKey(Own):
    name, settings_key = "taken_key", "quality"


class Keyless(Own):
    name, settings_key = "keyless", ""


class Abstract(MapStage):
    name, reads, roles = "abstract", (VERDICT,), (VERDICT,)
    settings_key, settings_type = "abstract", OwnSettings
    over, summary, schema = frozenset({Gives.IMAGES}), "a filter", pa.schema([])


class Silent(Own):
    name, settings_key, reads, roles = "silent", "silent", ("image_stats",), ()


class Lost(Own):
    name, settings_key, reads = "lost", "lost", (VERDICT, "colurs")


class TakenSource(OwnSource):
    kind: Literal["laion"]


class Kindless(SourceSettings):
    gives, summary = Gives.IMAGES, "files of its own"


number = 3
"""


def install(folder: Path, stages: str = "", sources: str = "") -> None:
    """A distribution with entry points, one a line."""
    (folder / "own_plugs.py").write_text(MODULE)
    info = folder / "own_plugs-2.5.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: own-plugs\nVersion: 2.5\n")
    (info / "entry_points.txt").write_text(f"[rzen_corpus.stages]\n{stages}\n[rzen_corpus.sources]\n{sources}\n")


def test_without_any_the_lists_are_the_packages_own() -> None:
    assert with_installed_stages(STAGES) == STAGES
    assert with_installed_sources(SOURCES) == SOURCES
    assert installed_versions() == {}


def test_stages_stand_behind_what_they_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("Behind", "Measures", "OfPairs", "Own")
    install(tmp_path, "\n".join(f"{name.lower()} = own_plugs:{name}" for name in names), "own = own_plugs:OwnSource")
    monkeypatch.syspath_prepend(str(tmp_path))
    order = [stage.name for stage in with_installed_stages(STAGES)]
    assert [name for name in order if name in {stage.name for stage in STAGES}] == [stage.name for stage in STAGES]
    for before, after in (
        ("decontaminate", "own"),
        ("own", "behind"),
        ("behind", "caption"),
        ("image_stats", "measures"),
        ("measures", "quality"),
        ("concept_balance", "of_pairs"),
        ("of_pairs", "negatives"),
    ):
        assert order.index(before) < order.index(after), (before, after)
    assert with_installed_sources(SOURCES)[:-1] == SOURCES
    assert with_installed_sources(SOURCES)[-1].kinds() == ("own",)
    assert installed_versions() == {"own-plugs": "2.5"}


def test_what_cannot_be_used_is_refused_with_where_it_is_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cases = {
        "absent_module:Own": "ModuleNotFoundError: No module named 'absent_module': mend that distribution",
        "own_plugs:Absent": "AttributeError: ",
        "own_plugs:number": "expected a class, found a int",
        "own_plugs:OwnSettings": "OwnSettings is no subclass of corpus.stage.MapStage or ShuffleStage",
        "own_plugs:Abstract": "Abstract lacks setup",
        "own_plugs:Nameless": "Nameless.name: expected a str, not empty",
        "own_plugs:Taken": "Taken.name: another table has the name 'quality'",
        "own_plugs:TakenKey": "TakenKey.settings_key: stages.quality has the settings of another stage",
        "own_plugs:Keyless": "Keyless needs a settings_key, a word, and a settings_type, a class of its own",
        "own_plugs:Silent": "Silent filters rows, so VERDICT belongs into its `reads` and its `roles`",
        "own_plugs:Lost": "it reads verdict, colurs, and no stage writes one of these",
    }
    of_sources = {
        "own_plugs:Own": "Own is no subclass of pipelines.sources.base.SourceSettings",
        "own_plugs:TakenSource": "TakenSource.kind: 'laion' is the kind of another source",
        "own_plugs:Kindless": "Kindless.kind: expected a Literal with the name of the kind",
    }
    monkeypatch.syspath_prepend(str(tmp_path))
    wrong = {}
    for number, (value, message) in enumerate([*cases.items(), *of_sources.items()]):
        folder = tmp_path / str(number)
        folder.mkdir()
        stages, sources = (f"x = {value}", "") if number < len(cases) else ("", f"x = {value}")
        install(folder, stages, sources)
        with monkeypatch.context() as patch:
            patch.syspath_prepend(str(folder))
            patch.delitem(sys.modules, "own_plugs", raising=False)
            try:
                with_installed_stages(STAGES)
                with_installed_sources(SOURCES)
                said = "nothing"
            except SettingsError as error:
                said = str(error)
        if not (said.startswith(f"own-plugs 2.5, entry point x = {value} of rzen_corpus.s") and message in said):
            wrong[value] = said
    assert wrong == {}


def test_commands_end_with_the_message_and_settings_choose_the_stages(tmp_path: Path) -> None:
    broken, whole = tmp_path / "broken", tmp_path / "whole"
    broken.mkdir()
    whole.mkdir()
    install(broken, "x = own_plugs:Absent")
    install(whole, "own = own_plugs:Own\nbehind = own_plugs:Behind", "own = own_plugs:OwnSource")

    def printed(site: Path, *arguments: str) -> tuple[int, str]:
        path = os.pathsep.join([str(site), str(HOME), *sys.path])
        done = subprocess.run(
            [sys.executable, "-m", "pipelines.cli", *arguments],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": path, "COLUMNS": "300"},
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr

    (tmp_path / "one.yaml").write_text("workspace: w\nsources: {n: {kind: own}}\nstages: {behind: {least: 3}}\n")
    for arguments in (["schema"], ["plan", "one.yaml"]):
        code, text = printed(broken, *arguments)
        assert code == 2 and "own-plugs 2.5, entry point x = own_plugs:Absent" in text, text
    assert printed(broken, "--help")[0] == 0
    code, text = printed(whole, "plan", "one.yaml")
    assert code == 2 and "stages.behind: it reads what own writes: add stages.own" in text, text
    code, text = printed(whole, "plan", "one.yaml", "--set", "stages.own.laest=1")
    assert code == 2 and "stages.own.laest: unknown key; did you mean 'least'?" in text, text
