"""Settings of a mixture."""

from __future__ import annotations

from typing import Any

import pytest

from corpus.settings import SettingsError, parse_settings
from pipelines.publish.mixture import MixtureSettings
from tests.helpers.small_worlds import mixture


def test_where_the_corpus_lies_is_not_part_of_what_it_is() -> None:
    here, there = mixture("/here", {"laion": {}}), mixture("/there", {"laion": {}})
    assert here.canonical() == there.canonical()
    assert here.canonical() != mixture("/here", {"laion": {"pairs": 5}}).canonical()


@pytest.mark.parametrize(
    "wrong", [{"datasets": {}}, {"datasets": {"laion": {"weight": 0}}}, {"datasets": {"laion": {"negatves": 1}}}, {}]
)
def test_settings_that_make_no_corpus_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(SettingsError):
        parse_settings({"corpus": "x"} | wrong, MixtureSettings)
