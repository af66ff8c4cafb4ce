"""A corpus is pushed to another place: whole, resumed, verified, and never over something else."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from corpus.storage import Store
from pipelines.publish.manifest import MANIFEST
from pipelines.publish.mixture import PublishError
from pipelines.publish.publish import publish
from pipelines.publish.push import push
from pipelines.publish.verify import verify
from tests.helpers.small_worlds import InlineEngine, World, mixture


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    world = World(str(tmp_path_factory.mktemp("work")))
    world.captions("laion", 7)
    world.captions("more", 3)
    corpus = tmp_path_factory.mktemp("published") / "corpus"
    publish(world.workspace, world.given(), mixture(corpus, {"laion": {}, "more": {}}), InlineEngine())
    return corpus


@pytest.fixture
def corpus(good: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(good, tmp_path / "corpus"))


@pytest.fixture(params=["folder", "memory"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    yield str(tmp_path / "there") if request.param == "folder" else f"memory://push-{uuid.uuid4().hex}/corpus"


def contents(url: str) -> dict[str, bytes]:
    store = Store(url)
    root = store.fs._strip_protocol(store.url).rstrip("/")
    return {path.removeprefix(root): store.fs.cat_file(path) for path in store.fs.find(root)}


def test_the_copy_is_the_corpus(corpus: Path, target: str) -> None:
    seen: list[tuple[int, int]] = []
    pushed = push(str(corpus), target, lambda done, total: seen.append((done, total)))
    assert contents(target) == contents(str(corpus))
    assert (pushed.files, pushed.present) == (len(contents(target)), 0)
    assert seen[-1] == (2 * pushed.bytes, 2 * pushed.bytes), "each byte is copied, then read again"
    assert verify(target).faults == []
    again = push(str(corpus), target)
    assert again.present == again.files - 1, "nothing is copied twice"


def test_an_interrupted_push_goes_on(corpus: Path, target: str) -> None:
    wanted, store = contents(str(corpus)), Store(target)
    tars = sorted(path for path in wanted if path.endswith(".tar"))
    store.publish(tars[0].lstrip("/"), wanted[tars[0]])
    store.publish(tars[1].lstrip("/"), wanted[tars[1]][:-512])  # cut
    damaged = bytearray(wanted[tars[2]])
    damaged[700] ^= 1
    store.publish(tars[2].lstrip("/"), bytes(damaged))  # of the right size
    pushed = push(str(corpus), target)
    assert contents(target) == wanted
    assert pushed.present == 2


def test_other_files_are_never_touched(corpus: Path, target: str) -> None:
    store = Store(target)
    store.publish("laion/notes.txt", b"mine")
    with pytest.raises(PublishError, match=r"1 files that are not of this corpus, such as laion/notes\.txt"):
        push(str(corpus), target)
    assert contents(target) == {"/laion/notes.txt": b"mine"}
    store.remove("laion/notes.txt")
    other = (corpus / MANIFEST).read_text().replace('"fingerprint": "', '"fingerprint": "0', 1)
    store.publish(MANIFEST, other.encode())
    with pytest.raises(PublishError, match="another corpus is there"):
        push(str(corpus), target)


def test_a_damaged_corpus_is_not_passed_on(corpus: Path, target: str) -> None:
    tar = next(corpus.rglob("*.tar"))
    content = bytearray(tar.read_bytes())
    content[700] ^= 1
    tar.write_bytes(content)
    with pytest.raises(PublishError, match="its sha256 is not the manifest's"):
        push(str(corpus), target)
    assert f"/{MANIFEST}" not in contents(target), "there is no corpus at the new place"
    tar.unlink()
    with pytest.raises(PublishError, match="it is not there"):
        push(str(corpus), target)
    (corpus / MANIFEST).unlink()
    with pytest.raises(PublishError, match="there is no corpus"):
        push(str(corpus), target)
