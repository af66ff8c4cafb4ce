"""Stage `agreement`: where it runs, what its tables depend on, and who leaves out what its filter removes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from corpus.settings import parse_settings
from filters.agreement.stage import Agreement, AgreementSettings
from pipelines.config import Config
from pipelines.graph import build_graph
from tests.helpers.cases import cases

BACKEND = {"model": "ViT-B-32", "pretrained": "b32.pt"}
FILTER = {"agreement_filter": {"datasets": {"web": {"keep_share": 0.3}}}}


def reads(stages: dict[str, Any]) -> dict[tuple[str, str], tuple[str, ...]]:
    """What each stage over pairs reads, by its name and its dataset."""
    data = {
        "workspace": "w",
        "sources": {"web": {"kind": "laion", "files": ["x.parquet"]}},
        "datasets": {"web": {"source": "web"}, "other": {"source": "web"}},
        "stages": {"negatives": {"datasets": {"web": {"search_by": "positive"}}}, **stages},
    }
    steps = build_graph(parse_settings(data, Config))
    return {
        (node.stage.name, node.dataset): tuple(table.stage for _, table in node.reads)
        for step in steps
        for node in step.nodes
        if node.dataset and node.stage.name != "pairs"
    }


@cases(
    "agreement, scored",
    [
        ({}, set()),
        ({"backend": BACKEND}, {"web", "other"}),
        ({"backend": BACKEND, "datasets": ["web"]}, {"web"}),
    ],
)
def test_the_named_datasets_are_scored_or_all(agreement: dict[str, Any], scored: set[str]) -> None:
    found = reads({"agreement": agreement})
    assert {dataset for stage, dataset in found if stage == "agreement"} == scored
    assert {stage for stage, _ in found if stage == "agreement_filter"} == set()


def test_later_stages_leave_out_what_the_filter_removed() -> None:
    found = reads({"agreement": {"backend": BACKEND}, **FILTER})
    assert found["agreement", "web"] == ("pairs",)
    assert found["agreement_filter", "web"] == ("pairs", "agreement")
    assert found["clusters", "web"] == ("pairs", "agreement_filter")
    assert found["embed", "web"] == ("pairs", "agreement_filter")
    assert found["clusters", "other"] == ("pairs",), "that dataset has no filter"
    assert ("agreement_filter", "other") not in found


def test_a_table_depends_on_the_weights_and_not_on_how_fast_they_run(tmp_path: Path) -> None:
    weights = tmp_path / "b32.pt"
    weights.write_bytes(b"one")

    def inputs(backend: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
        chosen = {"backend": {"model": "ViT-B-32", "pretrained": str(weights), **(backend or {})}, **changes}
        return Agreement(AgreementSettings.model_validate(chosen)).fingerprint_inputs()

    before = inputs()
    assert before == inputs({"batch_size": 8, "device": "cuda", "gpus": 1}, decode_threads=2, datasets=["web"])
    changes = [inputs(flip=True), inputs(video_frames=4), inputs(max_sentences=4), inputs({"dtype": "bfloat16"})]
    weights.write_bytes(b"two")
    assert all(each != before for each in [*changes, inputs()])
