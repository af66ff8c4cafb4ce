from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Literal

import pytest
from pydantic import Field, ValidationError

from corpus.settings import Settings, SettingsError, load_settings, parse_settings, tuning
from tests.helpers.cases import cases


class Retries(Settings):
    attempts: int = tuning(3, ge=1)
    backoff_s: float = 1.0


class Web(Settings):
    kind: Literal["web", "http"] = "web"
    timeout_s: float = tuning(10.0, gt=0)
    max_bytes: int = 1000
    retries: Retries = Retries()


class Folder(Settings):
    kind: Literal["folder"] = "folder"
    path: Path = Path()
    pattern: str = "*"


class Stages(Settings):
    download: Retries = Retries()
    threshold: float = 0.5


class House(Settings):
    name: str
    workers: int = tuning(1)
    source: Annotated[Web | Folder, Field(discriminator="kind")] = Web()
    sources: dict[str, Annotated[Web | Folder, Field(discriminator="kind")]] = {}
    stages: dict[str, Stages] = {}
    several: list[Retries] = []
    perhaps: Retries | None = None
    either: Web | Retries | None = None
    base: Settings = Settings()
    tags: frozenset[str] = frozenset()
    pair: tuple[int, ...] = (1, 2)


def fault(data: dict[str, object]) -> str:
    with pytest.raises(SettingsError) as raised:
        parse_settings(data, House, where="house.yaml")
    return str(raised.value)


@cases(
    ("extra", "said"),
    [
        ({"worker": 2}, "worker: unknown key; did you mean 'workers'?"),
        ({"perhaps": {"atempts": 2}}, "perhaps.atempts: unknown key; did you mean 'attempts'?"),
        ({"several": [{}, {"atempts": 2}]}, "several.1.atempts: unknown key; did you mean 'attempts'?"),
        ({"stages": {"a": {"treshold": 1}}}, "stages.a.treshold: unknown key; did you mean 'threshold'?"),
        ({"stages": {"a": {"download": {"bakoff_s": 1}}}}, "stages.a.download.bakoff_s: unknown key; did you mean"),
        ({"source": {"kind": "web", "max_byte": 1}}, "source.max_byte: unknown key; did you mean 'max_bytes'?"),
        ({"source": {"kind": "http", "max_byte": 1}}, "source.max_byte: unknown key; did you mean 'max_bytes'?"),
        ({"sources": {"a": {"kind": "folder", "pth": 1}}}, "sources.a.pth: unknown key; did you mean 'path'?"),
        (
            {"sources": {"a": {"kind": "web", "retries": {"atempts": 1}}}},
            "sources.a.retries.atempts: unknown key; did you mean 'attempts'?",
        ),
        ({"either": {"bakoff_s": 1}}, "either.Retries.bakoff_s: unknown key; did you mean 'backoff_s'?"),
        # the keys of the right model, where nothing is near
        ({"source": {"kind": "folder", "zzz": 1}}, "source.zzz: unknown key; known keys: kind, path, pattern"),
        # a dict's key that happens to be the name of a field, or of a kind
        ({"stages": {"download": {"zzz": 1}}}, "stages.download.zzz: unknown key; known keys: download, threshold"),
        (
            {"sources": {"web": {"kind": "folder", "zzz": 1}}},
            "sources.web.zzz: unknown key; known keys: kind, path, pattern",
        ),
    ],
)
def test_an_unknown_key_is_named_with_the_nearest(extra: dict[str, object], said: str) -> None:
    assert f"house.yaml: {said}" in fault({"name": "x", **extra})


def test_every_fault_is_listed_with_its_path() -> None:
    lines = fault({"workers": "many", "source": {"timeout_s": -1, "kind": "web"}, "perhaps": 3}).splitlines()
    assert len(lines) == 4
    assert all(line.startswith("house.yaml: ") for line in lines)
    assert "name: Field required" in lines[0]
    assert "workers: " in lines[1] and "(got 'many')" in lines[1]
    assert "source.timeout_s: " in lines[2] and "(got -1)" in lines[2]
    assert "perhaps: " in lines[3]


def test_an_unknown_kind_lists_the_known_ones() -> None:
    said = fault({"name": "x", "sources": {"a": {"kind": "wbe"}}})
    assert "sources.a: " in said
    assert all(kind in said for kind in ("'wbe'", "'web'", "'http'", "'folder'"))


def test_settings_are_frozen_and_checked_by_default() -> None:
    with pytest.raises(ValidationError):
        Web().max_bytes = 3  # type: ignore[misc]

    class Wrong(Settings):
        size: int = Field(default=-1, ge=0)

    with pytest.raises(ValidationError):
        Wrong()


# Files


def load(tmp_path: Path, text: str | bytes) -> House:
    path = tmp_path / "house.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return load_settings(path, House)


def test_a_file_is_read(tmp_path: Path) -> None:
    house = load(tmp_path, "name: ünï\nsources:\n  a: {kind: folder, path: /x}\nsource: {kind: http}\n")
    assert house.name == "ünï"
    assert house.sources == {"a": Folder(path=Path("/x"))}
    assert isinstance(house.source, Web)


