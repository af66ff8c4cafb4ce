"""Two publishers of one corpus: each ends with a sound corpus, or with one clear error."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from corpus.storage import Store
from pipelines.publish.checkpoint import Checkpoint, Tar, list_files
from pipelines.publish.claim import only_publisher
from pipelines.publish.mixture import PublishError
from pipelines.publish.publish import publish
from pipelines.publish.verify import verify
from tests.helpers.small_worlds import InlineEngine, World, mixture

SCRIPT = """
import sys
from tests.helpers.small_worlds import InlineEngine, World, mixture
from pipelines.publish.publish import publish

class Waiting(InlineEngine):
    def map_reduce(self, *arguments):
        for number, table in enumerate(super().map_reduce(*arguments)):
            if number == 2:
                print("writing", flush=True)
                sys.stdin.readline()
            yield table

work, corpus, pairs = sys.argv[1:]
world = World(work)
world.captions("laion", 22)
published = publish(world.workspace, world.given(), mixture(corpus, {"laion": {"pairs": int(pairs)}}), Waiting())
print("reused" if published.reused else "published", flush=True)
"""


def publisher(root: Path, pairs: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", SCRIPT, str(root / "work"), str(root / "corpus"), str(pairs)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True, env=environment)


@pytest.mark.parametrize("pairs", [22, 15])
def test_of_two_processes_the_second_stops_at_once_and_the_first_is_sound(tmp_path: Path, pairs: int) -> None:
    first = publisher(tmp_path, 22)
    assert first.stdout is not None
    assert first.stdout.readline() == "writing\n"
    second = publisher(tmp_path, pairs)
    output, errors = second.communicate("\n", timeout=120)
    assert (output, second.returncode) == ("", 1)
    assert errors.splitlines()[-1].endswith(
        f"PublishError: another run is publishing into {tmp_path / 'corpus'}: wait until it has ended, or choose "
        "another folder"
    )
    output, errors = first.communicate("\n", timeout=120)
    assert (output, first.returncode) == ("published\n", 0), errors
    assert verify(str(tmp_path / "corpus")).faults == []
    after, errors = publisher(tmp_path, pairs).communicate("\n", timeout=120)
    assert after.splitlines()[-1] == ("reused" if pairs == 22 else "published"), errors
    assert verify(str(tmp_path / "corpus")).faults == []


def test_a_killed_publisher_locks_nobody_out(tmp_path: Path) -> None:
    first = publisher(tmp_path, 22)
    assert first.stdout is not None
    assert first.stdout.readline() == "writing\n"
    first.kill()
    first.communicate()
    output, errors = publisher(tmp_path, 22).communicate("\n", timeout=120)
    assert output.splitlines()[-1] == "published", errors
    assert verify(str(tmp_path / "corpus")).faults == []


class Overtaken(InlineEngine):
    """Does something else when so many partitions are done."""

    def __init__(self, after: int, what: Callable[[], None]) -> None:
        super().__init__()
        self._after, self._what = after, what

    def map_reduce(self, *arguments: Any) -> Iterator[pa.Table]:
        for number, table in enumerate(super().map_reduce(*arguments), 1):
            yield table
            if number == self._after:
                self._what()


@pytest.mark.parametrize("pairs", [22, 15])
@pytest.mark.parametrize("after", [1, 3, 6])
def test_without_locks_the_last_one_wins_and_the_one_before_stops(memory_store: str, after: int, pairs: int) -> None:
    world = World(f"{memory_store}/work")
    world.captions("laion", 22)
    corpus = f"{memory_store}/corpus"

    def overtake() -> None:
        settings = mixture(corpus, {"laion": {"pairs": pairs}})
        publish(world.workspace, world.given(), settings, InlineEngine())
        assert verify(corpus).faults == []

    with pytest.raises(PublishError, match=f"another run is publishing into {corpus}: this run has stopped"):
        publish(world.workspace, world.given(), mixture(corpus, {"laion": {}}), Overtaken(after, overtake))
    assert verify(corpus).faults == [], "what reported success is sound still"
    again = publish(world.workspace, world.given(), mixture(corpus, {"laion": {"pairs": pairs}}), InlineEngine())
    assert again.reused


def test_a_tar_that_another_run_wrote_last_is_found_and_written_again(memory_store: str) -> None:
    world = World(f"{memory_store}/work")
    world.captions("laion", 22)
    store, settings = Store(f"{memory_store}/corpus"), mixture(f"{memory_store}/corpus", {"laion": {}})

    def other_bytes() -> None:
        store.publish("laion/laion-000001.tar", store.read("laion/laion-000001.tar") + bytes(10_240))

    def receipt() -> None:
        Checkpoint(store).add("beef", Tar("laion-000002.tar", 4, 10_240, "ab" * 32, "cd" * 16))

    for what, wrong in ((other_bytes, "laion-000001.tar"), (receipt, "laion-000002.tar")):
        with pytest.raises(PublishError, match=f"{wrong}: overwritten .*another run"):
            publish(world.workspace, world.given(), settings, Overtaken(6, what))
        assert not store.exists("manifest.json")
        assert not store.exists(f"laion/{wrong}")
        publish(world.workspace, world.given(), settings, InlineEngine())
        assert verify(store.url).faults == []
        store.remove("manifest.json")
        store.remove("laion/laion-000001.tar")


def test_a_refusal_leaves_no_folder(tmp_path: Path) -> None:
    store = Store(tmp_path / "a/b/corpus")
    with pytest.raises(PublishError, match="another run is publishing"), only_publisher(store), only_publisher(store):
        pass
    assert list(tmp_path.iterdir()) == []


def test_notes_that_go_meanwhile_are_nobodys_trouble(store_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(store_url)
    tars = [Tar(f"x-{number:06d}.tar", 1, 1, "ab" * 32, "cd" * 16) for number in range(3)]
    for tar in tars:
        Checkpoint(store).add("f0", tar)
    stale = list_files(store)
    Checkpoint(store).clear()
    Checkpoint(store).add("f0", tars[0])
    monkeypatch.setattr("pipelines.publish.checkpoint.list_files", lambda *_: stale)
    Checkpoint(store).clear()
    monkeypatch.undo()
    assert list_files(store) == set()
