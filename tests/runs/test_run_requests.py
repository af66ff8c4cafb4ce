"""What a run asks of an object store: for each shard and stage its inputs once, and its output; when idle, listings."""

from __future__ import annotations

import tarfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from corpus.settings import parse_settings
from corpus.storage import Store
from pipelines.config import Config
from pipelines.plan import Selection
from pipelines.report.terminal import Terminal
from pipelines.runner import run
from pipelines.status import plan_run, workspace_status
from tests.helpers.bucket_runs import bucket_config
from tests.helpers.requests import Requests, counted_requests

FEW, MANY = 4, 12  # shards
SHUFFLES = ("text_duplicates", "duplicates", "dedup_by_image", "clusters")


def run_all(config: Config, stage: str | None = None) -> None:
    assert run(config, Selection(stage=stage), Terminal(quiet=True)).failed == []


def requests(folder: Path, work: Callable[[Config], object]) -> dict[int, Requests]:
    """The requests of some work over few and over many shards."""
    found = {}
    for shards in (FEW, MANY):
        config = bucket_config(folder, shards)
        with counted_requests() as found[shards]:
            work(config)
    return found


def each_shard(found: dict[int, Requests], part: str = "") -> dict[str, float]:
    """The requests that a shard more costs, by kind; `part` of their paths."""
    few, many = (Counter(kind for kind, path in found[n].made if part in path) for n in (FEW, MANY))
    return {kind: (many[kind] - few[kind]) / (MANY - FEW) for kind in many | few if many[kind] != few[kind]}


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("requests")
    for shards in (FEW, MANY):
        run_all(bucket_config(folder, shards))
    return folder


def test_a_shard_of_a_stage_costs_its_inputs_and_its_output(tmp_path: Path) -> None:
    found = requests(tmp_path, lambda config: run_all(config, "clusters"))
    planned = plan_run(bucket_config(tmp_path, FEW), Selection())
    stages = {step.name: len({*tables[0].task.inputs}) for step, tables in planned.steps}
    inputs = sum((2 if name in SHUFFLES else 1) * number for name, number in stages.items())  # mapped, and finalized
    asked = each_shard(found)
    assert asked["PUT"] == len(stages) + 1, "the rows, and a table of each stage"
    assert asked["GET"] <= inputs + 1, "the table of images once more, for names that several archives have"
    assert asked.keys() == {"GET", "PUT"}, "no size, no listing, no file object"


def test_publishing_reads_each_table_a_few_times(tmp_path: Path) -> None:
    for shards in (FEW, MANY):
        run_all(bucket_config(tmp_path, shards), "clusters")
    asked = each_shard(requests(tmp_path, run_all))
    assert asked.keys() == {"GET"}
    assert asked["GET"] <= 6, "the plan and the samples: pairs and clusters; items and their inspection"


@pytest.mark.parametrize("work", [run_all, workspace_status, lambda config: plan_run(config, Selection())])
def test_what_is_done_costs_the_same_for_any_number_of_shards(done: Path, work: Callable[[Config], object]) -> None:
    found = requests(done, work)
    assert each_shard(found) == {}
    counts = found[MANY].counts()
    stages = len(plan_run(bucket_config(done, MANY), Selection()).steps)
    assert counts["LIST"] <= stages + 4
    of_lease = 3 if work is run_all else 0  # whether there is one, whether it is ours, and so before it is removed
    assert counts["GET"] <= 4 + of_lease, "the index of the source, the counts, the last run's log"


def stored_inputs(folder: Path, number: int) -> Config:
    """The same pictures and captions, in tars and files of a store."""
    config = bucket_config(folder, MANY)
    store = Store(f"memory://inputs-{folder.name}")
    rows = (folder / str(MANY) / "rows.jsonl").read_bytes().splitlines(keepends=True)
    for part in range(number):
        store.publish(f"rows/{part}.jsonl", b"".join(rows[part::number]))
        with store.writer(f"images/{part}.tar") as file, tarfile.open(fileobj=file, mode="w") as tar:
            for image in sorted((folder / str(MANY)).glob("*.png"))[part::number]:
                tar.add(image, image.name)
    data = config.model_dump(mode="json")["sources"]["web"]
    source = {**data, "files": [store.full("rows")], "images": {"archives": {"paths": [store.full("images")]}}}
    changed = {"sources": {"web": source}, "workspace": f"{config.workspace}-stored"}
    return parse_settings({**config.model_dump(mode="json"), **changed}, Config)


def inputs_read(config: Config, work: Callable[[Config], object]) -> Counter[str]:
    """How often contents of inputs are read, by path; listings and what tells versions are no reading."""
    with counted_requests() as found:
        work(config)
    return Counter(path for kind, path in found.made if kind in ("GET", "OPEN") and "/inputs-" in path)


def test_a_plan_reads_no_input_that_it_has_read_before(tmp_path: Path) -> None:
    config = stored_inputs(tmp_path, 3)
    plan = lambda config: plan_run(config, Selection())  # noqa: E731
    assert len(inputs_read(config, plan)) == 3, "the files of rows are checked"
    assert inputs_read(config, plan) == {}, "not again, although they have not been read"
    assert len(inputs_read(config, run_all)) == 6
    for work in (plan, run_all, workspace_status):
        assert inputs_read(config, work) == {}, work
    store = Store(f"memory://inputs-{tmp_path.name}")
    rows = store.read("rows/1.jsonl")
    store.remove("rows/1.jsonl")
    store.publish("rows/1.jsonl", rows.replace(b"word9 ", b"another "))
    assert len(inputs_read(config, plan)) == 3, "of a source that has changed all files are checked"
