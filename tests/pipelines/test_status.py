"""Selections and folders that cannot be are refused, and what a source has left out is listed in a few lines."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from corpus.settings import Settings, SettingsError, parse_settings
from corpus.stage import ROWS, MapStage, Shard, ShuffleStage
from corpus.workspace import TableKey
from pipelines.config import Config
from pipelines.plan import Node, Selection, Step
from pipelines.sources.not_read import NOT_READ
from pipelines.sources.source_shards import CREDENTIALS_REMOVED
from pipelines.status import check_folders, check_selection, duplicate_name_notices, source_notices, stage_cautions


class Fetch(MapStage):
    name = "fetch"
    reads = (ROWS,)
    schema = pa.schema([])
    caution = "it reaches everything"

    def setup(self) -> Callable[[Shard], pa.Table]:
        raise NotImplementedError


class Compare(ShuffleStage):
    name = "compare"
    reads = (ROWS,)
    schema = pa.schema([])

    def map(self, shard: Shard) -> pa.Table:
        raise NotImplementedError

    def reduce(self, rows: pa.Table) -> pa.Table:
        raise NotImplementedError

    def finalize(self, reduced: pa.Table) -> pa.Table:
        raise NotImplementedError


def step(*stages: MapStage | ShuffleStage) -> Step:
    nodes = tuple(Node(stage, "web", TableKey("tables", "web", stage.name), ()) for stage in stages)
    return Step(stages[0].name, nodes)


STEPS = [step(Fetch(Settings()), Fetch(Settings())), step(Compare(Settings()))]
SHARDS, RETRY, WEB = frozenset({3}), frozenset({"timeout"}), frozenset({"web"})


def test_a_selection_that_cannot_be_is_refused_and_says_why() -> None:
    cases = [
        (Selection("crop"), "--stage crop: no such stage; there is fetch, compare"),
        (Selection(force=True), "--force and --retry need --stage"),
        (Selection(retry=RETRY), "--force and --retry need --stage"),
        (Selection("compare", retry=RETRY), "--retry: stage compare reads all shards together"),
        (Selection(shards=SHARDS), "--shards needs --stage"),
        (Selection("compare", SHARDS), "--shards: stage compare reads all shards together"),
        (Selection(sources=WEB), "--source needs --stage"),
        (Selection("compare", sources=WEB), "--source: stage compare reads all shards together"),
        (Selection("fetch", sources=WEB | {"films"}), "--source films: stage fetch has no such source; it is over web"),
    ]
    wrong = []
    for selection, message in cases:
        try:
            check_selection(STEPS, selection)
        except SettingsError as error:
            if message in str(error):
                continue
        wrong.append((selection, message))
    assert wrong == []
    allowed = (Selection("fetch", SHARDS, retry=RETRY), Selection("fetch", SHARDS, sources=WEB))
    for selection in (Selection(), *allowed, Selection("compare", force=True)):
        check_selection(STEPS, selection)


def test_a_caution_of_several_nodes_is_printed_once() -> None:
    assert stage_cautions(STEPS) == ["it reaches everything"]


def config(root: Path, workspace: str, corpus: str) -> Config:
    web = {"kind": "laion", "files": [str(root / "*.parquet")]}
    sources = {"sources": {"web": web}, "datasets": {"pairs": {"source": "web"}}}
    mixtures = {"mixtures": {"one": {"corpus": str(root / corpus), "datasets": {"pairs": {}}}}}
    return parse_settings({"workspace": str(root / workspace), **sources, **mixtures}, Config)


def test_a_folder_that_is_a_file_or_lies_in_one_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    check_folders(config(tmp_path, "not/there/yet", "corpus"))
    with pytest.raises(SettingsError, match=r"workspace: .*file is a file, where a folder is wanted"):
        check_folders(config(tmp_path, "file", "corpus"))
    below = config(tmp_path, "workspace", "file/below")
    with pytest.raises(SettingsError, match=r"mixtures\.one\.corpus: .*/file/below: .*/file is a file"):
        check_folders(below)
    check_folders(below, [])  # a mixture that is not published needs no folder


def test_notices_of_a_source_list_the_first_lines_of_each_kind() -> None:
    notes = {
        NOT_READ: {"lines": [f"not read (hidden_file): .{number}" for number in range(11)]},
        "annotations": {"read": 1000, "placed": 900, "no_time": 60, "repeated": 40, "ambiguous_video": 0},
        CREDENTIALS_REMOVED: 2,
    }
    assert list(source_notices("web", notes, "index.json")) == [
        *(f"web: not read (hidden_file): .{number}" for number in range(10)),
        "web: 1 more lines, in index.json",
        "web: of 1,000 annotations 100 are not used: no_time 60, repeated 40",
        "web: 2 URLs carried user:password@: taken off, and requested without",
    ]
    assert list(source_notices("web", {})) == []


def test_a_notice_about_repeated_names_shows_five_of_them() -> None:
    names = [f"{number}.jpg" for number in range(6)]
    (line,) = duplicate_name_notices("web", names)
    assert line.startswith("web: 6 names of images") and line.endswith("0.jpg, 1.jpg, 2.jpg, 3.jpg, 4.jpg and 1 more")
    assert list(duplicate_name_notices("web", [])) == []
