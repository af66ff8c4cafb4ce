from __future__ import annotations

import pytest

from corpus.storage import Store
from pipelines.publish.checkpoint import Checkpoint, Tar, is_tar_of, list_files

TAR = Tar("clip-art-000007.tar", 1000, 63_000_000, "ab" * 32, "cd" * 16)
OTHER = Tar("clip-art-1000007.tar", 1, 1, "ef" * 32, "01" * 16)


def test_receipts_say_what_is_finished(store_url: str) -> None:
    checkpoint = Checkpoint(Store(store_url))
    assert checkpoint.finished("f0") == {}
    checkpoint.add("f0", TAR)
    checkpoint.add("f0", TAR)
    checkpoint.add("f1", OTHER)
    assert checkpoint.finished("f0") == {TAR.name: TAR}
    assert checkpoint.fingerprints() == ["f0", "f1"]
    checkpoint.clear("f1")
    assert checkpoint.finished("f1") == {}
    checkpoint.clear()
    checkpoint.clear()
    assert checkpoint.fingerprints() == []
    assert list_files(Store(store_url)) == set()


def test_tars_of_a_manifest_are_carried_over(store_url: str) -> None:
    checkpoint = Checkpoint(Store(store_url))
    checkpoint.carry_over("f0", [TAR.to_json()])
    checkpoint.add("f0", OTHER)
    assert checkpoint.finished("f0") == {TAR.name: TAR, OTHER.name: OTHER}


def test_paths_and_names_of_tars() -> None:
    assert Tar.named("clip-art", 7) == TAR.name
    assert TAR.path == "clip-art/clip-art-000007.tar"


@pytest.mark.parametrize(
    ("path", "own"),
    [
        ("clip-art/clip-art-000007.tar", True),
        ("clip-art/clip-art-1000007.tar", True),
        ("clip-art/.clip-art-000007.tar.0a1b2c3d.tmp", True),
        ("clip-art/index.json", False),
        ("clip-art/clip-art-000007.tar.idx", False),
        ("clip-art/clip-art-7.tar", False),
        ("clip-art/art-000007.tar", False),
        ("art/art-000007.tar", False),
        ("clip-art/more/clip-art-000007.tar", False),
    ],
)
def test_only_tars_of_the_dataset_are_its_own(path: str, own: bool) -> None:
    assert is_tar_of("clip-art", path) == own


def test_all_files_are_listed_with_what_killed_writers_left(store_url: str) -> None:
    store = Store(store_url)
    for path in ("manifest.json", "laion/.laion-000000.tar.0a1b2c3d.tmp", "laion/laion-000001.tar"):
        store.publish(path, b"x")
    assert list_files(store) == {"manifest.json", "laion/.laion-000000.tar.0a1b2c3d.tmp", "laion/laion-000001.tar"}
