"""Pages of stages: one for each, with all that the class declares, and examples that are valid settings."""

from __future__ import annotations

import re
from collections import Counter
from typing import get_type_hints

import pyarrow as pa
from pydantic import Field

from corpus.settings import Settings
from corpus.stage import ITEMS, Gives, MapStage, ShuffleStage
from corpus.thresholds import Bound, Threshold
from filters.image.stats import ImageStats
from pipelines.config import DATASETS
from pipelines.graph import STAGES
from pipelines.reference.stages import FOLDER, page_name, stage_pages
from tests.helpers.modules import ROOT


class PlantedSettings(Settings):
    """Settings of a planted stage."""

    min_saturation: float = Field(0.2, ge=0, description="The lowest saturation.")


class Planted(MapStage):
    """The planted stage, with details."""

    name, version, reads = "colourful", 7, (ITEMS, "image_stats")
    schema = pa.schema([pa.field("saturation", pa.float32())])
    settings_key, settings_type = "colourful", PlantedSettings
    over = frozenset({Gives.IMAGES})
    summary = "how colourful it is"
    reasons = {"no_colours": "it has no colours at all"}
    thresholds = (
        Threshold(
            setting="min_saturation",
            bound=Bound.LOWER,
            table="colourful",
            columns=("saturation",),
            measures="mean saturation",
            unit="%",
            reason="colourless",
        ),
    )


def test_a_page_has_what_the_class_declares() -> None:
    pages = stage_pages((ImageStats, Planted))
    assert set(pages) == {f"{FOLDER}/{name}.md" for name in ("index", "image_stats", "colourful")}
    page = pages[f"{FOLDER}/colourful.md"]
    for expected in (
        "# `colourful`",
        "The planted stage, with details.",
        "| **gives for each row** | how colourful it is |",
        "| **kind** | map: each shard by itself |",
        "| **over** | sources of images |",
        "| **reads** | [`items`](../../stages.md), [`image_stats`](../stages/image_stats.md) |",
        "| **settings** | `stages.colourful` |",
        "| **version** | 7 |",
        "| `no_colours` | it has no colours at all |",
        "| `colourless` | `min_saturation` | mean saturation (%): less than the value |",
        "| `saturation` | float |",
        "| number, at least 0 | `0.2` | The lowest saturation. |",
        "stages:\n  colourful:\n    min_saturation: 0.2",
    ):
        assert expected in page, expected
    assert "| **read by** | [`colourful`](../stages/colourful.md) |" in pages[f"{FOLDER}/image_stats.md"]
    assert "| [`colourful`](colourful.md) | how colourful it is |" in pages[f"{FOLDER}/index.md"]


def test_every_stage_has_a_page_of_its_own() -> None:
    pages = stage_pages()
    names = [page_name(stage) for stage in STAGES]
    assert len(set(names)) == len(STAGES) and "download-clips" in names
    for stage, name in zip(STAGES, names, strict=True):
        page = pages[f"{FOLDER}/{name}.md"]
        absent = [key for key in stage.settings_type.model_fields if stage.settings_key and f'id="{key}"' not in page]
        assert absent == [], name
        assert all(f"`{each.reason}`" in page for each in stage.thresholds if each.reason), name
        assert ("| **kind** | shuffle" in page) == issubclass(stage, ShuffleStage), name
        assert "## Details" in page and page.startswith("# `"), name


def test_reasons_that_are_declared_are_given() -> None:
    """As far as a text tells: the code has the reason, besides its declaration."""
    folders = ("corpus", "filters", "video", "pipelines", "recaption", "mining")
    code = "\n".join(path.read_text() for folder in folders for path in (ROOT / folder).rglob("*.py"))
    words = Counter(re.findall(r"[a-z]\w+", code))
    makers = [get_type_hints(dataset.pairs_stage)["return"] for dataset in DATASETS]
    declared = {reason for stage in (*STAGES, *makers) for reason in stage.reasons}
    assert len(declared) > 60
    assert [reason for reason in declared if reason.islower() and words[reason] < 2] == []
    pages = stage_pages()
    for stage in STAGES:
        page = pages[f"{FOLDER}/{page_name(stage)}.md"]
        assert [reason for reason in stage.reasons if f"| `{reason}` |" not in page] == [], stage.name


def test_reads_lead_to_pages_that_are_there() -> None:
    pages = stage_pages()
    targets = {target for page in pages.values() for target in re.findall(r"\]\(\.\./stages/([\w-]+\.md)\)", page)}
    assert len(targets) > 20
    assert {f"{FOLDER}/{target}" for target in targets} <= set(pages)
