"""The settings of a run: references between their parts, names, and the files that a user starts from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from corpus.settings import SettingsError, load_settings, parse_settings
from pipelines.config import Config, parse_shards
from pipelines.sources import SOURCES
from tests.helpers.cases import cases

CONFIGS = sorted((Path(__file__).parents[2] / "configs").glob("*.yaml"))

LAION = {"kind": "laion", "files": ["metadata/*.parquet"]}
FROM_SOURCE = {"kind": "img2dataset", "folder": "downloaded"}


def settings(**changes: Any) -> dict[str, Any]:
    return {"workspace": "work", "sources": {"laion": LAION}, **changes}


def parse(**changes: Any) -> Config:
    return parse_settings(settings(**changes), Config)


def test_a_workspace_and_a_source_are_enough() -> None:
    config = parse()
    assert config.engine.kind == "local"
    assert config.stages.download.backend == "fetch"
    assert config.datasets == config.mixtures == {}


def test_sources_are_told_apart_by_their_kind() -> None:
    config = parse(sources={"laion": LAION, "given": FROM_SOURCE})
    assert [type(source).__name__ for source in config.sources.values()] == ["LaionSource", "Img2datasetSource"]
    assert config.sources["given"].folder == "downloaded"  # type: ignore[union-attr]


@cases(
    ("changes", "said"),
    [
        ({"sources": {}}, "sources: "),
        ({"sources": {"laion": {"kind": "lion", "parts": ["x"]}}}, "sources.laion: "),
        ({"sources": {"laion": {**LAION, "folder": "x"}}}, "sources.laion.folder: unknown key"),
        (
            {"sources": {"laion": {**FROM_SOURCE, "foldr": "x"}}},
            "sources.laion.foldr: unknown key; did you mean 'folder'?",
        ),
        ({"sources": {"La/ion": LAION}}, "'La/ion': a name is lower-case letters"),
        ({"datasets": {"-x": {"source": "laion"}}}, "'-x': a name is"),
        ({"datasets": {"x": {"source": "lion"}}}, "datasets.x.source: no source 'lion'; there is laion"),
        (
            {"datasets": {"x": {"source": "laion"}}, "stages": {"negatives": {"datasets": {"x": {}}}}},
            "datasets.x.task: it is mined, and encoder 'descriptor' compares no text with an image: set `search_by: "
            "positive` in stages.negatives.datasets.x",
        ),
        (
            {"mixtures": {"one": {"corpus": "out", "datasets": {"x": {}}}}},
            "mixtures.one.datasets: no dataset 'x'; there is none",
        ),
        ({"stages": {"qualty": {}}}, "stages.qualty: unknown key; did you mean 'quality'?"),
        ({"stages": {"duplicates": {"hamming_radius": 9}}}, "stages.duplicates.hamming_radius: "),
        ({"engine": {"kind": "spark"}}, "engine.kind: "),
        ({"workspace": None}, "workspace: "),
    ],
)
def test_what_cannot_be_is_named_with_a_way_out(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingsError) as raised:
        parse(**changes)
    assert said in str(raised.value)


def test_datasets_and_mixtures_refer_to_each_other() -> None:
    config = parse(
        sources={"laion": LAION, "given": FROM_SOURCE},
        datasets={"one": {"source": "laion"}, "two": {"source": "given", "stage": 2}},
        mixtures={"both": {"corpus": "out", "datasets": {"one": {}, "two": {"weight": 2.0}}}},
    )
    assert config.datasets["two"].source == "given"
    assert config.mixtures["both"].datasets["two"].weight == 2.0


def test_two_mixtures_have_two_folders() -> None:
    datasets = {"datasets": {"one": {}}}
    mixtures = {"a": {"corpus": "out", **datasets}, "b": {"corpus": "out/", **datasets}}
    with pytest.raises(SettingsError, match=r"mixtures\.b\.corpus: mixture 'a' is published there"):
        parse(sources={"laion": LAION}, datasets={"one": {"source": "laion"}}, mixtures=mixtures)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_the_files_to_start_from_load(path: Path) -> None:
    config = load_settings(path, Config)
    assert config.mixtures, "and publish something"


def test_there_are_files_to_start_from() -> None:
    names = {path.name for path in CONFIGS}
    assert {"demo.yaml", "laion.yaml", "rzenembed-stage1.yaml", "rzenembed-stage2.yaml"} <= names


def test_the_schema_is_a_json_schema_that_the_files_keep_to() -> None:
    schema = json.loads(json.dumps(Config.model_json_schema()))
    Draft202012Validator.check_schema(schema)
    checker = Draft202012Validator(schema)
    for path in CONFIGS:
        checker.validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    assert not checker.is_valid(settings(sources={"laion": {**LAION, "patrs": ["x"]}}))


@pytest.mark.parametrize(
    ("text", "numbers"),
    [("3", {3}), ("3,7-9", {3, 7, 8, 9}), (" 1 , 2 - 4 ", {1, 2, 3, 4}), ("5-5", {5}), ("1,1-2", {1, 2})],
)
def test_shards_are_numbers_and_ranges(text: str, numbers: set[int]) -> None:
    assert parse_shards(text) == numbers


@pytest.mark.parametrize("text", ["", "a", "3,", "7-3", "-3", "1-2-3", "1.5", "1;2", "9" * 5000, "٣"])
def test_other_shards_are_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="expected numbers and ranges such as 3,7-12"):
        parse_shards(text)


@pytest.mark.parametrize("text", ["0-999999999", "1-1000000,2000000"])
def test_more_shards_than_anybody_names_are_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="more than 1000000"):
        parse_shards(text)


def test_the_demo_has_a_source_of_every_kind() -> None:
    kinds = {kind for source in SOURCES for kind in source.kinds()}
    (path,) = (path for path in CONFIGS if path.name == "demo.yaml")
    demo = load_settings(path, Config)
    assert {source.kind for source in demo.sources.values()} == kinds >= {"megapairs", "jsonl", "parquet"}
