"""What may be said of endpoints."""

from __future__ import annotations

from typing import Any

import pytest

from corpus.settings import SettingsError, parse_settings
from serving.openai.settings import EndpointSettings

GOOD = {"kind": "openai", "model": "cogvlm2", "endpoints": ["http://host:8000/v1/", "https://other/v1"]}


def fault_of(**changes: Any) -> str:
    with pytest.raises(SettingsError) as refused:
        parse_settings(GOOD | changes, EndpointSettings)
    return str(refused.value)


def test_base_urls_lose_their_trailing_slash() -> None:
    assert parse_settings(GOOD, EndpointSettings).endpoints == ("http://host:8000/v1", "https://other/v1")


def test_only_what_shapes_a_caption_is_part_of_the_fingerprint() -> None:
    moved = {
        "endpoints": ["http://new/v1"],
        "api_key_env": "KEY",
        "concurrency_per_endpoint": 4,
        "timeout_s": 9.0,
        "max_attempts": 9,
    }
    one, other = parse_settings(GOOD, EndpointSettings), parse_settings(GOOD | moved, EndpointSettings)
    assert one.canonical() == other.canonical()
    names = {"kind", "model", "revision", "family", "image_format", "jpeg_quality", "extra_body", "structured_output"}
    assert set(one.canonical()) == names


@pytest.mark.parametrize(
    ("url", "fault"),
    [
        ("host:8000/v1", "not an http or https URL"),
        ("ftp://host/v1", "not an http or https URL"),
        ("http:///v1", "not"),
        ("http://host:port/v1", "not a URL"),
        ("http://[::1]@", "not a URL"),  # where yarl raises an IndexError
        ("http://host/v1/chat/completions", "leave out /chat/completions"),
        ("http://host/v1?key=planted", "query"),
        ("http://user:planted@host/v1", "credentials don't belong there"),
    ],
)
def test_a_url_that_is_no_base_url_is_refused_and_not_repeated(url: str, fault: str) -> None:
    said = fault_of(endpoints=["http://good/v1", url])
    assert "endpoints: " in said and "number 2" in said and fault in said
    assert "planted" not in said


def test_no_endpoint_or_one_twice_is_refused() -> None:
    assert "at least 1" in fault_of(endpoints=[])
    assert "twice" in fault_of(endpoints=["http://host/v1", "http://host/v1/"])


def test_a_key_in_the_place_of_its_variables_name_is_refused_and_not_repeated() -> None:
    said = fault_of(api_key_env="sk-planted")
    assert "name of an environment variable" in said
    assert "planted" not in said


def test_what_would_silently_lose_against_another_setting_is_refused() -> None:
    assert "max_tokens, stream" in fault_of(extra_body={"stream": True, "max_tokens": 7, "top_k": 1})
    assert "max_outage_s 60 must be longer than timeout_s 120" in fault_of(max_outage_s=60)
    assert "max_backoff_s 1 is less than backoff_s 2" in fault_of(backoff_s=2, max_backoff_s=1)
