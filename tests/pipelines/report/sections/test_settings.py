"""Settings are printed as they were set, without passwords, and versions with them."""

from __future__ import annotations

from dataclasses import replace

import yaml

from corpus.settings import parse_settings
from pipelines.config import Config
from pipelines.report.sections.settings import settings_section
from tests.helpers.html_parts import read_html
from tests.helpers.report_worlds import ReportedWorld


def test_what_is_printed_gives_the_same_settings(reported: ReportedWorld) -> None:
    section = read_html(settings_section(reported.context))
    [printed] = section.all("pre")
    [text] = printed.parts
    assert isinstance(text, str)
    assert parse_settings(yaml.safe_load(text), Config) == reported.config
    assert "duplicates:" in text and "pdq_blocks" not in text, "what is at its default is left out"
    versions = dict(row for row in section.all("table")[0].rows()[1:])
    assert {"python", "pyarrow", "rzen-corpus"} <= set(versions)


def test_passwords_are_left_out(reported: ReportedWorld) -> None:
    config = reported.config.model_copy(update={"workspace": "https://user:secret@host/x"})
    text = settings_section(replace(reported.context, config=config))
    assert "secret" not in text and "host/x" in text
