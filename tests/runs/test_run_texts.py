"""Whole runs over images with planted alt-texts: noise is removed, pictures and generated captions stay."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from corpus.settings import parse_settings
from pipelines.config import Config
from pipelines.plan import Selection
from pipelines.publish.verify import verify
from pipelines.runner import run
from pipelines.status import plan_run
from tests.helpers.extras import engine_or_skip
from tests.helpers.noise_images import noise_jpeg
from tests.helpers.raw_tars import END, block
from tests.helpers.whole_runs import digests

# Of each shard of nine images.
ALT_TEXTS = [
    "IMG_{n}.jpg",
    "2019-03-{n}",
    "Click to enlarge",
    "Photo {n} of 90 by the agency",
    "Photo 4 of {n} by the agency",
    "a sketch of the bridge at dawn",
    "shoes, nike, running shoes {n}, cheap, sale, men, sneakers, discount",
    "The market square of town {n} on a winter morning",
    "A fisherman mends net {n} beside the harbour wall",
]
REMOVED = {
    "filtered/file_name": 3,
    "filtered/date_only": 3,
    "filtered/placeholder": 3,
    "filtered/boilerplate": 6,
    "filtered/keyword_stuffing": 3,
    "filtered/repeated_text": 1,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("alt_texts")
    for shard in range(3):
        keys = [f"{shard}{at}" for at in range(len(ALT_TEXTS))]
        captions = [text.format(n=10 + shard) for text in ALT_TEXTS]
        columns = {"url": [f"http://example.org/{key}" for key in keys], "caption": captions, "key": keys}
        pq.write_table(pa.table({**columns, "status": ["success"] * len(keys)}), path / f"0000{shard}.parquet")
        images = [block(f"{key}.jpg", noise_jpeg(int(key))) for key in keys]
        (path / f"0000{shard}.tar").write_bytes(b"".join(images) + END)
    return path


def settings(home: Path, folder: Path, engine: str = "local", **rules: Any) -> dict[str, Any]:
    rules = {"max_rows_per_template": 3, "max_rows_per_text": 2, **rules}
    return {
        "workspace": str(home / "workspace"),
        "engine": {"kind": engine},
        "sources": {"have": {"kind": "img2dataset", "folder": str(folder)}},
        "stages": {
            "quality": {"min_side_px": 1},
            "caption": {"sources": {"have": {}}},
            "text_filter": {"datasets": {"web": rules}},
            "concept_balance": {"datasets": {"plain": {"max_pairs_per_concept": 2, "min_pairs_per_concept": 3}}},
        },
        "datasets": {"web": {"source": "have", "captions": "both"}, "plain": {"source": "have"}},
        "mixtures": {
            "one": {"corpus": str(home / "corpus"), "batch_size": 4, "datasets": {"web": {}, "plain": {}}},
        },
    }


def run_all(home: Path, folder: Path, engine: str = "local", mixtures: tuple[str, ...] = ("one",), **rules: Any) -> str:
    printed = io.StringIO()
    config = parse_settings(settings(home, folder, engine, **rules), Config)
    result = run(config, Selection(), Console(file=printed, width=500), mixtures)
    assert result.failed == []
    return printed.getvalue()


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory, folder: Path) -> tuple[Path, str]:
    home = tmp_path_factory.mktemp("local")
    return home, run_all(home, folder)


def test_noise_is_removed_and_counted_and_every_picture_stays(local: tuple[Path, str]) -> None:
    home, printed = local
    manifest = json.loads((home / "corpus" / "manifest.json").read_text())
    web = manifest["datasets"]["web"]
    assert web["removed_pairs"] == REMOVED
    assert web["kept_pairs"] == 54 - 19, "the captions of all images, and 8 alt-texts"
    assert manifest["funnel"]["have"] == {"rows_in": 27, "kept": 27, "removed": {}}
    assert "text_filter: web: 19 of 54 pairs removed: boilerplate 6, date_only 3" in printed
    assert "| web | filtered | keyword_stuffing | 3 |" in (home / "corpus" / "README.md").read_text()
    assert verify(str(home / "corpus")).faults == []


def test_concepts_are_capped_in_another_dataset_of_the_same_images(local: tuple[Path, str]) -> None:
    home, printed = local
    plain = json.loads((home / "corpus" / "manifest.json").read_text())["datasets"]["plain"]
    removed = plain["removed_pairs"]["filtered/concept_cap"]
    assert plain["removed_pairs"].keys() == {"filtered/concept_cap"} and plain["kept_pairs"] == 27 - removed
    assert 1 <= removed <= 12, "dates, file names, and what names nothing that comes three times stay"
    assert f"concept_balance: plain: {removed} of 27 pairs removed by the cap on concepts; " in printed
    assert "most frequent before and after: agency 6 -> " in printed


@pytest.mark.parametrize("engine", ["ray", "beam"])
def test_every_engine_removes_the_same(tmp_path: Path, folder: Path, local: tuple[Path, str], engine: str) -> None:
    engine_or_skip(engine)
    run_all(tmp_path, folder, engine)
    assert digests(tmp_path / "corpus") == digests(local[0] / "corpus")


def test_another_threshold_decides_again_and_measures_nothing_again(local: tuple[Path, str], folder: Path) -> None:
    home, _ = local
    config = parse_settings(settings(home, folder, max_rows_per_template=50), Config)
    stale = {step.name: found for step, found in plan_run(config, Selection()).steps}
    assert {name for name, found in stale.items() if any(each.state != "done" for each in found)} == {
        "text_filter",
        "clusters",
    }
    assert stale["text_filter"][0].why == "max_rows_per_template: 3 -> 50"


def test_a_rule_that_removes_nearly_everything_is_warned_about(tmp_path: Path, folder: Path) -> None:
    printed = run_all(tmp_path, folder, mixtures=(), min_words=40, origins=["original", "generated"])
    assert "text_filter: web: warning: the rule too_few_words alone removes 100% of the pairs" in printed


def test_of_existing_pairs_the_funnel_counts_those_that_were_removed(tmp_path: Path) -> None:
    texts = ["IMG_10.jpg", "A lighthouse on a cliff in the evening", "2019-03-12", "Two boats lie on the beach"]
    lines = [{"q": text, "p": f"The answer to number {number} is here"} for number, text in enumerate(texts * 3)]
    (tmp_path / "pairs.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    pairs = {"kind": "existing_pairs", "source": "faq", "task": "text_retrieval"}
    data = {
        "workspace": str(tmp_path / "workspace"),
        "engine": {"kind": "local", "workers": 1},
        "sources": {
            "faq": {
                "kind": "jsonl",
                "files": [str(tmp_path / "pairs.jsonl")],
                "query": {"text": "q"},
                "positive": {"text": "p"},
                "shard_rows": 5,
            }
        },
        "stages": {
            "text_duplicates": {"near_duplicates": False},
            "text_filter": {"datasets": {"faq": {"max_rows_per_text": 2}}},
        },
        "datasets": {"all": pairs, "faq": pairs},
        "mixtures": {"one": {"corpus": str(tmp_path / "corpus"), "batch_size": 2, "datasets": {"faq": {}}}},
    }
    for datasets, kept in ((["faq", "all"], 4), (["all", "faq"], 12)):  # the first one is counted
        config = parse_settings({**data, "datasets": dict.fromkeys(datasets, pairs)}, Config)
        result = run(config, Selection(), Console(quiet=True))
        assert result.failed == []
        funnel = result.funnels["faq"]
        assert funnel["rows_in"] == 12 and funnel["kept"] == kept
        assert sum(sum(reasons.values()) for reasons in funnel["removed"].values()) == 12 - kept
        found = json.loads((tmp_path / "corpus" / "manifest.json").read_text())["datasets"]["faq"]
        assert found["removed_pairs"] == {
            "filtered/date_only": 3,
            "filtered/file_name": 3,
            "filtered/repeated_text": 2,
        }
        assert verify(str(tmp_path / "corpus")).faults == []
