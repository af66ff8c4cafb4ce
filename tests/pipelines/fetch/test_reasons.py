from pipelines.fetch import REASONS, FetchSettings, reason
from pipelines.fetch.reasons import http_reason, wait_s


def test_what_is_worth_another_try_within_the_run_is_so_in_a_later_one():
    for entry in REASONS.values():
        assert entry.retryable or not entry.transient


def test_statuses():
    for status in (404, 410):
        assert not reason(http_reason(status)).transient
        assert not reason(http_reason(status)).retryable
    for status in (408, 429, 500, 502, 503, 504):
        assert reason(http_reason(status)).transient
        assert reason(http_reason(status)).retryable
    for status in (204, 206, 302, 400, 401, 403, 451, 501, 999):
        assert not reason(http_reason(status)).transient
        assert reason(http_reason(status)).retryable


def test_an_answer_is_final():
    for name in ("ok", "opted_out", "private_address", "unsupported_scheme", "bad_url", "too_large"):
        assert not reason(name).retryable


def test_waits_grow_up_to_their_bound_and_are_spread_over_all_of_it():
    settings = FetchSettings(max_attempts=6, backoff_s=1.0, max_backoff_s=4.0)
    for attempt, bound in [(1, 1.0), (2, 2.0), (3, 4.0), (4, 4.0), (5, 4.0)]:
        waits = [wait_s(attempt, None, settings) for _ in range(400)]
        assert 0 <= min(waits) < bound * 0.1
        assert bound * 0.9 < max(waits) <= bound


def test_the_last_attempt_is_the_last():
    settings = FetchSettings(max_attempts=2)
    assert wait_s(1, None, settings) is not None
    assert wait_s(2, None, settings) is None


def test_never_sooner_than_the_server_asked_and_not_at_all_when_it_asks_for_too_much():
    settings = FetchSettings(max_attempts=2, max_retry_after_s=10, backoff_s=0.5, max_backoff_s=0.5)
    assert all(10 <= wait_s(1, 10.0, settings) <= 10.5 for _ in range(100))
    assert wait_s(1, 10.1, settings) is None
