"""The reader in docs/trainer.md, as many ranks and workers as one likes, against what was published."""

from __future__ import annotations

import itertools
import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipelines.publish.publish import publish
from tests.helpers.cases import cases
from tests.helpers.small_worlds import InlineEngine, World, image_pair, mixture

TEXT = (Path(__file__).parents[3] / "docs/trainer.md").read_text(encoding="utf-8")
[CODE] = re.findall(r"```python\n(.*?)```", TEXT, re.S)

BATCH = 4
WEIGHTS = {"plain": 5.0, "films": 2.0, "exact": 1.0, "fives": 1.0, "labels": 1.0, "tiny": 0.5}
SHAPES = [(1, 1), (2, 1), (1, 3), (2, 2), (3, 2)]  # ranks and workers
CASES = [(name, shape) for name in WEIGHTS for shape in SHAPES if name != "tiny" or shape[0] < 3]


def grouped(world: World, name: str, sizes: list[int], singles: int) -> None:
    groups = [f"{name} {number}" for number, size in enumerate(sizes) for _ in range(size)] + [""] * singles
    images = world.pictures(len(groups), seed=1 + len(world.datasets))
    rows = [image_pair(name, f"{name} {n}", image, group=groups[n]) for n, image in enumerate(images)]
    world.dataset(name, rows)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`plain`: 3 tars of 30 and one of 7; `tiny`: one of 9. `films`: groups and singles; `exact`: groups in tars of one
    batch; `fives`: groups that are larger than a batch. `labels`: its order is taken for one that spreads labels.
    """
    home = tmp_path_factory.mktemp("reference")
    world = World(str(home / "work"))
    world.captions("plain", 97)
    grouped(world, "films", [2, 3, 4, 2, 3, 2, 4, 3] * 3, singles=41)
    grouped(world, "fives", [5] * 16, singles=0)
    world.captions("labels", 90)
    world.captions("tiny", 9)
    grouped(world, "exact", [1, 3, 2, 2, 4] * 10, singles=0)
    coarse = {name: {"weight": weight} for name, weight in WEIGHTS.items() if name != "exact"}
    publish(world.workspace, world.given(), mixture(home / "corpus", coarse, pairs_per_shard=30), InlineEngine())
    fine = mixture(home / "fine", {"exact": {"weight": WEIGHTS["exact"]}}, pairs_per_shard=BATCH, batch_size=BATCH)
    publish(world.workspace, world.given(), fine, InlineEngine())
    (home / "fine/exact").rename(home / "corpus/exact")
    one, other = (json.loads((home / name / "manifest.json").read_bytes()) for name in ("corpus", "fine"))
    one["datasets"] |= other["datasets"]
    one["datasets"]["labels"]["batch_rule"] = "label_spread"
    (home / "corpus/manifest.json").write_text(json.dumps(one))
    return home / "corpus"


@pytest.fixture(scope="module")
def said(corpus: Path) -> dict[str, Any]:
    """What the document's code defines."""
    code = CODE.replace("demo-run/corpus", str(corpus)).replace("BATCH = 32", f"BATCH = {BATCH}")
    code = code.replace("BLOCK = 1000", "BLOCK = 50")
    names: dict[str, Any] = {}
    exec(compile(code, "trainer.md", "exec"), names)
    assert (names["BATCH"], names["BLOCK"]) == (BATCH, 50)
    return names


def readers(ranks: int, workers: int) -> Iterator[tuple[int, int, int, int]]:
    for rank, worker in itertools.product(range(ranks), range(workers)):
        yield rank, ranks, worker, workers


def keys(batches: Any) -> list[list[str]]:
    return [[sample["__key__"] for sample in batch] for batch in batches]


def published(corpus: Path, said: dict[str, Any], name: str) -> dict[str, str]:
    """The keys of a dataset's samples in published order, each with its group."""
    import webdataset

    urls = [f"{corpus}/{name}/{shard['name']}" for shard in said["MANIFEST"]["datasets"][name]["shards"]]
    return {s["__key__"]: json.loads(s["json"])["group"] for s in webdataset.WebDataset(urls, shardshuffle=False)}


