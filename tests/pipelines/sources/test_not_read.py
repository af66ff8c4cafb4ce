"""Files and values that a source did not read are counted, and the first of each reason named."""

from __future__ import annotations

from pipelines.sources.not_read import NOT_READ, NotRead, UnreadableFileError, counts_of


def test_files_are_counted_by_reason_and_the_first_twenty_named() -> None:
    not_read = NotRead()
    for number in range(25):
        not_read.add_file("hidden_file", f"/data/.{number:02d}")
    not_read.add_file("unreadable_file", "/data/a.parquet", "cut off")
    lines = not_read.lines()
    assert not_read.files == {"hidden_file": 25, "unreadable_file": 1}
    assert lines[0] == "not read (hidden_file): /data/.00" and lines[19] == "not read (hidden_file): /data/.19"
    assert lines[20:] == ["not read (unreadable_file): /data/a.parquet: cut off", "not read (hidden_file): 5 more"]


def test_a_second_note_on_a_file_replaces_the_first() -> None:
    not_read = NotRead()
    not_read.add_file("bad_name", "a", "first", count=3)
    not_read.add_file("bad_name", "a", "second", count=7)
    assert not_read.files == {"bad_name": 7} and not_read.lines() == ["not read (bad_name): a: second"]


def test_files_that_something_else_reads_are_forgotten() -> None:
    not_read = NotRead()
    for name in ("a.TAR", "b.txt"):
        not_read.add_file("unsupported_extension", name)
    not_read.add_file("hidden_file", ".c.tar")
    not_read.forget_others((".tar",))
    assert not_read.lines() == ["not read (unsupported_extension): b.txt", "not read (hidden_file): .c.tar"]


def test_values_are_counted_by_column_and_nothing_is_no_note() -> None:
    not_read = NotRead()
    not_read.add_values("width", 0)
    assert not_read.notes() == {}
    not_read.add_values("width", 2)
    not_read.add_values("height", 1)
    not_read.add_values("width", 1)
    notes = not_read.notes()[NOT_READ]
    assert counts_of(notes) == {"values": {"height": 1, "width": 3}}
    assert notes["lines"] == [
        "column height: 1 values cannot be read and count as absent",
        "column width: 3 values cannot be read and count as absent",
    ]


def test_no_credentials_of_a_url_are_shown() -> None:
    not_read = NotRead()
    not_read.add_file("unreadable_file", "https://user:secret@host/a.parquet")
    assert "secret" not in "".join(not_read.lines())
    error = UnreadableFileError("s3://b/a.parquet", "cut off")
    assert (str(error), error.url, error.detail) == ("s3://b/a.parquet: cut off", "s3://b/a.parquet", "cut off")
