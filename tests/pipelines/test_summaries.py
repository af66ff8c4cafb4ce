"""Mixtures of one workspace: what they come to, and that another one costs a join and nothing else."""

from __future__ import annotations

import io
import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from rich.console import Console

from corpus.settings import parse_settings
from pipelines.config import Config
from pipelines.plan import Selection
from pipelines.publish.mixture import MixtureDataset
from pipelines.publish.verify import verify
from pipelines.report.console import show_mixture
from pipelines.runner import run
from pipelines.summaries import MixtureSummary, _shortfalls, mixture_summaries
from tests.helpers.whole_runs import Web, call, digests

CAPTIONS = {
    "own": {"captions": "original"},
    "both": {"captions": "both"},
    "mixed": {"captions": "mix", "generated_share": 0.7, "query_instruction": "Find the image: "},
}
SHARED = {"pairs_per_shard": 40, "batch_size": 32}


def three_mixtures(home: Path) -> dict[str, Any]:
    """Three caption mixes of one source; mixtures with other amounts, weights and negatives of them."""
    mixtures: dict[str, Any] = {
        "one": {"datasets": {"own": {"weight": 3.0}, "both": {"pairs": 50}}},
        "two": {"datasets": {"mixed": {"negatives": 2}, "own": {"pairs": 20}}, "weights": {"rule": "proportional"}},
        "three": {
            "datasets": {"both": {"negatives": 1}, "mixed": {"pairs": 40, "repeats": 2}},
            "weights": {"rule": "temperature", "temperature": 2},
            "seed": 7,
        },
    }
    return {
        "datasets": {name: {"source": "laion", **said} for name, said in CAPTIONS.items()},
        "mixtures": {
            name: {**SHARED, "corpus": str(home / f"corpus-{name}"), **said} for name, said in mixtures.items()
        },
    }


def config_of(web: Web, home: Path) -> Config:
    return parse_settings(web.settings(home) | three_mixtures(home), Config)