def epoch(said: dict[str, Any], name: str, shape: tuple[int, int], number: int, **options: Any) -> list[list[Any]]:
    """The batches of each reader that takes part in an epoch."""
    shares = [said["Share"](name, *reader) for reader in readers(*shape)]
    return [list(share.epoch(number, **options)) for share in shares if number % share.turns == share.turn]


def cut_groups(groups: dict[str, str], batches: list[list[str]]) -> set[str]:
    """Groups that are in more than one batch."""
    found = Counter(group for batch in batches for group in {groups[key] for key in batch} - {""})
    return {group for group, times in found.items() if times > 1}


@cases(("name", "shape"), CASES)
def test_an_epoch_has_every_sample_exactly_once(
    corpus: Path, said: dict[str, Any], name: str, shape: tuple[int, int]
) -> None:
    expected = published(corpus, said, name)
    for number in range(3):
        by_reader = epoch(said, name, shape, number, drop_last=False)
        read = [sample["__key__"] for batches in by_reader for batch in batches for sample in batch]
        assert sorted(read) == sorted(expected)


@cases(("name", "shape"), CASES)
def test_in_training_batches_are_full_and_every_reader_has_as_many(
    corpus: Path, said: dict[str, Any], name: str, shape: tuple[int, int]
) -> None:
    expected = published(corpus, said, name)
    left_out: list[set[str]] = []
    for number in range(2):
        by_reader = epoch(said, name, shape, number)
        assert len({len(batches) for batches in by_reader}) == 1
        assert len(by_reader[0]) == said["Share"](name, 0, shape[0], 0, shape[1]).steps > 0
        read = [key for batches in by_reader for batch in keys(batches) for key in batch]
        assert {len(batch) for batches in by_reader for batch in batches} == {BATCH}
        assert len(set(read)) == len(read), "no sample twice in an epoch"
        assert set(read) <= set(expected)
        left_out.append(set(expected) - set(read))
        shares, size = len(by_reader), BATCH * (shape[0] if name == "labels" else 1)
        assert len(left_out[-1]) < (2 if name in ("films", "fives") else 1) * shares * size + size
    if left_out[0]:
        assert left_out[0] != left_out[1], "each epoch leaves out others"


@pytest.mark.parametrize("shape", SHAPES)
def test_groups_are_whole_in_a_batch_where_they_fit(corpus: Path, said: dict[str, Any], shape: tuple[int, int]) -> None:
    for name, drop_last in (("films", False), ("exact", True), ("exact", False)):
        groups = published(corpus, said, name)
        for number in range(2):
            batches = [batch for of in epoch(said, name, shape, number, drop_last=drop_last) for batch in keys(of)]
            assert cut_groups(groups, batches) == set(), (name, drop_last)
            assert sum(any(groups[key] for key in batch) for batch in batches) > 6
    fives = published(corpus, said, "fives")
    batches = [batch for of in epoch(said, "fives", shape, 0, drop_last=False) for batch in keys(of)]
    assert len(cut_groups(fives, batches)) == 16, "larger than a batch"


@pytest.mark.parametrize("shape", SHAPES)
def test_a_step_of_spread_labels_is_a_run_of_the_published_order(
    corpus: Path, said: dict[str, Any], shape: tuple[int, int]
) -> None:
    place = {key: number for number, key in enumerate(published(corpus, said, "labels"))}
    ranks, workers = shape
    for worker in range(workers):
        of_ranks = [keys(said["Share"]("labels", rank, ranks, worker, workers).epoch(worker)) for rank in range(ranks)]
        for step in zip(*of_ranks, strict=True):
            at = [place[key] for batch in step for key in batch]
            assert len(at) == ranks * BATCH
            assert all(b == a + 1 or (a % 30 == 29 and b % 30 == 0) for a, b in itertools.pairwise(at))


