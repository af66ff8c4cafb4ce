"""Presets: the sets of benchmarks, and where they lie."""

from __future__ import annotations

from pathlib import Path

from pipelines.evaluation.presets import PresetSet, preset_names, read_preset


def test_presets_have_each_set_once() -> None:
    assert preset_names() == ["mmeb-v2"]
    for name in preset_names():
        slugs = [each.slug for each in read_preset(name)]
        assert len(slugs) == len(set(slugs)) == 81


def test_a_set_lies_in_the_first_of_its_folders_that_is_there(tmp_path: Path) -> None:
    entry = PresetSet(name="RefCOCO-Matching", folders=("a/b", "c"))
    assert (entry.slug, entry.is_in(str(tmp_path))) == ("refcoco-matching", False)
    (tmp_path / "c").mkdir()
    assert not entry.is_in(str(tmp_path)), "an empty folder has no set"
    (tmp_path / "c/1.jpg").write_bytes(b"")
    assert entry.source(f"{tmp_path}/").paths == (f"{tmp_path}/c",)
