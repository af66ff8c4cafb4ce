"""Tables of settings: a row for each key, each model described once, with anchors that links lead to."""

from __future__ import annotations

import re
from typing import Literal

from pydantic import BaseModel, Field

from corpus.settings import Settings, tuning
from pipelines.reference.settings_tables import TUNING, SettingsTables, kind_of


class Fetch(Settings):
    """Settings of a fetcher."""

    timeout_s: float = tuning(3.0, gt=0, description="The longest wait.")


class Local(Settings):
    """Settings of a local model."""

    kind: Literal["local"] = Field("local", description="On this machine.")


class Remote(Settings):
    """Settings of a remote model."""

    kind: Literal["remote"] = Field(description="Elsewhere.")
    fetch: Fetch = Field(Fetch(), description="How it is read.")


class Planted(Settings):
    """Settings of a stage."""

    radius: int = Field(4, ge=0, description="Bits, `a < b`, 2*2.")
    fetch: Fetch = Field(Fetch(), description="How files are read.")
    model: Local | Remote = Field(Local(), description="Which model.")
    sources: dict[str, Local] = Field({}, description="By name.")


def anchors(lines: list[str]) -> set[str]:
    text = "\n".join(lines)
    return {*re.findall(r'<code id="([^"]+)">', text), *re.findall(r"\{#([^}]+)\}", text)}


def test_every_key_has_a_row_and_every_model_one_section() -> None:
    tables = SettingsTables()
    lines = tables.of(Planted)
    assert lines[0] == "| key | type | default | what it is |"
    assert lines[2] == '| <code id="radius">radius</code> | integer, at least 0 | `4` | Bits, `a < b`, 2\\*2. |'
    assert [line for line in lines if line.startswith("#")] == [
        "### `fetch` {#settings-fetch}",
        "### `model`, kind `local` {#settings-model-local}",
        "### `model`, kind `remote` {#settings-model-remote}",
    ]
    assert "Settings of a remote model." in lines
    row = next(line for line in lines if ">model.remote.fetch<" in line or 'id="model.remote.fetch"' in line)
    assert "[settings](#settings-fetch)" in row, "described where it stands first"
    row = next(line for line in lines if 'id="sources"' in line)
    assert "mapping of names to [settings](#settings-model-local)" in row
    assert set(re.findall(r"\]\(#([^)]+)\)", "\n".join(lines))) <= anchors(lines)


def test_settings_that_change_no_table_are_marked() -> None:
    tables = SettingsTables()
    assert tables.note() == []
    row = next(line for line in tables.of(Fetch) if "timeout_s" in line)
    assert row.endswith("| number, more than 0 | `3.0` | seconds | The longest wait. *Tuning.* |")
    assert tables.note() == [TUNING, ""]


def test_models_of_other_pages_are_linked_to() -> None:
    links: dict[type[BaseModel], str] = {Local: "models.md#local", Remote: "models.md#remote"}
    lines = SettingsTables(links).of(Planted, without=("sources",))
    row = next(line for line in lines if 'id="model"' in line)
    assert "[local](models.md#local) or [remote](models.md#remote)" in row
    assert not any("kind `local`" in line or "sources" in line for line in lines)


def test_a_model_without_settings_says_so() -> None:
    assert SettingsTables().of(Settings) == ["There are none.", ""]
    assert [kind_of(each) for each in (Local, Planted)] == ["local", ""]