def test_every_rank_draws_the_same_dataset_and_decodes_it(
    said: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ranks and workers as the environment tells them."""
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("NUM_WORKERS", "2")
    seen: dict[tuple[int, int], list[str]] = {}
    samples: list[str] = []
    for rank, worker in itertools.product(range(2), range(2)):
        monkeypatch.setenv("RANK", str(rank))
        monkeypatch.setenv("WORKER", str(worker))
        batches = list(itertools.islice(iter(said["Batches"]()), 12))
        names = [{sample["json"]["dataset"] for sample in batch} for batch in batches]
        assert all(len(of_batch) == 1 for of_batch in names)
        seen[rank, worker] = [name for [name] in names]
        assert {sample["positive.jpg"].size for batch in batches for sample in batch} == {(24, 16)}
        samples += [key for batch in keys(batches) for key in batch]
    assert seen[0, 0] == seen[1, 0] and seen[0, 1] == seen[1, 1]
    assert seen[0, 0] != seen[0, 1]
    assert len(samples) == 4 * 12 * BATCH


def test_datasets_are_drawn_by_weight_and_workers_stay_abreast(said: dict[str, Any]) -> None:
    workers = [Counter(itertools.islice(said["schedule"](worker), 20_000)) for worker in range(3)]
    assert workers[0] == workers[1] == workers[2]
    total = sum(WEIGHTS.values())
    for name, weight in WEIGHTS.items():
        assert workers[0][name] / 20_000 == pytest.approx(weight / total, abs=0.015)


def test_epochs_follow_each_other_without_end(corpus: Path, said: dict[str, Any]) -> None:
    share = said["Share"]("plain", 1, 2, 0, 2)
    flow = keys(itertools.islice(iter(share), 3 * share.steps))
    for number in range(3):
        assert flow[number * share.steps : (number + 1) * share.steps] == keys(share.epoch(number))
    assert flow[: share.steps] != flow[share.steps : 2 * share.steps]


def test_workers_of_a_small_dataset_take_turns(said: dict[str, Any]) -> None:
    shares = [said["Share"]("exact", rank, 2, worker, 40) for rank in range(2) for worker in (0, 7)]
    assert [(share.part, share.parts, share.turn, share.turns) for share in shares] == [
        (0, 2, 0, 40),
        (0, 2, 7, 40),
        (1, 2, 0, 40),
        (1, 2, 7, 40),
    ]


def test_a_dataset_that_has_no_batch_for_each_rank_is_refused(said: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="plain: 97 samples give no batches of 4 to 25 ranks"):
        said["Share"]("plain", 0, 25, 0, 1)


def test_each_share_reads_its_own_tars_and_parts_of_two_more(said: dict[str, Any]) -> None:
    tars = len(said["MANIFEST"]["datasets"]["plain"]["shards"])
    for number in range(4):
        opened = [
            {sample["__url__"] for batch in batches for sample in batch}
            for batches in epoch(said, "plain", (2, 2), number, drop_last=False)
        ]
        assert sum(map(len, opened)) <= tars + len(opened)


def test_what_is_left_out_is_not_always_the_same(corpus: Path, said: dict[str, Any]) -> None:
    for name in ("plain", "films", "fives", "labels", "tiny"):
        share, expected = said["Share"](name, 0, 1, 0, 1), set(published(corpus, said, name))
        for number in range(8):
            expected -= {key for batch in keys(share.epoch(number)) for key in batch}
        assert expected == set(), f"{name}: every sample is trained on within a few epochs"


def test_what_must_not_meet_is_masked(said: dict[str, Any]) -> None:
    def sample(number: int, **fields: Any) -> dict[str, Any]:
        sides = {name: {"id": f"{name} {number}"} for name in ("query", "positive")}
        clusters = {"query_cluster": "", "positive_cluster": "", "in_batch_negatives": True}
        return {"json": {"pair_id": str(number), "false_negatives": [], **sides, **clusters, **fields}}

    batch = [
        sample(0, query={"id": "same"}),
        sample(1, query={"id": "same"}, positive_cluster="c"),
        sample(2, positive_cluster="c", false_negatives=["3", "of another batch"]),
        sample(3, query_cluster="c"),  # a query is no positive
        sample(4, in_batch_negatives=False),
        sample(5, in_batch_negatives=False),
    ]
    assert said["masked"](batch) == [[1], [0, 2], [1, 3], [], [5], [4]]
