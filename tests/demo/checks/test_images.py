"""A result that is as planted raises nothing; every way of being wrong is said, by name."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from demo.checks.images import compare, forbidden_requests
from demo.images.world import TRUTH

End = tuple[str, str, str]  # url, status, reason

PLANTED = [
    # url, kind, status, reasons, family
    ("u/fine", "ordinary", "kept", [""], ""),
    ("u/dark", "too_dark", "filtered", ["too_dark", "flat"], ""),
    ("u/gone", "gone", "failed", ["http_410"], ""),
    ("u/large", "rescaled", "kept", ["near_duplicate"], "rescaled-0"),
    ("u/small", "rescaled", "duplicate", ["near_duplicate"], "rescaled-0"),
    ("u/same", "same_url", "one_of", ["exact_duplicate"], "same_url-0"),
    ("u/same", "same_url", "one_of", ["exact_duplicate"], "same_url-0"),
    ("u/unsafe", "unsafe", "dropped", ["filtered_by_expression"], ""),
    ("u/fine", "repeated", "dropped", ["duplicate_row"], ""),
    (None, "no_url", "dropped", ["no_url"], ""),
]
RIGHT: list[End] = [
    ("u/fine", "kept", ""),
    ("u/dark", "filtered", "flat"),
    ("u/gone", "failed", "http_410"),
    ("u/large", "kept", ""),
    ("u/small", "duplicate", "near_duplicate"),
    ("u/same", "duplicate", "exact_duplicate"),
    ("u/same", "kept", ""),
]


@pytest.fixture
def truth(tmp_path: Path) -> Path:
    columns = {
        name: list(values)
        for name, values in zip(("url", "kind", "status", "reasons", "family"), zip(*PLANTED, strict=True), strict=True)
    }
    pq.write_table(
        pa.table(columns | {"text": [""] * len(PLANTED), "sample_id": [""] * len(PLANTED)})
        .select(TRUTH.names)
        .cast(TRUTH),
        tmp_path / "truth.parquet",
    )
    return tmp_path / "truth.parquet"


def compared(truth: Path, ends: list[End]) -> list[str]:
    return compare(
        truth, pa.table(dict(zip(("url", "status", "reason"), map(list, zip(*ends, strict=True)), strict=True)))
    )


def test_a_right_result_raises_nothing(truth: Path) -> None:
    assert compared(truth, RIGHT) == []
    assert compared(truth, RIGHT[::-1]) == []


@pytest.mark.parametrize(
    "place, end, said",
    [
        (0, ("filtered", "blurred"), ["ordinary u/fine: planted as kept, but it is filtered (blurred)"]),
        (0, ("kept", "odd"), ["ordinary u/fine: planted as kept, but it is kept (odd)"]),
        (1, ("kept", ""), ["too_dark u/dark: planted as filtered (too_dark or flat), but it is kept"]),
        (
            1,
            ("filtered", "blurred"),
            ["too_dark u/dark: planted as filtered (too_dark or flat), but it is filtered (blurred)"],
        ),
        (2, ("failed", "timeout"), ["gone u/gone: planted as failed (http_410), but it is failed (timeout)"]),
        (2, ("filtered", "http_410"), ["gone u/gone: planted as failed (http_410), but it is filtered (http_410)"]),
        (
            3,
            ("duplicate", "near_duplicate"),
            [
                "rescaled u/large: planted as kept, but it is duplicate (near_duplicate)",
                "family rescaled-0: one of 2 is to be kept, but 0 are",
            ],
        ),
        (
            4,
            ("kept", ""),
            [
                "rescaled u/small: planted as duplicate (near_duplicate), but it is kept",
                "family rescaled-0: one of 2 is to be kept, but 2 are",
            ],
        ),
        (5, ("kept", ""), ["family same_url-0: one of 2 is to be kept, but 2 are"]),
        (6, ("duplicate", "exact_duplicate"), ["family same_url-0: one of 2 is to be kept, but 0 are"]),
        (
            5,
            ("failed", "timeout"),
            ["same_url u/same: planted as kept or duplicate (exact_duplicate), but it is failed (timeout)"],
        ),
    ],
)
def test_a_wrong_end_is_said(truth: Path, place: int, end: tuple[str, str], said: list[str]) -> None:
    ends = list(RIGHT)
    ends[place] = (ends[place][0], *end)
    assert compared(truth, ends) == said


def test_missing_rows_are_said(truth: Path) -> None:
    assert compared(truth, RIGHT[1:]) == ["ordinary u/fine: planted as kept, but there is no such row"]


@pytest.mark.parametrize("url", ["u/unsafe", "u/fine", "u/never-planted", ""])
def test_rows_too_many_are_said(truth: Path, url: str) -> None:
    (line,) = compared(truth, [*RIGHT, (url, "kept", "")])
    assert line == f"{url}: no such row should be here, but it is kept"


def test_visits_inside_are_trespasses() -> None:
    assert forbidden_requests({"/images/a.jpg": 1, "/elsewhere/inside/a.jpg": 2}) == []
    assert forbidden_requests({"/images/a.jpg": 1, "inside:/a.jpg": 2}) == ["inside:/a.jpg: asked for 2 times"]
