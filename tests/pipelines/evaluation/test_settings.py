"""Settings of evaluation sets, and the presets of benchmarks."""

from __future__ import annotations

from pathlib import Path

import pytest

from corpus.settings import SettingsError, parse_settings
from pipelines.config import Config
from pipelines.evaluation.presets import read_preset


def config(tmp_path: Path, evaluation: dict[str, object]) -> Config:
    sources = {"web": {"kind": "laion", "files": ["x.parquet"]}}
    settings = {"workspace": str(tmp_path / "workspace"), "sources": sources, "evaluation": evaluation}
    return parse_settings(settings, Config)


def test_a_preset_is_its_sets_that_are_there(tmp_path: Path) -> None:
    for folder in ("image-tasks/MMEB/DocVQA", "video-tasks/frames/video_cls/SSv2/1", "image-tasks/ImageNet-1K"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "a.jpg").write_bytes(b"")
    chosen = config(tmp_path, {"mmeb": {"preset": "mmeb-v2", "folder": str(tmp_path), "ignore": ["docvqa"]}})
    sets = chosen.evaluation_sets
    assert sorted(sets) == ["mmeb-docvqa", "mmeb-imagenet-1k", "mmeb-smthsmthv2"]
    assert sets["mmeb-docvqa"].source.paths == (f"{tmp_path}/image-tasks/MMEB/DocVQA",)  # type: ignore[union-attr]
    assert [sets[name].frames for name in sorted(sets)] == [False, False, True]
    assert [sets[name].texts for name in sorted(sets)] == [True, False, True], "names of classes are no texts"
    assert sets["mmeb-docvqa"].ignore == ("docvqa",)
    absent = chosen.absent_evaluation_sets
    assert len(absent) == len(read_preset("mmeb-v2")) - 3 and "mmeb-nights" in absent
    only = config(tmp_path, {"m": {"preset": "mmeb-v2", "folder": str(tmp_path), "only": ["DocVQA", "GQA"]}})
    assert (sorted(only.evaluation_sets), only.absent_evaluation_sets) == (["m-docvqa"], ["m-gqa"])


def test_a_preset_of_which_nothing_is_there_is_an_error(tmp_path: Path) -> None:
    chosen = config(tmp_path, {"mmeb": {"preset": "mmeb-v2", "folder": str(tmp_path / "none")}})
    with pytest.raises(SettingsError, match=r"evaluation\.mmeb\.folder: .*none of the sets of mmeb-v2 is there"):
        _ = chosen.evaluation_sets


def test_names_of_a_preset_meet_no_other(tmp_path: Path) -> None:
    (tmp_path / "image-tasks/GQA/x").mkdir(parents=True)
    media = {"kind": "media_files", "paths": [str(tmp_path)]}
    sets = {"mmeb": {"preset": "mmeb-v2", "folder": str(tmp_path)}, "mmeb-gqa": {"source": media}}
    with pytest.raises(SettingsError, match="mmeb-gqa is the name of another set"):
        _ = config(tmp_path, sets).evaluation_sets


def test_what_is_wrong_is_refused(tmp_path: Path) -> None:
    media = {"kind": "media_files", "paths": [str(tmp_path)]}
    cases: dict[str, dict[str, object]] = {
        "name either a source or a preset": {"e": {}},
        "no 'mmeb'; there is mmeb-v2": {"e": {"preset": "mmeb", "folder": "x"}},
        "where do the preset's sets lie": {"e": {"preset": "mmeb-v2"}},
        "no set 'DocQA' in mmeb-v2": {"e": {"preset": "mmeb-v2", "folder": "x", "only": ["DocQA"]}},
        "evaluation.web: a source has this name": {"web": {"source": media}},
        "'E': a name is lower-case letters": {"E": {"source": media}},
        "neither texts nor questions nor media": {"e": {"source": {"kind": "table_rows", "files": ["x.parquet"]}}},
        "did you mean 'paths'": {"e": {"source": {"kind": "media_files", "path": "x"}}},
    }
    for message, evaluation in cases.items():
        with pytest.raises(SettingsError) as raised:
            config(tmp_path, evaluation)
        assert message in str(raised.value), message
