"""Settings files that can't be read, or shouldn't be: file, line and what is wrong, at once."""

from __future__ import annotations

import random
import time
from pathlib import Path
from typing import Any

import pytest
from pydantic import field_validator

from corpus.settings import Settings, SettingsError, load_mapping, load_settings, parse_settings
from corpus.strict_parse import YamlFault, parse_yaml
from pipelines.config import Config
from pipelines.labels.vocabulary import LabelNames
from recaption.prompts import load_library
from tests.helpers.cases import cases

LAUGHS = "a0: &a0 [1, 2]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 40))
MERGES = "a0: &a0 {x: 1}\n" + "".join(f"a{n}: &a{n} {{<<: [*a{n - 1}, *a{n - 1}]}}\n" for n in range(1, 40))
CHAIN = "a0: &a0 [1]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}]\n" for n in range(1, 200))

FAULTS: tuple[tuple[str | bytes, int | None, str], ...] = (
    ("a: 1\nb: !!python/object:os.system {}", 2, "could not determine a constructor for the tag"),
    ("a: 1\nb: !!python/name:os.system", 2, "could not determine a constructor for the tag"),
    ("a: !!timestamp junk", 1, "'junk' cannot be read as timestamp"),
    ("a: 1\nb: 2024-13-99", 2, "'2024-13-99' cannot be read as timestamp: month must be in 1..12"),
    ("a: !!int x", 1, "'x' cannot be read as int"),
    ("a: !!float x", 1, "'x' cannot be read as float"),
    ("a: !!bool x", 1, "'x' cannot be read as bool"),
    ("a: !!binary \u00e4", 1, "failed to convert base64 data into ascii"),
    ("a: !!int {}", 1, "expected a scalar node"),
    ("\n\n? [a]\n: b", 3, "found unhashable key"),
    ("? {a: b}\n: c", 1, "found unhashable key"),
    ("a: 1\n\nb: &b [*b]", 3, "an alias to what it stands in"),
    ("a: &a {<<: *a}", 1, "an alias to what it stands in"),
    (LAUGHS, 19, "more than 1,000,000 values"),
    (MERGES, 19, "more than 1,000,000 values"),
    (CHAIN, 64, "more than 64 deep"),
    ("a: *nothing", 1, "found undefined alias"),
    ("a: " + "9" * 5000, 1, "cannot be read as int"),
    ("a: 1\nb: " + "9" * 25, 2, "'9999999999999999999999999' is beyond 64 bits"),
    ("a: -" + "9" * 25, 1, "is beyond 64 bits"),
    ("a: 1" + ":59" * 500, 1, "is beyond 64 bits"),
    ("a: " + "[" * 100_000, 1, "more than 64 deep"),
    ("a:\n" + "\n".join(" " * n + "a:" for n in range(1, 200)), 64, "more than 64 deep"),
    ("a: " + "{a: " * 1000, 1, "more than 64 deep"),
    ("a: 1\nb: \0", 2, "character #x0000 may not stand in it"),
    ("a: 1\nb: \x1b[2J", 2, "character #x001b may not stand in it"),
    ("a: \ufffe", 1, "character #xfffe may not stand in it"),
    (b"a: 1\nb: \xff\xfe", 2, "not UTF-8 text: byte 0xff"),
    ("a: 1".encode("utf-16"), 1, "not UTF-8 text: byte 0xff"),
    ("a: 1\nb:\n\tc: 2", 3, "cannot start any token"),
    ("a: 1\na: 2", 2, "key 'a' twice"),
    ("a: {b: 1, 'b': 2}", 1, "key 'b' twice"),
    ("a: 'x", 1, "found unexpected end of stream"),
    ("%YAML 9.9\n---\na: 1", 1, "found incompatible YAML document"),
    ('a: 1\nb: "x\\ud800"', 2, "'x\\ud800' holds half of a character"),
    ("a: 1\n---\nb: 2", 2, "but found another document"),
)


@cases(("text", "line", "what"), FAULTS)
def test_the_line_and_the_fault_are_named(tmp_path: Path, text: str | bytes, line: int | None, what: str) -> None:
    path = tmp_path / "x.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(SettingsError) as caught:
        load_mapping(path)
    message = str(caught.value)
    assert message.startswith(f"{path}, line {line}: not "), message
    assert what in message
    assert len(message) < 1_000
    assert message.isprintable()


def test_what_yaml_is_used_for_is_read() -> None:
    text = b"\xef\xbb\xbfbase: &base {a: 1, b: [x, y]}\nmore: {<<: *base, a: 2}\nsame: *base\nn: -3_000"
    found = parse_yaml(text)
    assert found["more"] == {"a": 2, "b": ["x", "y"]}
    assert found["same"] == {"a": 1, "b": ["x", "y"]}
    assert found["n"] == -3000
    assert parse_yaml(b"") is None
    assert parse_yaml(b"a: {<<: {x: 1}, <<: {y: 2}}")["a"].keys() == {"x", "y"}


