"""Filter expressions keep the rows that SQL would, and refuse what they are not."""

from __future__ import annotations

import pyarrow as pa
import pytest

from corpus.settings import SettingsError
from pipelines.sources.expressions import RowFilter

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


@pytest.mark.parametrize(
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


@pytest.mark.parametrize(
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
