"""All cases of a table are run, and all that fail are named."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.helpers.cases import cases


def test_every_case_that_fails_is_named_with_its_line() -> None:
    seen = []

    @cases("number, half", [(2, 1), (3, 1), (4, 2), (5, 0), (6, None)])
    def check(number: int, half: int) -> None:
        seen.append(number)
        assert number == 2 * half

    with pytest.raises(pytest.fail.Exception) as caught:
        check()
    message = str(caught.value)
    assert seen == [2, 3, 4, 5, 6]
    assert message.startswith("3 of 5 cases failed:\n(3, 1)\n    test_cases.py:")
    assert all(part in message for part in ("(5, 0)", "(6, None)", "AssertionError", "TypeError"))


def test_what_should_have_been_raised_counts() -> None:
    @cases("text", ["1", "x"])
    def check(text: str) -> None:
        with pytest.raises(ValueError, match="invalid"):
            int(text)

    with pytest.raises(pytest.fail.Exception, match=r"(?s)1 of 2 cases failed.*DID NOT RAISE"):
        check()


@cases(("first", "second"), [(1, 2), (2, 3)])
@cases("third", [3, 4])
def test_tables_multiply_and_fixtures_are_given(tmp_path: Path, first: int, second: int, third: int) -> None:
    assert tmp_path.is_dir()
    assert first < second <= third
    (tmp_path / f"{first} {third}").touch(exist_ok=False)


def test_only_if_all_cases_skip_is_the_test_skipped() -> None:
    seen = []

    @cases("number", [1, 2])
    def check(number: int, odd_only: bool) -> None:
        if number == 2 or not odd_only:
            pytest.skip("not here")
        seen.append(number)

    check(odd_only=True)
    assert seen == [1]
    with pytest.raises(pytest.skip.Exception, match="not here"):
        check(odd_only=False)


def test_a_table_without_cases_is_refused() -> None:
    with pytest.raises(ValueError, match="without cases"):
        cases("text", [])
