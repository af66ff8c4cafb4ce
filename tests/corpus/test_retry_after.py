import math

from corpus.retry_after import retry_after_s

NOW = 784_111_777.0  # Sun, 06 Nov 1994 08:49:37 GMT
WAITS = [
    (None, None),
    ("0", 0.0),
    (" 120 ", 120.0),
    (" 0.5 ", 0.5),
    ("1.5", 1.5),
    (".25", 0.25),
    ("7.", 7.0),
    ("1" * 400, 111_111_111_111.0),
    ("Sun, 06 Nov 1994 08:50:37 GMT", 60.0),
    ("Sunday, 06-Nov-94 08:50:37 GMT", 60.0),
    ("Sun Nov  6 08:50:37 1994", 60.0),
    ("Sun, 06 Nov 1994 09:50:37 +0100", 60.0),
    ("Sun, 06 Nov 1994 08:00:00 GMT", 0.0),
    ("-5", None),
    ("1e9", None),
    ("1.5.2", None),
    ("soon", None),
    ("", None),
    (".", None),
    ("²", None),
    ("٣", None),
    ("Sun, 99 Nov 1994 99:99:99 GMT", None),
    ("Thu, 01 Jan 9999999 00:00:05 GMT", None),
    ("Sun, 06 Nov 99999999999999999999 08:49:37 GMT", None),
]


def test_a_number_of_seconds_or_a_date_is_read_and_nonsense_is_none():
    wrong = [(header, retry_after_s(header, NOW)) for header, wait in WAITS if retry_after_s(header, NOW) != wait]
    assert wrong == []


def test_a_number_of_any_length_is_long_but_finite():
    assert 1e9 < retry_after_s("9" * 4000) < math.inf


def test_without_a_time_the_clock_is_the_machines():
    assert retry_after_s("Sun, 06 Nov 1994 08:50:37 GMT") == 0.0
    assert retry_after_s("Fri, 31 Dec 9999 23:59:59 GMT") > 1e9
