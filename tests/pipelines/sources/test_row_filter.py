"""Filter expressions keep the rows that SQL would, and refuse what they are not."""

from __future__ import annotations

import random

import pyarrow as pa
import pytest

from corpus.settings import SettingsError
from pipelines.sources.row_filter import RowFilter
from tests.helpers.cases import cases

ROWS = pa.table(
    {
        "similarity": pa.array([0.28, 0.30, 0.35, None, 0.10]),
        "punsafe": pa.array([0.1, 0.6, 0.2, 0.0, None], pa.float32()),
        "width": pa.array([100, 200, 300, 400, None], pa.int32()),
        "height": pa.array([100, 100, 100, 100, 100], pa.int32()),
        "text": ["a cat", "a dog", "", None, 'it\'s "it"'],
        "licence": ["CC0", "?", None, "CC0", "CC-BY"],
    }
)


def kept(expression: str) -> list[int]:
    numbered = ROWS.append_column("row", pa.array(range(ROWS.num_rows)))
    return RowFilter(expression, {"caption": "text"}).apply(numbered).column("row").to_pylist()


@cases(
    "expression, expected",
    [
        ("similarity > 0.28", [1, 2]),
        ("similarity >= 0.28", [0, 1, 2]),
        ("0.28 < similarity", [1, 2]),
        ("similarity == 0.1 or width != 100", [1, 2, 3, 4]),
        ("SIMILARITY > 0.28 and Punsafe < 0.5", [2]),
        ("similarity > 0.28 and punsafe < 0.5 or width == 400", [2, 3]),
        ("similarity > 0.28 and (punsafe < 0.5 or width == 200)", [1, 2]),
        ("0.28 <= similarity < 0.35", [0, 1]),
        ("width / height <= 2.5", [0, 1]),
        ("width * height * 1000000 > 25000000000", [2, 3]),  # beyond 32 bits
        ("width - 2 * height == 0", [1]),
        ("-1 * width < -250", [2, 3]),
        ("width > -1", [0, 1, 2, 3]),
        ("text == 'a cat'", [0]),
        ("caption == 'a cat'", [0]),
        ('text == "it\'s \\"it\\""', [4]),
        ("licence in ('CC0', 'CC-BY')", [0, 3, 4]),
        ("width in [200]", [1]),
        ("  width > 300\n", [3]),
    ],
)
def test_rows_that_pass(expression: str, expected: list[int]) -> None:
    assert kept(expression) == expected


@pytest.mark.parametrize(
    "expression, expected",
    [
        ("similarity is None", [3]),
        ("similarity is not None", [0, 1, 2, 4]),
        ("similarity is None or similarity > 0.3", [2, 3]),
        ("not similarity > 0.28", [0, 4]),
        ("licence not in ('CC0',)", [1, 4]),
        ("not licence in ('CC0',)", [1, 4]),
        ("punsafe < 0.5 or similarity > 0.05", [0, 1, 2, 3, 4]),
    ],
)
def test_null_is_neither_true_nor_false(expression: str, expected: list[int]) -> None:
    assert kept(expression) == expected