def test_anchors_and_merges_are_no_repetition(tmp_path: Path) -> None:
    text = """
name: x
sources:
  a: &a {kind: web, max_bytes: 5}
  b: &b {kind: web, timeout_s: 7}
  c:
    <<: *a
    <<: *b
    max_bytes: 6
"""
    assert load(tmp_path, text).sources["c"] == Web(max_bytes=6, timeout_s=7)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name: x\nworkers: 1\nname: y\n", "line 3: not valid YAML: key 'name' twice"),
        ("name: x\nstages:\n  a: {}\n  b: {}\n  a: {}\n", "line 5: not valid YAML: key 'a' twice"),
        ("name: x\nname: [1\n", "not valid YAML"),
        ("name: !!python/object:os.system x\n", "line 1: not valid YAML"),
        ("? [a, b]\n: x\n", "line 1: not valid YAML"),
        ("- name\n", "expected a mapping of settings, found list"),
        ("", "expected a mapping of settings, found nothing"),
        ("just words", "expected a mapping of settings, found str"),
        (b"name: \xe9\n", "not UTF-8"),
        ("name: x\n1: y\n", "1: "),
        ("name: x\nworker: 3\n", "worker: unknown key; did you mean 'workers'?"),
    ],
)
def test_what_is_wrong_with_a_file_is_said_with_its_name(tmp_path: Path, text: str | bytes, said: str) -> None:
    with pytest.raises(SettingsError) as raised:
        load(tmp_path, text)
    message = str(raised.value)
    assert message.startswith(str(tmp_path / "house.yaml"))
    assert said in message


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"absent\.yaml: cannot be read: No such file"):
        load_settings(tmp_path / "absent.yaml", House)
    with pytest.raises(SettingsError, match="cannot be read: Is a directory"):
        load_settings(tmp_path, House)


# What a fingerprint hashes


def test_tuning_is_left_out_wherever_it_stands() -> None:
    plain = House(name="x", stages={"a": Stages()}, several=[Retries()], perhaps=Retries(), base=Web())
    patient = Retries(attempts=9)
    tuned = House(
        name="x",
        workers=8,
        source=Web(timeout_s=99),
        stages={"a": Stages(download=patient)},
        several=[patient],
        perhaps=patient,
        base=Web(timeout_s=99, retries=patient),
    )
    assert tuned.canonical() == plain.canonical()
    text = json.dumps(plain.canonical())
    assert not any(name in text for name in ("workers", "attempts", "timeout_s"))


@pytest.mark.parametrize(
    "change",
    [
        {"name": "y"},
        {"source": Web(max_bytes=1)},
        {"source": Folder()},
        {"sources": {"a": Web()}},
        {"stages": {"a": Stages(download=Retries(backoff_s=2))}},
        {"several": [Retries(backoff_s=2)]},
        {"perhaps": Retries()},
        {"base": Web(max_bytes=1)},
        {"tags": frozenset("a")},
        {"pair": (2, 1)},
    ],
)
def test_everything_else_counts(change: dict[str, object]) -> None:
    base = {"name": "x", "stages": {"a": Stages()}, "several": [Retries()], "base": Web()}
    assert House(**{**base, **change}).canonical() != House(**base).canonical()


def test_the_canonical_form_is_known() -> None:
    house = House(name="x", source=Folder(path=Path("/a")), stages={"s": Stages()}, tags=frozenset("cab"))
    assert json.loads(json.dumps(house.canonical())) == {
        "base": {},
        "either": None,
        "name": "x",
        "pair": [1, 2],
        "perhaps": None,
        "several": [],
        "source": {"kind": "folder", "path": "/a", "pattern": "*"},
        "sources": {},
        "stages": {"s": {"download": {"backoff_s": 1.0}, "threshold": 0.5}},
        "tags": ["a", "b", "c"],
    }


def test_the_canonical_form_is_the_same_in_every_process() -> None:
    code = (
        "from corpus.settings import Settings\n"
        "class Tagged(Settings):\n    tags: frozenset[str]\n"
        "print(Tagged(tags=frozenset('abcdefgh')).canonical())"
    )
    root = Path(__file__).parents[2]
    shown = {
        subprocess.run(
            [sys.executable, "-c", code],
            cwd=root,
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert shown == {"{'tags': ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h']}\n"}


def test_a_url_with_credentials_is_refused_wherever_it_stands_and_not_repeated() -> None:
    for url in ("s3://key:secret@bucket/x", "https://secret@host/", "simplecache::sftp://me:secret@host/x"):
        for data, key in (
            ({"name": url}, "(top level): name"),
            ({"name": "x", "source": {"kind": "folder", "pattern": url}}, "source: pattern"),
            ({"name": "x", "sources": {"films": {"kind": "folder", "pattern": url}}}, "sources.films: pattern"),
            ({"name": "x", "tags": ["a", url]}, "(top level): tags"),
        ):
            found = fault(data)
            assert found.startswith(f"house.yaml: {key}: a URL with user:password@"), found
            assert "FSSPEC_" in found
            assert "secret" not in found
    found = fault({"name": "x", "workers": "s3://key:secret@bucket/x"})  # wrong in another way
    assert "workers" in found and "secret" not in found
    for place in ("abfs://container@account/x", "https://host/@user", "a:b@c"):
        assert parse_settings({"name": place}, House).name == place
