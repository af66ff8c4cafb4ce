import pytest

from corpus.settings import SettingsError, parse_settings
from pipelines.fetch import FetchSettings


@pytest.mark.parametrize(
    "wrong",
    [
        {"private_allowlist": ["localhost"]},
        {"private_allowlist": ["10.0.0.1/8"]},
        {"user_agent_token": "two words"},
        {"user_agent_token": "line\nbreak"},
        {"contact": "me\r\nX-Header: 1"},
        {"total_timeout_s": 0},
        {"max_bytes": 0},
        {"max_attempts": 0},
        {"backoff_s": 5, "max_backoff_s": 1},
    ],
)
def test_settings_that_cannot_work_are_refused(wrong):
    with pytest.raises(SettingsError):
        parse_settings(wrong, FetchSettings)


def test_a_wrong_rule_is_named():
    with pytest.raises(SettingsError, match=r"private_allowlist.*'localhost' is neither a network"):
        parse_settings({"private_allowlist": ["localhost"]}, FetchSettings)


def test_the_user_agent_says_who_asks_what_for_and_whom_to_ask():
    agent = FetchSettings(contact="https://example.org/crawler").user_agent
    assert agent.startswith("rzen-corpus/")
    assert "research corpus" in agent
    assert "+https://example.org/crawler" in agent
    assert "X-Robots-Tag" in agent
    assert "X-Robots-Tag" not in FetchSettings(respect_opt_out=False).user_agent


def test_patience_speed_and_reach_are_no_part_of_a_fingerprint_but_what_is_let_in_is():
    plain = FetchSettings().canonical()
    tuned = {
        "total_timeout_s": 99,
        "concurrency": 7,
        "max_attempts": 9,
        "contact": "a@b.c",
        "private_allowlist": ("10.0.0.0/8",),
    }
    assert FetchSettings(**tuned, trust_env=True).canonical() == plain
    for change in ({"max_bytes": 1}, {"respect_opt_out": False}, {"user_agent_token": "other"}):
        assert FetchSettings(**change).canonical() != plain