@cases(
    "expression, message",
    [
        ("similarity >", "not an expression"),
        ("similarity > 0.28; punsafe < 1", "not an expression"),
        ("similarity", "'similarity' is neither true nor false"),
        ("similarity and punsafe < 1", "'similarity' is neither true nor false"),
        ("similarity == None", "write `is None`"),
        ("similarity is 3", "cannot follow"),
        ("text in 'abc'", "cannot follow"),
        ("text in ()", "cannot follow"),
        ("len(text) > 3", r"'len\(text\)' is not a column"),
        ("text.upper == 'A'", "'text.upper' is not a column"),
        ("__import__('os').system('true') == 0", "is not a column"),
        ("width ** 2 > 3", r"'width \*\* 2' is not a column"),
        ("(lambda: 1) == 1", "is not a column"),
    ],
)
def test_what_is_no_filter_is_refused_at_once(expression: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        RowFilter(expression)


@pytest.mark.parametrize(
    "expression, message",
    [
        ("similarty > 0.3", "no column 'similarty'; did you mean 'similarity'?"),
        ("captoin == ''", "no column 'captoin'; did you mean 'caption'?"),
        ("qqqq > 0.3", "no column 'qqqq'; there are height, licence, "),
        ("width > 'a'", "the columns' types do not allow it"),
    ],
)
def test_what_does_not_fit_the_columns_is_refused(expression: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message.replace("?", r"\?")):
        kept(expression)


@cases(
    "expression, message",
    [
        ("similarity > " + "(" * 10_000 + "1" + ")" * 10_000, "not an expression.*: too many nested parentheses"),
        ("not " * 20_000 + "similarity > 1", "more than 50 deep in each other"),
        ("-" * 90_000 + "1 > similarity", "more than 50 deep in each other"),
        ("1" + " + 1" * 20_000 + " > similarity", "more than 50 deep in each other"),
        ("similarity > 1 or " * 10_000, "longer than 100,000 characters"),
        ("similarity > 1e999", r"character 14: a number beyond what 64-bit floats can hold"),
        ("similarity > -1e999", r"character 14: a number beyond"),
        ("similarity > " + "9" * 400, "character 14: an integer beyond 64 bits: write it as a float"),
        ("similarity > 9223372036854775808", "an integer beyond 64 bits"),
        ("similarity > " + "9" * 5000, "not an expression: .*digits"),
        ("text == '\\ud800'", "character 9: .* is not Unicode text"),
        ("text == b'x'", "is not a column, a number or a string"),
        ("text == '\0'", "not an expression: .*null"),
        ("similarity > 0.28 and\n  text ==", "not an expression"),
        ("(similarity > 0.28 and\n  größe > len(text))", "line 2, character 11: "),
        ("text == f'{text}'", "is not a column"),
        ("similarity > 1j", "is not a column"),
        ("similarity > ...", "is not a column"),
    ],
)
def test_what_is_too_much_is_refused_with_its_place(expression: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message) as caught:
        RowFilter(expression)
    assert len(str(caught.value)) < 600
    assert str(caught.value).isprintable()


def test_a_place_is_one_of_the_expression() -> None:
    with pytest.raises(SettingsError, match=r"filter 'similarity > 0.5 and width', character 22: 'width' is neither"):
        RowFilter("similarity > 0.5 and width")
    with pytest.raises(SettingsError, match=r"not an expression at character 14: invalid syntax"):
        RowFilter("similarity > > 1")


def test_what_is_long_and_flat_is_no_trouble() -> None:
    many = " or ".join(f"width == {n}" for n in range(200, 2000))
    assert kept(many) == [1, 2, 3]
    assert kept("width in (" + ", ".join(map(str, range(200, 2000))) + ")") == [1, 2, 3]
    assert kept("width > -9223372036854775808") == [0, 1, 2, 3]


def test_nothing_else_comes_out_of_any_text() -> None:
    chance = random.Random(0)
    names = ["similarity", "width", "text", "caption", "licence", "nothing"]
    values = ["1", "0", "1e999", "9" * 30, "9" * 5000, "0x1f", "1_0", "1j", "'a'", "'\\ud800'", "b''", "f'{x}'"]
    words = [*("None", "True", "not", "and", "or", "in", "is", "if", "else", ";", "#", "...", "~", "@", ":=", "%", ",")]
    words += ["(", ")", "[", "]", "{", "}", "<", "<=", "==", "!=", "+", "-", "*", "/", "**", "//"]
    others = ["\n", "\t", "\0", "\x1b", "\u202e", "é", '"', "\\", "lambda: 1", "len(text)", "a.b", "x[0]"]
    pieces = [*names, *values, *words, *others]
    passed = 0
    for _ in range(3000):
        if chance.random() < 0.5:
            text = " ".join(chance.choice(pieces) for _ in range(chance.choice((1, 3, 3, 3, 5, 9, 40))))
        else:
            terms = [f"{chance.choice(names)} {chance.choice(('<', '==', '!='))} {chance.choice(values)}"]
            text = chance.choice((" and ", " or ", " ")).join(terms * chance.choice((1, 2, 60)))
        try:
            RowFilter(text, {"caption": "text"}).apply(ROWS)
            passed += 1
        except SettingsError as error:
            assert str(error).isprintable(), text
    assert passed > 50