@pytest.fixture(scope="module")
def home(web: Web, undisturbed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home in which mixture `one` is published and nothing else."""
    home = tmp_path_factory.mktemp("mixtures")
    shutil.copytree(undisturbed / "workspace", home / "workspace")
    assert run(config_of(web, home), Selection(), Console(quiet=True), ["one"]).failed == []
    return home


def tables(home: Path) -> dict[str, tuple[str, int]]:
    """Digest and time of every table, and of every media tar."""
    found = {name: digest for name, digest in digests(home / "workspace").items() if not name.startswith("runs/")}
    return {name: (digest, (home / "workspace" / name).stat().st_mtime_ns) for name, digest in found.items()}


def shown(summary: MixtureSummary) -> str:
    said = io.StringIO()
    show_mixture(Console(file=said, width=160), summary)
    return said.getvalue()


def manifest(home: Path, name: str) -> dict[str, Any]:
    return dict(json.loads((home / f"corpus-{name}/manifest.json").read_bytes()))


def test_another_mixture_recomputes_nothing_and_three_come_out_of_one_workspace(web: Web, home: Path) -> None:
    before, config = tables(home), config_of(web, home)
    first = digests(home / "corpus-one")
    web.serving.reset()
    result = run(config, Selection(), Console(quiet=True), ["two", "three"])
    assert (sorted(result.corpora), result.failed) == (["three", "two"], [])
    assert tables(home) == before
    assert web.serving.requests() == {}
    assert digests(home / "corpus-one") == first
    for name in config.mixtures:
        assert verify(str(home / f"corpus-{name}")).faults == []
    one, two, three = (manifest(home, name)["datasets"] for name in ("one", "two", "three"))
    assert (one["both"]["samples"], two["own"]["samples"], three["mixed"]["samples"]) == (50, 20, 40)
    assert three["both"]["samples"] == three["both"]["kept_pairs"] > 50
    assert [two["mixed"]["negatives"], three["both"]["negatives"], one["both"]["negatives"]] == [2, 1, 0]
    assert [one["own"]["weight"], one["both"]["weight"]] == [3.0, 1.0]
    samples = {name: entry["samples"] for name, entry in two.items()}
    assert two["own"]["weight"] == pytest.approx(samples["own"] / sum(samples.values()), rel=1e-5)
    ratio = (80 / three["both"]["samples"]) ** 0.5  # 40 samples, repeated twice
    assert three["mixed"]["weight"] / three["both"]["weight"] == pytest.approx(ratio, rel=1e-4)


def test_the_table_says_beforehand_what_is_published(web: Web, home: Path) -> None:
    config = config_of(web, home)
    run(config, Selection(), Console(quiet=True))
    before = digests(home)
    for found in mixture_summaries(config):
        published = manifest(home, found.name)["datasets"]
        assert {row.dataset for row in found.datasets} == set(published)
        for row in found.datasets:
            entry = published[row.dataset]
            assert (row.task, row.available, row.selected) == (entry["task"], entry["kept_pairs"], entry["samples"])
            assert row.weight == entry["weight"]
        assert sum(row.share for row in found.datasets) == pytest.approx(1)
        drawn = sum(row.epochs * row.selected for row in found.datasets)
        assert drawn == pytest.approx(found.steps * found.batch_size)
    assert digests(home) == before, "nothing is run, nothing is written"


def test_epochs_are_of_the_steps_that_are_asked_for(web: Web, home: Path) -> None:
    config = config_of(web, home)
    [unasked], [asked] = mixture_summaries(config, ["two"]), mixture_summaries(config, ["two"], steps=100)
    assert unasked.steps == sum(row.selected for row in unasked.datasets) // 32
    for row in unasked.datasets:  # proportional: all once, but for what fills no whole step
        assert row.epochs == pytest.approx(unasked.steps * 32 / sum(row.selected for row in unasked.datasets), rel=1e-4)
    own = next(row for row in asked.datasets if row.dataset == "own")
    assert own.epochs == pytest.approx(100 * own.share * 32 / 20)
    assert "in 100 steps of 32 samples (as asked for)" in shown(asked)
    assert f"in {unasked.steps} steps of 32 samples (as many as all that is taken fills" in shown(unasked)


def test_more_pairs_or_negatives_than_there_are_is_said(web: Web, home: Path) -> None:
    config = config_of(web, home)
    datasets = config.mixtures["two"].datasets
    some = {"pairs": 10**6, "negatives": 3}
    config.mixtures["two"] = config.mixtures["two"].model_copy(
        update={"datasets": {"mixed": parse_settings(some, MixtureDataset), "own": datasets["own"]}}
    )
    [two] = mixture_summaries(config, ["two"])
    mixed, own = two.datasets
    assert mixed.selected == mixed.available
    assert mixed.notices == (
        f"pairs: 1,000,000 asked for, {mixed.available:,} are there",
        f"negatives: 3 asked for; all of the pairs have fewer; the rest, {3 * mixed.available:,} in all, is filled at "
        "random",
    )
    assert "mixed: pairs: 1,000,000 asked for" in shown(two)
    assert not any("asked for" in note for note in own.notices), "20 of more are asked for, and no negatives"


def test_the_share_of_pairs_that_have_too_few_negatives() -> None:
    own = np.array([5, 2, 0, 7, 5, 5, 5, 4])
    cases = {
        6: ["negatives: 6 asked for; 7 of 8 (87.5%) of the pairs have fewer; the rest, 16 in all, is filled at random"],
        5: ["negatives: 5 asked for; 3 of 8 (37.5%) of the pairs have fewer; the rest, 9 in all, is filled at random"],
        0: [],
    }
    for negatives, notes in cases.items():
        assert list(_shortfalls(MixtureDataset(pairs=8, negatives=negatives), 8, own)) == notes, negatives
    assert list(_shortfalls(MixtureDataset(pairs=9), 8, own)) == ["pairs: 9 asked for, 8 are there"]
    assert list(_shortfalls(MixtureDataset(negatives=5), 8, own[:0])) == []


def test_a_dataset_smaller_than_a_batch_is_flagged(web: Web, home: Path) -> None:
    [two] = mixture_summaries(config_of(web, home), ["two"])
    assert not any("batch" in note for row in two.datasets if row.dataset == "mixed" for note in row.notices)
    assert "own: 20 samples are less than a batch of 32" in shown(two)
    assert "not all is done" not in shown(two)


def test_what_is_not_done_is_said(web: Web, home: Path, tmp_path: Path) -> None:
    (tmp_path / "bare").mkdir()
    [nothing] = mixture_summaries(config_of(web, tmp_path / "bare"), ["one"])
    assert {(row.available, row.selected, row.share) for row in nothing.datasets} == {(0, 0, 0.0)}
    assert "own: source laion is not read yet" in shown(nothing)

    shutil.copytree(home / "workspace", tmp_path / "part/workspace")
    gone = sorted((tmp_path / "part/workspace/pairs/own/laion/pairs").rglob("*.parquet"))
    gone[0].unlink()
    [part] = mixture_summaries(config_of(web, tmp_path / "part"), ["one"])
    [whole] = mixture_summaries(config_of(web, home), ["one"])
    assert f"own: 1 of {len(gone)} shards are not done: counted is what is there" in shown(part)
    assert "not all is done: `run` finishes it" in shown(part)
    own, all_of_own = (next(row for row in found.datasets if row.dataset == "own") for found in (part, whole))
    assert 0 < own.available < all_of_own.available
    assert sorted((tmp_path / "part/workspace/pairs/own/laion/pairs").rglob("*.parquet")) == gone[1:]


def test_the_command_prints_the_mixtures_that_are_asked_for(web: Web, home: Path) -> None:
    config = home / "config.yaml"
    config.write_text(yaml.safe_dump(web.settings(home) | three_mixtures(home)))
    found = call("mix", config, "--mixture", "two", "--mixture", "one", "--steps", "10")
    assert found.returncode == 0, found.stderr
    assert re.findall(r"^(\w+): weights (.*?)\s*$", found.stdout, re.M) == [("two", "proportional"), ("one", "manual")]
    assert "in 10 steps of 32 samples" in found.stdout
    refused = call("mix", config, "--mixture", "four")
    assert (refused.returncode, "--mixture four: there is one, three, two" in refused.stderr) == (2, True)
