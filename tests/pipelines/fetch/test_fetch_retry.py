import math

import pytest

from pipelines.fetch import FetchSettings
from pipelines.fetch.retry import retry_after_s, wait_s

NOW = 784_111_777.0  # Sun, 06 Nov 1994 08:49:37 GMT


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("0", 0.0),
        (" 120 ", 120.0),
        ("Sun, 06 Nov 1994 08:50:37 GMT", 60.0),
        ("Sunday, 06-Nov-94 08:50:37 GMT", 60.0),
        ("Sun Nov  6 08:50:37 1994", 60.0),
        ("Sun, 06 Nov 1994 08:00:00 GMT", 0.0),
        ("-5", None),
        ("1.5", None),
        ("soon", None),
        ("", None),
        ("٣", None),
        ("Sun, 99 Nov 1994 99:99:99 GMT", None),
        ("Sun, 06 Nov 99999999999999999999 08:49:37 GMT", None),
    ],
)
def test_retry_after(header, seconds):
    assert retry_after_s(header, NOW) == seconds


def test_a_number_of_any_length_is_long_but_finite():
    assert 1e9 < retry_after_s("9" * 4000) < math.inf


def test_waits_grow_up_to_their_bound_and_are_spread_over_all_of_it():
    settings = FetchSettings(attempts=6, backoff_s=1.0, backoff_max_s=4.0)
    for attempt, bound in [(1, 1.0), (2, 2.0), (3, 4.0), (4, 4.0), (5, 4.0)]:
        waits = [wait_s(attempt, None, settings) for _ in range(400)]
        assert 0 <= min(waits) < bound * 0.1
        assert bound * 0.9 < max(waits) <= bound


def test_the_last_attempt_is_the_last():
    settings = FetchSettings(attempts=2)
    assert wait_s(1, None, settings) is not None
    assert wait_s(2, None, settings) is None


def test_never_sooner_than_the_server_asked_and_not_at_all_when_it_asks_for_too_much():
    settings = FetchSettings(attempts=2, retry_after_max_s=10, backoff_s=0.5, backoff_max_s=0.5)
    assert all(10 <= wait_s(1, 10.0, settings) <= 10.5 for _ in range(100))
    assert wait_s(1, 10.1, settings) is None