def test_what_is_no_file_of_settings_is_named(tmp_path: Path) -> None:
    (tmp_path / "large.yaml").write_bytes(b"#" * (9 << 20))
    (tmp_path / "list.yaml").write_bytes(b"- a")
    cases = {
        tmp_path: "cannot be read: Is a directory",
        tmp_path / "none.yaml": "cannot be read: No such file",
        tmp_path / "large.yaml": "larger than 8 MiB",
        tmp_path / "list.yaml": "expected a mapping of settings, found list",
        Path("/dev/zero"): "larger than 8 MiB",
        "a\0b": "cannot be read: embedded null byte",
    }
    for path, what in cases.items():
        with pytest.raises(SettingsError, match=what):
            load_mapping(path)


def test_names_in_messages_are_printable(tmp_path: Path) -> None:
    path = tmp_path / "\x1b[31m\nx.yaml"
    path.write_text('"\\e]0;evil\\a\\nb": 1\nworkspace: "\\e[2J"\nsources: {"\\u202e": {kind: laion, files: [x]}}\n')
    with pytest.raises(SettingsError) as caught:
        load_settings(path, Config)
    lines = str(caught.value).splitlines()
    assert len(lines) == 2
    assert all(line.isprintable() for line in lines)
    assert "\\x1b]0;evil\\x07\\nb: unknown key" in str(caught.value)


def test_what_a_validator_could_not_look_at_is_no_traceback() -> None:
    class Model(Settings):
        file: str

        @field_validator("file")
        @classmethod
        def _exists(cls, file: str) -> str:
            Path(file).read_bytes()
            raise ValueError(f"no file: {file}")

    for file in ("x" * 5000, "/", "\ud800"):
        with pytest.raises(SettingsError, match=r"^here: "):
            parse_settings({"file": file}, Model, where="here")


def test_many_faults_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text("".join(f"k{n}: 1\n" for n in range(1000)))
    with pytest.raises(SettingsError) as caught:
        load_settings(path, Config)
    assert len(str(caught.value).splitlines()) == 51
    assert "faults more" in str(caught.value)


PIECES = (
    *("*a", "&a ", "<<: *a", "!!python/object:x.y ", "!!timestamp ", "!!set ", "!!binary ", "!!omap ", "? ", "[", "]"),
    *("{", "}", ": ", "- ", "\n", "\t", "\0", "\x1b", "'", '"', "\\ud800", '"\\ud800"', "# ", "|", ">", "%", "@", "`"),
    *(
        "9" * 400,
        "1e999",
        ".nan",
        ".inf",
        "-.inf",
        "0x" + "f" * 50,
        "1:59:59",
        "2024-99-99",
        "true",
        "null",
        "~",
        "...",
    ),
    *(
        "-1",
        "0",
        "[]",
        "{}",
        "[[1]]",
        "\u202e",
        "é",
        "kind: mmeb",
        "[a, b]",
        "x" * 5000,
        "( " * 300,
        "9223372036854775808",
    ),
)


def mutants(count: int) -> list[bytes]:
    chance = random.Random(0)
    texts = [path.read_bytes() for path in sorted((Path(__file__).parents[2] / "configs").glob("*.yaml"))]
    found = []
    for number in range(count):
        data = bytearray(texts[number % len(texts)])
        for _ in range(chance.choice((1, 1, 1, 2, 5))):
            at, piece = chance.randrange(len(data)), chance.choice(PIECES).encode()
            kind = chance.randrange(5)
            if kind == 0:
                data[at] = chance.randrange(256)
            elif kind == 1:
                del data[at : at + chance.randrange(1, 40)]
            elif kind == 2:  # in the place of a value
                start = data.find(b": ", at) + 2
                stop = data.find(b"\n", start)
                data[start:stop] = piece
            elif kind == 3:
                line = chance.choice(data.splitlines(keepends=True))
                data[at:at] = line
            else:
                data[at:at] = piece
        found.append(bytes(data))
    return found


def test_no_mutant_of_a_settings_file_ends_in_anything_else(tmp_path: Path) -> None:
    path, read, refused, start = tmp_path / "x.yaml", 0, 0, time.process_time()
    for text in mutants(400):
        path.write_bytes(text)
        try:
            load_settings(path, Config)
            read += 1
        except SettingsError as error:
            refused += 1
            assert str(error).startswith(str(path)), text
            assert all(line.isprintable() for line in str(error).splitlines()), text
    assert read > 20, f"{read} of {read + refused}"
    assert refused > 200, f"{refused} of {read + refused} in {time.process_time() - start:.0f} s"


def test_other_files_of_settings_are_read_in_the_same_way(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    for text, line, what in FAULTS:
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        readers: tuple[Any, ...] = (lambda: load_library([path]), lambda: load_settings(path, LabelNames))
        for read in readers:
            with pytest.raises(SettingsError) as caught:
                read()
            assert str(caught.value).startswith(f"{path}, line {line}: not "), what


def test_a_fault_without_a_line_has_none() -> None:
    assert YamlFault("x").line is None
