from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipelines.publish.data_card import data_card
from pipelines.publish.publish import publish
from tests.helpers.small_worlds import InlineEngine, World, image_pair, mixture


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    world = World(str(tmp_path / "work"))
    images = world.pictures(10)
    negative = {"text": "", "items": [images[9]], "score": 0.5, "origin": "mined"}
    rows = [image_pair("laion", str(n), images[n], negatives=[negative] * (n < 3)) for n in range(9)]
    world.dataset("laion", rows)
    world.captions("plain", 8)
    settings = mixture(tmp_path / "corpus", {"laion": {"negatives": 1}, "plain": {}}, batch_size=9)
    publish(world.workspace, world.given(), settings, InlineEngine())
    return tmp_path / "corpus"


def rows(card: str) -> list[list[str]]:
    """The cells of every line of every table."""
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in card.splitlines() if line.startswith("|")]


def test_the_card_says_what_is_in_it_where_from_and_what_was_removed(corpus: Path) -> None:
    card = (corpus / "README.md").read_text()
    said = rows(card)
    assert ["laion", "image_retrieval", "1", "image", "9", "3", "0.000", "1.0", "1", "single_dataset"] in said
    assert ["laion", "web", "CC-BY-4.0"] in said
    assert "**web**: 10 rows, 6 kept, 4 removed." in card
    removed = [row for row in said if row[0] in ("download", "quality")]
    assert removed == [["download", "http_404", "3"], ["quality", "blurred", "1"]]
    assert ["laion", "1", "6 of 9 (66.7%)"] in said
    assert "- **plain**: 8 samples are less than a batch of 9." in card
    assert "- **laion**" not in card
    assert ["rzen-corpus", "0.1.0"] in said


def test_its_header_names_the_datasets(corpus: Path) -> None:
    header = yaml.safe_load((corpus / "README.md").read_text().split("---\n")[1])
    assert header["configs"] == [
        {"config_name": "laion", "data_files": "laion/*.tar"},
        {"config_name": "plain", "data_files": "plain/*.tar"},
    ]


def test_the_code_that_it_shows_reads_batches_of_one_dataset(corpus: Path) -> None:
    code, for_energon = re.findall(r"```python\n(.*?)```", (corpus / "README.md").read_text(), re.DOTALL)
    code = code.replace("\nwhile True:", "\nfor _ in range(20):")
    compile(for_energon, "README.md", "exec")
    code += "    assert len(batch) == 9 and len({sample['json']['dataset'] for sample in batch}) == 1\n"
    code += "    assert batch[0]['positive.jpg'].size == (24, 16)\n"
    read = subprocess.run([sys.executable, "-c", code], cwd=corpus, capture_output=True, text=True, check=False)
    assert read.returncode == 0, read.stderr


def test_cells_do_not_break_their_table() -> None:
    entry: dict[str, Any] = {"task": "t", "stage": 1, "modality": "text", "samples": 1, "shards": [], "weight": 1.0}
    entry |= {"repeats": 1, "batch_rule": "single_dataset", "fields": ["json"], "warnings": [], "negatives": 0}
    entry |= {"random_negatives": 0, "sources": ["web"], "kept_pairs": 1, "duplicate_pairs": 0}
    entry |= {"equal_sides_in_batch": 1234, "false_negatives_in_batch": 0}
    manifest = {"name": "n", "datasets": {"d": entry | {"licence": "a | b\nc"}}, "funnel": {}, "versions": {}}
    card = data_card(manifest | {"fingerprint": "f", "seed": 0}).decode()
    assert "| d | web | a \\| b c |" in card
    assert "No dataset has hard negatives." in card
    assert "| d | 1,234 |" in card
    assert "with `blend.yaml` a batch holds\nseveral datasets" in card
    assert "property" not in card
