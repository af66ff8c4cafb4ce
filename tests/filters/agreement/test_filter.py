"""Stage `agreement_filter`: the best of a dataset stay, whatever shards they lie in; what is too low goes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from corpus.execution import MapJob, ShardTask
from corpus.pool import Pool
from corpus.schema import table_schema
from corpus.settings import SettingsError, parse_settings
from corpus.stage import fingerprint_parts
from filters.agreement.filter import AgreementFilter, AgreementRules
from filters.agreement.stage import AGREEMENT, AGREEMENT_SCHEMA
from pipelines.config import Config
from pipelines.engines import EngineSettings, open_engine
from tests.helpers.cases import cases
from tests.helpers.extras import engine_or_skip
from tests.helpers.mining_worlds import read_rows, run_over_pairs
from tests.helpers.small_worlds import World, image_pair

Scores = list[float | None]


Inputs = list[list[tuple[str, str]]]  # of each shard its tables by name


def scored_rows(scores: Scores, origins: list[str] | None = None) -> list[dict[str, Any]]:
    origins = origins or ["original"] * len(scores)
    return [image_pair("shapes", f"number {n}", bytes(16), caption_origin=each) for n, each in enumerate(origins)]


def write_scored(
    world: World, rows: list[dict[str, Any]], scores: Scores, tables: int, by: str = "text_image_score"
) -> Inputs:
    """Writes pairs with these scores into so many shards."""
    score_of = {row["pair_id"]: score for row, score in zip(rows, scores, strict=True)}
    inputs: Inputs = []
    for number, path in enumerate(world.write_pairs("shapes", rows, tables)):
        ids = world.workspace.read_table(path, ["pair_id"]).column("pair_id").to_pylist()
        found = [{by: score_of[pair], "status": "kept", "reason": ""} for pair in ids]
        output = f"pairs/shapes/{AGREEMENT}/{number:06d}.{'0' * 16}.parquet"
        world.workspace.write_table(output, pa.Table.from_pylist(found, table_schema(AGREEMENT_SCHEMA)), {})
        inputs.append([("pairs", path), (AGREEMENT, output)])
    return inputs


def reasons_of(world: World, rows: list[dict[str, Any]], inputs: Inputs, outputs: list[str]) -> list[str]:
    """The reason of each pair, in their order."""
    ids = [row["pair_id"] for row in read_rows(world, [each[0][1] for each in inputs])]
    by_pair = dict(zip(ids, read_rows(world, outputs), strict=True))
    found = [by_pair[row["pair_id"]] for row in rows]
    assert all((row["status"] == "kept") == (row["reason"] == "") for row in found)
    assert {row["status"] for row in found} <= {"kept", "filtered"}
    return [row["reason"] for row in found]


def decisions(
    folder: Path,
    scores: Scores,
    rules: dict[str, Any],
    tables: int = 3,
    origins: list[str] | None = None,
    by: str = "text_image_score",
) -> list[str]:
    """The reason of each pair, in their order, of pairs with these scores that lie in so many shards."""
    world, rows = World(str(folder / f"{tables}")), scored_rows(scores, origins)
    inputs = write_scored(world, rows, scores, tables, by)
    outputs = run_over_pairs(world, AgreementFilter(AgreementRules.model_validate(rules)), inputs)
    return reasons_of(world, rows, inputs, outputs)


def kept(reasons: list[str]) -> list[int]:
    assert set(reasons) <= {"", "low_agreement"}
    return [place for place, reason in enumerate(reasons) if not reason]


def test_the_best_share_of_the_whole_dataset_stays_however_it_is_sharded(tmp_path: Path) -> None:
    scores: Scores = np.random.default_rng(1).permutation(np.linspace(-0.1, 0.6, 97)).round(4).tolist()
    best = sorted(np.argsort(scores)[-29:].tolist())  # 30 % of 97
    for tables in (1, 2, 7):
        assert kept(decisions(tmp_path, scores, {"keep_share": 0.3}, tables)) == best


@pytest.mark.parametrize("kind", ["local", "ray", "beam"])
def test_engines_decide_the_same(tmp_path: Path, kind: str) -> None:
    engine_or_skip(kind)
    scores: Scores = np.random.default_rng(2).permutation(np.linspace(-0.1, 0.6, 40)).round(2).tolist()
    world, rows = World(str(tmp_path / "world")), scored_rows(scores)
    inputs, stage = write_scored(world, rows, scores, 4), AgreementFilter(AgreementRules(keep_share=0.3))
    url = world.workspace.store.url
    pools = {name: Pool(url, tuple(sorted(dict(each)[name] for each in inputs))) for name in ("pairs", AGREEMENT)}
    outputs = [f"pairs/shapes/{stage.name}/{number:06d}.{'0' * 16}.parquet" for number in range(len(inputs))]
    tasks = [
        ShardTask("shapes", f"{number:06d}", number, tuple(each), output, "m", fingerprint_parts(stage, {}))
        for number, (each, output) in enumerate(zip(inputs, outputs, strict=True))
    ]
    engine = open_engine(EngineSettings(kind=kind, workers=2), scratch=str(tmp_path / "scratch"))
    try:
        assert [outcome.error for outcome in engine.map(MapJob(stage, url, pools=pools), tasks)] == [""] * 4
    finally:
        engine.close()
    assert kept(reasons_of(world, rows, inputs, outputs)) == sorted(np.argsort(scores)[-12:].tolist())


def test_equal_scores_at_the_cut_stay_in_the_order_of_their_ids(tmp_path: Path) -> None:
    scores: Scores = [0.2] * 40 + [0.5] * 4 + [0.1] * 6
    ids = [image_pair("shapes", f"number {n}", bytes(16))["pair_id"] for n in range(40)]
    smallest = sorted(range(40), key=ids.__getitem__)[:6]  # 10 of 50, of which 4 have more
    for tables in (1, 4):
        assert kept(decisions(tmp_path, scores, {"keep_share": 0.2}, tables)) == sorted([*smallest, 40, 41, 42, 43])


def test_the_share_is_taken_of_original_and_of_generated_texts_apart(tmp_path: Path) -> None:
    """All generated captions score lower than all originals: the best half of each stays."""
    scores: Scores = [0.30, 0.31, 0.32, 0.33, 0.20, 0.21, 0.22, 0.23]
    origins = ["original"] * 4 + ["generated"] * 4
    assert kept(decisions(tmp_path / "a", scores, {"keep_share": 0.5}, 3, origins)) == [2, 3, 6, 7]
    together = {"keep_share": 0.5, "origins_apart": False}
    assert kept(decisions(tmp_path / "b", scores, together, 3, origins)) == [0, 1, 2, 3]


def test_pairs_without_a_score_count_in_no_share(tmp_path: Path) -> None:
    scores: Scores = [0.1, None, 0.2, None, 0.3, None, 0.4, None]
    for unscored, expected in (("keep", [1, 3, 4, 5, 6, 7]), ("drop", [4, 6])):
        rules = {"keep_share": 0.5, "unscored": unscored}
        assert kept(decisions(tmp_path / unscored, scores, rules)) == expected


@cases(
    "rules, expected",
    [
        ({"min_score": 0.3}, [2, 3]),
        ({"min_score": 0.3, "keep_share": 1.0}, [2, 3]),
        ({"min_score": 0.1, "keep_share": 0.25}, [3]),
        ({"min_score": 0.9}, []),
        ({"min_score": -1.0}, [0, 1, 2, 3]),
        ({"keep_share": 0.01}, []),  # none of four
    ],
)
def test_thresholds(tmp_path: Path, rules: dict[str, Any], expected: list[int]) -> None:
    """0.3 in float32 is a little more than 0.3: it is not below it."""
    folder = tmp_path / "_".join(map(str, rules.values()))
    assert kept(decisions(folder, [0.1, 0.2, 0.3, 0.4], rules)) == expected


def test_the_page_of_thresholds_reads_the_score_that_decides() -> None:
    for by in ("text_image_score", "best_frame_score"):
        [threshold] = AgreementFilter(AgreementRules(min_score=0.3, by=by)).active_thresholds()
        assert (threshold.table, threshold.columns, threshold.setting) == (AGREEMENT, (by,), "min_score")
    assert AgreementFilter.settings_path("laion") == "stages.agreement_filter.datasets.laion"


def test_another_score_may_decide(tmp_path: Path) -> None:
    rules = {"min_score": 0.25, "by": "lowest_sentence_score"}
    assert kept(decisions(tmp_path, [0.2, 0.3], rules, 1, by="lowest_sentence_score")) == [1]


def test_only_a_share_reads_the_whole_dataset() -> None:
    """With a threshold alone, new shards make no decision stale."""
    assert AgreementFilter(AgreementRules(min_score=0.3)).pools == ()
    assert [read.name for read in AgreementFilter(AgreementRules(keep_share=0.3)).pools] == ["pairs", AGREEMENT]


SETTINGS: dict[str, Any] = {
    "workspace": "w",
    "sources": {"web": {"kind": "laion", "files": ["x.parquet"]}},
    "datasets": {"web": {"source": "web"}, "other": {"source": "web"}},
}
BACKEND = {"model": "ViT-B-32", "pretrained": "b32.pt"}


@cases(
    "stages, fault",
    [
        ({"agreement_filter": {"datasets": {"web": {}}}}, "set `min_score`, `keep_share` or both"),
        ({"agreement_filter": {"datasets": {"web": {"keep_share": 0.3}}}}, "scores no pair of it: set `backend` there"),
        (
            {
                "agreement": {"backend": BACKEND, "datasets": ["other"]},
                "agreement_filter": {"datasets": {"web": {"keep_share": 0.3}}},
            },
            "stages.agreement scores no pair of it: name it in `datasets` there",
        ),
        ({"agreement": {"datasets": ["web"]}}, "they are scored by a model: set `backend`"),
        ({"agreement": {"backend": BACKEND, "datasets": ["none"]}}, "stages.agreement.datasets: no dataset 'none'"),
        (
            {"agreement": {"backend": BACKEND}, "agreement_filter": {"datasets": {"none": {"min_score": 0.3}}}},
            "stages.agreement_filter.datasets: no dataset 'none'",
        ),
    ],
)
def test_settings_that_do_not_go_together(stages: dict[str, Any], fault: str) -> None:
    with pytest.raises(SettingsError) as error:
        parse_settings({**SETTINGS, "stages": stages}, Config)
    assert fault in str(error.value)
