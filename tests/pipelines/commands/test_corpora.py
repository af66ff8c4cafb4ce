"""The commands for published corpora: pushed, and written as a table."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from pipelines.publish.publish import publish
from pipelines.publish.verify import verify
from tests.helpers.small_worlds import InlineEngine, World, mixture
from tests.helpers.text_runs import call_in_process as call


@pytest.fixture
def corpus(tmp_path: Path) -> str:
    world = World(str(tmp_path / "work"))
    world.captions("laion", 7)
    publish(world.workspace, world.given(), mixture(tmp_path / "corpus", {"laion": {}}), InlineEngine())
    return str(tmp_path / "corpus")


def test_a_corpus_is_pushed_and_then_there_already(corpus: str, tmp_path: Path) -> None:
    code, printed = call("push", corpus, f"{tmp_path}/there")
    assert code == 0 and printed.startswith(f"{tmp_path}/there: ") and printed.endswith("; all read again\n")
    assert verify(f"{tmp_path}/there").faults == []
    assert "of them there already" in call("push", corpus, f"{tmp_path}/there")[1]
    code, printed = call("push", f"{tmp_path}/nothing", f"{tmp_path}/there")
    assert code == 1 and "no manifest.json" in printed


def test_a_corpus_becomes_a_table(corpus: str, tmp_path: Path) -> None:
    code, printed = call("export-table", corpus, f"{tmp_path}/rows.parquet")
    assert code == 0 and printed.startswith(f"{tmp_path}/rows.parquet: 7 rows, ")
    assert pq.read_table(tmp_path / "rows.parquet").num_rows == 7
    assert call("export-table", f"{tmp_path}/nothing", f"{tmp_path}/x.parquet")[0] == 1
