"""A folder that others have written into: publishing and verifying end in words, and reach nothing outside it."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from corpus.storage import Store
from pipelines.publish import checkpoint
from pipelines.publish.manifest import read_manifest
from pipelines.publish.mixture import PublishError
from pipelines.publish.publish import publish
from pipelines.publish.verify import verify
from tests.helpers.small_worlds import InlineEngine, World, mixture

NASTY: tuple[Any, ...] = (
    *(None, True, -1, 0, 2**63, 10**4000, 0.5, 1e308, [], {}, "", "x", "\ud800", "\x1b]0;evil\x07", "[/]", "a\\b"),
    *("..", "../..", "../other/secret.tar", "/etc/passwd", "http://host/x.tar", "s3://bucket/x", "laion\n", "laion/"),
    *("laion-000000.tar\n", "../laion-000000.tar", "more-000000.tar", "laion-٠٠٠٠٠٠.tar", "manifest.json", ".progress"),
    *({"name": "x"}, [[[[]]]], "a" * 10_000, "laion/../../other/index.json", "../other/README.md"),
)
TEXTS = (
    *(b"", b"{", b"null", b"\xff\xfe", b"\xef\xbb\xbf{}", b"[" * 100_000, b'{"a":' * 100_000, b"9" * 10_000, b"NaN"),
    *(b'{"schema_version": 1, "schema_version": 1}', b'{"schema_version": NaN}', b'"\\ud800"', b"\0" * 100),
)


@pytest.fixture
def folders(tmp_path: Path) -> tuple[World, Path]:
    """A published corpus of two datasets, beside somebody's folder."""
    world = World(str(tmp_path / "work"))
    world.captions("laion", 9)
    world.captions("more", 5)
    publish(world.workspace, world.given(), mixture(tmp_path / "corpus", {"laion": {}, "more": {}}), InlineEngine())
    for path in ("other/secret.tar", "other/index.json", "other/README.md", "laion-000000.tar", "corpus/other/mine"):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_bytes(b"mine")
    return world, tmp_path


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to every value inside a value."""
    if isinstance(value, (dict, list)):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield (*path, key)
            yield from places(value[key], (*path, key))


def mutated(manifest: Any, chance: random.Random) -> Any:
    manifest = json.loads(json.dumps(manifest))
    *way, last = chance.choice(list(places(manifest)))
    parent = manifest
    for key in way:
        parent = parent[key]
    what = chance.randrange(4)
    if what == 0:
        del parent[last]
    elif what == 1 and isinstance(parent, dict):
        name = chance.choice([text for text in NASTY if isinstance(text, str)])
        parent[name] = parent.pop(last)
    else:
        parent[last] = chance.choice(NASTY)
    return manifest


def texts(manifest: Any) -> Iterator[bytes]:
    chance = random.Random(0)
    yield from TEXTS
    for _ in range(1500):
        changed = manifest
        for _ in range(chance.choice((1, 1, 2))):
            changed = mutated(changed, chance)
        data = bytearray(json.dumps(changed).encode())
        if chance.random() < 0.1:
            data[chance.randrange(len(data))] = chance.randrange(256)
        if chance.random() < 0.05:
            del data[chance.randrange(len(data)) :]
        yield bytes(data)


def test_whatever_a_manifest_says_it_is_read_or_refused_in_words(folders: tuple[World, Path]) -> None:
    _, root = folders
    path, store, sound, refused = root / "corpus/manifest.json", Store(root / "corpus"), 0, 0
    for text in texts(json.loads(path.read_bytes())):
        path.write_bytes(text)
        try:
            read_manifest(store)
            sound += 1
        except PublishError as error:
            refused += 1
            assert len(str(error)) < 5_000
            assert "\x1b" not in str(error)
    assert refused > 1000
    assert sound > 20, "some changes are of what a manifest may say"


def test_publishing_over_it_touches_nothing_that_is_not_its_own(folders: tuple[World, Path]) -> None:
    world, root = folders
    path, settings = root / "corpus/manifest.json", mixture(root / "corpus", {"laion": {"pairs": 5}})
    manifest, whole = json.loads(path.read_bytes()), snapshot(root)
    kept = {name: data for name, data in whole.items() if data == b"mine"}
    assert len(kept) == 5
    for number, text in enumerate(texts(manifest)):
        if number >= len(TEXTS) and number % 25:
            continue
        for name, data in whole.items():
            (root / name).write_bytes(data)
        path.write_bytes(text)
        before = snapshot(root)
        try:
            publish(world.workspace, world.given(), settings, InlineEngine())
        except PublishError:
            assert snapshot(root) == before, text
        else:
            assert {name: data for name, data in snapshot(root).items() if name in kept} == kept, text
            verify(str(root / "corpus"))


def test_verifying_it_ends_in_faults(folders: tuple[World, Path]) -> None:
    _, root = folders
    path = root / "corpus/manifest.json"
    for number, text in enumerate(texts(json.loads(path.read_bytes()))):
        if number < len(TEXTS) or number % 25 == 0:
            path.write_bytes(text)
            assert verify(str(root / "corpus"), workers=1).faults


@pytest.mark.parametrize("name", ["../../laion-000000.tar", "/etc/passwd", "../other/secret.tar", "other-000000.tar"])
def test_a_tar_elsewhere_is_not_removed(folders: tuple[World, Path], name: str) -> None:
    world, root = folders
    path = root / "corpus/manifest.json"
    manifest = json.loads(path.read_bytes())
    manifest["datasets"]["more"]["shards"][0]["name"] = name
    path.write_text(json.dumps(manifest))
    before = snapshot(root)
    with pytest.raises(PublishError, match=r"manifest.json: datasets\.more.*: choose another folder"):
        publish(world.workspace, world.given(), mixture(root / "corpus", {"laion": {}}), InlineEngine())
    assert snapshot(root) == before


def test_a_manifest_is_not_read_beyond_what_one_can_be(
    folders: tuple[World, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    world, root = folders
    monkeypatch.setattr("pipelines.publish.manifest.MAX_JSON_BYTES", 1000)
    with pytest.raises(PublishError, match="not JSON: more than 1,000 bytes"):
        publish(world.workspace, world.given(), mixture(root / "corpus", {"laion": {}}), InlineEngine())


def test_notes_of_others_lead_nowhere(folders: tuple[World, Path]) -> None:
    world, root = folders
    notes, digests = root / "corpus/.progress", f"{'ab' * 32}.{'cd' * 16}"
    (notes / "beef").mkdir(parents=True)
    (notes / "not-ours").mkdir()
    strange = [f"beef/..-000000.4.4.{digests}", f"beef/x-000000.4.{'9' * 30}.{digests}", "beef/a.b", "not-ours/x", "z"]
    for name in strange:
        (notes / name).write_bytes(b"mine")
    (notes / f"beef/other-000000.4.4.{digests}").write_bytes(b"")  # may well be ours
    publish(world.workspace, world.given(), mixture(root / "corpus", {"laion": {}}), InlineEngine())
    left = snapshot(root)
    assert all(left[f"corpus/.progress/{name}"] == b"mine" for name in strange)
    assert left["other/secret.tar"] == left["laion-000000.tar"] == b"mine"
    assert not [name for name in left if "other-000000" in name]


@pytest.mark.parametrize(
    "listed",
    [
        *(b"", b"{}", b"[1]", b"[" * 100_000, b"[{}]", b"\xff", b'[{"name": "../other/secret.tar"}]'),
        json.dumps([{"name": "../secret-000000.tar", "samples": 1, "bytes": 4, "sha256": "a" * 64, "md5": "b" * 32}]),
        json.dumps([{"name": "x-000000.tar", "samples": 1, "bytes": True, "sha256": "a" * 64, "md5": "b" * 32}]),
        json.dumps([{"name": "x-000000.tar", "samples": 1, "bytes": 10**40, "sha256": "a" * 64, "md5": "b" * 32}]),
    ],
)
def test_a_list_of_earlier_tars_that_is_none_is_named(folders: tuple[World, Path], listed: bytes | str) -> None:
    world, root = folders
    path = root / "corpus/.progress/beef/earlier.json"
    path.parent.mkdir(parents=True)
    path.write_bytes(listed if isinstance(listed, bytes) else listed.encode())
    with pytest.raises(PublishError, match=r"beef/earlier\.json: not a file of an export: .*; remove it"):
        publish(world.workspace, world.given(), mixture(root / "corpus", {"laion": {}}), InlineEngine())
    assert (root / "other/secret.tar").exists()


def test_only_what_a_tar_of_ours_is_called_is_one() -> None:
    good = {"name": "laion-000000.tar", "samples": 1, "bytes": 4, "sha256": "a" * 64, "md5": "b" * 32}
    assert checkpoint.Tar.from_json(good).path == "laion/laion-000000.tar"
    names = ("..-000000.tar", "a/b-000000.tar", "laion-000000", "laion-0.tar", "LAION-000000.tar", "laion-000000.tar\n")
    for name in names:
        with pytest.raises(ValueError, match="no name of a tar"):
            checkpoint.Tar.from_json({**good, "name": name})
