"""Examples of settings are parts of valid settings files."""

from __future__ import annotations

import yaml

from filters.image.quality import Quality
from filters.text.pair_stats import TextStats
from pipelines.reference.examples import entry_example, stage_example


def test_a_stage_has_the_settings_of_a_file_or_its_defaults() -> None:
    in_file = yaml.safe_load(stage_example(Quality))["stages"]["quality"]
    assert set(in_file) <= set(Quality.settings_type.model_fields) and in_file
    by_default = yaml.safe_load(stage_example(TextStats))["stages"]["text_stats"]
    assert set(by_default) <= set(TextStats.settings_type.model_fields)


def test_an_entry_is_the_first_of_its_kind() -> None:
    data = yaml.safe_load(entry_example("sources", "laion"))
    ((name, source),) = data["sources"].items()
    assert name and source["kind"] == "laion" and source["files"]
    assert yaml.safe_load(entry_example("datasets", "images", "images"))["datasets"]
    assert entry_example("sources", "no_such_kind") == ""
