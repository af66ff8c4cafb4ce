"""The same corpus through the readers that trainers use: none of them knows this project."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import webdataset

from corpus.image.limits import PILLOW_MAX_PIXELS
from corpus.schema import PAIR_SCHEMA
from filters.image.stats import inspect_image
from pipelines.publish.publish import publish
from pipelines.publish.sample import side_names
from tests.helpers.extras import installed_or_skip
from tests.helpers.readers import offline_datasets, rgb_pixels, stub_torch
from tests.helpers.small_worlds import InlineEngine, World, image_pair, mixture, picture

KINDS = {"JPEG": "jpg", "PNG": "png", "WEBP": "webp"}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Images of three formats in one dataset, with an image as query too and two negatives."""
    world = World(str(tmp_path_factory.mktemp("work")))
    stored = [
        world.store([picture(1000 * number + at, kind) for at in range(6)], ext)
        for number, (kind, ext) in enumerate(KINDS.items())
    ]
    images = [image for of_kind in zip(*stored, strict=True) for image in of_kind]
    negative = {"text": "", "items": [images[-1]], "score": 0.5, "origin": "mined"}
    rows = [
        image_pair(
            "mega",
            f"make it {number}, “größer”",
            positive,
            query={"instruction": "", "text": f"make it {number}", "items": [query]},
            negatives=[negative] if number % 2 else [],
        )
        for number, (query, positive) in enumerate(pairwise(images[:-1]))
    ]
    world.dataset("mega", rows)
    world.captions("laion", 7)
    return world


@pytest.fixture(scope="module")
def corpus(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    corpus = tmp_path_factory.mktemp("published") / "corpus"
    publish(world.workspace, world.given(), mixture(corpus, {"mega": {"negatives": 2}, "laion": {}}), InlineEngine())
    return corpus


FIELDS = ("query.jpg", "positive.jpg", "negative_0.jpg", "negative_1.jpg")


def tars(corpus: Path) -> list[str]:
    return [str(path) for path in sorted(corpus.glob("mega/*.tar"))]


def expected(world: World, pair: dict[str, Any]) -> dict[str, bytes]:
    """The bytes of a pair's own media, by field."""
    own = [("query.jpg", pair["query"]["items"]), ("positive.jpg", pair["positive"]["items"])]
    own += [(f"negative_{n}.jpg", negative["items"]) for n, negative in enumerate(pair["negatives"])]
    return {field: world.contents[items[0]] for field, items in own}


def side_name(side: dict[str, Any]) -> str:
    """The id that a side has in its sample."""
    array = pa.array([side], PAIR_SCHEMA.field("query").type)
    return side_names(array)[0]


def assert_holds_against(world: World, found: Iterable[tuple[str, dict[str, Any], dict[str, np.ndarray]]]) -> None:
    """(key, json, decoded images) of every sample against what was put into the workspace."""
    table = [row for path in world.datasets[0].pairs for row in world.workspace.read_table(path).to_pylist()]
    pairs = {row["pair_id"].hex(): row for row in table}
    seen = []
    for key, sample, images in found:
        pair = pairs[key]
        seen.append(key)
        assert sample["pair_id"] == key
        for side in ("query", "positive"):
            assert sample[side] == {
                "id": side_name(pair[side]),
                "instruction": pair[side]["instruction"],
                "text": pair[side]["text"],
                "media": [f"{side}.jpg"],
                "phash": [f"{inspect_image(world.contents[pair[side]['items'][0]], PILLOW_MAX_PIXELS)['phash']:016x}"],
                "rewritten": [False],
            }
        origins = [negative["origin"] for negative in sample["negatives"]]
        assert origins == ["mined"] * len(pair["negatives"]) + ["random"] * (2 - len(pair["negatives"]))
        assert list(images) == list(FIELDS)
        for field, content in expected(world, pair).items():
            assert np.array_equal(images[field], rgb_pixels(content)), field
        assert not np.array_equal(images["negative_1.jpg"], images["positive.jpg"])
    assert sorted(seen) == sorted(pairs)


def test_webdataset(world: World, corpus: Path) -> None:
    read = list(webdataset.WebDataset(tars(corpus), shardshuffle=False).decode("pil"))
    assert_holds_against(
        world, [(s["__key__"], s["json"], {field: np.asarray(s[field]) for field in FIELDS}) for s in read]
    )


def test_webdataset_gives_the_original_bytes(world: World, corpus: Path) -> None:
    pairs = {
        row["pair_id"].hex(): row
        for path in world.datasets[0].pairs
        for row in world.workspace.read_table(path).to_pylist()
    }
    for sample in webdataset.WebDataset(tars(corpus), shardshuffle=False):
        assert expected(world, pairs[sample["__key__"]]).items() <= sample.items()


def test_the_order_is_the_same_for_all_and_tars_expand_by_braces(corpus: Path) -> None:
    braces = f"{corpus}/mega/mega-{{000000..000003}}.tar"
    assert [sample["__key__"] for sample in webdataset.WebDataset(braces, shardshuffle=False)] == [
        sample["__key__"] for sample in webdataset.WebDataset(tars(corpus), shardshuffle=False)
    ]


def test_wids(world: World, corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if importlib.util.find_spec("torch") is None:
        stub_torch(monkeypatch)
    installed_or_skip("wids")  # which webdataset has no more, from 1.0 on
    import wids
    from wids.wids_decode import default_decoder

    decode = partial(default_decoder, format="PIL")
    index = str(corpus / "mega/index.json")
    read = wids.ShardListDataset(index, cache_dir=str(tmp_path), keep=True, transformations=decode)
    assert len(read) == 16
    samples = [read[at] for at in (*range(8, 16), *range(8))]  # random access
    assert_holds_against(
        world,
        [
            (s["__key__"], s[".json"], {field: np.asarray(s[f".{field}"].convert("RGB")) for field in FIELDS})
            for s in samples
        ],
    )


@pytest.mark.parametrize("streaming", [True, False])
def test_hugging_face_datasets(
    world: World, corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, streaming: bool
) -> None:
    datasets = offline_datasets(monkeypatch)
    read = datasets.load_dataset(
        "webdataset", data_files=tars(corpus), split="train", streaming=streaming, cache_dir=str(tmp_path)
    )
    assert_holds_against(
        world,
        [(s["__key__"], s["json"], {field: np.asarray(s[field].convert("RGB")) for field in FIELDS}) for s in read],
    )


@pytest.mark.parametrize("streaming", [True, False])
def test_hugging_face_datasets_find_a_dataset_by_the_card(
    world: World, corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, streaming: bool
) -> None:
    datasets = offline_datasets(monkeypatch, reads_card=True)
    read = list(
        datasets.load_dataset(str(corpus), "laion", split="train", streaming=streaming, cache_dir=str(tmp_path))
    )
    assert sorted(sample["json"]["query"]["text"] for sample in read) == [f"laion {n}" for n in range(7)]
    for sample in read:
        assert sample["json"]["query"]["media"] == sample["json"]["negatives"] == []
        assert sample["positive.jpg"].size == (24, 16)
