"""Values from outside a settings file: variables of the environment and assignments, before anything is validated."""

from __future__ import annotations

from typing import Any

import pytest

from corpus.settings import SettingsError
from corpus.settings_values import expand_variables, set_values

ENVIRONMENT = {"BUCKET": "s3://data", "EMPTY": "", "N": "4"}


def test_variables_are_replaced_wherever_a_string_stands() -> None:
    data = {
        "workspace": "${BUCKET}/work",
        "sources": {"a": {"files": ["${BUCKET}/x.parquet", "${NONE:-local}/y"], "rows": 3}},
        "${BUCKET}": "keys stay",
    }
    found, lines = expand_variables(data, ENVIRONMENT, "a.yaml")
    assert found == {
        "workspace": "s3://data/work",
        "sources": {"a": {"files": ["s3://data/x.parquet", "local/y"], "rows": 3}},
        "${BUCKET}": "keys stay",
    }
    assert lines == ["${BUCKET} = s3://data", "${NONE} = local (its default)"]


def test_what_is_no_variable_stays() -> None:
    texts = ("${title}", "$BUCKET", "{BUCKET}", "${bucket}", "${BUCKET", "cost: $5", "$${lower}")
    assert [expand_variables(text, ENVIRONMENT, "")[0] for text in texts] == list(texts)
    assert expand_variables(["$${BUCKET}", "${EMPTY}", "${EMPTY:-x}"], ENVIRONMENT, "")[0] == ["${BUCKET}", "", ""]


def test_variables_that_are_not_set_are_all_named_with_their_keys() -> None:
    with pytest.raises(SettingsError) as error:
        expand_variables({"a": ["x", "${ONE}"], "b": {"c": "${TWO}${BUCKET}"}}, ENVIRONMENT, "a.yaml")
    assert str(error.value).splitlines() == [
        "a.yaml: a.1: ${ONE}: the environment has no variable ONE",
        "a.yaml: b.c: ${TWO}: the environment has no variable TWO",
    ]


def test_assignments_change_a_copy() -> None:
    data = {"a": {"b": 1, "list": [{"c": 1}, 2]}, "e": None}
    cases: list[tuple[str, Any]] = [
        ("a.b=2", {**data, "a": {**data["a"], "b": 2}}),
        ("a.b=x=y", {**data, "a": {**data["a"], "b": "x=y"}}),
        ("a.b=", {**data, "a": {**data["a"], "b": None}}),
        ("a.list.0.c=[1, two]", {**data, "a": {"b": 1, "list": [{"c": [1, "two"]}, 2]}}),
        ("a.list.1={d: 1.5}", {**data, "a": {"b": 1, "list": [{"c": 1}, {"d": 1.5}]}}),
        ("e.f.g=true", {**data, "e": {"f": {"g": True}}}),
        ("new.key='3'", {**data, "new": {"key": "3"}}),
    ]
    for assignment, expected in cases:
        assert set_values(data, [assignment])[0] == expected, assignment
    assert data == {"a": {"b": 1, "list": [{"c": 1}, 2]}, "e": None}
    found, lines = set_values({}, ["a=1", "a=2", "b.c=s3://user:secret@host/x"])
    assert found == {"a": 2, "b": {"c": "s3://user:secret@host/x"}}, "the last one counts"
    assert lines[:2] == ["--set a = 1", "--set a = 2"] and "secret" not in lines[2]


def test_what_is_no_assignment_is_refused() -> None:
    data = {"a": {"b": 1, "list": [1]}}
    cases = {
        "a.b": "--set a.b: expected path.to.key=value",
        "a..b=1": "--set a..b=1: expected path.to.key=value",
        "=1": "--set =1: expected path.to.key=value",
        "a.b.c=1": "--set a.b.c: c: what it is in is 1, no mapping",
        "a.list.1=1": "--set a.list.1: 1: a list of 1 has the entries 0 and up",
        "a.list.x=1": "--set a.list.x: x: a list of 1 has the entries 0 and up",
        "a.b=[1": "--set a.b: not valid YAML",
    }
    for assignment, message in cases.items():
        with pytest.raises(SettingsError) as error:
            set_values(data, [assignment])
        assert str(error.value).startswith(message), assignment
