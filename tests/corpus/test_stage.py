from __future__ import annotations

import hashlib
import json
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from corpus.media import MediaWriter
from corpus.schema import item_id
from corpus.settings import Settings, tuning
from corpus.stage import ITEMS, ROWS, MapStage, Shard, fingerprint, fingerprint_parts, split_generation
from corpus.storage import Store


class BlurSettings(Settings):
    minimum: float = 0.25
    name: str = "ünï"
    threads: int = tuning(1)


class Blur(MapStage):
    name = "blur"
    reads = (ROWS, ITEMS)
    schema = pa.schema([("blur", pa.float32())])

    def setup(self) -> Callable[[Shard], pa.Table]:
        raise NotImplementedError


class Blur2(Blur):
    version = 2


class Renamed(Blur):
    name = "sharpness"


INPUTS = {"rows": "00ff", "items": "11ee-g2"}
KNOWN = "549ed710dade0b2b"


def named(stage: MapStage, inputs: dict[str, str] = INPUTS, generation: int = 0) -> str:
    return fingerprint(fingerprint_parts(stage, inputs, generation))


def test_fingerprints_are_known() -> None:
    # If this fails, every table that users have made becomes stale: is that meant?
    assert named(Blur(BlurSettings())) == KNOWN
    assert named(Blur(BlurSettings()), generation=3) == f"{KNOWN}-g3"
    hashed = (
        rb'{"inputs":{"items":"11ee-g2","rows":"00ff"},"settings":{"minimum":0.25,"name":"\u00fcn\u00ef"},'
        rb'"stage":"blur","version":1}'
    )
    assert hashlib.sha256(hashed).hexdigest()[:16] == KNOWN
    assert fingerprint({}) == "44136fa355b3678a"  # the SHA-256 of "{}"


def test_fingerprints_do_not_depend_on_order_or_tuning() -> None:
    assert named(Blur(BlurSettings()), dict(reversed(INPUTS.items()))) == KNOWN
    assert named(Blur(BlurSettings(threads=8))) == KNOWN
    parts = fingerprint_parts(Blur(BlurSettings()), INPUTS)
    assert fingerprint(json.loads(json.dumps(dict(reversed(parts.items()))))) == KNOWN


@pytest.mark.parametrize(
    ("stage", "inputs", "generation"),
    [
        (Blur(BlurSettings(minimum=0.26)), INPUTS, 0),
        (Blur(BlurSettings(name="uni")), INPUTS, 0),
        (Blur2(BlurSettings()), INPUTS, 0),
        (Renamed(BlurSettings()), INPUTS, 0),
        (Blur(BlurSettings()), {**INPUTS, "items": "11ee-g3"}, 0),
        (Blur(BlurSettings()), {**INPUTS, "rows": "00fe"}, 0),
        (Blur(BlurSettings()), {**INPUTS, "more": "22"}, 0),
        (Blur(BlurSettings()), {"rows": "00ff"}, 0),
        (Blur(BlurSettings()), INPUTS, 1),
    ],
)
def test_everything_that_counts_changes_the_fingerprint(
    stage: MapStage, inputs: dict[str, str], generation: int
) -> None:
    assert named(stage, inputs, generation) != KNOWN


def test_a_fingerprint_tells_its_generation() -> None:
    for generation in (0, 1, 12):
        name = named(Blur(BlurSettings()), generation=generation)
        assert split_generation(name) == (KNOWN, generation)


def test_a_fingerprint_is_the_same_in_every_process() -> None:
    code = "from corpus.stage import fingerprint; print(fingerprint({'b': {'y': 1.5, 'x': None}, 'a': ['ü', True]}))"
    root = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONHASHSEED": "7", "LC_ALL": "C"}
    shown = subprocess.run(
        [sys.executable, "-c", code], cwd=root, env=environment, capture_output=True, text=True, check=True
    )
    assert shown.stdout.strip() == fingerprint({"a": ["ü", True], "b": {"x": None, "y": 1.5}})


# The shard


@pytest.fixture
def shard(tmp_path: Path) -> Shard:
    store = Store(tmp_path)
    media = MediaWriter(store, "media/s/0.tar")
    places = [media.add(item_id(content), "bin", content) for content in (b"zero", b"one", b"two")]
    media.commit()
    offsets, sizes = zip(*places, strict=True)
    items = pa.table({"media": ["media/s/0.tar"] * 3, "offset": offsets, "size": sizes})
    tables = {ROWS: pa.table({"text": ["a", "b", "c"]}), ITEMS: items}
    return Shard("s", "000002", 2, np.array([1, 4, 9]), tables, store)


def test_the_contents_of_a_shard(shard: Shard) -> None:
    assert len(shard) == 3
    assert dict(shard.contents()) == {0: b"zero", 1: b"one", 2: b"two"}


def test_nodes_are_addresses_in_the_whole_workspace(shard: Shard) -> None:
    assert shard.row_addresses.dtype == np.int64
    assert shard.row_addresses.tolist() == [(2 << 32) + 1, (2 << 32) + 4, (2 << 32) + 9]


def test_a_slice_of_a_shard(shard: Shard) -> None:
    part = shard.slice(1, 3)
    assert (part.source, part.name, part.ordinal, len(part)) == ("s", "000002", 2, 2)
    assert part.rows.tolist() == [4, 9]
    assert part.row_addresses.tolist() == shard.row_addresses[1:].tolist()
    assert part[ROWS].column("text").to_pylist() == ["b", "c"]
    assert dict(part.contents()) == {0: b"one", 1: b"two"}
    assert len(shard.slice(1, 1)) == 0
    assert dict(shard.slice(1, 1).contents()) == {}


def test_a_shard_and_a_stage_can_be_sent_to_a_worker(shard: Shard) -> None:
    copy = pickle.loads(pickle.dumps(shard))  # noqa: S301
    assert dict(copy.contents()) == dict(shard.contents())
    stage = pickle.loads(pickle.dumps(Blur(BlurSettings(minimum=0.5))))  # noqa: S301
    assert stage.fingerprint_inputs() == {"minimum": 0.5, "name": "ünï"}
