"""What others wrote, before it is shown or stored as a message."""

from __future__ import annotations

import logging
import subprocess
import sys
import unicodedata

from corpus.printable import printable, trace_of


def test_what_acts_on_a_terminal_is_escaped() -> None:
    cases = {
        "image/jpeg": "image/jpeg",
        "größer 漢字 🙂": "größer 漢字 🙂",
        "\x1b]0;evil\x07": "\\x1b]0;evil\\x07",
        "\x1b[31mred\x1b[0m": "\\x1b[31mred\\x1b[0m",
        "a\nb\rc\td\x00": "a\\nb\\rc\\td\\x00",
        "\x9b31m": "\\x9b31m",  # the same as ESC [ in one character
        "txt\u202egpj.exe": "txt\\u202egpj.exe",
        "\u2066\u200b\ufeff": "\\u2066\\u200b\\ufeff",
        "\udcff\ud800": "\\udcff\\ud800",
        "\u2028\u2029\xa0": "\\u2028\\u2029\\xa0",
        "\U000e0041": "\\U000e0041",
        "[red]x[/]": "[red]x[/]",  # not a terminal's: see pipelines.report.terminal
    }
    assert {text: printable(text) for text in cases} == cases


def test_no_character_is_left_that_is_none_to_see() -> None:
    shown = printable("".join(map(chr, range(sys.maxunicode + 1))), 20 * sys.maxunicode)
    assert not {unicodedata.category(character) for character in shown} & {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
    shown.encode()  # nor one that can't be written


def test_length_is_bounded_and_a_cut_shows() -> None:
    assert printable("x" * 200) == "x" * 200
    assert printable("x" * 1000) == "x" * 199 + "…"
    assert printable("\x1b" * 1000, 10) == "\\x1b\\x1b\\…"
    assert printable("abc", 3) == "abc"


def test_lines_stay_where_they_are_wanted() -> None:
    assert printable("a\nb\r\n\x1b", lines=True) == "a\nb\\r\n\\x1b"


def test_a_traceback_is_shown_with_its_lines() -> None:
    try:
        raise ValueError("\x1b[2J")
    except ValueError as error:
        shown = trace_of(error)
    assert "\x1b" not in shown
    assert shown.endswith("ValueError: \\x1b[2J\n")


def test_warnings_and_stray_log_lines_are_escaped_in_a_process() -> None:
    code = (
        "import logging, warnings; from corpus.printable import escape_messages; escape_messages();"
        "warnings.warn('w\\x1b[2J\\x07'); logging.getLogger('x').warning('l %s', '\\x1b]0;t\\x07')"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stderr
    assert b"w\\x1b[2J\\x07" in found
    assert b"l \\x1b]0;t\\x07" in found
    assert not {0x1B, 0x07} & set(found)
    assert logging.lastResort is not None
