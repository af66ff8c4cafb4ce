"""The demo's sets are what they claim to be: the same bytes each time, pictures unlike each other, and every fault."""

from __future__ import annotations

import hashlib
import json
import tarfile
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest

from corpus.schema import Status
from demo.images.drawing import distances, perceptual_bits
from demo.images.world import FAR
from demo.pairs.builders import CLASSES
from demo.pairs.sets import build_sets
from demo.pairs.truth import SetsTruth, read_sets_truth


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_sets(tmp_path_factory.mktemp("world")).parent


@pytest.fixture(scope="module")
def truth(home: Path) -> SetsTruth:
    return read_sets_truth(home / "truth.json")


def digests(home: Path) -> dict[str, str]:
    files = sorted(path for path in home.rglob("*") if path.is_file())
    return {str(path.relative_to(home)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_the_same_seed_gives_the_same_bytes(home: Path, tmp_path: Path) -> None:
    (tmp_path / "sets").mkdir()
    (tmp_path / "sets" / "left-over.txt").write_text("of a world before")
    again = digests(build_sets(tmp_path).parent)
    assert again == digests(home)
    assert sum(path.stat().st_size for path in home.rglob("*")) < 10_000_000


def test_another_seed_gives_other_sets(home: Path, tmp_path: Path) -> None:
    other = digests(build_sets(tmp_path, seed=1).parent)
    same = {name for name, digest in digests(home).items() if other.get(name) == digest}
    written = {"documents/page.pdf", "guide/guide.jsonl", "postcards/captions.jsonl"}  # no PDF; and nothing is drawn
    assert {name for name in same if not name.startswith("mmeb/")} == written
    assert {Path(name).suffix for name in same if name.startswith("mmeb/")} == {".parquet"}, "which say the same"


def test_pictures_are_unlike_each_other_but_for_the_copy(home: Path, truth: SetsTruth) -> None:
    with tarfile.open(home / "megapairs" / "one.tar") as tar:
        files = {entry.name: tar.extractfile(entry).read() for entry in tar}  # type: ignore[union-attr]
    with zipfile.ZipFile(home / "megapairs" / "two.zip") as archive:
        kinds = {info.compress_type for info in archive.infolist()}
        files |= {name: archive.read(name) for name in archive.namelist()}
    loose = home / "megapairs" / "loose"
    files |= {str(path.relative_to(loose)): path.read_bytes() for path in loose.rglob("*.jpg")}
    assert kinds == {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
    assert len(files) == 62 and "images/gone.jpg" not in files
    copy = perceptual_bits(decoded(files.pop("images/copy.jpg")))
    assert not files.pop("images/broken.jpg").endswith(b"\xff\xd9")
    assert all(truth.name_of(data) == name for name, data in files.items())
    seen = {name: perceptual_bits(decoded(data)) for name, data in files.items()}
    near = [name for name, bits in seen.items() if max(distances(bits, copy)) <= 4]
    assert near == ["images/003.jpg"]
    for name, bits in seen.items():
        others = np.array([other for other_name, other in seen.items() if other_name != name])
        assert min(distances(others, bits)) > FAR - 4, name  # as encoded; they were told apart before


def decoded(data: bytes) -> np.ndarray:
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert pixels is not None
    return pixels


def test_texts_are_spoilt_as_the_truth_says(home: Path, truth: SetsTruth) -> None:
    lines = (home / "passages" / "pairs.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines[:-1]]
    planted = truth.sets["passages"]
    assert len(lines) == planted.funnel["rows_in"]
    given = {row["query"] for row in rows}
    cleaned = [pair.query.text for pair in planted.pairs if pair.query.text not in given]
    assert len([text for text in cleaned if "é’s" in text or "café’s" in text]) == 3
    assert len([text for text in cleaned if "&" in text]) == 3
    assert len(cleaned) == 6
    assert any("Ã" in query for query in given) and any("&amp;amp;" in query for query in given)


def test_classes_of_two_subsets_mean_the_same(home: Path, truth: SetsTruth) -> None:
    labels = {
        subset: set(pq.read_table(home / "mmeb" / subset).column("pos_text").to_pylist()) - {" "} for subset in CLASSES
    }
    assert labels["VOC2007"] == {"dog", "cat", "aeroplane", "sofa"}
    assert {"Dog", "airplane"} < labels["ImageNet_1K"]
    merged = [pair.label for pair in truth.sets["mmeb"].pairs]
    assert merged.count("dog") == 19 and merged.count("airplane") == 12
    of_mme5 = {pair.positive.text: pair.label for pair in truth.sets["mme5_classes"].pairs}
    assert of_mme5 == {"a photo of a dog": "dog", "Goldfish": "goldfish", "windmill": "windmill"}


def test_truth_is_read_as_it_was_written(home: Path, truth: SetsTruth) -> None:
    planted = truth.sets["megapairs"]
    assert planted.funnel == {
        "rows_in": 66,
        "kept": 61,
        "removed": {
            Status.FAILED: {"positive_missing_image": 1, "query_truncated": 1},
            Status.FILTERED: {"no_image": 1, "no_text": 1, "not_json": 1},
        },
    }
    assert len(planted.pairs) == 60
    assert all(pair.negatives[0].image == pair.query.image for pair in planted.pairs)
    with pytest.raises(ValueError, match="cannot be decoded"):
        truth.name_of(b"no image")
    with pytest.raises(ValueError, match="nobody planted"):
        truth.name_of(cv2.imencode(".png", np.full((300, 300), 128, np.uint8))[1].tobytes())
