"""On an engine that runs whole pipelines, a wave goes from one shuffle or pool to the next."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from corpus.execution import WORKER_LOST, MapJob, Outcome
from corpus.settings import Settings
from corpus.workspace import Workspace
from pipelines.run_graph.chains import Chain
from pipelines.run_graph.free_disk import FreeDisk
from tests.helpers.disks import Room
from tests.helpers.fake_queues import FakeEngine
from tests.helpers.toy_plans import (
    KEPT,
    Fetch,
    FetchMedia,
    Measure,
    Search,
    Toy,
    Toys,
    ToySettings,
    default_stages,
    states,
)
from tests.helpers.toy_runs import run_toys

CHANGED = (("duplicate", "exact"), *KEPT[1:])


@dataclass
class FakePipelines(FakeEngine):
    streams: bool = False
    waves: list[list[int]] = field(default_factory=list)  # the lengths of the chains of each

    def run_chains(self, jobs: Sequence[MapJob], chains: Sequence[Chain]) -> Iterator[tuple[int, int, Outcome]]:
        self.waves.append([len(chain.tasks) for chain in chains])
        for number, chain in enumerate(chains):
            failed: set[int] = set()
            for place, each in enumerate(chain.tasks):
                if failed.isdisjoint(each.needs):
                    outcome = self.run(jobs[each.job], each.task)
                    failed |= {place} if outcome.error else set()
                    yield number, place, outcome
                else:
                    failed.add(place)


@pytest.fixture
def toys(tmp_path: Path) -> Toys:
    return Toys(Workspace(tmp_path))


class Choose(Toy):
    name = "choose"
    reads = ("search",)


def test_a_wave_goes_up_to_the_shuffle_and_the_next_from_there(toys: Toys) -> None:
    engine = FakePipelines(toys.workspace)
    found = run_toys(toys, engine=engine, mixtures={"one": {"a"}})
    assert engine.waves == [[2, 2, 2], [1, 1, 1]], "fetch and measure; pair"
    assert found.order()[-1] == ("publish one", "", 8)
    assert set("".join(states(toys.plan()).values())) == {"d"}
    assert run_toys(toys, engine=FakePipelines(toys.workspace)).order() == []


def test_no_pipeline_writes_media_on_a_full_disk(toys: Toys) -> None:
    """What was fetched before goes on to the end of its chain."""
    stages = (FetchMedia(Settings()), Measure(ToySettings()))
    run_toys(toys, *stages, stage="fetch", shards=frozenset({1}))
    engine = FakePipelines(toys.workspace)
    disk = FreeDisk(toys.workspace.store, 1000, lambda path: Room(900))
    found = run_toys(toys, *stages, engine=engine, disk=disk)
    assert found.order() == [("measure", "a", 1)]
    (line,) = found.failed
    assert line.startswith("fetch: 2 shards did not start: 0.00 GB free on the disk of ")
    assert len(run_toys(toys, *stages, engine=FakePipelines(toys.workspace)).order()) == 4


def test_what_depends_on_content_belongs_to_the_next_wave(toys: Toys) -> None:
    stages = (Fetch(Settings()), Measure(ToySettings()), Search(Settings()), Choose(Settings()))
    engine = FakePipelines(toys.workspace)
    run_toys(toys, *stages, engine=engine)
    assert engine.waves == [[2, 2, 2], [1, 1, 1], [1, 1, 1]]
    toys.shards = {"a": 3, "b": 1}
    engine = FakePipelines(toys.workspace, {("search", "a", 1): CHANGED})
    run_toys(toys, *stages, engine=engine)
    assert engine.waves == [[2], [1] * 4, [1, 1]]


def test_a_failure_skips_the_rest_of_its_chain(toys: Toys) -> None:
    engine = FakePipelines(toys.workspace, failing={("fetch", "a", 0): "planted"})
    found = run_toys(toys, *default_stages()[:2], engine=engine)
    assert found.failed == ["fetch a/000000: planted"]
    assert len(found.order("measure")) == 2


def test_what_killed_its_workers_runs_in_isolation_and_its_chain_goes_on_in_the_next_wave(toys: Toys) -> None:
    def crash(job: Any, task: Any) -> Outcome | None:
        if job.stage.name == "fetch" and task.shard == "000001" and not job.isolated:
            return Outcome(task.source, "fetch", task.shard, error="died", metrics={WORKER_LOST: True})
        return None

    engine = FakePipelines(toys.workspace, after=crash)
    found = run_toys(toys, *default_stages()[:2], engine=engine)
    assert found.failed == []
    assert engine.waves == [[2, 2, 2], [1]]
    assert len(found.order()) == 6
