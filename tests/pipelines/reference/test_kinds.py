"""Pages of sources, datasets, encoders and sections: one for each kind, with all its settings and valid examples."""

from __future__ import annotations

import re

import yaml
from pydantic import TypeAdapter

from mining.encoders import ENCODERS
from pipelines.config import DATASETS, Config
from pipelines.evaluation.settings import EVALUATION_SOURCES
from pipelines.reference.kinds import dataset_pages, encoder_page, section_pages, source_pages
from pipelines.reference.settings_tables import kind_of
from pipelines.reference.site import reference_pages
from pipelines.sources import SOURCES
from tests.pipelines.test_docs import blocks


def test_every_kind_of_source_has_a_page_with_an_example() -> None:
    pages = source_pages()
    assert len(pages) == len(EVALUATION_SOURCES) + 1
    for source in EVALUATION_SOURCES:
        page = pages[f"reference/sources/{kind_of(source)}.md"]
        assert [key for key in source.model_fields if f'id="{key}"' not in page] == [], source
        if source in SOURCES:
            assert len(blocks(page, "yaml")) == len(source.kinds()), source
    index = pages["reference/sources/index.md"]
    assert index.index("(laion.md)") < index.index("## Of evaluation sets alone") < index.index("(media_files.md)")


def test_every_kind_of_dataset_has_a_page_with_its_stage() -> None:
    pages = dataset_pages()
    for dataset in DATASETS:
        page = pages[f"reference/datasets/{kind_of(dataset)}.md"]
        assert [key for key in dataset.model_fields if f'id="{key}"' not in page] == [], dataset
        assert "| **reads** | [`rows`](../sources/index.md)" in page and "| `pair_id` | 16 bytes |" in page
        assert blocks(page, "yaml"), dataset


def test_encoders_are_sections_of_one_page() -> None:
    (page,) = encoder_page().values()
    for encoder in ENCODERS:
        kind = kind_of(encoder)
        assert f"## `{kind}` {{#{kind}}}" in page
        assert [key for key in encoder.model_fields if f'id="{kind}.{key}"' not in page] == [], kind


def test_the_settings_file_leads_to_all_its_sections() -> None:
    pages = section_pages()
    page = pages["reference/settings.md"]
    assert [key for key in Config.model_fields if f'id="{key}"' not in page] == []
    known = set(reference_pages())
    targets = set(re.findall(r"\]\(([\w/]+\.md)\)", page))
    assert {f"reference/{target}" for target in targets} <= known and len(targets) > 10


def test_examples_are_valid_settings() -> None:
    """Each section by itself: what else a settings file needs is not in an example."""
    found = 0
    for path, page in reference_pages().items():
        for block in blocks(page, "yaml"):
            for section, value in yaml.safe_load(block).items():
                found += 1
                assert TypeAdapter(Config.model_fields[section].annotation).validate_python(value), path
    assert found > 40
