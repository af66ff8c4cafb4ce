from pipelines.fetch import REASONS, reason
from pipelines.fetch.reasons import http_reason


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
    for name in ("ok", "opted_out", "refused_address", "refused_scheme", "bad_url", "too_large"):
        assert not reason(name).retryable
